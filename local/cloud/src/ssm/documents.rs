//! Documents, and the instances whose agents are known.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Reply, document::Document};
use crate::{events::EventKind, paging::ByToken, wire::ApiError, world::Ctx};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Create {
    name: String,
    content: String,
    document_type: Option<String>,
    document_format: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct One {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    #[serde(flatten)]
    page: ByToken,
    #[serde(default)]
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
        .insert(input.name.clone(), vec![document]);
    ctx.event(EventKind::Created, input.name.clone(), "document");
    Ok(json!({"DocumentDescription": show(ctx, &input.name)?}))
}

pub(super) fn update(ctx: &mut Ctx<'_>, input: &Create) -> Reply {
    touch(ctx, &input.name);
    let current = ctx.world.ssm.document(&input.name)?.content.clone();
    let document = read(input)?;
    if document.content == current {
        return Err(ApiError::sender(
            "DuplicateDocumentContent",
            "The content of the document duplicates another version.",
        ));
    }
    if let Some(versions) = ctx.world.ssm.documents.get_mut(&input.name) {
        versions.push(document);
    }
    ctx.event(EventKind::Modified, input.name.clone(), "document");
    Ok(json!({"DocumentDescription": show(ctx, &input.name)?}))
}

pub(super) fn delete(ctx: &mut Ctx<'_>, input: &One) -> Reply {
    touch(ctx, &input.name);
    ctx.world.ssm.document(&input.name)?;
    ctx.world.ssm.documents.remove(&input.name);
    ctx.event(EventKind::Deleted, input.name.clone(), "document");
    Ok(json!({}))
}

pub(super) fn describe(ctx: &mut Ctx<'_>, input: &One) -> Reply {
    let document = ctx.arn("ssm", &format!("document/{}", input.name));
    ctx.touch(document);
    Ok(json!({"Document": show(ctx, &input.name)?}))
}

pub(super) fn get(ctx: &mut Ctx<'_>, input: &One) -> Reply {
    let document = ctx.world.ssm.document(&input.name)?;
    Ok(json!({
        "Name": input.name,
        "DocumentVersion": "1",
        "Status": "Active",
        "Content": document.content,
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
    let names = ctx.world.ssm.documents.keys().filter(|name| wanted(name));
    let shown: Vec<Value> = names
        .map(|name| {
            json!({
                "Name": name,
                "Owner": ctx.config.account,
                "PlatformTypes": ["Linux"],
                "DocumentVersion": "1",
                "DocumentType": "Command",
                "SchemaVersion": "2.2",
                "DocumentFormat": "JSON",
            })
        })
        .collect();
    input.page.ssm("DocumentIdentifiers", shown)
}

pub(super) fn instances(ctx: &mut Ctx<'_>, input: &List) -> Reply {
    let passes = |id: &str, ping: &str| {
        input
            .filters
            .iter()
            .all(|filter| match filter.key.as_str() {
                "InstanceIds" => filter.values.iter().any(|value| value == id),
                "PingStatus" => filter.values.iter().any(|value| value == ping),
                _ => true,
            })
    };
    let ssm = &ctx.world.ssm;
    let known =
        ctx.world.live.ec2.instances.values().filter(|instance| {
            instance.is_running() || instance.state == crate::ec2::State::Stopped
        });
    let shown = known.filter_map(|instance| {
        let online = instance.is_running() && !ssm.offline.contains(&instance.id);
        let ping = if online { "Online" } else { "ConnectionLost" };
        passes(&instance.id, ping).then(|| {
            json!({
                "InstanceId": instance.id,
                "PingStatus": ping,
                "LastPingDateTime": epoch(ctx.now),
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
    input.page.ssm("InstanceInformationList", shown)
}

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

fn show(ctx: &Ctx<'_>, name: &str) -> Result<Value, ApiError> {
    let body = &ctx.world.ssm.document(name)?.body;
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
    let versions = ctx
        .world
        .ssm
        .documents
        .get(name)
        .map_or(1, Vec::len)
        .to_string();
    Ok(json!({
        "Name": name,
        "Owner": ctx.config.account,
        "Status": "Active",
        "DocumentVersion": versions,
        "LatestVersion": versions,
        "DefaultVersion": versions,
        "Description": body.description,
        "Parameters": parameters,
        "PlatformTypes": ["Linux"],
        "DocumentType": "Command",
        "SchemaVersion": "2.2",
        "DocumentFormat": "JSON",
        "CreatedDate": epoch(ctx.now),
    }))
}
