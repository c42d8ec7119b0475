//! The faults with which the walk has found something.

use super::all_hold;
use crate::{
    scenario::{befallen, in_place, misread, several, side_by_side},
    world::{Kind, Look},
};

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
fn an_answer_may_be_cut_in_place() {
    all_hold("answer cut", [misread(&[Look::Cut(0, 0)], 1, in_place())]);
}
