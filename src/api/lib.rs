//! What users write and read: the `BlueGreenRelease` resource.
//!
//! The doc comments here are user documentation: they become the CRD's descriptions, which
//! `kubectl explain` prints. The files under `crds/` are generated from these types.
//!
//! Every type refuses a field or a word that it does not know: see `unknown.rs`.
//!
//! Nothing in here decides anything or talks to anybody.

#![allow(
    unreachable_pub,
    reason = "KubeSchema repeats the public types inside a function"
)]

mod conditions;
pub mod crd;
mod fleet;
mod policy;
mod probe;
mod release;
mod request;
mod snapshot;
mod status;
mod target;
mod time;
mod traffic;
#[cfg(test)]
mod unknown;

pub use conditions::{Reason, set_condition};
pub use fleet::{
    Command, Existing, ExistingTermination, Fleet, Hosts, InstanceSelector, StopCommand,
};
pub use policy::{
    Adopt, Aws, Drain, DrainTimeoutPolicy, DriftPolicy, FailurePolicy, Health, MaxUnavailable,
    Promotion, PromotionMode, Rollout, Settle, Stop,
};
pub use probe::{Figure, HttpProbe, InFlight, ProbePort, Sample};
pub use release::{
    BlueGreenRelease, BlueGreenReleaseSpec, FINALIZER, GROUP, VERSION, is_a_version,
};
pub use request::{
    LastRequest, NotARequest, REQUEST_ANNOTATION, REQUEST_TEXT_MOST, Request, RequestOutcome, Verb,
};
pub use snapshot::{RELEASE_UID_LABEL, RevisionSnapshot};
pub use status::{
    BlueGreenReleaseStatus, Color, Course, Direction, HistoryEntry, Hold, Intent, Next, Outcome,
    Percentiles, Phase, Recommendation, Revision, StepKind, Timings,
};
pub use target::{
    Deregistered, DrainProof, Drained, GroupDrain, HealthProgress, Healthy, Process, Quiet,
    Registered, Registration, Steps, StopHow, TargetStatus, Terminated, Unproven,
};
pub use time::{Duration, ParseDurationError, Time};
pub use traffic::{RegistrationTraffic, TargetGroupRef, Traffic};
