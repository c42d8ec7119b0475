//! SendCommand.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Reply, commands,
    model::{Invocation, Sent, Status},
};
use crate::{
    ec2,
    events::EventKind,
    wire::ApiError,
    world::{Ctx, Effect},
};

/// How many instances one call may name.
const INSTANCES_PER_CALL: usize = 50;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Send {
    document_name: String,
    document_version: Option<String>,
    #[serde(default)]
    instance_ids: Vec<String>,
    #[serde(default)]
    targets: Vec<Target>,
    #[serde(default)]
    parameters: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    comment: String,
    timeout_seconds: Option<u64>,
    max_concurrency: Option<String>,
    max_errors: Option<String>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Target {
    key: String,
    values: Vec<String>,
}

/// There is no token: sending twice runs twice.
pub(super) fn send(ctx: &mut Ctx<'_>, input: Send) -> Reply {
    let document = ctx.arn("ssm", &format!("document/{}", input.document_name));
    ctx.touch(document);
    check(&input)?;
    let version = input.document_version.as_deref();
    let document = ctx.world.ssm.document(&input.document_name, version)?;
    let filled = document
        .fill(&input.parameters)
        .map_err(|err| ApiError::sender("InvalidParameters", err))?;
    let instances = instances(ctx, &input)?;
    for id in &instances {
        let arn = ctx.arn("ec2", &format!("instance/{id}"));
        ctx.touch(arn);
    }
    let invocation = Invocation {
        status: Status::Pending,
        started: None,
        ended: None,
        exit: -1,
        stdout: String::new(),
        stderr: String::new(),
    };
    let sent = Sent {
        id: ctx.uuid(),
        document: input.document_name,
        document_version: input
            .document_version
            .unwrap_or_else(|| "$DEFAULT".to_owned()),
        filled,
        comment: input.comment,
        requested: ctx.now,
        delivery_timeout: input.timeout_seconds.unwrap_or(3600),
        max_concurrency: input.max_concurrency.unwrap_or_else(|| "50".to_owned()),
        max_errors: input.max_errors.unwrap_or_else(|| "0".to_owned()),
        targets: json!(input.targets),
        named: input.instance_ids,
        visible_from: ctx.after(ctx.config.hostility.invocation_missing_for),
        invocations: instances
            .into_iter()
            .map(|id| (id, invocation.clone()))
            .collect(),
    };
    let (id, shown) = (sent.id.clone(), commands::show(&sent));
    ctx.event(
        EventKind::CommandSent,
        id.clone(),
        format!("{} {}", sent.document, sent.comment),
    );
    ctx.world.ssm.commands.push(sent);
    ctx.effect(Effect::Send(id));
    Ok(json!({"Command": shown}))
}

fn check(input: &Send) -> Result<(), ApiError> {
    let invalid = |message: String| Err(ApiError::sender("ValidationException", message));
    if input.instance_ids.len() > INSTANCES_PER_CALL {
        return invalid(format!(
            "at most {INSTANCES_PER_CALL} InstanceIds can be named"
        ));
    }
    if input.comment.chars().count() > 100 {
        return invalid("Comment must have at most 100 characters".to_owned());
    }
    if input
        .timeout_seconds
        .is_some_and(|seconds| !(30..=2_592_000).contains(&seconds))
    {
        return invalid("TimeoutSeconds must be between 30 and 2592000".to_owned());
    }
    let unique: BTreeSet<&String> = input.instance_ids.iter().collect();
    if unique.len() != input.instance_ids.len() {
        return Err(ApiError::sender(
            "DuplicateInstanceId",
            "You cannot specify an instance ID more than once.",
        ));
    }
    match (input.instance_ids.is_empty(), input.targets.is_empty()) {
        (true, true) => invalid("either InstanceIds or Targets must be given".to_owned()),
        (false, false) => invalid("InstanceIds and Targets cannot both be given".to_owned()),
        _ => Ok(()),
    }
}

fn instances(ctx: &Ctx<'_>, input: &Send) -> Result<Vec<String>, ApiError> {
    let known = &ctx.world.live.ec2.instances;
    let named_by_target = input
        .targets
        .iter()
        .filter(|target| target.key == "InstanceIds");
    let named_by_target = named_by_target.flat_map(|target| &target.values);
    let named: Vec<&String> = input.instance_ids.iter().chain(named_by_target).collect();
    for id in &named {
        // A stopped instance is accepted; its command waits for it.
        let managed = known.get(*id).is_some_and(|instance| match instance.state {
            ec2::State::Running | ec2::State::Stopping | ec2::State::Stopped => true,
            ec2::State::Pending | ec2::State::ShuttingDown | ec2::State::Terminated => false,
        });
        if !managed {
            return Err(ApiError::sender(
                "InvalidInstanceId",
                format!(
                    "Instances [[{id}]] not in a valid state for account {}",
                    ctx.config.account
                ),
            ));
        }
    }
    let by_tag: Vec<&Target> = input
        .targets
        .iter()
        .filter(|target| target.key != "InstanceIds")
        .collect();
    let tagged = known.values().filter(|instance| {
        let matches = |target: &&&Target| {
            let key = target.key.strip_prefix("tag:").unwrap_or_default();
            instance
                .tags
                .get(key)
                .is_some_and(|value| target.values.contains(value))
        };
        let all = by_tag.iter().filter(matches).count() == by_tag.len();
        !by_tag.is_empty() && instance.is_running() && all
    });
    let tagged = tagged.map(|instance| &instance.id);
    Ok(named.into_iter().chain(tagged).cloned().collect())
}
