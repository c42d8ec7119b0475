//! What people ask for.

use bluegreen_api::{BlueGreenReleaseStatus, Direction, PromotionMode, Verb};

use super::{
    how::{Ask, How},
    scenario::Scenario,
};

/// What people may ask for now: anything of this revision, and one thing of the revision before.
/// Whoever is waited for lets the release go on in the end, for nothing: that is when `resume` and
/// `promote` are asked for.
pub(super) fn asks(
    scenario: &Scenario,
    status: &BlueGreenReleaseStatus,
    open: Option<Ask>,
) -> Vec<(How, Ask)> {
    let revision = u8::try_from(status.revision).expect("few revisions");
    let help = missing(scenario, status).filter(|_| open.is_none());
    let help = help.map(|verb| (How::Helped(verb), Ask { verb, revision }));
    let wanted: &[Verb] = match scenario.budget.asks {
        0 => &[],
        _ => &[Verb::Abort, Verb::Retry, Verb::Pause],
    };
    let of_this = wanted.iter().map(|verb| Ask {
        verb: *verb,
        revision,
    });
    let before = revision.checked_sub(1).filter(|_| !wanted.is_empty());
    let stale = before.map(|revision| Ask {
        verb: Verb::Promote,
        revision,
    });
    let asked = of_this.chain(stale).filter(|ask| open != Some(*ask));
    help.into_iter()
        .chain(asked.map(|ask| (How::Asked(ask), ask)))
        .collect()
}

/// What a person has to ask for so that a release goes on.
fn missing(scenario: &Scenario, status: &BlueGreenReleaseStatus) -> Option<Verb> {
    let course = status.course.as_ref()?;
    let manual = scenario.spec.promotion.mode == PromotionMode::Manual;
    let forward = course.direction == Direction::Forward;
    if course.paused_at.is_some() {
        Some(Verb::Resume)
    } else if course.hold.is_some() {
        // Without a version to go back to, all that helps is to try again.
        let known = status
            .blue
            .as_ref()
            .is_some_and(|blue| blue.version.is_some());
        Some(if known { Verb::Abort } else { Verb::Retry })
    } else if manual && forward && course.promoted_at.is_none() {
        Some(Verb::Promote)
    } else {
        None
    }
}
