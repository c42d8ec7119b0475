//! Tags of load balancers, groups, listeners and rules.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Reply;
use crate::{events::EventKind, wire::ApiError, world::Ctx};

/// How many resources one call may name.
const RESOURCES_PER_CALL: usize = 20;

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Tag {
    pub(crate) key: String,
    #[serde(default)]
    pub(crate) value: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Describe {
    resource_arns: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Add {
    resource_arns: Vec<String>,
    tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Remove {
    resource_arns: Vec<String>,
    tag_keys: Vec<String>,
}

pub(super) fn describe(ctx: &mut Ctx<'_>, input: &Describe) -> Reply {
    require(ctx, &input.resource_arns)?;
    let elb = &ctx.view().elb;
    let descriptions = input.resource_arns.iter().map(|arn| {
        let tags = elb.tags.get(arn).into_iter().flatten();
        let tags: Vec<Value> = tags
            .map(|(key, value)| json!({"Key": key, "Value": value}))
            .collect();
        json!({"ResourceArn": arn, "Tags": tags})
    });
    Ok(json!({"TagDescriptions": descriptions.collect::<Vec<_>>()}))
}

pub(super) fn add(ctx: &mut Ctx<'_>, input: &Add) -> Reply {
    require(ctx, &input.resource_arns)?;
    super::names::check_tags(&input.tags)?;
    for arn in &input.resource_arns {
        ctx.touch(arn.clone());
        set(ctx, arn, input.tags.clone());
        ctx.event(EventKind::Modified, arn.clone(), "tags");
    }
    Ok(json!({}))
}

pub(super) fn remove(ctx: &mut Ctx<'_>, input: &Remove) -> Reply {
    require(ctx, &input.resource_arns)?;
    for arn in &input.resource_arns {
        ctx.touch(arn.clone());
        if let Some(tags) = ctx.elb().tags.get_mut(arn) {
            tags.retain(|key, _| !input.tag_keys.contains(key));
        }
        ctx.event(EventKind::Modified, arn.clone(), "tags");
    }
    Ok(json!({}))
}

/// Sets tags on a resource that exists.
pub(super) fn set(ctx: &mut Ctx<'_>, arn: &str, tags: Vec<Tag>) {
    let tags: BTreeMap<String, String> = tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    if !tags.is_empty() {
        ctx.elb()
            .tags
            .entry(arn.to_owned())
            .or_default()
            .extend(tags);
    }
}

fn require(ctx: &Ctx<'_>, arns: &[String]) -> Result<(), ApiError> {
    if arns.len() > RESOURCES_PER_CALL {
        return Err(ApiError::validation(format!(
            "at most {RESOURCES_PER_CALL} resources can be named in one call, not {}",
            arns.len()
        )));
    }
    for arn in arns {
        if !ctx.view().elb.exists(arn) {
            let code = if arn.contains(":targetgroup/") {
                "TargetGroupNotFound"
            } else if arn.contains(":listener-rule/") {
                "RuleNotFound"
            } else if arn.contains(":listener/") {
                "ListenerNotFound"
            } else {
                "LoadBalancerNotFound"
            };
            return Err(ApiError::sender(code, format!("'{arn}' was not found")));
        }
    }
    Ok(())
}
