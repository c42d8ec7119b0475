//! The adapter to AWS: the only folder that names the AWS SDK.
//!
//! A file for each service turns domain verbs into requests and answers into domain values.
//! [`errors`] is the only place that knows AWS's error codes. An answer that lacks something is an
//! error: nothing is guessed, because what is missing would be taken for "absent".

mod answer;
mod checked;
mod clouds;
mod config;
mod ec2;
mod elb;
mod errors;
mod gate;
mod groups;
mod halves;
mod hosts;
mod http;
mod outcome;
mod regions;
mod sent;
mod settings;
mod ssm;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use aws_config::SdkConfig;

pub use clouds::Clouds;
pub use config::{ATTEMPT_TIMEOUT, AwsSettings};
pub use outcome::parse_stop_report;

use self::{
    ec2::Ec2,
    elb::Elb,
    gate::{Deadline, Gate},
    ssm::Ssm,
};
use super::{Budgets, Caller, Cloud, Error, Listed, Observer, TargetGroup, TargetGroupArn};
use crate::{
    api::{InstanceSelector, TargetGroupRef, Time},
    plan::{CommandState, Document, Instance, Pace, SendCommand, TargetId},
};

/// One account and region of AWS, over the AWS SDK.
///
/// [`Clouds`] builds it.
pub struct AwsCloud {
    elb: Elb,
    ec2: Ec2,
    ssm: Ssm,
    gate: Arc<Gate>,
}

impl AwsCloud {
    fn new(config: &SdkConfig, budgets: Budgets, observer: Arc<dyn Observer>) -> Self {
        let gate = Arc::new(Gate::new(budgets, observer));
        Self {
            elb: Elb::new(config, Arc::clone(&gate)),
            ec2: Ec2::new(config, Arc::clone(&gate)),
            ssm: Ssm::new(config, Arc::clone(&gate)),
            gate,
        }
    }
}

impl Cloud for AwsCloud {
    async fn instances(
        &self,
        caller: &Caller,
        selector: &InstanceSelector,
        version_tag: Option<&str>,
        _: Option<Duration>,
    ) -> Result<Vec<Instance>, Error> {
        self.ec2
            .instances(caller, selector, version_tag, Deadline::begin())
            .await
    }

    fn arn(&self, group: &TargetGroupRef) -> Option<TargetGroupArn> {
        group.arn.clone().map(TargetGroupArn)
    }

    async fn target_group(
        &self,
        caller: &Caller,
        group: &TargetGroupRef,
        _: Option<Duration>,
    ) -> Result<TargetGroup, Error> {
        self.elb
            .target_group(caller, group, Deadline::begin())
            .await
    }

    async fn target_health(
        &self,
        caller: &Caller,
        group: &TargetGroupArn,
    ) -> Result<Listed, Error> {
        self.elb
            .target_health(caller, group, Deadline::begin())
            .await
    }

    async fn agents(
        &self,
        caller: &Caller,
        instances: &[String],
    ) -> Result<BTreeSet<String>, Error> {
        self.ssm.agents(caller, instances, Deadline::begin()).await
    }

    async fn document(&self, caller: &Caller, name: &str) -> Result<Document, Error> {
        self.ssm.document(caller, name, Deadline::begin()).await
    }

    fn pace(&self) -> Pace {
        self.gate.pace()
    }

    async fn register(
        &self,
        caller: &Caller,
        group: &TargetGroupArn,
        targets: &[TargetId],
    ) -> Result<(), Error> {
        self.elb
            .register(caller, group, targets, Deadline::begin())
            .await
    }

    async fn deregister(
        &self,
        caller: &Caller,
        group: &TargetGroupArn,
        targets: &[TargetId],
    ) -> Result<(), Error> {
        self.elb
            .deregister(caller, group, targets, Deadline::begin())
            .await
    }

    async fn send(&self, caller: &Caller, command: &SendCommand) -> Result<(), Error> {
        self.ssm.send(caller, command, Deadline::begin()).await
    }

    async fn command(
        &self,
        caller: &Caller,
        operation: &str,
        since: Time,
    ) -> Result<CommandState, Error> {
        self.ssm
            .command(caller, operation, since, Deadline::begin())
            .await
    }

    async fn terminate(&self, caller: &Caller, instances: &[String]) -> Result<(), Error> {
        self.ec2
            .terminate(caller, instances, Deadline::begin())
            .await
    }
}
