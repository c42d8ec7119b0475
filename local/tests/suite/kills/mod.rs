//! The controller is killed at every point of a release, and started again.
//!
//! A controller leaves nothing behind but what it asked others to do. So it is killed around every
//! request that changes something, in AWS or on the API server: before it, after it with its reply
//! lost, or with it still under way, to be carried out when the next controller is there already.
//! Between two of these all points are the same but for the time that has passed, and one in
//! sixteen of the calls that only look is killed. With `BLUEGREEN_KILLS=all` it is killed at every
//! moment of every request. Each test prints how many that were, and of which kind.
//!
//! The end must be the same, no process started or stopped twice, none stopped without its proof
//! on record, and every request served.

mod case;
mod end;
mod matrix;

use self::{
    case::{Case, Request, Sign, never_healthy},
    matrix::every_kill,
};
use crate::harness::Scene;

fn in_place() -> Scene {
    Scene::in_place().short()
}

fn side_by_side() -> Scene {
    Scene::side_by_side().short()
}

#[test]
fn of_a_release_in_place() {
    every_kill(&Case::forward(in_place));
}

#[test]
fn of_a_release_side_by_side() {
    every_kill(&Case::forward(side_by_side));
}

#[test]
fn of_a_release_of_instances() {
    every_kill(&Case::forward(|| Scene::existing().short()));
}

#[test]
fn of_a_rollback_in_place() {
    every_kill(&Case::failing(|| never_healthy(in_place())));
}

#[test]
fn of_a_rollback_side_by_side() {
    every_kill(&Case::failing(|| never_healthy(side_by_side())));
}

#[test]
fn of_an_abort_in_place() {
    every_kill(&Case::turned(in_place, Sign::Draining, Request::Back));
}

#[test]
fn of_an_abort_side_by_side() {
    every_kill(&Case::turned(side_by_side, Sign::Draining, Request::Back));
}

#[test]
fn of_a_deletion_that_turns_back_in_place() {
    every_kill(&Case::turned(in_place, Sign::Draining, Request::Delete));
}

#[test]
fn of_a_deletion_that_turns_back_side_by_side() {
    every_kill(&Case::turned(
        side_by_side,
        Sign::Registered,
        Request::Delete,
    ));
}

#[test]
fn of_a_deletion_that_finishes_the_release() {
    every_kill(&Case::turned(side_by_side, Sign::Drained, Request::Delete).retaining());
}

#[test]
fn of_a_deletion_when_all_is_done() {
    every_kill(&Case::turned(in_place, Sign::Released, Request::Delete));
}
