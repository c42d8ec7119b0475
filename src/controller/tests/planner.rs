//! Planners that do one thing.

use std::collections::BTreeMap;

use super::note;
use crate::{
    api::{BlueGreenReleaseStatus, Duration, Intent, Phase, StepKind, Time},
    plan::{Decision, Observation, Release, Step, TargetId},
};

pub(super) const REST: Duration = Duration::from_secs(300);

fn decision(status: BlueGreenReleaseStatus, step: Option<Step>, look_at: Time) -> Decision {
    Decision {
        status,
        step,
        look_at,
    }
}

/// Deregisters once, with the intent in status, and rests.
pub(super) fn acts_once(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    _: &Observation,
    now: Time,
) -> Decision {
    note("decide");
    if release.deleting {
        return decision(status.clone(), Some(Step::RemoveFinalizer), now);
    }
    if !release.finalizer {
        return decision(
            status.clone(),
            Some(Step::Claim {
                revisions: BTreeMap::new(),
            }),
            now,
        );
    }
    if status.fence > 0 {
        return decision(status.clone(), None, now + REST);
    }
    let mut status = status.clone();
    status.fence = 1;
    status.phase = Phase::Draining;
    status.intent = Some(Intent {
        id: "op-1".to_owned(),
        step: StepKind::Deregister,
        at: now,
        targets: vec!["i-1:8080".to_owned()],
        group: Some("shop".to_owned()),
    });
    let targets = vec![TargetId {
        id: "i-1".to_owned(),
        port: 8080,
    }];
    decision(status, Some(Step::Deregister { group: 0, targets }), now)
}

/// Writes down what is known of the last effect, and tries again.
pub(super) fn tries_again(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let mut wiped = status.clone();
    wiped.fence = 0;
    let mut decision = acts_once(release, &wiped, observation, now);
    decision.status.message = match &observation.last_effect {
        None => "none".to_owned(),
        Some(effect) => format!(
            "{} failed {} times: {}",
            effect.intent, effect.failures, effect.failure.message
        ),
    };
    decision
}

/// Makes an effect without a word of it in status, as no plan should.
pub(super) fn repeats(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let mut decision = acts_once(release, status, observation, now);
    decision.status = status.clone();
    decision
}

/// Has nothing to do, and wants to look again at once.
pub(super) fn is_restless(
    _: &Release,
    status: &BlueGreenReleaseStatus,
    _: &Observation,
    now: Time,
) -> Decision {
    decision(status.clone(), None, now)
}

/// Says in status whether the fleet and the group could be read.
pub(super) fn tells_what_is_known(
    _: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let mut status = status.clone();
    status.message = format!(
        "fleet {}, group {}",
        observation.fleet.known().is_some(),
        observation.groups[0].known().is_some()
    );
    decision(status, None, now + REST)
}

/// Has an error.
pub(super) fn panics(
    _: &Release,
    _: &BlueGreenReleaseStatus,
    _: &Observation,
    _: Time,
) -> Decision {
    panic!("this planner always panics");
}
