//! EC2: instances.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_config::SdkConfig;
use aws_sdk_ec2::{
    Client,
    types::{Filter, Instance as AwsInstance, InstanceStateName},
};

use super::{
    errors::{self, INSTANCE_NOT_FOUND},
    gate::{Call, Deadline, Gate, Refusal},
    halves::{Halves, Verdict},
};
use crate::{
    api::InstanceSelector,
    cloud::{Budget, Caller, Error, error::cut},
    plan::{Instance, InstanceState},
};

/// How many instances a page holds: the most that AWS allows. A request without it counts
/// against a much smaller limit.
const INSTANCES_ON_A_PAGE: i32 = 1000;

/// How many instances one request terminates. AWS takes up to 1000, and refuses all where it
/// does not know one.
const INSTANCES_IN_A_REQUEST: usize = 100;

/// As many instances as their zone is remembered of.
const INSTANCES_REMEMBERED: usize = 20_000;

/// No id of an instance is longer, and no name of a zone.
const LONGEST_ID: usize = 64;

/// The longest value of a tag, in characters, as AWS has it. In bytes that is four times as much.
const LONGEST_TAG: usize = 4 * 256;

/// How much a message shows of a selector.
const SELECTOR_SHOWN: usize = 256;

/// The verbs that EC2 answers.
pub(super) struct Ec2 {
    client: Client,
    gate: Arc<Gate>,
    zones: Zones,
}

impl Ec2 {
    pub(super) fn new(config: &SdkConfig, gate: Arc<Gate>) -> Self {
        Self {
            client: Client::new(config),
            gate,
            zones: Zones::default(),
        }
    }

    /// In order of their ids, so that two readings of the same fleet are equal.
    pub(super) async fn instances(
        &self,
        caller: &Caller,
        selector: &InstanceSelector,
        version_tag: Option<&str>,
        deadline: Deadline,
    ) -> Result<Vec<Instance>, Error> {
        let thing = describe(selector);
        let call = Call {
            service: "ec2",
            operation: "DescribeInstances",
            budget: Budget::Ec2Read,
            thing: &thing,
            caller,
        };
        let mut instances = Vec::new();
        let mut token = None;
        loop {
            let request = self
                .client
                .describe_instances()
                .set_filters(Some(filters(selector)))
                .max_results(INSTANCES_ON_A_PAGE)
                .set_next_token(token);
            let page = self.gate.pass(&call, deadline, request.send()).await?;
            let reservations = page
                .reservations
                .as_deref()
                .ok_or_else(|| errors::incomplete(&call, "list of instances"))?;
            let listed = reservations.iter().flat_map(|some| some.instances());
            for instance in listed.filter(|instance| matches(selector, instance)) {
                instances.push(
                    read(instance, version_tag)
                        .ok_or_else(|| errors::incomplete(&call, "id and state"))?,
                );
            }
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                break;
            }
        }
        instances.sort_by(|one, other| one.id.cmp(&other.id));
        // An instance that changes while the pages are turned can be on two of them.
        instances.dedup_by(|one, other| one.id == other.id);
        self.zones.note(&instances);
        Ok(instances)
    }

    pub(super) async fn terminate(
        &self,
        caller: &Caller,
        instances: &[String],
        deadline: Deadline,
    ) -> Result<(), Error> {
        let send = async |instances: Vec<String>| {
            let thing = match &instances[..] {
                [one] => format!("instance {one}"),
                several => format!("{} instances", several.len()),
            };
            let call = Call {
                service: "ec2",
                operation: "TerminateInstances",
                budget: Budget::Ec2Terminate,
                thing: &thing,
                caller,
            };
            let request = self
                .client
                .terminate_instances()
                .set_instance_ids(Some(instances));
            let sent = self.gate.pass(&call, deadline, request.send()).await;
            sent.map(drop)
        };
        // AWS forgets an instance an hour after its end: it is as good as terminated.
        let verdict = |_: &[String], refusal: &Refusal| {
            if refusal.is(INSTANCE_NOT_FOUND) {
                Verdict::Done
            } else {
                Verdict::of_kind(refusal.error.kind())
            }
        };
        // One that is protected spares all of its zone, and the others are terminated.
        let split = |instances: &[String], _: &Refusal| self.zones.split(instances);
        Halves::of(instances, INSTANCES_IN_A_REQUEST)
            .send(String::as_str, send, verdict, split)
            .await
    }
}

/// The zones of instances, as they were read last.
#[derive(Debug, Default)]
struct Zones(Mutex<HashMap<String, String>>);

impl Zones {
    fn zones(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, instances: &[Instance]) {
        let mut zones = self.zones();
        if zones.len() + instances.len() > INSTANCES_REMEMBERED {
            zones.clear();
        }
        let new = instances.iter().take(INSTANCES_REMEMBERED);
        zones.extend(new.map(|one| (one.id.clone(), one.zone.clone())));
    }

    /// By zone, where they are in several.
    fn split(&self, instances: &[String]) -> Option<Vec<Vec<String>>> {
        let zones = self.zones();
        let mut by_zone: BTreeMap<Option<&String>, Vec<String>> = BTreeMap::new();
        for id in instances {
            by_zone.entry(zones.get(id)).or_default().push(id.clone());
        }
        (by_zone.len() > 1).then(|| by_zone.into_values().collect())
    }
}

fn describe(selector: &InstanceSelector) -> String {
    let tags: Vec<String> = selector
        .tags
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let tags = cut(tags.join(", "), SELECTOR_SHOWN);
    format!("instances with tags {tags}")
}

fn filters(selector: &InstanceSelector) -> Vec<Filter> {
    selector
        .tags
        .iter()
        .map(|(key, value)| {
            Filter::builder()
                .name(format!("tag:{key}"))
                .values(literal(value))
                .build()
        })
        .collect()
}

/// In a filter `*` and `?` stand for other characters, unless a backslash is before them.
fn literal(value: &str) -> String {
    let mut literal = String::with_capacity(value.len());
    for character in value.chars() {
        if matches!(character, '*' | '?' | '\\') {
            literal.push('\\');
        }
        literal.push(character);
    }
    literal
}

/// The filter again, by our own reading: whoever is taken into a fleet by mistake is stopped.
fn matches(selector: &InstanceSelector, instance: &AwsInstance) -> bool {
    selector
        .tags
        .iter()
        .all(|(key, value)| tag(instance, key) == Some(value.as_str()))
}

fn tag<'a>(instance: &'a AwsInstance, key: &str) -> Option<&'a str> {
    instance
        .tags()
        .iter()
        .find(|tag| tag.key() == Some(key))
        .and_then(|tag| tag.value())
}

fn read(instance: &AwsInstance, version_tag: Option<&str>) -> Option<Instance> {
    let state = instance.state()?.name()?;
    let id = instance.instance_id().filter(|id| id.len() <= LONGEST_ID)?;
    let zone = instance
        .placement()
        .and_then(|placement| placement.availability_zone())
        .unwrap_or_default();
    Some(Instance {
        id: id.to_owned(),
        zone: cut(zone.to_owned(), LONGEST_ID),
        state: match state {
            InstanceStateName::Running => InstanceState::Running,
            InstanceStateName::Stopping | InstanceStateName::Stopped => InstanceState::Stopped,
            InstanceStateName::ShuttingDown | InstanceStateName::Terminated => {
                InstanceState::Terminated
            }
            // A state that is not known here: neither usable nor gone.
            _ => InstanceState::Pending,
        },
        address: instance
            .private_ip_address()
            .and_then(|address| address.parse().ok()),
        version: version_tag
            .and_then(|key| tag(instance, key))
            .map(|version| cut(version.to_owned(), LONGEST_TAG)),
    })
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn a_tag_value_is_not_a_pattern() {
        assert_eq!(literal(r"shop*?\1"), r"shop\*\?\\1");
        assert_eq!(literal("shop"), "shop");
    }
}
