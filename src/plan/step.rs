//! Effects as values, and what a decision holds.

use std::collections::BTreeMap;

use super::TargetId;
use bluegreen_api::{BlueGreenReleaseStatus, Duration, RevisionSnapshot, StepKind, Time};

/// One effect. It states an absolute goal, may concern many targets, and is safe to repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Put the finalizer on, and keep these revisions as ControllerRevisions and no others: before
    /// the first effect of a release on AWS.
    Claim {
        /// By number.
        revisions: BTreeMap<u64, RevisionSnapshot>,
    },
    /// Take the finalizer off: the object may go.
    RemoveFinalizer,
    /// Register targets in one target group.
    Register {
        /// The position of the group in the spec.
        group: usize,
        /// With id and port.
        targets: Vec<TargetId>,
    },
    /// Deregister targets from one target group.
    Deregister {
        /// The position of the group in the spec.
        group: usize,
        /// With id and port.
        targets: Vec<TargetId>,
    },
    /// Run a document on hosts.
    Send(SendCommand),
    /// Terminate instances.
    Terminate {
        /// Their ids.
        instances: Vec<String>,
    },
}

impl Step {
    /// Whether it takes a target, or its process, from those that could serve. That needs to be decided
    /// from a reading of the target groups that was made for it.
    #[must_use]
    pub fn takes_away(&self) -> bool {
        match self {
            Self::Deregister { .. } | Self::Terminate { .. } => true,
            Self::Send(command) => command.kind == StepKind::Stop,
            Self::Claim { .. } | Self::RemoveFinalizer | Self::Register { .. } => false,
        }
    }
}

/// A command to hosts. It may be sent twice, so its document must be idempotent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendCommand {
    /// Goes into the command's comment; a lost command is found again by it.
    pub operation: String,
    /// `Start` or `Stop`.
    pub kind: StepKind,
    /// The document.
    pub document: String,
    /// Its parameters, filled in.
    pub parameters: BTreeMap<String, String>,
    /// The hosts.
    pub instances: Vec<String>,
    /// The port on them of the process that it concerns.
    pub port: u16,
    /// How long it may run on a host.
    pub timeout: Duration,
}

/// What a pass decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The status to write before anything is done: what was seen, and the intent.
    pub status: BlueGreenReleaseStatus,
    /// The one effect, if there is one.
    pub step: Option<Step>,
    /// When something can next be true: when to look again. With a step, that is at once.
    pub look_at: Time,
}

/// What the next pass has to read. Reading less costs fewer calls; what is not read is
/// `Unknown`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// The commands whose outcome is open: operation id, and when it was first intended.
    pub commands: Vec<(String, Time)>,
    /// The targets whose probe is to be asked.
    pub probes: Vec<TargetId>,
    /// The targets whose port is to be tried: whether it accepts connections.
    pub ports: Vec<TargetId>,
    /// How old a reading of the target groups may be. `None`: it is to be made anew.
    pub groups_may_be_old: Option<Duration>,
    /// Whether the revisions that are kept as ControllerRevisions are to be known.
    pub revisions: bool,
    /// Whether it is to be asked which SSM agents are online.
    pub agents: bool,
    /// The SSM documents that are to be described.
    pub documents: Vec<String>,
    /// How old the reading of the fleet may be. `None`: as old as for a release that is about to begin.
    pub fleet_may_be_old: Option<Duration>,
    /// The same for the descriptions of the target groups and their attributes.
    pub descriptions_may_be_old: Option<Duration>,
}
