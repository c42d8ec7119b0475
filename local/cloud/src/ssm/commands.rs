//! Commands as wholes.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Reply,
    documents::epoch,
    model::{Sent, Status},
};
use crate::{events::EventKind, paging::ByToken, wire::ApiError, world::Ctx};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Cancel {
    command_id: String,
    #[serde(default)]
    instance_ids: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    command_id: Option<String>,
    instance_id: Option<String>,
    #[serde(flatten)]
    page: ByToken,
    #[serde(default)]
    filters: Vec<Filter>,
}

#[derive(Debug, Deserialize)]
struct Filter {
    key: String,
    value: String,
}

pub(super) fn cancel(ctx: &mut Ctx<'_>, input: &Cancel) -> Reply {
    let now = ctx.now;
    let command = ctx.world.ssm.command_mut(&input.command_id);
    let command = command.ok_or_else(|| unknown(&input.command_id))?;
    let mut changed = Vec::new();
    for (instance, invocation) in &mut command.invocations {
        let named = input.instance_ids.is_empty() || input.instance_ids.contains(instance);
        let status = match invocation.status {
            Status::Pending if named => Status::Cancelled,
            Status::InProgress if named => Status::Cancelling,
            other => other,
        };
        if status != invocation.status {
            invocation.status = status;
            if status.is_final() {
                invocation.ended = Some(now);
            }
            changed.push((instance.clone(), status));
        }
    }
    for (instance, status) in changed {
        let subject = format!("{} {instance}", input.command_id);
        ctx.event(EventKind::InvocationStatus, subject, status.details());
    }
    Ok(json!({}))
}

pub(super) fn list(ctx: &mut Ctx<'_>, input: &List) -> Reply {
    let wanted = |sent: &&Sent| {
        let id = input.command_id.as_ref();
        let instance = input.instance_id.as_ref();
        id.is_none_or(|id| *id == sent.id)
            && instance.is_none_or(|id| sent.invocations.contains_key(id))
            && input.filters.iter().all(|filter| passes(filter, sent))
    };
    let found = ctx.world.ssm.listed(ctx.now).filter(wanted);
    let shown = found.map(show).collect();
    input.page.ssm("Commands", shown, 1)
}

fn passes(filter: &Filter, sent: &Sent) -> bool {
    let after = |value: &str| {
        value
            .parse()
            .is_ok_and(|at: jiff::Timestamp| sent.requested > at)
    };
    match filter.key.as_str() {
        "Status" => sent.status().name() == filter.value,
        "DocumentName" => sent.document == filter.value,
        "InvokedAfter" => after(&filter.value),
        "InvokedBefore" => !after(&filter.value),
        _ => true,
    }
}

/// The error of a command that is not known.
pub(super) fn unknown(id: &str) -> ApiError {
    ApiError::sender(
        "InvalidCommandId",
        format!("the command '{id}' is not known"),
    )
}

/// A command as the API shows it.
pub(super) fn show(sent: &Sent) -> Value {
    let invocations = || sent.invocations.values();
    let count = |wanted: fn(Status) -> bool| invocations().filter(|one| wanted(one.status)).count();
    let status = sent.status();
    let details = match sent.invocations.is_empty() {
        true => "NoInstancesInTag",
        false => status.details(),
    };
    let total = sent.delivery_timeout + sent.filled.execution_timeout;
    let expires = crate::world::later(sent.requested, std::time::Duration::from_secs(total));
    json!({
        "CommandId": sent.id,
        "DocumentName": sent.document,
        "DocumentVersion": sent.document_version,
        "Comment": sent.comment,
        "ExpiresAfter": epoch(expires),
        "Parameters": sent.filled.parameters,
        "InstanceIds": sent.named,
        "Targets": sent.targets,
        "RequestedDateTime": epoch(sent.requested),
        "Status": status.name(),
        "StatusDetails": details,
        "MaxConcurrency": sent.max_concurrency,
        "MaxErrors": sent.max_errors,
        "TargetCount": sent.invocations.len(),
        "CompletedCount": count(Status::is_final),
        "ErrorCount": count(Status::is_error),
        "DeliveryTimedOutCount": count(|status| status == Status::DeliveryTimedOut),
        "TimeoutSeconds": sent.delivery_timeout,
    })
}
