//! A cloud that many releases ask the same things at the same time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Cloud, Error, TargetGroup, TargetGroupArn, coalesce::Coalesce, kept::Kept};
use crate::{
    api::{InstanceSelector, TargetGroupRef, Time},
    plan::{CommandState, Health, Instance, SendCommand, TargetId},
};

/// How long a target group's description is good for.
///
/// A description is two requests, and every pass of every release needs it. It changes only when
/// a person or a pipeline changes it, and nothing in it proves a drain: the drain's evidence is
/// the reading of the targets, which is never kept. Half a minute is as fresh as a person needs
/// who waits for the controller to notice a new setting.
const DESCRIPTION_KEPT: Duration = Duration::from_secs(30);

/// How long a reading of the instances is good for.
///
/// A pass looks at the targets' health again and again within seconds, while the fleet they are on
/// hardly ever changes: asking for it each time would double the calls. Nothing in it proves a
/// drain. Ten seconds are less than the time after which a stalled release looks again.
const FLEET_KEPT: Duration = Duration::from_secs(10);

/// Coalesces the reads of many callers.
///
/// There is at most one `target_health` for each group under way, and one `instances` for each
/// selector. A caller gets a reading of targets that began after it asked; so it may wait for the one under
/// way to end first, and a read through this takes up to twice the operation timeout. Effects and
/// questions about commands pass through.
///
/// Reads run in tasks of their own, on the runtime of the caller.
#[derive(Debug)]
pub struct Shared<C> {
    cloud: Arc<C>,
    instances: Coalesce<(InstanceSelector, Option<String>), Vec<Instance>>,
    health: Coalesce<TargetGroupArn, BTreeMap<TargetId, Health>>,
    groups: Coalesce<TargetGroupRef, TargetGroup>,
    descriptions: Kept<TargetGroupRef, TargetGroup>,
    fleets: Kept<(InstanceSelector, Option<String>), Vec<Instance>>,
}

impl<C: Cloud> Shared<C> {
    /// Shares a cloud.
    #[must_use]
    pub fn new(cloud: C) -> Self {
        Self {
            cloud: Arc::new(cloud),
            instances: Coalesce::default(),
            health: Coalesce::default(),
            groups: Coalesce::default(),
            descriptions: Kept::for_duration(DESCRIPTION_KEPT),
            fleets: Kept::for_duration(FLEET_KEPT),
        }
    }
}

impl<C: Cloud> Cloud for Shared<C> {
    async fn instances(
        &self,
        selector: &InstanceSelector,
        version_tag: Option<&str>,
    ) -> Result<Vec<Instance>, Error> {
        let key = (selector.clone(), version_tag.map(str::to_owned));
        let now = Instant::now();
        if let Some(kept) = self.fleets.get(&key) {
            return Ok(kept);
        }
        let (cloud, asked) = (Arc::clone(&self.cloud), key.clone());
        let read = move || {
            let (cloud, (selector, tag)) = (Arc::clone(&cloud), asked.clone());
            async move { cloud.instances(&selector, tag.as_deref()).await }
        };
        let fleet = self.instances.get(&key, read).await?;
        self.fleets.put(key, now, fleet.clone());
        Ok(fleet)
    }

    fn arn(&self, group: &TargetGroupRef) -> Option<TargetGroupArn> {
        let kept = || self.descriptions.last(group).map(|found| found.arn);
        self.cloud.arn(group).or_else(kept)
    }

    async fn target_group(&self, group: &TargetGroupRef) -> Result<TargetGroup, Error> {
        let now = Instant::now();
        if let Some(kept) = self.descriptions.get(group) {
            return Ok(kept);
        }
        let (cloud, reference) = (Arc::clone(&self.cloud), group.clone());
        let read = move || {
            let (cloud, group) = (Arc::clone(&cloud), reference.clone());
            async move { cloud.target_group(&group).await }
        };
        let description = self.groups.get(group, read).await?;
        self.descriptions
            .put(group.clone(), now, description.clone());
        Ok(description)
    }

    async fn target_health(
        &self,
        group: &TargetGroupArn,
    ) -> Result<BTreeMap<TargetId, Health>, Error> {
        let (cloud, arn) = (Arc::clone(&self.cloud), group.clone());
        let read = move || {
            let (cloud, arn) = (Arc::clone(&cloud), arn.clone());
            async move { cloud.target_health(&arn).await }
        };
        self.health.get(group, read).await
    }

    async fn register(&self, group: &TargetGroupArn, targets: &[TargetId]) -> Result<(), Error> {
        self.cloud.register(group, targets).await
    }

    async fn deregister(&self, group: &TargetGroupArn, targets: &[TargetId]) -> Result<(), Error> {
        self.cloud.deregister(group, targets).await
    }

    async fn send(&self, command: &SendCommand) -> Result<(), Error> {
        self.cloud.send(command).await
    }

    async fn command(&self, operation: &str, since: Time) -> Result<CommandState, Error> {
        self.cloud.command(operation, since).await
    }

    async fn terminate(&self, instances: &[String]) -> Result<(), Error> {
        let result = self.cloud.terminate(instances).await;
        self.fleets.forget();
        result
    }
}
