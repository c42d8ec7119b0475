//! SSM Run Command: documents, commands and their invocations on instances.

mod commands;
mod document;
mod documents;
mod invocations;
mod model;
mod run;
mod send;

use serde_json::Value;

use crate::{
    wire::{ApiError, Params},
    world::Ctx,
};

pub(crate) use model::Ssm;
pub(crate) use run::carry_out;

/// The document that starts a unit.
pub(crate) const START_UNIT: &str = "BlueGreen-StartUnit";
/// The document that stops a unit.
pub(crate) const STOP_UNIT: &str = "BlueGreen-StopUnit";

type Reply = Result<Value, ApiError>;

/// Carries out an action.
pub(crate) fn call(ctx: &mut Ctx<'_>, action: &str, params: &Params) -> Reply {
    match action {
        "CreateDocument" => documents::create(ctx, &params.read()?),
        "UpdateDocument" => documents::update(ctx, &params.read()?),
        "UpdateDocumentDefaultVersion" => documents::set_default(ctx, &params.read()?),
        "DeleteDocument" => documents::delete(ctx, &params.read()?),
        "DescribeDocument" => documents::describe(ctx, &params.read()?),
        "GetDocument" => documents::get(ctx, &params.read()?),
        "ListDocuments" => documents::list(ctx, &params.read()?),
        "SendCommand" => send::send(ctx, params.read()?),
        "CancelCommand" => commands::cancel(ctx, &params.read()?),
        "ListCommands" => commands::list(ctx, &params.read()?),
        "ListCommandInvocations" => invocations::list(ctx, &params.read()?),
        "GetCommandInvocation" => invocations::get(ctx, &params.read()?),
        "DescribeInstanceInformation" => documents::instances(ctx, &params.read()?),
        _ => Err(ApiError::sender(
            "UnknownOperationException",
            format!("the operation {action} is not simulated"),
        )),
    }
}
