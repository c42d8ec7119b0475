//! What the control plane tells the data plane, and what it hears back.
//!
//! The control plane publishes the truth as an immutable [`Topology`] whenever it changes. Each
//! node of a load balancer takes over a change after a delay of its own, as the nodes of a real
//! one do, and reports what its health checks saw. The two sides share nothing else.

use std::{net::IpAddr, net::SocketAddr, sync::Arc, time::Duration};

use jiff::Timestamp;

/// Everything that is configured at one instant. Published through a
/// `tokio::sync::watch` channel; `version` grows with every change.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Topology {
    /// Grows by one with every change.
    pub version: u64,
    /// All load balancers.
    pub load_balancers: Vec<LoadBalancer>,
    /// All target groups, whether or not a rule names them.
    pub target_groups: Vec<Arc<TargetGroup>>,
}

/// An Application Load Balancer.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadBalancer {
    /// Its ARN.
    pub arn: String,
    /// Its nodes, one for each zone. Each listens on its own address.
    pub nodes: Vec<Node>,
    /// Its listeners.
    pub listeners: Vec<Listener>,
    /// How long a connection may be silent on either side (`idle_timeout.timeout_seconds`).
    pub idle_timeout: Duration,
    /// How long a client's connection may be kept (`client_keep_alive.seconds`).
    pub client_keep_alive: Duration,
}

/// One node of a load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its zone.
    pub zone: String,
    /// The address that clients connect to, with a listener's port.
    pub address: IpAddr,
}

/// A listener for HTTP.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    /// Its ARN.
    pub arn: String,
    /// Its port, the same on every node.
    pub port: u16,
    /// Its rules in the order in which they are tried; the default rule, which has no
    /// condition, is the last.
    pub rules: Vec<Rule>,
}

/// A rule of a listener.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its ARN.
    pub arn: String,
    /// All of these must hold; none for the default rule.
    pub conditions: Vec<Condition>,
    /// What is done with a request.
    pub action: Action,
    /// For how long a client is sent to the target group that it was sent to before, if it is.
    pub sticky: Option<Duration>,
}

/// A condition of a rule: one of the patterns must match. `*` and `?` are wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// `path-pattern`.
    Path(Vec<String>),
    /// `host-header`.
    Host(Vec<String>),
}

/// What a rule does with a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Forward to one of the groups, at random by weight.
    Forward(Vec<WeightedGroup>),
    /// Answer at once.
    FixedResponse {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: String,
    },
}

/// A target group and its share in a forward action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightedGroup {
    /// The target group's ARN.
    pub target_group: String,
    /// 0 to 999; the share is this over the sum.
    pub weight: u16,
}

/// A target group.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetGroup {
    /// Its ARN.
    pub arn: String,
    /// How its targets are checked.
    pub health_check: HealthCheck,
    /// Below this many healthy targets a node sends to all of them ("fail open").
    pub minimum_healthy: u32,
    /// For how long a client is sent to the target that answered it, if it is.
    pub sticky: Option<Duration>,
    /// Its targets: every one that is registered or draining.
    pub targets: Vec<Target>,
}

/// A health check's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthCheck {
    /// The path asked for.
    pub path: String,
    /// The port asked; `None` is `traffic-port`.
    pub port: Option<u16>,
    /// The time between two checks of one node.
    pub interval: Duration,
    /// How long a node waits for the answer.
    pub timeout: Duration,
    /// Successes in a row that turn an unhealthy target healthy. A new target needs one only.
    pub healthy_threshold: u32,
    /// Failures in a row that turn a target unhealthy.
    pub unhealthy_threshold: u32,
    /// The HTTP statuses that are a success, as inclusive ranges.
    pub matcher: Vec<(u16, u16)>,
}

/// Which registration of which target. A target that is registered anew after it was gone gets
/// another `serial`: nodes cut off requests of the earlier registration and keep nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetKey {
    /// The instance's id.
    pub id: String,
    /// The port.
    pub port: u16,
    /// Counts registrations.
    pub serial: u64,
}

/// A registered or draining target.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Which it is.
    pub key: TargetKey,
    /// Counts the target's lives. A registration that is undrained keeps its key, as requests in
    /// flight go on, and begins another life: its health is open, and no check or report of an
    /// earlier life counts, even on a node that never learned of the drain.
    pub life: u64,
    /// Where it is reached.
    pub address: SocketAddr,
    /// Its zone.
    pub zone: String,
    /// Where it stands.
    pub phase: TargetPhase,
}

/// Where a target stands, as the control plane knows it. Whether it is healthy each node knows
/// for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetPhase {
    /// RegisterTargets was called; nodes neither check it nor send to it yet.
    Registering,
    /// Nodes check it, and send to it when it is healthy.
    Active,
    /// Nodes send nothing new. Requests in flight may go on until then.
    Draining {
        /// When the deregistration delay ends. What is in flight then is cut off.
        until: Timestamp,
    },
}

/// What one node's health checks say of one target. Sent on every change, and once at first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthReport {
    /// The node.
    pub node: IpAddr,
    /// The target group's ARN.
    pub target_group: String,
    /// The target.
    pub target: TargetKey,
    /// The target's life that was checked.
    pub life: u64,
    /// What the node thinks of it.
    pub health: NodeHealth,
}

/// A node's opinion of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeHealth {
    /// It passed.
    Healthy,
    /// It failed.
    Unhealthy(HealthFailure),
}

/// Why a health check failed; each is one reason code of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthFailure {
    /// `Target.ResponseCodeMismatch`.
    Status(u16),
    /// `Target.Timeout`.
    Timeout,
    /// `Target.FailedHealthChecks`: no connection, or a broken answer.
    Failed,
}
