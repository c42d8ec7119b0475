//! A cloud that many releases ask the same things at the same time.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Caller, Cloud, Error, Listed, TargetGroup, TargetGroupArn, coalesce::Coalesce, kept::Kept,
    missing::Missing,
};
use crate::{
    api::{InstanceSelector, TargetGroupRef, Time},
    plan::{CommandState, Document, Instance, Pace, SendCommand, TargetId},
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

/// How long the answers of Systems Manager on agents and documents are good for: they are asked
/// before a host is withdrawn, and AWS itself learns of an agent that is gone only after minutes.
const HOSTS_KEPT: Duration = Duration::from_secs(30);

/// Instances by the selector and the tag of their version.
type Fleet = (InstanceSelector, Option<String>);

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
    instances: Coalesce<Fleet, Vec<Instance>>,
    health: Coalesce<TargetGroupArn, Listed>,
    groups: Coalesce<TargetGroupRef, TargetGroup>,
    agents: Coalesce<Vec<String>, BTreeSet<String>>,
    documents: Coalesce<String, Document>,
    descriptions: Kept<TargetGroupRef, TargetGroup>,
    fleets: Kept<Fleet, Vec<Instance>>,
    online: Kept<Vec<String>, BTreeSet<String>>,
    described: Kept<String, Document>,
    missing_groups: Missing<TargetGroupRef>,
    missing_arns: Missing<TargetGroupArn>,
    missing_documents: Missing<String>,
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
            agents: Coalesce::default(),
            documents: Coalesce::default(),
            descriptions: Kept::for_duration(DESCRIPTION_KEPT),
            fleets: Kept::for_duration(FLEET_KEPT),
            online: Kept::for_duration(HOSTS_KEPT),
            described: Kept::for_duration(HOSTS_KEPT),
            missing_groups: Missing::default(),
            missing_arns: Missing::default(),
            missing_documents: Missing::default(),
        }
    }
}

impl<C: Cloud> Cloud for Shared<C> {
    async fn instances(
        &self,
        caller: &Caller,
        selector: &InstanceSelector,
        version_tag: Option<&str>,
        may_be_old: Option<Duration>,
    ) -> Result<Vec<Instance>, Error> {
        let key = (selector.clone(), version_tag.map(str::to_owned));
        let now = Instant::now();
        if let Some(kept) = self.fleets.get(&key, may_be_old) {
            return Ok(kept);
        }
        let (cloud, asked) = (Arc::clone(&self.cloud), key.clone());
        let read = move |caller| {
            let (cloud, (selector, tag)) = (Arc::clone(&cloud), asked.clone());
            async move {
                cloud
                    .instances(&caller, &selector, tag.as_deref(), None)
                    .await
            }
        };
        let fleet = self.instances.get(&key, caller, read).await?;
        self.fleets.put(key, now, fleet.clone());
        Ok(fleet)
    }

    fn arn(&self, group: &TargetGroupRef) -> Option<TargetGroupArn> {
        let kept = || self.descriptions.last(group).map(|found| found.arn);
        self.cloud.arn(group).or_else(kept)
    }

    async fn target_group(
        &self,
        caller: &Caller,
        group: &TargetGroupRef,
        may_be_old: Option<Duration>,
    ) -> Result<TargetGroup, Error> {
        let now = Instant::now();
        if let Some(kept) = self.descriptions.get(group, may_be_old) {
            return Ok(kept);
        }
        self.missing_groups.check(group)?;
        let (cloud, reference) = (Arc::clone(&self.cloud), group.clone());
        let read = move |caller| {
            let (cloud, group) = (Arc::clone(&cloud), reference.clone());
            async move { cloud.target_group(&caller, &group, None).await }
        };
        let answer = self.groups.get(group, caller, read).await;
        self.missing_groups.note(group, &answer);
        let description = answer?;
        self.descriptions
            .put(group.clone(), now, description.clone());
        Ok(description)
    }

    async fn target_health(
        &self,
        caller: &Caller,
        group: &TargetGroupArn,
    ) -> Result<Listed, Error> {
        self.missing_arns.check(group)?;
        let (cloud, arn) = (Arc::clone(&self.cloud), group.clone());
        let read = move |caller| {
            let (cloud, arn) = (Arc::clone(&cloud), arn.clone());
            async move { cloud.target_health(&caller, &arn).await }
        };
        let answer = self.health.get(group, caller, read).await;
        self.missing_arns.note(group, &answer);
        answer
    }

    async fn agents(
        &self,
        caller: &Caller,
        instances: &[String],
    ) -> Result<BTreeSet<String>, Error> {
        let mut key = instances.to_vec();
        key.sort();
        key.dedup();
        let now = Instant::now();
        if let Some(kept) = self.online.get(&key, None) {
            return Ok(kept);
        }
        let (cloud, asked) = (Arc::clone(&self.cloud), key.clone());
        let read = move |caller| {
            let (cloud, instances) = (Arc::clone(&cloud), asked.clone());
            async move { cloud.agents(&caller, &instances).await }
        };
        let online = self.agents.get(&key, caller, read).await?;
        self.online.put(key, now, online.clone());
        Ok(online)
    }

    async fn document(&self, caller: &Caller, name: &str) -> Result<Document, Error> {
        let key = name.to_owned();
        let now = Instant::now();
        if let Some(kept) = self.described.get(&key, None) {
            return Ok(kept);
        }
        self.missing_documents.check(&key)?;
        let (cloud, asked) = (Arc::clone(&self.cloud), key.clone());
        let read = move |caller| {
            let (cloud, name) = (Arc::clone(&cloud), asked.clone());
            async move { cloud.document(&caller, &name).await }
        };
        let answer = self.documents.get(&key, caller, read).await;
        self.missing_documents.note(&key, &answer);
        let document = answer?;
        self.described.put(key, now, document.clone());
        Ok(document)
    }

    fn pace(&self) -> Pace {
        self.cloud.pace()
    }

    async fn register(
        &self,
        caller: &Caller,
        group: &TargetGroupArn,
        targets: &[TargetId],
    ) -> Result<(), Error> {
        self.cloud.register(caller, group, targets).await
    }

    async fn deregister(
        &self,
        caller: &Caller,
        group: &TargetGroupArn,
        targets: &[TargetId],
    ) -> Result<(), Error> {
        self.cloud.deregister(caller, group, targets).await
    }

    async fn send(&self, caller: &Caller, command: &SendCommand) -> Result<(), Error> {
        self.cloud.send(caller, command).await
    }

    async fn command(
        &self,
        caller: &Caller,
        operation: &str,
        since: Time,
    ) -> Result<CommandState, Error> {
        self.cloud.command(caller, operation, since).await
    }

    async fn terminate(&self, caller: &Caller, instances: &[String]) -> Result<(), Error> {
        let result = self.cloud.terminate(caller, instances).await;
        self.fleets.forget();
        result
    }
}
