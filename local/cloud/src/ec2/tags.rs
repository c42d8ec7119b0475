//! Tags of instances and launch templates.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Reply, Tag,
    filters::{Filter, unknown},
    model::{Ec2, unknown_instance},
};
use crate::{events::EventKind, paging::ByToken, wire::ApiError, world::Ctx};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Change {
    #[serde(rename = "ResourceId")]
    resources: Vec<String>,
    #[serde(default, rename = "Tag")]
    tags: Vec<OptionalTag>,
}

/// Without a value a tag is deleted whatever its value is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OptionalTag {
    key: String,
    value: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Describe {
    #[serde(default, rename = "Filter")]
    filters: Vec<Filter>,
    #[serde(flatten)]
    page: ByToken,
}

pub(super) fn create(ctx: &mut Ctx<'_>, input: &Change) -> Reply {
    change(ctx, input, |tags, tag| {
        tags.insert(tag.key.clone(), tag.value.clone().unwrap_or_default());
    })
}

pub(super) fn delete(ctx: &mut Ctx<'_>, input: &Change) -> Reply {
    change(ctx, input, |tags, tag| {
        let matches = tag
            .value
            .as_ref()
            .is_none_or(|value| tags.get(&tag.key) == Some(value));
        if matches {
            tags.remove(&tag.key);
        }
    })
}

fn change(
    ctx: &mut Ctx<'_>,
    input: &Change,
    apply: impl Fn(&mut BTreeMap<String, String>, &OptionalTag),
) -> Reply {
    check_keys(input.tags.iter().map(|tag| tag.key.as_str()))?;
    for id in &input.resources {
        tags_of(ctx.ec2(), id)?;
    }
    for id in &input.resources {
        let kind = resource_type(id);
        let arn = ctx.arn("ec2", &format!("{kind}/{id}"));
        ctx.touch(arn);
        let tags = tags_of(ctx.ec2(), id)?;
        input.tags.iter().for_each(|tag| apply(tags, tag));
        ctx.event(EventKind::Modified, id.clone(), "tags");
    }
    Ok(json!({"return": true}))
}

/// Refuses keys that only AWS itself may use.
pub(super) fn check_keys<'a>(mut keys: impl Iterator<Item = &'a str>) -> Result<(), ApiError> {
    match keys.find(|key| crate::elb::is_reserved(key)) {
        None => Ok(()),
        Some(key) => Err(ApiError::sender(
            "InvalidParameterValue",
            format!(
                "Value ( {key} ) for parameter key is invalid. Tag keys starting with 'aws:' are \
                 reserved for internal use"
            ),
        )),
    }
}

pub(super) fn describe(ctx: &mut Ctx<'_>, input: &Describe) -> Reply {
    let ec2 = &ctx.view().ec2;
    let instances = ec2
        .instances
        .values()
        .map(|instance| (&instance.id, &instance.tags));
    let templates = ec2
        .templates
        .values()
        .map(|template| (&template.id, &template.tags));
    let mut shown = Vec::new();
    for (id, tags) in instances.chain(templates) {
        for (key, value) in tags {
            let kind = resource_type(id);
            let mut wanted = true;
            for filter in &input.filters {
                let text = match filter.name.as_str() {
                    "resource-id" => id,
                    "resource-type" => kind,
                    "key" => key,
                    "value" => value,
                    other => return Err(unknown(other)),
                };
                wanted &= filter.accepts(text);
            }
            if wanted {
                shown.push(
                    json!({"resourceId": id, "resourceType": kind, "key": key, "value": value}),
                );
            }
        }
    }
    input.page.ec2("tagSet", shown, (5, 1000))
}

fn tags_of<'a>(ec2: &'a mut Ec2, id: &str) -> Result<&'a mut BTreeMap<String, String>, ApiError> {
    if id.starts_with("lt-") {
        let template = ec2.templates.get_mut(id);
        let missing = || {
            ApiError::sender(
                "InvalidLaunchTemplateId.NotFound",
                format!("The specified launch template, with template ID {id}, does not exist."),
            )
        };
        return Ok(&mut template.ok_or_else(missing)?.tags);
    }
    let instance = ec2.instances.get_mut(id);
    Ok(&mut instance.ok_or_else(|| unknown_instance(id))?.tags)
}

fn resource_type(id: &str) -> &'static str {
    if id.starts_with("lt-") {
        "launch-template"
    } else {
        "instance"
    }
}

/// What a filter on tags says; `None` when it is on something else.
pub(super) fn filter(filter: &Filter, tags: &BTreeMap<String, String>) -> Option<bool> {
    if filter.name == "tag-key" {
        return Some(tags.keys().any(|key| filter.accepts(key)));
    }
    let key = filter.name.strip_prefix("tag:")?;
    Some(tags.get(key).is_some_and(|value| filter.accepts(value)))
}

/// Tags as the API shows them.
pub(super) fn show(tags: &BTreeMap<String, String>) -> Vec<Value> {
    tags.iter()
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect()
}

/// Tags as a map.
pub(super) fn map(tags: &[Tag]) -> BTreeMap<String, String> {
    tags.iter()
        .map(|tag| (tag.key.clone(), tag.value.clone()))
        .collect()
}
