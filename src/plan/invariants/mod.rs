//! What must hold of every decision, as predicates.
//!
//! They are asked in debug builds after every decision, on every edge of the exhaustive walk over
//! a model of the world (`tests/model`), and by the judge of the simulated cloud. They do not
//! share code with the planner where that would make them true by construction, and they must
//! never change what they are shown.
//!
//! [`ALL`] is the one list of them: a predicate that is added there is asked everywhere. What a
//! predicate needs is the argument of its function: a whole decision ([`Decided`]); two statuses,
//! one written after the other, which anybody can see who watches the object ([`Written`]); or
//! what is true in the cloud when a release rests ([`AtRest`]).
//!
//! What these cannot say, because it is about the shell or about AWS, is held by other tests:
//!
//! - **S7**, a single writer: here, that fences grow, so that a late command is refused. That a
//!   decision is void whose status did not land is `src/controller/tests/pass.rs`
//!   (`a_conflict_drops_the_decision_and_makes_no_effect`,
//!   `before_an_effect_even_the_same_status_is_written_as_a_fence`); that an effect which lands
//!   after its controller's death does no harm, `local/tests/suite/kills.rs`
//!   (`with_the_call_still_under_way_side_by_side`, `with_the_call_still_under_way_in_place`).
//! - **S8**, each effect once: here, that nothing is repeated without need. That a release with a
//!   crash anywhere has the same effects as one without is `local/tests/suite/kills.rs`
//!   (`before_any_call_side_by_side` and those after it).
//! - **S12**, the budget of calls: here, that failures are answered with pauses. That the rate is
//!   kept is in `src/cloud/budget.rs` (`a_burst_passes_at_once_and_then_the_rate_holds`,
//!   `when_aws_throttles_the_pace_halves_once_and_recovers_slowly`).
//! - **L1**, that an end can be reached from everywhere, is about all states at once: the walk
//!   asks it of the graph that it has found.

mod effects;
mod ends;
mod people;
mod record;
mod service;
mod traffic;

use std::fmt;

use super::{Decision, Observation, Release, Step, TargetId};
use bluegreen_api::{
    BlueGreenReleaseSpec, BlueGreenReleaseStatus, Color, Direction, TargetStatus, Time,
};

/// A decision, with what it was made from.
#[derive(Debug, Clone, Copy)]
pub struct Decided<'a> {
    /// The spec.
    pub spec: &'a BlueGreenReleaseSpec,
    /// The status that the planner was given.
    pub before: &'a BlueGreenReleaseStatus,
    /// What it saw.
    pub observation: &'a Observation,
    /// What it decided.
    pub decision: &'a Decision,
}

/// Two statuses of a release, one written directly after the other.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// The spec that the later one was decided with.
    pub spec: &'a BlueGreenReleaseSpec,
    /// The earlier one.
    pub before: &'a BlueGreenReleaseStatus,
    /// The later one.
    pub after: &'a BlueGreenReleaseStatus,
}

/// A release at rest, and what is true of its fleet.
#[derive(Debug, Clone, Copy)]
pub struct AtRest<'a> {
    /// The spec.
    pub spec: &'a BlueGreenReleaseSpec,
    /// Its status.
    pub status: &'a BlueGreenReleaseStatus,
    /// Every port of its fleet.
    pub truth: &'a [TruePort],
}

/// What is true of one port of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TruePort {
    /// The instance and the port.
    pub target: TargetId,
    /// The version of the process that runs there; `None` where none does.
    pub runs: Option<String>,
    /// Whether a target group sends to it or checks it.
    pub registered: bool,
}

/// One of the things that must hold. More than one predicate may be about the same invariant.
#[derive(Debug, Clone, Copy)]
pub struct Invariant {
    /// Its name in `docs/architecture.md`.
    pub code: &'static str,
    /// What it demands, in one clause.
    pub says: &'static str,
    /// The predicate.
    pub predicate: Predicate,
}

/// A predicate: it answers what contradicts the invariant, or `None`.
#[derive(Debug, Clone, Copy)]
pub enum Predicate {
    /// Of a decision.
    OfDecision(fn(&Decided<'_>) -> Option<String>),
    /// Of two statuses, one after the other.
    OfStatus(fn(&Written<'_>) -> Option<String>),
    /// Of the world when a release rests.
    OfRest(fn(&AtRest<'_>) -> Option<String>),
}

const fn invariant(code: &'static str, says: &'static str, predicate: Predicate) -> Invariant {
    Invariant {
        code,
        says,
        predicate,
    }
}

use Predicate::{OfDecision, OfRest, OfStatus};

/// Every predicate, in the order in which they are asked: of two that the same mistake breaks,
/// the one that names the mistake comes first.
pub const ALL: [Invariant; 31] = [
    invariant(
        "S1",
        "a group that has a healthy target keeps one",
        OfDecision(traffic::s1_no_black_hole),
    ),
    invariant(
        "S14",
        "nothing is stopped without its proof in status",
        OfDecision(ends::s14_proof_in_status),
    ),
    invariant(
        "S2",
        "what is stopped was found withdrawn twice, an operation timeout apart",
        OfDecision(ends::s2_withdrawn_twice),
    ),
    invariant(
        "S3",
        "a target counts as healthy only after the whole health gate",
        OfStatus(traffic::s3_the_whole_gate),
    ),
    invariant(
        "S3",
        "the old leave only while enough of the new are healthy in the same observation",
        OfDecision(traffic::s3_forward_onto_the_healthy),
    ),
    invariant(
        "S4",
        "a release turns back only to a version that can be put back",
        OfStatus(traffic::s4_back_to_something),
    ),
    invariant(
        "S4",
        "on the way back the new leave only while enough of the old are healthy",
        OfDecision(traffic::s4_back_onto_the_healthy),
    ),
    invariant(
        "S5",
        "an effect concerns only instances that the selector finds in the same observation",
        OfDecision(effects::s5_only_what_is_ours),
    ),
    invariant(
        "S6",
        "no target is forgotten, none is doubled, and none is left over in the end",
        OfStatus(ends::s6_conserved),
    ),
    invariant(
        "S6",
        "at rest everything that serves is live, and on hosts nothing else runs",
        OfRest(ends::s6_nothing_left_over),
    ),
    invariant(
        "S7",
        "fences grow with every intent and with every command to a host",
        OfStatus(record::s7_fences_grow),
    ),
    invariant(
        "S8",
        "no effect is repeated before its outcome is known or its timeout is over",
        OfDecision(effects::s8_nothing_twice),
    ),
    invariant(
        "S9",
        "a release that rolls back never goes forward again",
        OfStatus(record::s9_no_way_forward_after_back),
    ),
    invariant(
        "S9",
        "a release that went back is not begun again until somebody asks or the spec changes",
        OfStatus(people::s9_not_again_unasked),
    ),
    invariant(
        "S15",
        "a request is about the revision that it names, and nothing happens without one",
        OfStatus(people::s15_asked_for),
    ),
    invariant(
        "S15",
        "with manual promotion nothing old is given up before somebody has said so",
        OfDecision(people::s15_promoted_first),
    ),
    invariant(
        "S15",
        "while a release is paused nothing is begun",
        OfDecision(people::s15_paused),
    ),
    invariant(
        "S10",
        "an effect concerns only targets in the record, and its intent says so",
        OfDecision(effects::s10_only_recorded_targets),
    ),
    invariant("S11", "status is bounded", OfStatus(record::s11_bounded)),
    invariant(
        "S12",
        "failures are answered with pauses, and a pass that moves nothing with a rest",
        OfDecision(effects::s12_pauses),
    ),
    invariant(
        "S13",
        "no effect on AWS rests on a reading that failed",
        OfDecision(effects::s13_no_effect_without_sight),
    ),
    invariant(
        "S16",
        "what another release has is left alone, unless no target serves",
        OfDecision(effects::s16_one_owner),
    ),
    invariant(
        "V1",
        "what could serve is stopped only while enough others serve",
        OfDecision(service::v1_enough_serve_without_it),
    ),
    invariant(
        "V1",
        "without cross-zone, a zone that has a healthy target keeps one",
        OfDecision(service::v1_every_zone_serves),
    ),
    invariant(
        "V2",
        "what could serve and is withdrawn is watched",
        OfDecision(service::v2_watched),
    ),
    invariant(
        "V2",
        "where nothing is healthy, what lives is put back",
        OfDecision(service::v2_put_back),
    ),
    invariant(
        "V3",
        "a condition is true of what was seen",
        OfDecision(service::v3_true_of_what_was_seen),
    ),
    invariant(
        "V4",
        "a proof never contradicts the clock of AWS",
        OfDecision(service::v4_not_before_its_time),
    ),
    invariant(
        "V5",
        "every registered target of the release is recorded or named",
        OfDecision(service::v5_nothing_unknown),
    ),
    invariant(
        "V6",
        "what needs a person is stalled, and causes survive",
        OfDecision(service::v6_stalled_with_a_cause),
    ),
    invariant(
        "L2",
        "there is always a reason, in words",
        OfStatus(record::l2_explained),
    ),
];

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its name in `docs/architecture.md`.
    pub invariant: &'static str,
    /// What contradicts it.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// The first invariant that a decision, or the status in it, breaks, if it breaks one.
#[must_use]
pub fn broken(
    release: &Release,
    before: &BlueGreenReleaseStatus,
    observation: &Observation,
    decision: &Decision,
) -> Option<Violation> {
    let decided = Decided {
        spec: &release.spec,
        before,
        observation,
        decision,
    };
    ALL.iter().find_map(|invariant| invariant.of(&decided))
}

impl Invariant {
    /// What of a decision contradicts it. One that is about the world at rest says nothing here.
    #[must_use]
    pub fn of(&self, decided: &Decided<'_>) -> Option<Violation> {
        let what = match self.predicate {
            OfDecision(contradicts) => contradicts(decided),
            OfStatus(contradicts) => contradicts(&Written {
                spec: decided.spec,
                before: decided.before,
                after: &decided.decision.status,
            }),
            OfRest(_) => None,
        };
        self.violated(what)
    }

    /// What of the world contradicts it, where it is about the world at rest.
    #[must_use]
    pub fn of_rest(&self, at_rest: &AtRest<'_>) -> Option<Violation> {
        let what = match self.predicate {
            OfDecision(_) | OfStatus(_) => None,
            OfRest(contradicts) => contradicts(at_rest),
        };
        self.violated(what)
    }

    fn violated(&self, what: Option<String>) -> Option<Violation> {
        what.map(|what| Violation {
            invariant: self.code,
            what,
        })
    }
}

/// Which way a release goes.
fn direction(status: &BlueGreenReleaseStatus) -> Option<Direction> {
    status.course.as_ref().map(|course| course.direction)
}

/// Whether the old process has to make room for the new one.
fn in_place(spec: &BlueGreenReleaseSpec) -> bool {
    let hosts = spec.fleet.hosts.as_ref();
    hosts.is_some_and(|hosts| hosts.ports.len() == 1)
}

/// The target of a record.
fn id(target: &TargetStatus) -> TargetId {
    TargetId {
        id: target.id.clone(),
        port: target.port,
    }
}

fn is(target: &TargetStatus, id: &TargetId) -> bool {
    target.port == id.port && target.id == id.id
}

/// The record of a target of that color that has not ended.
fn living<'a>(
    status: &'a BlueGreenReleaseStatus,
    id: &TargetId,
    color: Color,
) -> Option<&'a TargetStatus> {
    status
        .targets
        .iter()
        .find(|target| target.color == color && is(target, id) && target.steps.terminated.is_none())
}

/// The same record in another status.
fn same<'a>(status: &'a BlueGreenReleaseStatus, of: &TargetStatus) -> Option<&'a TargetStatus> {
    status.targets.iter().find(|target| {
        target.revision == of.revision && target.port == of.port && target.id == of.id
    })
}

/// Whether the end of its process was intended, and may be under way.
fn doomed(target: &TargetStatus) -> bool {
    use bluegreen_api::StepKind::{Deregister, Register, Start, Stop, Terminate};

    target
        .process
        .as_ref()
        .is_some_and(|process| match process.step {
            Stop | Terminate => !process.undone,
            Start | Register | Deregister => false,
        })
}

/// When an effect was decided: its intent is as old. The observation was begun before that.
fn decided_at(decided: &Decided<'_>) -> Time {
    let began = decided.observation.began_at;
    let intent = decided.decision.status.intent.as_ref();
    intent.map_or(began, |intent| intent.at.max(began))
}

/// The instances that an effect on AWS concerns.
fn concerned(step: &Step) -> Vec<&str> {
    match step {
        Step::Claim { .. } | Step::RemoveFinalizer => Vec::new(),
        Step::Register { group: _, targets } | Step::Deregister { group: _, targets } => {
            targets.iter().map(|target| target.id.as_str()).collect()
        }
        Step::Send(command) => command.instances.iter().map(String::as_str).collect(),
        Step::Terminate { instances } => instances.iter().map(String::as_str).collect(),
    }
}
