//! Whether the deregistration delay leaves requests the time that they need: when it is over, the load
//! balancer cuts what is still in flight, whatever the application would have answered.

use super::{
    conditions::Told,
    limits::{DELAY_USUAL, LOOK_LONGEST},
    pass::Pass,
    preflight::Problem,
    world::World,
};
use bluegreen_api::{
    BlueGreenReleaseStatus, Direction, DrainTimeoutPolicy, Duration, Reason, TargetStatus,
};

/// What is known of how long requests take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// `drain.longestRequest`.
    Declared(Duration),
    /// The drains of earlier releases: the 99th percentile.
    Learned(Duration),
    /// Nothing. Few applications answer every request within this time.
    Usual(Duration),
}

impl Need {
    fn of(pass: &Pass<'_>, status: &BlueGreenReleaseStatus, settle: Duration) -> Self {
        if let Some(declared) = pass.spec().drain.longest_request {
            return Self::Declared(declared);
        }
        let timings = status.timings.as_ref();
        let drains = timings.and_then(|timings| timings.drain);
        match drains {
            // A drain that is quiet as soon as the nodes have settled says nothing of requests.
            Some(drains) if drains.p99 > settle + LOOK_LONGEST => Self::Learned(drains.p99),
            Some(_) | None => Self::Usual(DELAY_USUAL),
        }
    }

    fn time(self) -> Duration {
        match self {
            Self::Declared(time) | Self::Learned(time) | Self::Usual(time) => time,
        }
    }
}

/// The first target group with a delay that is shorter than requests take, in words.
fn too_short(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
) -> Option<(Need, String)> {
    let mut cutting = world.groups.iter().filter(|group| group.ends_connections());
    cutting.find_map(|group| {
        let settle = super::drain::settle(pass.spec(), group.load_balancer);
        let need = Need::of(pass, status, settle);
        let (name, delay) = (&group.name, group.delay);
        let cut = match need {
            Need::Declared(longest) => {
                format!("drain.longestRequest is {longest}: longer requests are cut")
            }
            Need::Learned(drain) => format!(
                "earlier drains took up to {drain} until the last request was over: longer requests are cut"
            ),
            Need::Usual(_) => format!("requests that take longer than {delay} are cut"),
        };
        let remedy = match need {
            Need::Declared(longest) | Need::Learned(longest) => format!(
                "set deregistration_delay.timeout_seconds to {} or more",
                longest.as_millis().div_ceil(1000)
            ),
            Need::Usual(_) => "set deregistration_delay.timeout_seconds to the time that the longest request takes, and declare that time with drain.longestRequest".to_owned(),
        };
        (delay < need.time()).then(|| {
            (
                need,
                format!("the deregistration delay of target group {name} is {delay}, and {cut}; {remedy}"),
            )
        })
    })
}

/// Why nothing is withdrawn: requests would be cut that were declared, and the policy is not to do
/// without a proof.
pub(super) fn refused(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
) -> Option<Problem> {
    let (need, message) = too_short(pass, world, status)?;
    let hold = match pass.spec().drain.on_timeout {
        DrainTimeoutPolicy::Hold => true,
        DrainTimeoutPolicy::Proceed => false,
    };
    (hold && matches!(need, Need::Declared(_))).then_some(Problem {
        reason: Reason::DelayTooShort,
        message,
    })
}

/// The same on the way forward. The way back is not held up: what came in has to leave.
pub(super) fn cuts(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
) -> Option<Problem> {
    let direction = status.course.as_ref()?.direction;
    let forward = direction == Direction::Forward;
    refused(pass, world, status).filter(|_| forward)
}

/// The condition is there while it is true.
pub(super) fn told(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
) -> Option<Told> {
    let (_, message) = too_short(pass, world, status)?;
    Some(Told {
        holds: true,
        reason: Reason::DelayTooShort,
        message,
    })
}

/// The longest request that is covered where all groups let the whole delay pass. `None` where no load
/// balancer cuts what is left, and where the application itself was quiet before the first of the
/// delays was over.
pub(super) fn covered(world: &World<'_>, target: &TargetStatus) -> Option<Duration> {
    let drains = || {
        target.drain.iter().filter_map(|drain| {
            let mut groups = world.groups.iter();
            let group = groups.find(|group| group.name == drain.group)?;
            // It may have been changed since it was recorded.
            let delay = drain.delay.min(group.delay);
            let began = drain.draining_seen_at.or(drain.gone_seen_at)?;
            group.ends_connections().then_some((began + delay, delay))
        })
    };
    let first = drains().map(|(end, _)| end).min()?;
    let shortest = drains().map(|(_, delay)| delay).min()?;
    let quiet = target.quiet.as_ref();
    let all = quiet.is_some_and(|quiet| quiet.since < first);
    (!all).then_some(shortest)
}
