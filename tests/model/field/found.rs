//! The faults with which the walk has found something, and those after which a person has to add what is
//! missing: one host is never recreated in place, and fewer instances than there were do not carry.

use super::{all_are_safe, all_hold};
use crate::{
    scenario::{befallen, in_place, misread, several, side_by_side},
    world::{Kind, Look},
};

#[test]
fn an_instance_may_end_at_any_moment_in_place() {
    all_are_safe(
        "instance ends",
        [befallen(&[Kind::Terminations], 1, in_place())],
    );
}

#[test]
fn an_instance_may_end_at_any_moment_among_those_of_others() {
    all_are_safe(
        "instance ends",
        [befallen(&[Kind::Terminations], 1, several())],
    );
}

#[test]
fn others_may_deregister_a_live_target_in_place() {
    all_hold(
        "others deregister",
        [befallen(&[Kind::Deregisters], 1, in_place())],
    );
}

#[test]
fn others_may_deregister_a_live_target_side_by_side() {
    all_hold(
        "others deregister",
        [befallen(&[Kind::Deregisters], 1, side_by_side())],
    );
}

#[test]
fn a_version_tag_may_change_at_any_moment() {
    all_are_safe("tag changes", [befallen(&[Kind::Versions], 1, several())]);
}

#[test]
fn an_answer_may_be_cut_in_place() {
    all_hold("answer cut", [misread(&[Look::Cut(0, 0)], 1, in_place())]);
}

#[test]
fn a_reading_of_the_fleet_may_be_old_when_an_instance_ends() {
    all_are_safe(
        "instance ends, fleet old",
        [befallen(
            &[Kind::Terminations],
            1,
            misread(&[Look::OldFleet], 1, several()),
        )],
    );
}

#[test]
fn a_reading_of_the_fleet_may_be_old_when_tags_change() {
    all_are_safe(
        "tag changes, fleet old",
        [befallen(
            &[Kind::Versions],
            1,
            misread(&[Look::OldFleet], 1, several()),
        )],
    );
}

#[test]
fn a_reading_of_the_fleet_may_be_old_in_place() {
    all_are_safe(
        "instance ends, fleet old",
        [befallen(
            &[Kind::Terminations],
            1,
            misread(&[Look::OldFleet], 1, in_place()),
        )],
    );
}
