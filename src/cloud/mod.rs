//! The edge to AWS.
//!
//! [`Cloud`] has verbs of this domain and errors of this domain. AWS types, error codes and
//! clients stop in [`aws`]; nothing outside that folder names them, and a test reads the files to
//! make sure.
//!
//! Nothing in here decides anything: a failed read stays a failure, an ambiguous one says so.

pub mod aws;
mod batch;
mod budget;
mod caller;
mod coalesce;
mod error;
mod kept;
mod missing;
mod observer;
mod shared;

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    time,
};

pub use budget::{Budget, Budgets};
pub use caller::{Caller, Urgency};
pub use error::Error;
pub use observer::Observer;
pub use shared::Shared;

use crate::{
    api::{Duration, InstanceSelector, TargetGroupRef, Time},
    plan::{
        CommandState, Document, GroupSettings, Health, Instance, LoadBalancerKind, Pace,
        SendCommand, TargetId,
    },
};

/// How long a verb of [`Cloud`] takes at most, waiting for the rate budget included.
///
/// ELB has no fence: nothing in its API refuses a request of a leader that was deposed
/// meanwhile. So the planner relies on this number instead. An effect that was begun at some
/// instant is either with AWS this much later, or will never be: its request is dropped. Two
/// readings that are further apart than this see every effect of a predecessor that died before
/// the first.
///
/// 5 s is long against what AWS takes (tens to hundreds of milliseconds) and short against the
/// waits that it adds to.
pub const OPERATION_TIMEOUT: time::Duration = time::Duration::from_secs(5);

/// What metrics and traces call a request that was answered, beside [`Error::category`] for one
/// that failed.
pub(crate) const ENDED_WELL: &str = "ok";

/// What they call a request whose answer nobody waits for any more.
pub(crate) const CANCELLED: &str = "cancelled";

/// The ARN of a target group, as AWS gave it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetGroupArn(pub String);

impl TargetGroupArn {
    /// What a person would call the group: the last but one part of the ARN is its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split('/').nth(1).unwrap_or(&self.0)
    }
}

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
    /// The other settings that the planner rests on.
    pub settings: GroupSettings,
}

/// What a target group lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listed {
    /// The targets. One that is not here is not registered.
    pub targets: BTreeMap<TargetId, Health>,
    /// What the load balancer says of those that are not healthy, at most 256 bytes each.
    pub reasons: BTreeMap<TargetId, String>,
}

/// One account and region of AWS, in the words of this domain.
///
/// Every verb ends within [`OPERATION_TIMEOUT`]. An effect whose call failed with
/// [`FailureKind::Unavailable`](crate::plan::FailureKind::Unavailable) may have happened; any
/// other kind means that AWS refused the request, or that it was never sent. An effect on more
/// things than one request may carry is sent as several requests, and so is one that AWS refuses
/// for the sake of some of the things: when it fails, it may have happened to the others, and the
/// message names those that it failed for. All effects are safe to repeat.
pub trait Cloud: Send + Sync + 'static {
    /// The instances that carry all of the selector's tags, in any state. `version_tag` names the
    /// tag whose value becomes [`Instance::version`]. The reading may be `may_be_old`, or as old as
    /// the cloud keeps readings where that is `None`.
    fn instances(
        &self,
        caller: &Caller,
        selector: &InstanceSelector,
        version_tag: Option<&str>,
        may_be_old: Option<time::Duration>,
    ) -> impl Future<Output = Result<Vec<Instance>, Error>> + Send;

    /// The ARN of a target group as far as it is known without asking. It may be out of date: a
    /// name can be given to another group. Only [`Cloud::target_group`] tells.
    fn arn(&self, group: &TargetGroupRef) -> Option<TargetGroupArn>;

    /// A target group and its attributes, by ARN or by name. `may_be_old` as for
    /// [`Cloud::instances`].
    fn target_group(
        &self,
        caller: &Caller,
        group: &TargetGroupRef,
        may_be_old: Option<time::Duration>,
    ) -> impl Future<Output = Result<TargetGroup, Error>> + Send;

    /// Every target that is listed in a group. The reading begins after this call does: it is asked
    /// for when every effect that ended before has ended.
    fn target_health(
        &self,
        caller: &Caller,
        group: &TargetGroupArn,
    ) -> impl Future<Output = Result<Listed, Error>> + Send;

    /// Those of these instances whose SSM agent is online.
    fn agents(
        &self,
        caller: &Caller,
        instances: &[String],
    ) -> impl Future<Output = Result<BTreeSet<String>, Error>> + Send;

    /// An SSM document, by its name.
    fn document(
        &self,
        caller: &Caller,
        name: &str,
    ) -> impl Future<Output = Result<Document, Error>> + Send;

    /// How often the budget of calls allows to look at targets that are withdrawn.
    fn pace(&self) -> Pace;

    /// Registers targets, each with its id and its port.
    fn register(
        &self,
        caller: &Caller,
        group: &TargetGroupArn,
        targets: &[TargetId],
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Deregisters targets, each with its id and its port: without the port AWS answers 200 and
    /// does nothing. A target whose instance does not exist any more is as good as deregistered.
    fn deregister(
        &self,
        caller: &Caller,
        group: &TargetGroupArn,
        targets: &[TargetId],
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Sends a command to hosts. Its operation id goes into the comment.
    fn send(
        &self,
        caller: &Caller,
        command: &SendCommand,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// What became of the command with this operation id, which was sent after `since`. Where a
    /// command was sent twice, the outcome is that of the first that ended on each host.
    fn command(
        &self,
        caller: &Caller,
        operation: &str,
        since: Time,
    ) -> impl Future<Output = Result<CommandState, Error>> + Send;

    /// Terminates instances. One that does not exist any more is as good as terminated.
    fn terminate(
        &self,
        caller: &Caller,
        instances: &[String],
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    /// The crates that only `cloud/aws` may name, without their separators so that this list
    /// does not find itself.
    const CRATES: [&str; 5] = ["sdk", "config", "smithy", "types", "credential"];

    #[test]
    fn only_the_adapter_names_aws_crates() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut folders = vec![source.clone()];
        let mut read = 0;
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path == source.join("cloud/aws") {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = fs::read_to_string(&path).unwrap();
                read += 1;
                for name in CRATES {
                    assert!(
                        !text.contains(&format!("aws_{name}")),
                        "{} names a crate of AWS; keep it in src/cloud/aws",
                        path.display()
                    );
                }
            }
        }
        assert!(read > 10, "only {read} files were found");
    }
}
