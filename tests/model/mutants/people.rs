//! Planners that do what nobody has asked for, or not what somebody has.

use bluegreen_api::{BlueGreenReleaseStatus, Course, PromotionMode, Time};
use bluegreen_plan::{Decision, Observation, Release, decide};

use super::{Mutant, back};
use crate::scenario;

/// All of them.
pub(in super::super) fn people() -> Vec<Mutant> {
    let mutant = |name, planner, scenario| Mutant {
        name,
        planner,
        scenario,
    };
    vec![
        mutant(
            "takes a request for another revision",
            takes_stale_requests,
            scenario::promoted(),
        ),
        mutant(
            "promotes by itself what a person is to promote",
            impatient_to_promote,
            scenario::promoted(),
        ),
        mutant(
            "begins an aborted release again by itself",
            tries_again_by_itself,
            scenario::asked(1, scenario::side_by_side()),
        ),
        mutant(
            "goes on although it is paused",
            deaf_to_pauses,
            scenario::asked(1, scenario::side_by_side()),
        ),
        mutant(
            "forgets a promotion",
            forgets_the_promotion,
            scenario::promoted(),
        ),
    ]
}

fn takes_stale_requests(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let mut meant = release.clone();
    let verb = release
        .request
        .as_ref()
        .and_then(|text| text.split(' ').next());
    meant.request = verb.map(|verb| format!("{verb} {}", status.revision));
    let mut decision = decide(&meant, status, observation, now);
    if let (Some(last), Some(text)) = (&mut decision.status.last_request, &release.request) {
        last.text.clone_from(text);
    }
    decision
}

fn impatient_to_promote(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let mut release = release.clone();
    release.spec.promotion.mode = PromotionMode::Auto;
    decide(&release, status, observation, now)
}

fn tries_again_by_itself(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let mut decision = decide(release, status, observation, now);
    if back(status) && decision.status.course.is_none() {
        decision.status.failed_generation = None;
    }
    decision
}

fn with_course(
    status: &BlueGreenReleaseStatus,
    change: impl FnOnce(&mut Course),
) -> BlueGreenReleaseStatus {
    let mut status = status.clone();
    status.course.as_mut().map(change);
    status
}

fn deaf_to_pauses(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let paused_at = status.course.as_ref().and_then(|course| course.paused_at);
    let going = with_course(status, |course| course.paused_at = None);
    let mut decision = decide(release, &going, observation, now);
    if let Some(course) = &mut decision.status.course {
        course.paused_at = course.paused_at.or(paused_at);
    }
    decision
}

fn forgets_the_promotion(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let forgotten = with_course(status, |course| course.promoted_at = None);
    decide(release, &forgotten, observation, now)
}
