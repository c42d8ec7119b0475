//! The controller's status in the words of the display.

use bluegreen::api::{self, BlueGreenRelease, TargetStatus};
use jiff::Timestamp;

use crate::{
    progress::{HostProgress, Progress},
    world::World,
};

/// Puts what the status says into the words of the display.
pub(super) fn show(release: &BlueGreenRelease, world: &World, progress: &Progress) {
    let Some(status) = &release.status else {
        return;
    };
    progress.say(format!("{}: {}", status.phase.as_str(), status.message));
    for (index, host) in world.scene.hosts.iter().enumerate() {
        let mut shown = HostProgress::default();
        for target in status.targets.iter().filter(|target| target.id == host.id) {
            let version = target.version.as_deref().unwrap_or("?");
            let steps = &target.steps;
            let started = target.process.as_ref().and_then(|p| p.running_at.as_ref());
            let done = [
                ("started", started.is_some()),
                ("registered", steps.registered.is_some()),
                ("healthy", steps.healthy.is_some()),
                ("deregistered", steps.deregistered.is_some()),
                ("drained", steps.drained.is_some()),
                ("terminated", steps.terminated.is_some()),
            ];
            let done: Vec<&str> = done.iter().filter(|(_, is)| *is).map(|(n, _)| *n).collect();
            if let Some(last) = done.last() {
                shown.done.push(format!("{version} {last}"));
            }
            let (doing, until) = going_on(release, target, world.clock.now());
            if !doing.is_empty() {
                doing.clone_into(&mut shown.doing);
                shown.until = until;
            }
        }
        progress.host(index, shown);
    }
}

/// What is going on with a target, and until when, where its own record says.
fn going_on(
    release: &BlueGreenRelease,
    target: &TargetStatus,
    now: Timestamp,
) -> (&'static str, Option<Timestamp>) {
    let steps = &target.steps;
    if steps.terminated.is_some() {
        return ("", None);
    }
    if steps.drained.is_some() {
        return ("stopping", None);
    }
    if steps.deregistered.is_some() {
        let in_flight = release.spec.drain.in_flight.as_ref();
        if let (Some(quiet), Some(in_flight)) = (&target.quiet, in_flight) {
            return (
                "quiet",
                Some((quiet.since + in_flight.quiet_for).timestamp()),
            );
        }
        let drains = target.drain.iter();
        let settled = drains.filter_map(|drain| Some(drain.draining_seen_at? + drain.settle));
        let settled = settled.map(api::Time::timestamp).max();
        return match settled {
            Some(at) if now < at => ("settling", Some(at)),
            Some(_) | None => ("draining", None),
        };
    }
    match (
        &target.process,
        steps.registered.is_some(),
        steps.healthy.is_some(),
    ) {
        (_, _, true) => ("", None),
        (_, true, false) => ("becoming healthy", None),
        (Some(_), false, false) => ("starting", None),
        (None, false, false) => ("", None),
    }
}
