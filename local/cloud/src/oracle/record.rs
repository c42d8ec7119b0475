//! What is known of one request, and of one process that was stopped.

use std::{fmt, net::IpAddr};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::topology::TargetKey;

/// One request as the balancer saw it, beside what was true of its target.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestRecord {
    /// Counts requests from 1, over all nodes.
    pub number: u64,
    /// When its head had been read.
    pub arrived: Timestamp,
    /// The node that took it.
    pub node: IpAddr,
    /// The client's `x-request-id`, where it gave one.
    pub client_id: Option<String>,
    /// The path that was asked for, without the query.
    pub path: String,
    /// Where it was sent; `None` until, or unless, a target was chosen.
    pub routing: Option<Routing>,
    /// The status that the client got; `None` while there is none.
    pub status: Option<u16>,
    /// Why it failed in the balancer's eyes. A target's own 5xx is not a failure here.
    pub failure: Option<Failure>,
    /// When the last byte was handed to the client; `None` while it is in flight.
    pub ended: Option<Timestamp>,
}

impl RequestRecord {
    /// How long it took, in seconds; `None` while it is in flight.
    #[must_use]
    pub fn seconds(&self) -> Option<f64> {
        self.ended
            .map(|ended| ended.duration_since(self.arrived).as_secs_f64())
    }

    /// Whether the client was let down: the balancer failed it, or the target answered 5xx.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.failure.is_some() || self.status.is_some_and(|status| status >= 500)
    }
}

/// To which target a request was sent, and what was true of that target then.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Routing {
    /// The target group's ARN.
    pub target_group: String,
    /// The target.
    #[serde(serialize_with = "as_text")]
    pub target: TargetKey,
    /// When it was chosen.
    pub at: Timestamp,
    /// Where the target stood in the control plane at that instant, whatever the node believed.
    pub truth: Truth,
    /// Whether the node had too few healthy targets and therefore chose among all.
    pub fail_open: bool,
    /// Whether a pooled connection was used.
    pub reused_connection: bool,
}

fn as_text<S: Serializer>(target: &TargetKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{}:{}", target.id, target.port))
}

/// Where a target stood in the control plane when a request was sent to it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum Truth {
    /// RegisterTargets was called and the registration was not complete.
    Registering,
    /// It was registered.
    Registered,
    /// It was deregistered this many seconds before, and its delay had not elapsed.
    Draining {
        /// Seconds since it was deregistered.
        seconds: f64,
    },
    /// It was deregistered this many seconds before, and its delay had elapsed.
    Gone {
        /// Seconds since it was deregistered.
        seconds: f64,
    },
}

impl Truth {
    /// Seconds since the target was deregistered; `None` where it was not.
    #[must_use]
    pub fn withdrawn_for(self) -> Option<f64> {
        match self {
            Self::Registering | Self::Registered => None,
            Self::Draining { seconds } | Self::Gone { seconds } => Some(seconds),
        }
    }
}

/// Why the balancer could not serve a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Failure {
    /// No rule, group or target could take it: 503.
    NoTarget,
    /// The target refused the connection: 502.
    ConnectionRefused,
    /// The connection could not be made for another reason: 502.
    ConnectionFailed,
    /// The connection was not made in time: 504.
    ConnectionTimeout,
    /// The target closed or reset the connection before it answered: 502.
    ConnectionClosed,
    /// The answer was not HTTP: 502.
    MalformedAnswer,
    /// The target was silent for the idle timeout before it answered: 504.
    NoAnswer,
    /// The deregistration delay elapsed: 502, or a broken body if the answer had begun.
    DelayElapsed,
    /// The target broke off, or was silent for the idle timeout, within the body.
    BodyBroken,
    /// The client gave up; nobody else is to blame.
    ClientGone,
}

impl Failure {
    /// The status that the client gets where no answer has begun.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::NoTarget => 503,
            Self::ConnectionTimeout | Self::NoAnswer => 504,
            Self::ClientGone => 460,
            Self::ConnectionRefused
            | Self::ConnectionFailed
            | Self::ConnectionClosed
            | Self::MalformedAnswer
            | Self::DelayElapsed
            | Self::BodyBroken => 502,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoTarget => "no target could take it",
            Self::ConnectionRefused => "the target refused the connection",
            Self::ConnectionFailed => "the connection to the target failed",
            Self::ConnectionTimeout => "the target did not accept the connection in time",
            Self::ConnectionClosed => "the target closed the connection without an answer",
            Self::MalformedAnswer => "the target's answer was not HTTP",
            Self::NoAnswer => "the target did not answer within the idle timeout",
            Self::DelayElapsed => "the deregistration delay elapsed while it was in flight",
            Self::BodyBroken => "the target broke off within the body",
            Self::ClientGone => "the client gave up",
        })
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ProcessEnd {
    /// It ended by itself after SIGTERM.
    Terminated,
    /// It was killed with SIGKILL.
    Killed,
    /// It ended without being asked to.
    Crashed,
}

impl fmt::Display for ProcessEnd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Terminated => "ended after SIGTERM",
            Self::Killed => "was killed",
            Self::Crashed => "crashed",
        })
    }
}

/// A process that ended while the balancer still had requests in flight to it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InterruptedProcess {
    /// The instance's id.
    pub instance: String,
    /// The port that the process served.
    pub port: u16,
    /// When it ended.
    pub at: Timestamp,
    /// How it ended.
    pub end: ProcessEnd,
    /// How many requests were in flight to it then.
    pub in_flight: u64,
    /// How many of those have failed so far. The others had been answered already, and the
    /// balancer was only passing their last bytes on.
    pub failed: u64,
}
