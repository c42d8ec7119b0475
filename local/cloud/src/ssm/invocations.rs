//! Commands on single instances.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Reply, commands,
    documents::epoch,
    model::{Invocation, Sent},
};
use crate::{
    paging::ByToken,
    wire::ApiError,
    world::{Ctx, iso},
};

/// How much of the output each reply carries, in characters.
const STDOUT: usize = 24_000;
const STDERR: usize = 8_000;
const LISTED_OUTPUT: usize = 2_500;

const TRUNCATED: &str = "\n---Output truncated---";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Get {
    command_id: String,
    instance_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    command_id: Option<String>,
    instance_id: Option<String>,
    #[serde(flatten)]
    page: ByToken,
    #[serde(default)]
    details: bool,
}

pub(super) fn get(ctx: &mut Ctx<'_>, input: &Get) -> Reply {
    let sent = ctx.world.ssm.command(&input.command_id);
    let visible = sent.filter(|sent| sent.visible_from <= ctx.now);
    let invocation =
        visible.and_then(|sent| Some((sent, sent.invocations.get(&input.instance_id)?)));
    let Some((sent, invocation)) = invocation else {
        return Err(ApiError::sender("InvocationDoesNotExist", ""));
    };
    let elapsed = match (invocation.started, invocation.ended) {
        (Some(started), Some(ended)) => {
            format!("PT{:.3}S", ended.duration_since(started).as_secs_f64())
        }
        _ => String::new(),
    };
    let time = |at: Option<jiff::Timestamp>| at.map(iso).unwrap_or_default();
    Ok(json!({
        "CommandId": sent.id,
        "InstanceId": input.instance_id,
        "Comment": sent.comment,
        "DocumentName": sent.document,
        "DocumentVersion": sent.document_version,
        "PluginName": "aws:runShellScript",
        "ResponseCode": invocation.exit,
        "ExecutionStartDateTime": time(invocation.started),
        "ExecutionElapsedTime": elapsed,
        "ExecutionEndDateTime": time(invocation.ended),
        "Status": invocation.status.name(),
        "StatusDetails": invocation.status.details(),
        "StandardOutputContent": cut(&invocation.stdout, STDOUT),
        "StandardOutputUrl": "",
        "StandardErrorContent": cut(&invocation.stderr, STDERR),
        "StandardErrorUrl": "",
    }))
}

pub(super) fn list(ctx: &mut Ctx<'_>, input: &List) -> Reply {
    if let Some(id) = &input.command_id
        && ctx.world.ssm.command(id).is_none()
    {
        return Err(commands::unknown(id));
    }
    let wanted = |sent: &&Sent| input.command_id.as_ref().is_none_or(|id| *id == sent.id);
    let found = ctx.world.ssm.listed(ctx.now).filter(wanted);
    let shown = found.flat_map(|sent| {
        let invocations = sent.invocations.iter();
        invocations
            .filter(|(id, _)| {
                input
                    .instance_id
                    .as_ref()
                    .is_none_or(|wanted| wanted == *id)
            })
            .map(|(id, invocation)| show(sent, id, invocation, input.details))
    });
    let shown = shown.collect();
    input.page.ssm("CommandInvocations", shown, 1)
}

fn show(sent: &Sent, id: &str, invocation: &Invocation, details: bool) -> Value {
    let plugin = || {
        let mut output = invocation.stdout.clone();
        if !invocation.stderr.is_empty() {
            output.push_str("\n----------ERROR-------\n");
            output.push_str(&invocation.stderr);
        }
        json!({
            "Name": "aws:runShellScript",
            "Status": invocation.status.name(),
            "StatusDetails": invocation.status.details(),
            "ResponseCode": invocation.exit,
            "ResponseStartDateTime": invocation.started.map(epoch),
            "ResponseFinishDateTime": invocation.ended.map(epoch),
            "Output": cut(&output, LISTED_OUTPUT),
        })
    };
    let plugins: Vec<Value> = details.then(plugin).into_iter().collect();
    json!({
        "CommandId": sent.id,
        "InstanceId": id,
        "InstanceName": "",
        "Comment": sent.comment,
        "DocumentName": sent.document,
        "DocumentVersion": sent.document_version,
        "RequestedDateTime": epoch(sent.requested),
        "Status": invocation.status.name(),
        "StatusDetails": invocation.status.details(),
        "CommandPlugins": plugins,
    })
}

/// The beginning of a text: what does not fit is lost.
fn cut(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        None => text.to_owned(),
        Some(_) => {
            let kept = characters.saturating_sub(TRUNCATED.chars().count());
            text.chars().take(kept).collect::<String>() + TRUNCATED
        }
    }
}
