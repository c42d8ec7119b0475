//! Makes the one effect of a pass.
//!
//! Every effect states an absolute goal and is safe to repeat. Its failure is remembered for the
//! planner, which decides what to do about it; only a failure of Kubernetes ends the pass.

use kube::ResourceExt;
use tracing::warn;

use super::{
    Ctx, World,
    claim::{self, Changed},
    error::Error,
    observe::Seen,
};
use crate::{
    api::BlueGreenRelease,
    cloud::{self, Caller, Cloud, TargetGroupArn, Urgency},
    plan::{Failure, FailureKind, Step},
};

/// How an effect ended, as far as the pass is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Executed {
    /// It was asked for; look again.
    Done,
    /// The object is not the one that the decision was made for any more.
    StartOver,
    /// The object is gone.
    Gone,
}

/// Makes one effect for an object whose status, with the intent, has landed.
pub(super) async fn execute<W: World, C: Cloud>(
    ctx: &Ctx<W>,
    object: &BlueGreenRelease,
    seen: &Seen<C>,
    step: &Step,
) -> Result<Executed, Error> {
    let namespace = object.namespace().ok_or(Error::Incomplete("namespace"))?;
    let api = ctx.api(&namespace);
    match step {
        Step::Claim { revisions } => Ok(changed(
            claim::claim(ctx, object, &seen.release.revisions, revisions).await?,
        )),
        Step::RemoveFinalizer => match claim::let_go(&api, object).await? {
            // It was the last thing to do for this object.
            Changed::Landed | Changed::Gone => Ok(Executed::Gone),
            Changed::StartOver => Ok(Executed::StartOver),
        },
        Step::Register { .. }
        | Step::Deregister { .. }
        | Step::Send(_)
        | Step::Terminate { .. } => {
            let caller = Caller::new(&namespace, Urgency::First);
            let result = effect(&caller, seen, step).await;
            if !matches!(step, Step::Send(_)) {
                ctx.memory.keep_groups(&seen.release.uid, None);
            }
            remember(ctx, object, seen, result.map_err(Failure::from));
            Ok(Executed::Done)
        }
    }
}

fn changed(changed: Changed) -> Executed {
    match changed {
        Changed::Landed => Executed::Done,
        Changed::StartOver => Executed::StartOver,
        Changed::Gone => Executed::Gone,
    }
}

async fn effect<C: Cloud>(
    caller: &Caller,
    seen: &Seen<C>,
    step: &Step,
) -> Result<(), cloud::Error> {
    let cloud = seen.cloud.as_ref().map_err(Clone::clone)?;
    match step {
        // execute() has dealt with these: they are effects on Kubernetes.
        Step::Claim { .. } | Step::RemoveFinalizer => Ok(()),
        Step::Register { group, targets } => {
            let group = arn(&seen.groups, *group)?;
            cloud.register(caller, group, targets).await
        }
        Step::Deregister { group, targets } => {
            let group = arn(&seen.groups, *group)?;
            cloud.deregister(caller, group, targets).await
        }
        Step::Send(command) => cloud.send(caller, command).await,
        Step::Terminate { instances } => cloud.terminate(caller, instances).await,
    }
}

fn arn(groups: &[Option<TargetGroupArn>], index: usize) -> Result<&TargetGroupArn, cloud::Error> {
    groups.get(index).and_then(Option::as_ref).ok_or_else(|| {
        cloud::Error::new(
            FailureKind::NotAsked,
            format!("target group number {index} of the spec could not be read, so nothing was done in it"),
        )
    })
}

fn remember<W: World, C: Cloud>(
    ctx: &Ctx<W>,
    object: &BlueGreenRelease,
    seen: &Seen<C>,
    result: Result<(), Failure>,
) {
    match result {
        Ok(()) => ctx.memory.effect_succeeded(&seen.release.uid),
        Err(failure) => {
            let intent = object
                .status
                .as_ref()
                .and_then(|status| status.intent.as_ref());
            let intent = intent.map(|intent| intent.id.clone()).unwrap_or_default();
            warn!(intent, kind = ?failure.kind, "an effect failed: {}", failure.message);
            ctx.memory
                .effect_failed(&seen.release.uid, intent, failure, ctx.now());
        }
    }
}
