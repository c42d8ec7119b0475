//! The planner: from what is wanted, remembered and seen to what is done next.
//!
//! [`decide`] is a pure function on plain data. Nothing in this folder knows a client, a clock,
//! a runtime, randomness or a log; `now` is an argument. A test reads the files to make sure.
//!
//! Read in this order: [`observation`], [`step`], then `decide.rs`, which is the outline:
//! record what was seen, choose the course, converge, explain.

pub mod observation;
pub mod release;
pub mod step;

pub use observation::{
    CommandState, EffectFailure, Failure, FailureKind, Group, Health, Instance, InstanceState,
    Invocation, LoadBalancerKind, Observation, ProbeReading, Reading, StopReport, TargetId,
};
pub use release::Release;
pub use step::{Decision, Needs, SendCommand, Step};

use crate::api::{BlueGreenReleaseSpec, BlueGreenReleaseStatus, Time};

/// Decides what to write, what to do and when to look again.
#[must_use]
pub fn decide(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let _ = (release, observation);
    Decision { status: status.clone(), step: None, look_at: now }
}

/// What the next pass has to read, besides the fleet and the target groups.
#[must_use]
pub fn needs(spec: &BlueGreenReleaseSpec, status: &BlueGreenReleaseStatus, now: Time) -> Needs {
    let _ = (spec, status, now);
    Needs::default()
}
