//! The planner: from what is wanted, remembered and seen to what is done next.
//!
//! [`decide`] is a pure function on plain data. Nothing in this folder knows a client, a clock,
//! a runtime, randomness or a log; `now` is an argument. It is a crate of its own, which depends
//! on the types of the resource alone, so that a client cannot even be named here; a test makes
//! sure of that, and reads the files for what the standard library would offer.
//!
//! `tests/model` walks this function exhaustively.
//!
//! Read `decide.rs` first, which is the outline: record what was seen (`record.rs`, `drain.rs`),
//! answer a person's request
//! (`requests.rs`), leave what another release has (`owners.rs`), choose the course (`course.rs`, `promotion.rs`, `preflight.rs`), converge on it by one effect (`converge/`),
//! explain (`waits.rs`, `explain.rs`, `conditions.rs`).

mod adopt;
mod conditions;
mod converge;
mod course;
mod decide;
mod delay;
mod drain;
mod drift;
mod explain;
mod failures;
mod host;
pub mod invariants;
pub mod limits;
pub mod observation;
pub mod owners;
mod pass;
mod planned;
mod ports;
mod preflight;
mod promotion;
mod record;
pub mod release;
mod requests;
mod revisions;
mod roles;
mod serve;
pub mod step;
mod timings;
mod waits;
mod world;

pub use decide::{decide, decide_unchecked, needs};
pub use observation::{
    CommandState, Document, EffectFailure, Failure, FailureKind, Group, GroupSettings, Health,
    Instance, InstanceState, Invocation, LoadBalancerKind, Observation, Pace, ProbeReading,
    Reading, StopReport, TargetId,
};
pub use owners::Claim;
pub use ports::watched;
pub use release::Release;
pub use step::{Decision, Needs, SendCommand, Step};
