//! What befalls fleets in the field, each alone: processes die, instances end, others deregister live
//! targets and change tags, and readings fail, are cut or are old.
//!
//! Every walk asks all invariants, and of the world that a group in which a target serves is not left
//! without one by an effect of the controller.

mod found;

use super::{
    explore::explore,
    say,
    scenario::{
        Scenario, befallen, early_finish, gated, in_place, misread, several, side_by_side,
        two_groups,
    },
    world::{Kind, Look},
};

fn holds(what: &str, scenario: &Scenario) {
    let name = scenario.name;
    let report = explore(scenario, bluegreen_plan::decide_unchecked);
    say(&format!("{name}, {what}: {report}"));
    if let Some(violation) = report.violation {
        panic!("{name}, {what}: {violation}");
    }
}

/// The same but for L1: where an instance has gone for good, a release may wait for a person.
fn all_are_safe(what: &str, scenarios: impl IntoIterator<Item = Scenario>) {
    for scenario in scenarios {
        let name = scenario.name;
        let report = explore(&scenario, bluegreen_plan::decide_unchecked);
        say(&format!("{name}, {what}: {report}"));
        let unsafe_end = report.violation.filter(|story| !story.starts_with("L1: "));
        assert_eq!(unsafe_end, None, "{name}, {what}");
    }
}

fn all_hold(what: &str, scenarios: impl IntoIterator<Item = Scenario>) {
    for scenario in scenarios {
        holds(what, &scenario);
    }
}

#[test]
fn a_process_may_die_at_any_moment_in_place() {
    all_hold("process dies", [befallen(&[Kind::Deaths], 1, in_place())]);
}

#[test]
fn a_process_may_die_at_any_moment_side_by_side() {
    all_hold(
        "process dies",
        [befallen(&[Kind::Deaths], 1, side_by_side())],
    );
}

#[test]
fn a_process_may_die_at_any_moment_while_the_old_are_retained() {
    all_hold("process dies", [befallen(&[Kind::Deaths], 1, gated())]);
}

#[test]
fn a_process_may_die_at_any_moment_on_instances_of_others() {
    all_hold("process dies", [befallen(&[Kind::Deaths], 1, several())]);
}

#[test]
fn others_may_deregister_a_live_target_of_their_instances() {
    all_hold(
        "others deregister",
        [befallen(&[Kind::Deregisters], 1, several())],
    );
}

#[test]
fn another_release_may_come_first_and_go() {
    all_hold(
        "claimed",
        [
            befallen(&[Kind::Claims], 2, in_place()),
            befallen(&[Kind::Claims], 2, several()),
        ],
    );
}

#[test]
fn an_answer_may_be_cut_side_by_side() {
    all_hold(
        "answer cut",
        [misread(&[Look::Cut(0, 0)], 1, side_by_side())],
    );
}

#[test]
fn an_answer_may_be_cut_in_a_long_drain() {
    all_hold(
        "answer cut",
        [misread(&[Look::Cut(0, 0)], 1, early_finish())],
    );
}

#[test]
fn an_answer_may_be_cut_of_one_of_two_groups() {
    all_hold("answer cut", [misread(&[Look::Cut(0, 0)], 1, two_groups())]);
}

#[test]
fn an_answer_may_be_cut_of_instances_of_others() {
    all_hold("answer cut", [misread(&[Look::Cut(0, 0)], 1, several())]);
}

#[test]
fn a_reading_may_fail_in_place() {
    all_hold(
        "reading fails",
        [misread(&[Look::NoGroup(0), Look::NoFleet], 1, in_place())],
    );
}

#[test]
fn a_reading_may_fail_side_by_side() {
    all_hold(
        "reading fails",
        [misread(
            &[Look::NoGroup(0), Look::NoFleet],
            1,
            side_by_side(),
        )],
    );
}

#[test]
fn a_reading_may_fail_of_one_of_two_groups() {
    all_hold(
        "reading fails",
        [misread(&[Look::NoGroup(0), Look::NoFleet], 1, two_groups())],
    );
}

#[test]
fn a_reading_may_fail_of_instances_of_others() {
    all_hold(
        "reading fails",
        [misread(&[Look::NoGroup(0), Look::NoFleet], 1, several())],
    );
}
