//! The adapter to AWS: the only folder that names the AWS SDK.
//!
//! A file for each service turns domain verbs into requests and answers into domain values.
//! [`errors`] is the only place that knows AWS's error codes. An answer that lacks something is an
//! error: nothing is guessed, because what is missing would be taken for "absent".

mod clouds;
mod config;
mod ec2;
mod elb;
mod errors;
mod gate;
mod http;
mod outcome;
mod sent;
mod ssm;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

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
use super::{Budgets, Cloud, Error, Observer, TargetGroup, TargetGroupArn};
use crate::{
    api::{InstanceSelector, TargetGroupRef, Time},
    plan::{CommandState, Health, Instance, SendCommand, TargetId},
};

/// One account and region of AWS, over the AWS SDK.
///
/// [`Clouds`] builds it.
pub struct AwsCloud {
    elb: Elb,
    ec2: Ec2,
    ssm: Ssm,
}

impl AwsCloud {
    fn new(config: &SdkConfig, budgets: Budgets, observer: Arc<dyn Observer>) -> Self {
        let gate = Arc::new(Gate::new(budgets, observer));
        Self {
            elb: Elb::new(config, Arc::clone(&gate)),
            ec2: Ec2::new(config, Arc::clone(&gate)),
            ssm: Ssm::new(config, gate),
        }
    }
}

impl Cloud for AwsCloud {
    async fn instances(
        &self,
        selector: &InstanceSelector,
        version_tag: Option<&str>,
    ) -> Result<Vec<Instance>, Error> {
        self.ec2
            .instances(selector, version_tag, Deadline::begin())
            .await
    }

    fn arn(&self, group: &TargetGroupRef) -> Option<TargetGroupArn> {
        group.arn.clone().map(TargetGroupArn)
    }

    async fn target_group(&self, group: &TargetGroupRef) -> Result<TargetGroup, Error> {
        self.elb.target_group(group, Deadline::begin()).await
    }

    async fn target_health(
        &self,
        group: &TargetGroupArn,
    ) -> Result<BTreeMap<TargetId, Health>, Error> {
        self.elb.target_health(group, Deadline::begin()).await
    }

    async fn register(&self, group: &TargetGroupArn, targets: &[TargetId]) -> Result<(), Error> {
        self.elb.register(group, targets, Deadline::begin()).await
    }

    async fn deregister(&self, group: &TargetGroupArn, targets: &[TargetId]) -> Result<(), Error> {
        self.elb.deregister(group, targets, Deadline::begin()).await
    }

    async fn send(&self, command: &SendCommand) -> Result<(), Error> {
        self.ssm.send(command, Deadline::begin()).await
    }

    async fn command(&self, operation: &str, since: Time) -> Result<CommandState, Error> {
        self.ssm.command(operation, since, Deadline::begin()).await
    }

    async fn terminate(&self, instances: &[String]) -> Result<(), Error> {
        self.ec2.terminate(instances, Deadline::begin()).await
    }
}
