//! The controller's edge, asked as a release in progress asks it.

use std::{collections::BTreeMap, collections::BTreeSet, sync::Arc};

use bluegreen::{
    api::{InstanceSelector, TargetGroupRef, Time},
    cloud::{Caller, Cloud, Error, Shared, TargetGroup, TargetGroupArn, Urgency, aws::AwsCloud},
    plan::{CommandState, Document, Health, Instance, SendCommand, TargetId},
};

/// A cloud and a caller.
pub(super) struct Edge {
    cloud: Arc<Shared<AwsCloud>>,
    caller: Caller,
}

impl Edge {
    pub(super) fn of(cloud: Arc<Shared<AwsCloud>>) -> Self {
        Self {
            cloud,
            caller: Caller::new("shop", Urgency::InProgress),
        }
    }

    pub(super) async fn instances(
        &self,
        selector: &InstanceSelector,
        version_tag: Option<&str>,
    ) -> Result<Vec<Instance>, Error> {
        self.cloud
            .instances(&self.caller, selector, version_tag, None)
            .await
    }

    pub(super) async fn target_group(&self, group: &TargetGroupRef) -> Result<TargetGroup, Error> {
        self.cloud.target_group(&self.caller, group, None).await
    }

    pub(super) async fn target_health(
        &self,
        group: &TargetGroupArn,
    ) -> Result<BTreeMap<TargetId, Health>, Error> {
        let listed = self.cloud.target_health(&self.caller, group).await?;
        Ok(listed.targets)
    }

    pub(super) async fn agents(&self, instances: &[String]) -> Result<BTreeSet<String>, Error> {
        self.cloud.agents(&self.caller, instances).await
    }

    pub(super) async fn document(&self, name: &str) -> Result<Document, Error> {
        self.cloud.document(&self.caller, name).await
    }

    pub(super) async fn register(
        &self,
        group: &TargetGroupArn,
        targets: &[TargetId],
    ) -> Result<(), Error> {
        self.cloud.register(&self.caller, group, targets).await
    }

    pub(super) async fn deregister(
        &self,
        group: &TargetGroupArn,
        targets: &[TargetId],
    ) -> Result<(), Error> {
        self.cloud.deregister(&self.caller, group, targets).await
    }

    pub(super) async fn send(&self, command: &SendCommand) -> Result<(), Error> {
        self.cloud.send(&self.caller, command).await
    }

    pub(super) async fn command(
        &self,
        operation: &str,
        since: Time,
    ) -> Result<CommandState, Error> {
        self.cloud.command(&self.caller, operation, since).await
    }

    pub(super) async fn terminate(&self, instances: &[String]) -> Result<(), Error> {
        self.cloud.terminate(&self.caller, instances).await
    }
}
