//! What was seen of the world, as plain data.
//!
//! A reading that failed is [`Reading::Unknown`], which is a value: nobody may take it for
//! "absent", "healthy" or "drained".

use std::collections::{BTreeMap, BTreeSet};

use super::{limits::LOOK_WITHDRAWN, owners::Claim};
use bluegreen_api::{Duration, StopHow, Time};

/// A target: an instance and the port that it is registered with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId {
    /// The EC2 instance's id.
    pub id: String,
    /// The port.
    pub port: u16,
}

impl std::fmt::Display for TargetId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.id, self.port)
    }
}

/// The same text, read.
impl std::str::FromStr for TargetId {
    type Err = NoTarget;

    fn from_str(text: &str) -> Result<Self, NoTarget> {
        let (id, port) = text.rsplit_once(':').ok_or(NoTarget)?;
        Ok(Self {
            id: id.to_owned(),
            port: port.parse().map_err(|_| NoTarget)?,
        })
    }
}

/// A text that is not an instance and a port, as in `i-0123456789abcdef0:8080`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoTarget;

/// What a read said, or why nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading<T> {
    /// It succeeded.
    Known(T),
    /// It failed, or was not made.
    Unknown(Failure),
}

impl<T> Reading<T> {
    /// What was read, if anything was.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }
}

/// Why a call to the cloud failed. The message is a function of the cause alone (no request ids,
/// no times), because it ends up in status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which kind of cause.
    pub kind: FailureKind,
    /// What a person should read: the thing, the cause, the remedy.
    pub message: String,
}

/// The kinds of cause that the planner tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// It was not asked, because nobody needs it now.
    NotAsked,
    /// The credentials lack a permission, or are not valid.
    Denied,
    /// Too many calls.
    Throttled,
    /// The named thing does not exist.
    NotFound,
    /// The request itself is wrong: trying it again cannot help.
    Rejected,
    /// No answer in time, or the service failed. For an effect: it may have happened.
    Unavailable,
}

/// All that one pass saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// When the first read was begun. What was read is not older than this; it may be newer, up
    /// to the `now` of the decision.
    pub began_at: Time,
    /// The instances that match the fleet's selector, in any state.
    pub fleet: Reading<Vec<Instance>>,
    /// The target groups, in the order of the spec.
    pub groups: Vec<Reading<Group>>,
    /// The commands that were asked about, by operation id.
    pub commands: BTreeMap<String, Reading<CommandState>>,
    /// The probes that were asked.
    pub probes: BTreeMap<TargetId, Reading<ProbeReading>>,
    /// Whether the ports of targets accept connections, as far as they were asked and it could be told.
    pub ports: BTreeMap<TargetId, bool>,
    /// The instances of the fleet whose SSM agent is online. [`Reading::Unknown`] where nobody needs
    /// to know.
    pub agents: Reading<BTreeSet<String>>,
    /// The SSM documents that were asked about, by name.
    pub documents: BTreeMap<String, Reading<Document>>,
    /// How much of the account's call budget is left for looking.
    pub pace: Pace,
    /// The releases that come before this one on a target group: see [`Claim::comes_before`].
    pub claims: Vec<Claim>,
    /// What became of the last effect, where it failed and nothing has succeeded since. It is
    /// not remembered over a restart.
    pub last_effect: Option<EffectFailure>,
}

/// How often the account's call budget allows to look at what is withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The longest time between two looks: 5 s, and up to 30 s as the budget fills.
    pub every: Duration,
    /// Whether one more target may be withdrawn: not while even 30 s are too often.
    pub may_withdraw: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            every: LOOK_WITHDRAWN,
            may_withdraw: true,
        }
    }
}

/// An EC2 instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// Its availability zone.
    pub zone: String,
    /// Its state.
    pub state: InstanceState,
    /// Its private address, where it has one: where its application is asked what is in flight.
    pub address: Option<std::net::IpAddr>,
    /// The value of `fleet.existing.versionTag`, where the fleet is of that kind and the
    /// instance has the tag.
    pub version: Option<String>,
}

/// An instance's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceState {
    /// `pending`.
    Pending,
    /// `running`.
    Running,
    /// `stopping` or `stopped`.
    Stopped,
    /// `shutting-down` or `terminated`.
    Terminated,
}

/// A target group as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The kind of load balancer.
    pub load_balancer: LoadBalancerKind,
    /// Whether its targets are instances.
    pub instance_targets: bool,
    /// Whether a load balancer uses it.
    pub in_use: bool,
    /// `deregistration_delay.timeout_seconds`.
    pub delay: Duration,
    /// The settings that decide whether a healthy target really serves, and whether the end of the
    /// delay proves a drain.
    pub settings: GroupSettings,
    /// What DescribeTargetHealth listed. A target that is not here is not registered.
    pub targets: BTreeMap<TargetId, Health>,
    /// The load balancer's own words on targets that are not healthy, as in
    /// `Target.Timeout: Request timed out`. At most 256 bytes each.
    pub reasons: BTreeMap<TargetId, String>,
}

/// Attributes of a target group, and what AWS documents where they are not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupSettings {
    /// The port that is checked, where it is not the target's own (`traffic-port`).
    pub health_check_port: Option<u16>,
    /// `slow_start.duration_seconds`: how long a target that has become healthy gets less than its
    /// share of the requests. Zero where it is off.
    pub slow_start: Duration,
    /// `stickiness.enabled`: clients that know a target are sent to it until it is deregistered.
    pub stickiness: bool,
    /// Whether a node sends to targets of every zone. Where it is off, the requests of a zone are
    /// served by the targets of that zone alone.
    pub cross_zone: bool,
    /// `deregistration_delay.connection_termination.enabled`: a Network Load Balancer ends the
    /// connections that are left when the delay is over. An Application Load Balancer always does.
    pub connection_termination: bool,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            health_check_port: None,
            slow_start: Duration::ZERO,
            stickiness: false,
            cross_zone: true,
            connection_termination: true,
        }
    }
}

/// An SSM document, as far as a command can fail because of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Whether it is active and of type `Command`; the reason where it is not.
    pub unusable: Option<String>,
    /// The parameters that it takes: the name, and whether a command must give it because it has no
    /// default.
    pub parameters: BTreeMap<String, bool>,
}

/// The kind of load balancer that a target group is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadBalancerKind {
    /// HTTP and HTTPS.
    Application,
    /// TCP, UDP and TLS.
    Network,
    /// GENEVE: not supported.
    Gateway,
}

/// A target's health as the API tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// `initial`.
    Initial,
    /// `healthy`.
    Healthy,
    /// `unhealthy`, or `unhealthy.draining`.
    Unhealthy,
    /// `draining`.
    Draining,
    /// `unused` because of `Target.NotRegistered`: the same as not being listed.
    NotRegistered,
    /// `unused` because of `Target.NotInUse`: no rule sends to the group, or the zone is off.
    NotInUse,
    /// `unused` because of `Target.InvalidState`: the instance is stopped or terminated.
    InvalidState,
    /// `unavailable`, or a state that is not known here. Neither healthy nor gone.
    Other,
}

/// What is known of a command that was sent to hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandState {
    /// Systems Manager knows no command with this operation id.
    Absent,
    /// It was sent. One entry for each instance.
    Sent(BTreeMap<String, Invocation>),
}

/// A command on one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invocation {
    /// Not there yet, or running.
    Running,
    /// It ended with exit code 0.
    Succeeded {
        /// What the document's last line says of the process, if it does.
        stopped: Option<StopReport>,
    },
    /// It ran and ended with another exit code.
    Failed {
        /// The exit code.
        code: i32,
        /// What the document's last line says of the process, if it does.
        stopped: Option<StopReport>,
        /// The end of its output, shortened.
        output: String,
    },
    /// It was never run: the agent does not answer, or it timed out or was cancelled.
    NotDelivered {
        /// The status that Systems Manager gives.
        status: String,
    },
}

/// The exit codes with which a document says that it did nothing: a command with a higher fence
/// had been there, or another command was at work on the same unit for too long.
const REFUSED: [i32; 2] = [30, 31];

/// The exit code with which a document says that there is no such unit on the host.
pub(super) const EXIT_NO_UNIT: i32 = 12;

/// The exit code with which a stop document says that the unit was down already, and that something
/// else listens on the application's port.
pub(super) const EXIT_STILL_LISTENING: i32 = 13;

impl Invocation {
    /// Whether the host refused it for the sake of order, and did nothing.
    #[must_use]
    pub fn was_refused(&self) -> bool {
        matches!(self, Self::Failed { code, .. } if REFUSED.contains(code))
    }

    /// Whether it has ended, and nothing was done on the host.
    #[must_use]
    pub fn did_nothing(&self) -> bool {
        match self {
            Self::NotDelivered { .. } => true,
            Self::Failed { code, .. } => {
                [EXIT_NO_UNIT, EXIT_STILL_LISTENING].contains(code) || self.was_refused()
            }
            Self::Running | Self::Succeeded { .. } => false,
        }
    }
}

/// What a stop document reported of a process, in the last line of its output:
/// `stopped how=graceful seconds=3.2 exit=143`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopReport {
    /// How it ended.
    pub how: StopHow,
    /// From SIGTERM to the end.
    pub took: Option<Duration>,
    /// The process's exit status, where the host knows it.
    pub exit: Option<i32>,
}

/// What the application's probe said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeReading {
    /// When it was asked.
    pub at: Time,
    /// Requests in flight.
    pub in_flight: u64,
    /// Requests served since the start.
    pub served: u64,
}

/// The last effect failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectFailure {
    /// The intent's id.
    pub intent: String,
    /// Why.
    pub failure: Failure,
    /// How many effects have failed in a row.
    pub failures: u32,
    /// When it failed.
    pub at: Time,
}
