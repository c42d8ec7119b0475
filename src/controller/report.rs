//! Writes the status, with the intent in it, before anything is done.

use kube::{Api, Resource, ResourceExt, api::PostParams, core::error_boundary::InvalidObject};
use tracing::warn;

use super::{
    Ctx, World,
    cached::Cached,
    decided::decided,
    error::{Error, traced_call},
    events::{self, notices},
};
use crate::{
    api::{BlueGreenRelease, BlueGreenReleaseStatus},
    plan::{Decision, Step},
};

/// The one name under which the controller writes.
pub(super) const FIELD_MANAGER: &str = "bluegreen-controller";

/// How a report ended.
pub(super) enum Reported {
    /// The status is on the server. This is the object with it.
    Landed(Box<BlueGreenRelease>),
    /// Somebody else wrote the object since it was read: the decision is void.
    StartOver,
    /// The object is gone.
    Gone,
}

/// Writes the decision's status over the object that it was made from.
///
/// The write replaces the whole status and carries the resourceVersion of that read. A patch
/// without it would be accepted over a status that the planner has never seen, and so would a
/// second try after reading a newer one. Nothing is written where nothing differs, since each
/// write wakes the loop; before an effect on AWS it is written all the same, because only the
/// server's answer shows that nobody has taken another decision since.
///
/// # Errors
/// When the server failed, or its answer was lost: the status may have been written. Either way
/// nothing may be done on the strength of it.
pub(super) async fn report<W: World>(
    ctx: &Ctx<W>,
    object: BlueGreenRelease,
    decision: &Decision,
) -> Result<Reported, Error> {
    let unwritten = BlueGreenReleaseStatus::default();
    let old = object.status.as_ref().unwrap_or(&unwritten);
    if *old == decision.status && !needs_fence(decision) {
        if decision.step.is_some() {
            decided(decision, &[]);
        }
        return Ok(Reported::Landed(Box::new(object)));
    }
    let namespace = object.namespace().ok_or(Error::Incomplete("namespace"))?;
    let api = ctx.api(&namespace);
    match replace(&api, &object, &decision.status).await {
        Ok(written) => {
            let notices = notices(old, &decision.status);
            decided(decision, &notices);
            ctx.metrics.proven(old, &decision.status);
            ctx.notebook.note(&written, notices);
            Ok(Reported::Landed(Box::new(written)))
        }
        Err(error) => match error.status() {
            Some(status) if status.is_conflict() => Ok(Reported::StartOver),
            Some(status) if status.is_not_found() => Ok(Reported::Gone),
            Some(_) | None => Err(error),
        },
    }
}

/// Whether an effect follows that cannot be fenced itself. The finalizer's patch can: it tests the
/// resourceVersion.
fn needs_fence(decision: &Decision) -> bool {
    match &decision.step {
        None | Some(Step::Claim { .. } | Step::RemoveFinalizer) => false,
        Some(
            Step::Register { .. }
            | Step::Deregister { .. }
            | Step::Send(_)
            | Step::Terminate { .. },
        ) => true,
    }
}

/// Tells of an object that this version does not understand. It has no status that could say so.
pub(super) fn not_understood<W>(ctx: &Ctx<W>, object: &Cached, error: &InvalidObject) {
    warn!(%error, "this release is left alone until it is corrected");
    let generation = object.meta().generation.unwrap_or(0);
    ctx.notebook
        .note(object, vec![events::not_understood(generation, error)]);
}

async fn replace(
    api: &Api<BlueGreenRelease>,
    object: &BlueGreenRelease,
    status: &BlueGreenReleaseStatus,
) -> Result<BlueGreenRelease, Error> {
    let mut next = object.clone();
    next.status = Some(status.clone());
    // The server keeps its own; they are larger than the rest.
    next.metadata.managed_fields = None;
    let params = PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    traced_call(
        "writing the status",
        api.replace_status(&object.name_any(), &params, &next),
    )
    .await
}
