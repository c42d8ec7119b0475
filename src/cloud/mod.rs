//! The edge to AWS.
//!
//! [`Cloud`] has verbs of this domain and errors of this domain. AWS types, error codes and
//! clients stop in `aws/`; nothing outside this folder names them.

mod error;

use std::{collections::BTreeMap, future::Future};

pub use error::Error;

use crate::{
    api::{Duration, InstanceSelector, TargetGroupRef, Time},
    plan::{CommandState, Health, Instance, LoadBalancerKind, SendCommand, TargetId},
};

/// The ARN of a target group, as AWS gave it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetGroupArn(pub String);

impl std::fmt::Display for TargetGroupArn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a target group is, apart from its targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetGroup {
    /// Its ARN.
    pub arn: TargetGroupArn,
    /// Its name.
    pub name: String,
    /// The kind of load balancer that it is for.
    pub load_balancer: LoadBalancerKind,
    /// Whether its targets are instances.
    pub instance_targets: bool,
    /// Whether a load balancer uses it.
    pub in_use: bool,
    /// `deregistration_delay.timeout_seconds`.
    pub delay: Duration,
    /// `HealthCheckIntervalSeconds`.
    pub health_interval: Duration,
}

/// One account and region of AWS, in the words of this domain.
///
/// Every call ends within the operation timeout. An effect whose call failed with
/// [`FailureKind::Unavailable`](crate::plan::FailureKind::Unavailable) may have happened; with any
/// other kind it has not. All effects are safe to repeat.
pub trait Cloud: Send + Sync + 'static {
    /// The instances that carry all of the selector's tags, in any state. `version_tag` names the
    /// tag whose value becomes [`Instance::version`].
    fn instances(
        &self,
        selector: &InstanceSelector,
        version_tag: Option<&str>,
    ) -> impl Future<Output = Result<Vec<Instance>, Error>> + Send;

    /// A target group and its attributes, by ARN or by name.
    fn target_group(
        &self,
        group: &TargetGroupRef,
    ) -> impl Future<Output = Result<TargetGroup, Error>> + Send;

    /// The health of every target that is listed in a group. The reading begins after this call
    /// does: it sees every effect that ended before.
    fn target_health(
        &self,
        group: &TargetGroupArn,
    ) -> impl Future<Output = Result<BTreeMap<TargetId, Health>, Error>> + Send;

    /// Registers targets, each with its id and its port.
    fn register(
        &self,
        group: &TargetGroupArn,
        targets: &[TargetId],
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Deregisters targets, each with its id and its port: without the port AWS answers 200 and
    /// does nothing.
    fn deregister(
        &self,
        group: &TargetGroupArn,
        targets: &[TargetId],
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Sends a command to hosts. Its operation id goes into the comment.
    fn send(&self, command: &SendCommand) -> impl Future<Output = Result<(), Error>> + Send;

    /// What became of the command with this operation id, which was sent after `since`. Where a
    /// command was sent twice, the outcome is that of the first that ended on each host.
    fn command(
        &self,
        operation: &str,
        since: Time,
    ) -> impl Future<Output = Result<CommandState, Error>> + Send;

    /// Terminates instances.
    fn terminate(&self, instances: &[String]) -> impl Future<Output = Result<(), Error>> + Send;
}
