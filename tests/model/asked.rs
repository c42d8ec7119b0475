//! Single releases in which people ask for something: what follows, and the words that they read.

mod story;

use bluegreen_api::{Direction, Duration, FailurePolicy, Outcome, Phase, PromotionMode};

use super::scenario::{TICK, held, in_place, promoted, side_by_side, version};
use story::Story;

#[track_caller]
fn says(message: &str, part: &str) {
    assert!(message.contains(part), "{message:?} does not say {part:?}");
}

#[test]
fn a_release_says_that_it_begins_before_it_has_a_target() {
    let mut story = Story::of(side_by_side());
    // The new revision is kept first.
    story.release.finalizer = false;
    story.pass();
    assert_eq!(story.status.message, "the release begins");
    assert_eq!(story.status.phase, Phase::Starting);
}

#[test]
fn a_promotion_is_waited_for_and_said_and_nothing_is_written_meanwhile() {
    let mut story = Story::of(promoted());
    story.until(Phase::AwaitingPromotion);
    assert_eq!(story.reason("Reconciling"), Some("AwaitingPromotion"));
    assert_eq!(story.reason("Stalled"), None);
    says(
        &story.status.message,
        "ask for `promote 1` to withdraw the old one",
    );
    says(&story.status.message, "`abort 1` to go back");
    assert_eq!(story.status.next, None, "nobody knows when");
    let waiting = story.status.clone();
    for _ in 0..10 {
        story.tick();
        assert_eq!(story.status, waiting);
    }
    assert!(story.world.routed(0) && story.world.routed(1), "both serve");
    story.accepted("promote 1");
    story.until(Phase::Released);
    assert_eq!(story.status.history[0].outcome, Outcome::Promoted);
}

#[test]
fn no_deadline_counts_while_a_promotion_is_waited_for() {
    let mut scenario = promoted();
    scenario.spec.rollout.deadline = TICK.times(8);
    let mut story = Story::of(scenario);
    story.until(Phase::AwaitingPromotion);
    for _ in 0..100 {
        story.tick();
    }
    assert_eq!(story.status.phase, Phase::AwaitingPromotion);
    story.accepted("promote 1");
    let course = story.status.course.clone().expect("it is on its way");
    assert_eq!(course.idle_since, None);
    assert!(course.idle >= TICK.times(99), "{}", course.idle);
    assert_eq!(course.progress_at, story.now);
    story.until(Phase::Released);
}

#[test]
fn a_promotion_may_be_said_before_it_is_waited_for_and_is_needed_in_manual_mode_only() {
    let mut story = Story::of(promoted());
    story.pass();
    story.accepted("promote 1");
    story.until(Phase::Released);

    let mut story = Story::of(side_by_side());
    story.pass();
    says(
        &story.refused("promote 1"),
        "spec.promotion.mode is not Manual",
    );
    story.until(Phase::Draining);
    story.release.spec.promotion.mode = PromotionMode::Manual;
    story.release.generation += 1;
    story.until(Phase::Released);
}

#[test]
fn in_place_there_is_nothing_to_wait_for() {
    let mut scenario = in_place();
    scenario.spec.promotion.mode = PromotionMode::Manual;
    let mut story = Story::of(scenario);
    story.until(Phase::Released);
}

#[test]
fn a_release_that_waits_for_a_promotion_can_be_aborted_undone_and_deleted() {
    let mut story = Story::of(promoted());
    story.until(Phase::AwaitingPromotion);
    story.accepted("abort 1");
    assert_eq!(story.direction(), Some(Direction::Back));
    story.until(Phase::RolledBack);
    assert_eq!(story.status.history[0].outcome, Outcome::Aborted);

    let mut story = Story::of(promoted());
    story.until(Phase::AwaitingPromotion);
    story.release.spec.version = version(1);
    story.release.generation += 1;
    story.until(Phase::Released);
    assert_eq!(story.status.history[0].outcome, Outcome::Aborted);

    let mut story = Story::of(promoted());
    story.until(Phase::AwaitingPromotion);
    story.release.deleting = true;
    for _ in 0..20 {
        story.tick();
    }
    assert!(!story.release.finalizer, "{}", story.status.message);
    assert_eq!(story.status.history[0].outcome, Outcome::Aborted);
    assert_eq!(
        story.world.slots[0].process,
        Some(1),
        "the old version serves"
    );
    assert_eq!(story.world.slots[1].process, None);
}

#[test]
fn without_a_reading_only_a_release_that_rests_is_let_go() {
    for (phase, goes) in [
        (Phase::Starting, false),
        (Phase::Draining, false),
        (Phase::Stopping, false),
        (Phase::Released, true),
    ] {
        let mut story = Story::of(side_by_side());
        story.until(phase);
        story.blind = true;
        assert_eq!(story.pass().step, None, "nobody has deleted it");
        story.release.deleting = true;
        story.pass();
        assert_eq!(!story.release.finalizer, goes, "{phase:?}");
        story.blind = false;
        for _ in 0..20 {
            story.tick();
        }
        assert!(!story.release.finalizer, "{}", story.status.message);
    }
}

#[test]
fn what_is_aborted_is_not_tried_again_until_somebody_asks_and_then_as_a_new_revision() {
    let mut story = Story::of(side_by_side());
    story.until(Phase::Registering);
    says(&story.accepted("abort 1"), "asks for `retry 1`");
    story.until(Phase::RolledBack);
    says(
        &story.status.message,
        "was aborted: `abort 1` was asked for",
    );
    says(&story.status.message, "ask for `retry 1`");
    assert_eq!(story.reason("Stalled"), Some("RolledBack"));
    for _ in 0..5 {
        story.tick();
    }
    assert_eq!(story.status.revision, 1);
    says(&story.accepted("retry 1"), "as revision 2");
    let answer = story.status.last_request.clone();
    story.until(Phase::Released);
    assert_eq!(story.status.revision, 2);
    // The annotation is still there: nobody took it off.
    assert_eq!(story.status.last_request, answer);
}

#[test]
fn a_change_of_the_spec_ends_an_abort_too() {
    let mut story = Story::of(side_by_side());
    story.until(Phase::Registering);
    story.accepted("abort 1");
    story.until(Phase::RolledBack);
    story.release.spec.retain = Duration::from_secs(1);
    story.release.generation += 1;
    story.until(Phase::Released);
    assert_eq!(story.status.revision, 2);
}

#[test]
fn a_pause_by_request_begins_nothing_and_ends_by_request() {
    let mut story = Story::of(side_by_side());
    story.until(Phase::Registering);
    story.accepted("pause 1");
    for _ in 0..20 {
        story.tick();
    }
    assert_eq!(story.status.phase, Phase::Paused);
    assert_eq!(story.reason("Reconciling"), Some("Paused"));
    says(&story.status.message, "`resume 1` ends it");
    assert_eq!(
        story.direction(),
        Some(Direction::Forward),
        "nothing fails meanwhile"
    );
    story.release.spec.paused = true;
    story.release.generation += 1;
    story.pass();
    says(
        &story.status.message,
        "spec.paused is true, and `pause` was asked for",
    );
    says(&story.accepted("resume 1"), "spec.paused is still true");
    says(
        &story.refused("resume 1 now"),
        "nobody has asked for `pause 1`; spec.paused is still true",
    );
    assert_eq!(story.status.phase, Phase::Paused);
    story.release.spec.paused = false;
    story.release.generation += 1;
    story.until(Phase::Released);
}

#[test]
fn a_pause_by_request_ends_with_its_release() {
    let mut story = Story::of(side_by_side());
    story.until(Phase::Registering);
    story.accepted("pause 1");
    says(&story.accepted("abort 1"), "the version before is put back");
    story.until(Phase::RolledBack);
    story.accepted("retry 1");
    story.until(Phase::Released);
}

#[test]
fn a_held_release_is_tried_again_with_its_deadlines_counted_anew() {
    let mut story = Story::of(held());
    story.starts_fail = true;
    story.until(Phase::Stalled);
    assert_eq!(story.reason("Stalled"), Some("HeldAfterFailure"));
    says(&story.status.message, "ask for `retry 1`");
    says(&story.status.message, "`abort 1`");
    for _ in 0..2000 {
        story.now = story.now + TICK;
    }
    says(&story.accepted("retry 1"), "deadlines count from now");
    assert_ne!(
        story.status.phase,
        Phase::Stalled,
        "{}",
        story.status.message
    );
    story.starts_fail = false;
    story.until(Phase::Released);
    assert_eq!(story.status.revision, 1);
}

#[test]
fn a_held_release_that_fails_again_is_held_again_and_can_be_aborted() {
    let mut story = Story::of(held());
    story.starts_fail = true;
    story.until(Phase::Stalled);
    story.accepted("retry 1");
    story.until(Phase::Stalled);
    story.accepted("retry 1 once more");
    assert_ne!(story.status.phase, Phase::Stalled);
    story.until(Phase::Stalled);
    story.accepted("abort 1");
    story.starts_fail = false;
    story.until(Phase::RolledBack);
}

#[test]
fn the_same_words_are_taken_once() {
    let mut story = Story::of(promoted());
    story.until(Phase::AwaitingPromotion);
    story.accepted("pause 1");
    story.accepted("resume 1");
    let answer = story.status.last_request.clone();
    story.release.request = None;
    story.tick();
    assert_eq!(
        story.status.last_request, answer,
        "a sync took the annotation off"
    );
    story.release.request = Some("resume 1".to_owned());
    story.tick();
    assert_eq!(story.status.last_request, answer, "and a sync put it back");
    story.accepted("pause 1");
    assert_eq!(story.status.phase, Phase::Paused);
}

#[test]
fn what_cannot_be_asked_for_is_refused_with_what_would_be_right() {
    let mut story = Story::of(held());
    assert_eq!(story.scenario.spec.on_failure, FailurePolicy::Hold);
    story.until(Phase::Registering);
    says(
        &story.refused("undo 1"),
        "write abort, retry, pause, resume or promote",
    );
    says(&story.refused("promote"), "as in `promote 7`");
    says(
        &story.refused("abort 0"),
        "revision 0 is over; the last one is 1",
    );
    says(
        &story.refused("abort 2"),
        "there is no revision 2 yet; the last one is 1",
    );
    says(
        &story.refused("retry 1"),
        "is on its way and has not failed",
    );
    says(
        &story.refused(&format!("pause 1 {}", "because ".repeat(20))),
        "at most 128 bytes",
    );
    let kept = story
        .status
        .last_request
        .as_ref()
        .map(|last| last.text.len());
    assert_eq!(kept, Some(128));
    let before = story.status.last_request.clone();
    story.release.request = Some("  ".to_owned());
    story.pass();
    assert_eq!(
        story.status.last_request, before,
        "an empty annotation asks for nothing"
    );

    story.until(Phase::Released);
    says(
        &story.refused("abort 1"),
        "revision 1 is not on its way any more",
    );
    says(&story.refused("pause 1"), "set spec.paused to true");
    says(&story.refused("resume 1"), "not on its way any more");
    says(&story.refused("promote 1"), "not on its way any more");
    says(&story.refused("retry 1"), "has not failed");
    story.release.deleting = true;
    says(&story.refused("abort 1 please"), "is being deleted");
}

#[test]
fn a_release_on_its_way_back_takes_no_abort_and_no_promotion() {
    let mut story = Story::of(promoted());
    story.until(Phase::AwaitingPromotion);
    story.accepted("abort 1");
    says(&story.refused("abort 1 now"), "on its way back already");
    says(&story.refused("promote 1"), "on its way back");
    says(&story.refused("retry 1"), "ask for `retry 1 again`");
    story.until(Phase::RolledBack);
    story.accepted("retry 1 again");
}
