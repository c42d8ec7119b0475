//! Documents, and the instances whose agents are known.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Reply, document::Document, model::Versions};
use crate::{events::EventKind, paging::ByToken, wire::ApiError, world::Ctx};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Create {
    name: String,
    content: String,
    document_type: Option<String>,
    document_format: Option<String>,
    /// Of an update: the version that it is made from.
    document_version: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct One {
    name: String,
    document_version: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetDefault {
    name: String,
    document_version: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    #[serde(flatten)]
    page: ByToken,
    #[serde(default, alias = "InstanceInformationFilterList")]
    filters: Vec<Filter>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    #[serde(alias = "key")]
    key: String,
    #[serde(default, alias = "valueSet")]
    values: Vec<String>,
}

pub(super) fn create(ctx: &mut Ctx<'_>, input: &Create) -> Reply {
    touch(ctx, &input.name);
    if ctx.world.ssm.documents.contains_key(&input.name) {
        return Err(ApiError::sender(
            "DocumentAlreadyExists",
            "The specified document already exists.",
        ));
    }
    let document = read(input)?;
    ctx.world
        .ssm
        .documents
        .insert(input.name.clone(), Versions::first(document));
    ctx.event(EventKind::Created, input.name.clone(), "document");
    Ok(json!({"DocumentDescription": show(ctx, &input.name, None)?}))
}

/// Adds a version. Commands go on to run the default version until that is changed too.
pub(super) fn update(ctx: &mut Ctx<'_>, input: &Create) -> Reply {
    touch(ctx, &input.name);
    let versions = ctx.world.ssm.versions(&input.name)?.clone();
    if let Some(from) = input.document_version.as_deref()
        && versions.number(Some(from))? != versions.all.len()
    {
        return Err(ApiError::sender(
            "InvalidDocumentVersion",
            "Only the latest version of a document can be updated.",
        ));
    }
    let document = read(input)?;
    if versions
        .all
        .iter()
        .any(|one| one.content == document.content)
    {
        return Err(ApiError::sender(
            "DuplicateDocumentContent",
            "The content of the document duplicates another version.",
        ));
    }
    if let Some(versions) = ctx.world.ssm.documents.get_mut(&input.name) {
        versions.all.push(document);
    }
    ctx.event(EventKind::Modified, input.name.clone(), "document");
    Ok(json!({"DocumentDescription": show(ctx, &input.name, Some("$LATEST"))?}))
}

pub(super) fn set_default(ctx: &mut Ctx<'_>, input: &SetDefault) -> Reply {
    touch(ctx, &input.name);
    let versions = ctx.world.ssm.versions(&input.name)?;
    let number = versions.number(Some(&input.document_version))?;
    if let Some(versions) = ctx.world.ssm.documents.get_mut(&input.name) {
        versions.default = number;
    }
    let detail = format!("default version {number}");
    ctx.event(EventKind::Modified, input.name.clone(), detail);
    Ok(json!({"Description": {"Name": input.name, "DefaultVersion": number.to_string()}}))
}

pub(super) fn delete(ctx: &mut Ctx<'_>, input: &One) -> Reply {
    touch(ctx, &input.name);
    ctx.world.ssm.versions(&input.name)?;
    ctx.world.ssm.documents.remove(&input.name);
    ctx.event(EventKind::Deleted, input.name.clone(), "document");
    Ok(json!({}))
}

pub(super) fn describe(ctx: &mut Ctx<'_>, input: &One) -> Reply {
    let document = ctx.arn("ssm", &format!("document/{}", input.name));
    ctx.touch(document);
    let version = input.document_version.as_deref();
    Ok(json!({"Document": show(ctx, &input.name, version)?}))
}

pub(super) fn get(ctx: &mut Ctx<'_>, input: &One) -> Reply {
    let versions = ctx.world.ssm.versions(&input.name)?;
    let number = versions.number(input.document_version.as_deref())?;
    Ok(json!({
        "Name": input.name,
        "DocumentVersion": number.to_string(),
        "Status": "Active",
        "Content": versions.all[number - 1].content,
        "DocumentType": "Command",
        "DocumentFormat": "JSON",
    }))
}

pub(super) fn list(ctx: &mut Ctx<'_>, input: &List) -> Reply {
    let wanted = |name: &str| {
        input
            .filters
            .iter()
            .all(|filter| match filter.key.as_str() {
                "Name" => filter.values.iter().any(|prefix| name.starts_with(prefix)),
                "Owner" => {
                    let owner = if name.starts_with("AWS-") {
                        "Amazon"
                    } else {
                        "Self"
                    };
                    filter
                        .values
                        .iter()
                        .any(|value| value == owner || value == "All")
                }
                _ => true,
            })
    };
    let documents = ctx.world.ssm.documents.iter();
    let shown: Vec<Value> = documents
        .filter(|(name, _)| wanted(name))
        .map(|(name, versions)| {
            json!({
                "Name": name,
                "Owner": ctx.config.account,
                "PlatformTypes": ["Linux"],
                "DocumentVersion": versions.default.to_string(),
                "DocumentType": "Command",
                "SchemaVersion": "2.2",
                "DocumentFormat": "JSON",
            })
        })
        .collect();
    input.page.ssm("DocumentIdentifiers", shown, 1)
}

pub(super) fn instances(ctx: &mut Ctx<'_>, input: &List) -> Reply {
    let known = |filter: &&Filter| {
        INSTANCE_FILTERS.contains(&filter.key.as_str()) || filter.key.starts_with("tag:")
    };
    if let Some(unknown) = input.filters.iter().find(|filter| !known(filter)) {
        return Err(ApiError::sender(
            "InvalidFilterKey",
            format!("The filter key {} is not valid.", unknown.key),
        ));
    }
    let passes = |instance: &crate::ec2::Instance, ping: &str| {
        input
            .filters
            .iter()
            .all(|filter| match filter.key.as_str() {
                "InstanceIds" => filter.values.contains(&instance.id),
                "PingStatus" => filter.values.iter().any(|value| value == ping),
                "PlatformTypes" => filter.values.iter().any(|value| value == "Linux"),
                "ResourceType" => filter.values.iter().any(|value| value == "EC2Instance"),
                // The keys were checked above: this one is of a tag.
                key => {
                    let tag = instance.tags.get(key.trim_start_matches("tag:"));
                    tag.is_some_and(|value| filter.values.contains(value))
                }
            })
    };
    let ssm = &ctx.world.ssm;
    let known =
        ctx.world.live.ec2.instances.values().filter(|instance| {
            instance.is_running() || instance.state == crate::ec2::State::Stopped
        });
    let shown = known.filter_map(|instance| {
        let silent_since = ssm.offline.get(&instance.id);
        let online = instance.is_running() && silent_since.is_none();
        let ping = if online { "Online" } else { "ConnectionLost" };
        passes(instance, ping).then(|| {
            json!({
                "InstanceId": instance.id,
                "PingStatus": ping,
                "LastPingDateTime": epoch(silent_since.copied().unwrap_or(ctx.now)),
                "AgentVersion": "3.3.0.0",
                "IsLatestVersion": true,
                "PlatformType": "Linux",
                "PlatformName": "Simulated",
                "ResourceType": "EC2Instance",
                "IPAddress": instance.address.to_string(),
                "ComputerName": instance.id,
            })
        })
    });
    let shown = shown.collect();
    input.page.ssm("InstanceInformationList", shown, 5)
}

/// By what instances are found here.
const INSTANCE_FILTERS: [&str; 4] = ["InstanceIds", "PingStatus", "PlatformTypes", "ResourceType"];

/// A time as JSON 1.1 writes it.
pub(super) fn epoch(at: jiff::Timestamp) -> Value {
    json!(at.as_millisecond() as f64 / 1000.0)
}

fn touch(ctx: &mut Ctx<'_>, name: &str) {
    let arn = ctx.arn("ssm", &format!("document/{name}"));
    ctx.touch(arn);
}

fn read(input: &Create) -> Result<Document, ApiError> {
    let kind = input.document_type.as_deref().unwrap_or("Command");
    let format = input.document_format.as_deref().unwrap_or("JSON");
    if (kind, format) != ("Command", "JSON") {
        return Err(ApiError::sender(
            "InvalidDocumentContent",
            "only documents of type Command in JSON are simulated",
        ));
    }
    Document::parse(&input.content).map_err(|err| ApiError::sender("InvalidDocumentContent", err))
}

fn show(ctx: &Ctx<'_>, name: &str, version: Option<&str>) -> Result<Value, ApiError> {
    let versions = ctx.world.ssm.versions(name)?;
    let number = versions.number(version)?;
    let body = &versions.all[number - 1].body;
    let parameters: Vec<Value> = body
        .parameters
        .iter()
        .map(|(name, parameter)| {
            let default = parameter.default.as_ref();
            let default = default.map(|default| match default {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            json!({
                "Name": name,
                "Type": parameter.r#type,
                "Description": parameter.description,
                "DefaultValue": default,
            })
        })
        .collect();
    Ok(json!({
        "Name": name,
        "Owner": ctx.config.account,
        "Status": "Active",
        "DocumentVersion": number.to_string(),
        "LatestVersion": versions.all.len().to_string(),
        "DefaultVersion": versions.default.to_string(),
        "Description": body.description,
        "Parameters": parameters,
        "PlatformTypes": ["Linux"],
        "DocumentType": "Command",
        "SchemaVersion": "2.2",
        "DocumentFormat": "JSON",
        "CreatedDate": epoch(ctx.now),
    }))
}
