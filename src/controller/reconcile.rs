//! One pass: observe, decide, report, execute.

use std::{net::SocketAddr, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::{
    FutureExt,
    stream::{self, StreamExt},
};
use kube::{ResourceExt, core::DeserializeGuard, runtime::controller::Action};
use tracing::{Instrument, Span, debug, error_span, warn};

use super::{
    Clock, CloudProvider, Ctx, Outcome, Probe, World,
    cached::Cached,
    error::Error,
    events,
    execute::{Executed, execute},
    memory::{Face, Left},
    observe::{self, PROBES_AT_ONCE, Seen},
    report::{self, Reported, report},
};
use crate::{
    api::{self, BlueGreenRelease},
    cloud::OPERATION_TIMEOUT,
    plan::{self, Step, TargetId},
    telemetry::{self, LOG_ONLY},
};

/// How long an object is left alone at the most. A change wakes the loop and the planner says when
/// to look; this is for a wake-up that got lost.
const LONGEST_REST: Duration = Duration::from_secs(3600);

/// How long an object is left alone at the least when there was nothing to do. A plan that says
/// "look again now" without doing anything must not become a loop without end, and nothing in AWS
/// changes faster than this.
const SHORTEST_REST: Duration = Duration::from_millis(50);

/// How often a port is asked that is watched. A process that has ended, or has come up, is noticed half
/// as late on average.
const PEEK: api::Duration = api::Duration::from_millis(150);

/// When to try again what the lease might not have outlasted. It is renewed every three seconds or
/// so, or lost.
const UNTIL_RENEWED: Duration = Duration::from_secs(1);

/// Makes one pass over a release.
///
/// There is at most one effect in it. After an effect the object is queued again at once instead
/// of looping here: so other releases have their turn under the concurrency bound, a shutdown
/// takes hold between two effects, and every effect is decided from readings of its own.
async fn pass<W: World>(
    cached: &Cached,
    ctx: &Ctx<W>,
) -> Result<(Outcome, Option<Duration>), Error> {
    let uid = cached.uid().ok_or(Error::Incomplete("uid"))?;
    let namespace = cached.namespace().ok_or(Error::Incomplete("namespace"))?;
    if let Some(face) = cached.face()
        && let Some(left) = ctx.memory.rest(&uid, face)
        && !changed(ctx, &left.watched).await
    {
        return Ok((Outcome::Rested, Some(peek(ctx, &left))));
    }
    ctx.memory.begin(&uid);

    // A reading that is dropped loses nothing, and whoever takes over waits for the end of this.
    let observed = observed(cached, ctx, &uid, &namespace);
    let (object, seen) = match ctx.stop.run_until_cancelled(observed).await {
        None => return Ok((Outcome::Stopped, None)),
        Some(observed) => match observed? {
            Observed::Release(object, seen) => (*object, *seen),
            Observed::Gone => return Ok(gone(ctx, &uid)),
            Observed::NotUnderstood => return Ok((Outcome::Invalid, Some(LONGEST_REST))),
        },
    };

    let status = object.status.clone().unwrap_or_default();
    let decision = (ctx.planner.decide)(&seen.release, &status, &seen.observation, ctx.now());

    if ctx.stopping() {
        return Ok((Outcome::Stopped, None));
    }
    if let Some(step) = decision.step.as_ref().filter(|step| step.takes_away()) {
        if seen.groups_are_old {
            ctx.memory.keep_groups(&uid, None);
            return Ok((Outcome::Waited, Some(Duration::ZERO)));
        }
        // An instance may have lost its tag since.
        if seen.fleet_is_old && !matches!(step, Step::Deregister { .. }) {
            ctx.memory.confirm(&uid, seen.groups_read());
            return Ok((Outcome::Waited, Some(Duration::ZERO)));
        }
    }
    if !may_begin(ctx, decision.step.as_ref()) {
        return Ok((Outcome::Unfenced, Some(UNTIL_RENEWED)));
    }
    let object = match report(ctx, object, &decision).await? {
        Reported::Landed(object) => object,
        Reported::StartOver => return Ok((Outcome::Conflict, Some(ctx.memory.failed(&uid)))),
        Reported::Gone => return Ok(gone(ctx, &uid)),
    };

    if let Some(step) = &decision.step {
        if ctx.stopping() {
            return Ok((Outcome::Stopped, None));
        }
        if !may_begin(ctx, Some(step)) {
            return Ok((Outcome::Unfenced, Some(UNTIL_RENEWED)));
        }
        return match execute(ctx, &object, &seen, step).await? {
            Executed::Done => Ok((Outcome::Acted, Some(ctx.memory.acted(&uid)))),
            Executed::StartOver => Ok((Outcome::Conflict, Some(ctx.memory.failed(&uid)))),
            Executed::Gone => Ok(gone(ctx, &uid)),
        };
    }
    let rest = ctx
        .until(decision.look_at)
        .clamp(SHORTEST_REST, LONGEST_REST);
    let watched = plan::watched(&object.spec, &decision.status, &seen.observation);
    let socket = |(target, open): (TargetId, bool)| {
        let socket = observe::socket(&seen.release, &seen.observation.fleet, &target)?;
        Some((socket, open))
    };
    let watched: Vec<_> = watched.into_iter().filter_map(socket).collect();
    ctx.memory.end(&uid, Face::of(&object), rest, watched);
    let again = match ctx.memory.rest(&uid, Face::of(&object)) {
        Some(left) => peek(ctx, &left),
        None => rest,
    };
    Ok((Outcome::Waited, Some(again)))
}

/// Whether one of the ports is not what it was. Costs no call to AWS or to the API server.
async fn changed<W: World>(ctx: &Ctx<W>, watched: &[(SocketAddr, bool)]) -> bool {
    let probe = ctx.world.probe();
    let asked: Vec<_> = watched
        .iter()
        .map(async |(socket, open)| {
            let now = probe.listens(*socket).await;
            now.is_some_and(|now| now != *open)
        })
        .collect();
    let mut asked = stream::iter(asked).buffer_unordered(PROBES_AT_ONCE);
    let mut changed = false;
    while let Some(one) = asked.next().await {
        changed |= one;
    }
    changed
}

/// How long a release whose ports are watched is left alone: no longer than until the next question
/// to them.
fn peek<W: World>(ctx: &Ctx<W>, left: &Left) -> Duration {
    if left.watched.is_empty() {
        left.time
    } else {
        left.time.min(ctx.world.clock().real(PEEK))
    }
}

/// What a pass read.
enum Observed<C> {
    Release(Box<BlueGreenRelease>, Box<Seen<C>>),
    Gone,
    NotUnderstood,
}

async fn observed<W: World>(
    cached: &Cached,
    ctx: &Ctx<W>,
    uid: &str,
    namespace: &str,
) -> Result<Observed<<W::Clouds as CloudProvider>::Cloud>, Error> {
    let object = match observe::object(ctx, namespace, &cached.name_any()).await? {
        None => return Ok(Observed::Gone),
        // The name was given again: the other object has its own wake-up.
        Some(object) if object.uid().as_deref() != Some(uid) => return Ok(Observed::Gone),
        Some(DeserializeGuard(Err(error))) => {
            report::not_understood(ctx, cached, &error);
            return Ok(Observed::NotUnderstood);
        }
        Some(DeserializeGuard(Ok(object))) => object,
    };
    let seen = observe::world(ctx, &object).await?;
    Ok(Observed::Release(Box::new(object), Box::new(seen)))
}

/// Whether the lease outlasts what is about to begin. What is written to Kubernetes carries the
/// version that was read and is refused when another has written since, so there it is enough to
/// hold the lease.
fn may_begin<W: World>(ctx: &Ctx<W>, step: Option<&Step>) -> bool {
    let takes = match step {
        None | Some(Step::Claim { .. } | Step::RemoveFinalizer) => Duration::ZERO,
        Some(
            Step::Register { .. }
            | Step::Deregister { .. }
            | Step::Send(_)
            | Step::Terminate { .. },
        ) => OPERATION_TIMEOUT,
    };
    ctx.authority.outlasts(takes)
}

fn gone<W>(ctx: &Ctx<W>, uid: &str) -> (Outcome, Option<Duration>) {
    ctx.memory.forget(uid);
    (Outcome::Gone, None)
}

/// What kube calls for each object that is due.
pub(super) async fn reconcile<W: World>(
    cached: Arc<Cached>,
    ctx: Arc<Ctx<W>>,
) -> Result<Action, Error> {
    let span = span(&cached);
    counted(cached, ctx).instrument(span).await
}

/// Names the release on every log line of its pass. Its level is the highest, so that it is there
/// however little is logged.
fn span(cached: &Cached) -> Span {
    error_span!("pass", release = name(cached))
}

fn name(cached: &Cached) -> String {
    let namespace = cached.namespace().unwrap_or_default();
    format!("{namespace}/{}", cached.name_any())
}

async fn counted<W: World>(cached: Arc<Cached>, ctx: Arc<Ctx<W>>) -> Result<Action, Error> {
    let started = tokio::time::Instant::now();
    let result = AssertUnwindSafe(pass(&cached, &ctx)).catch_unwind().await;
    let result = result.unwrap_or(Err(Error::Panicked));
    let outcome = result
        .as_ref()
        .map_or(Outcome::Failed, |(outcome, _)| *outcome);
    ctx.metrics.reconciled(outcome, started.elapsed());
    telemetry::noted(&Span::current(), "outcome", format!("{outcome:?}"));
    if let Err(error) = &result {
        telemetry::failed(&Span::current(), error.to_string());
    }
    debug!(?outcome, "pass ended");
    let (_, again) = result?;
    Ok(again.map_or_else(Action::await_change, Action::requeue))
}

/// What kube calls when [`reconcile`] failed. It is told nothing of successes, so the count of
/// failures is ours.
#[expect(clippy::needless_pass_by_value, reason = "kube passes them by value")]
pub(super) fn error_policy<W: World>(
    cached: Arc<Cached>,
    error: &Error,
    ctx: Arc<Ctx<W>>,
) -> Action {
    let uid = cached.uid().unwrap_or_default();
    let wait = ctx.memory.failed(&uid);
    // The pass is over, and its trace has the error.
    let span = error_span!(target: LOG_ONLY, "pass", release = name(&cached));
    span.in_scope(|| warn!(%error, ?wait, "a pass failed and is tried again"));
    ctx.notebook
        .note(&*cached, events::refused(error).into_iter().collect());
    Action::requeue(wait)
}
