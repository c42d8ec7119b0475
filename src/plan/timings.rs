//! How long drains and stops take, and what follows for the settings.

use super::limits::TIMINGS_MOST;
use bluegreen_api::{
    BlueGreenReleaseStatus, Duration, Percentiles, Recommendation, Steps, StopHow, TargetStatus,
    Timings,
};

/// No shorter grace period is recommended: an application that stopped at once a few times may
/// need longer when it has something to finish.
const GRACE_LEAST: Duration = Duration::from_secs(10);

/// Takes a drain or a stop into the figures when its step was recorded in this pass.
pub(super) fn record(status: &mut BlueGreenReleaseStatus, before: &Steps, target: &TargetStatus) {
    // The full delay says nothing about when the last request ended; quiet readings do.
    let drained = match (&before.drained, &target.steps.drained, &target.quiet) {
        (None, Some(drained), Some(quiet)) => Some(quiet.since.since(drained.since)),
        (Some(_) | None, _, _) => None,
    };
    let stopped = match (&before.terminated, &target.steps.terminated) {
        (None, Some(terminated)) => match terminated.how {
            StopHow::Graceful | StopHow::Killed => terminated.took,
            StopHow::NotRunning | StopHow::InstanceTerminated => None,
        },
        (Some(_) | None, _) => None,
    };
    if drained.is_none() && stopped.is_none() {
        return;
    }
    let timings = status.timings.get_or_insert_default();
    take(&mut timings.last_drains, drained);
    take(&mut timings.last_stops, stopped);
    sum_up(timings);
}

fn take(last: &mut Vec<Duration>, duration: Option<Duration>) {
    last.extend(duration);
    let surplus = last.len().saturating_sub(TIMINGS_MOST);
    last.drain(..surplus);
}

fn sum_up(timings: &mut Timings) {
    timings.drain = percentiles(&timings.last_drains);
    timings.stop = percentiles(&timings.last_stops);
    timings.recommended = Some(Recommendation {
        deregistration_delay: timings.drain.map(|drain| with_reserve(drain.p99)),
        grace_period: timings
            .stop
            .map(|stop| with_reserve(stop.p99).max(GRACE_LEAST)),
    });
}

fn percentiles(durations: &[Duration]) -> Option<Percentiles> {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().checked_sub(1)?;
    Some(Percentiles {
        p50: sorted[last / 2],
        p99: sorted[(last * 99).div_ceil(100)],
    })
}

/// Half as much again, in whole seconds: the 99th percentile of at most a hundred is a guess at
/// the tail.
fn with_reserve(duration: Duration) -> Duration {
    Duration::from_secs((duration.as_millis() * 3 / 2).div_ceil(1000))
}
