//! Which target groups there are: asked for many at a time.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_sdk_elasticloadbalancingv2::{Client, types::TargetGroup as AwsTargetGroup};

use super::{
    elb, errors,
    gate::{Call, Deadline, Gate, Refusal},
};
use crate::{
    api::TargetGroupRef,
    cloud::{Caller, Error, batch::Batch},
    plan::FailureKind,
};

/// How many groups one request names: the most that AWS takes.
const GROUPS_IN_A_REQUEST: usize = 20;

/// As many groups as are remembered to have spoilt a request.
const SUSPECTS: usize = 4096;

/// The words of a release for a target group. A request has ARNs or names, and not both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Key {
    Arn(String),
    Name(String),
}

impl Key {
    fn of(group: &TargetGroupRef) -> Self {
        match (&group.arn, &group.name) {
            (Some(arn), _) => Self::Arn(arn.clone()),
            (None, name) => Self::Name(name.clone().unwrap_or_default()),
        }
    }

    /// Whether a group is the one that was asked for. One of another account has another ARN.
    fn is(&self, group: &AwsTargetGroup) -> bool {
        match self {
            Self::Arn(arn) => group.target_group_arn() == Some(arn),
            Self::Name(name) => group.target_group_name() == Some(name),
        }
    }

    fn thing(&self) -> String {
        let group = match self {
            Self::Arn(arn) => TargetGroupRef {
                arn: Some(arn.clone()),
                name: None,
            },
            Self::Name(name) => TargetGroupRef {
                arn: None,
                name: Some(name.clone()),
            },
        };
        format!("target group {}", group.name())
    }
}

type Found = HashMap<Key, Result<AwsTargetGroup, Error>>;

/// Describes target groups.
#[derive(Clone)]
pub(super) struct Groups {
    client: Client,
    gate: Arc<Gate>,
    by_arn: Arc<Batch<Key, AwsTargetGroup>>,
    by_name: Arc<Batch<Key, AwsTargetGroup>>,
    /// Groups that AWS did not know the last time. One of them spoils a request for all, so they
    /// are asked for one by one.
    suspects: Arc<Mutex<HashSet<Key>>>,
}

impl Groups {
    pub(super) fn new(client: Client, gate: Arc<Gate>) -> Self {
        Self {
            client,
            gate,
            by_arn: Arc::new(Batch::of(GROUPS_IN_A_REQUEST)),
            by_name: Arc::new(Batch::of(GROUPS_IN_A_REQUEST)),
            suspects: Arc::default(),
        }
    }

    /// The one group of this ARN or name.
    pub(super) async fn describe(
        &self,
        caller: &Caller,
        group: &TargetGroupRef,
        deadline: Deadline,
    ) -> Result<AwsTargetGroup, Error> {
        let key = Key::of(group);
        let batch = match &key {
            Key::Arn(_) => &self.by_arn,
            Key::Name(_) => &self.by_name,
        };
        let groups = self.clone();
        let read =
            move |caller: Caller, keys| async move { groups.read(&caller, keys, deadline).await };
        batch.get(key, caller, read).await
    }

    async fn read(&self, caller: &Caller, keys: Vec<Key>, deadline: Deadline) -> Found {
        let mut found = Found::new();
        let (alone, together): (Vec<Key>, Vec<Key>) = {
            let suspects = self.suspects();
            keys.into_iter().partition(|key| suspects.contains(key))
        };
        let mut open: VecDeque<Vec<Key>> = [together].into();
        open.extend(alone.into_iter().map(|key| vec![key]));
        while let Some(mut keys) = open.pop_front() {
            if keys.is_empty() {
                continue;
            }
            let refusal = match self.request(caller, &keys, deadline).await {
                Ok(listed) => {
                    found.extend(self.sort(caller, keys, &listed));
                    continue;
                }
                Err(refusal) => refusal,
            };
            let of_one = matches!(
                refusal.error.kind(),
                FailureKind::NotFound | FailureKind::Rejected
            );
            if of_one && keys.len() > 1 {
                let second = keys.split_off(keys.len().div_ceil(2));
                open.extend([keys, second]);
                continue;
            }
            let several = several(&keys);
            let asked = elb::read("DescribeTargetGroups", &several, caller);
            for key in keys {
                if of_one {
                    self.suspect(key.clone());
                }
                let thing = key.thing();
                let one = elb::read("DescribeTargetGroups", &thing, caller);
                let error = refusal.about(&asked, &one);
                found.insert(key, Err(error));
            }
        }
        found
    }

    /// What one request lists, on all its pages.
    async fn request(
        &self,
        caller: &Caller,
        keys: &[Key],
        deadline: Deadline,
    ) -> Result<Vec<AwsTargetGroup>, Refusal> {
        let thing = several(keys);
        let call = elb::read("DescribeTargetGroups", &thing, caller);
        let mut listed = Vec::new();
        let mut marker = None;
        loop {
            let mut request = self.client.describe_target_groups().set_marker(marker);
            for key in keys {
                request = match key {
                    Key::Arn(arn) => request.target_group_arns(arn),
                    Key::Name(name) => request.names(name),
                };
            }
            let page = self.gate.pass(&call, deadline, request.send()).await?;
            let groups = page
                .target_groups
                .ok_or_else(|| errors::incomplete(&call, "list of target groups"))?;
            listed.extend(groups);
            marker = page.next_marker.filter(|marker| !marker.is_empty());
            if marker.is_none() {
                break;
            }
        }
        let foreign = |group: &&AwsTargetGroup| !keys.iter().any(|key| key.is(group));
        if listed.iter().find(foreign).is_some() {
            return Err(errors::foreign(&call, "a target group that was not asked for").into());
        }
        Ok(listed)
    }

    fn sort(&self, caller: &Caller, keys: Vec<Key>, listed: &[AwsTargetGroup]) -> Found {
        let answer = |key: Key| {
            let mut all = listed.iter();
            let found = all.find(|group| key.is(group)).cloned();
            let found = found.ok_or_else(|| {
                let thing = key.thing();
                let call: Call<'_> = elb::read("DescribeTargetGroups", &thing, caller);
                self.suspect(key.clone());
                Error::new(
                    FailureKind::NotFound,
                    format!("{call}: there is no such target group; check its name and the region"),
                )
            });
            if found.is_ok() {
                self.suspects().remove(&key);
            }
            (key, found)
        };
        keys.into_iter().map(answer).collect()
    }

    fn suspect(&self, key: Key) {
        let mut suspects = self.suspects();
        if suspects.len() >= SUSPECTS {
            suspects.clear();
        }
        suspects.insert(key);
    }

    /// The map is whole at every point, so a panic elsewhere spoils nothing.
    fn suspects(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn several(keys: &[Key]) -> String {
    match keys {
        [one] => one.thing(),
        several => format!("{} target groups", several.len()),
    }
}
