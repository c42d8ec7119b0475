//! EC2: instances.

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_ec2::{
    Client,
    types::{Filter, Instance as AwsInstance, InstanceStateName},
};

use super::{
    errors::{self, INSTANCE_NOT_FOUND},
    gate::{Call, Deadline, Gate},
};
use crate::{
    api::InstanceSelector,
    cloud::{Budget, Error},
    plan::{Instance, InstanceState},
};

/// How many instances a page holds: the most that AWS allows. A request without it counts
/// against a much smaller limit.
const INSTANCES_ON_A_PAGE: i32 = 1000;

/// How many instances one request terminates. AWS takes up to 1000, and refuses all where it
/// does not know one.
const INSTANCES_IN_A_REQUEST: usize = 100;

/// The verbs that EC2 answers.
pub(super) struct Ec2 {
    client: Client,
    gate: Arc<Gate>,
}

impl Ec2 {
    pub(super) fn new(config: &SdkConfig, gate: Arc<Gate>) -> Self {
        Self {
            client: Client::new(config),
            gate,
        }
    }

    /// In order of their ids, so that two readings of the same fleet are equal.
    pub(super) async fn instances(
        &self,
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
            let listed = page.reservations().iter().flat_map(|some| some.instances());
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
        Ok(instances)
    }

    pub(super) async fn terminate(
        &self,
        instances: &[String],
        deadline: Deadline,
    ) -> Result<(), Error> {
        let mut chunks: Vec<&[String]> = instances.chunks(INSTANCES_IN_A_REQUEST).collect();
        chunks.reverse();
        while let Some(chunk) = chunks.pop() {
            let thing = match chunk {
                [one] => format!("instance {one}"),
                several => format!("{} instances", several.len()),
            };
            let call = Call {
                service: "ec2",
                operation: "TerminateInstances",
                budget: Budget::Ec2Terminate,
                thing: &thing,
            };
            let request = self
                .client
                .terminate_instances()
                .set_instance_ids(Some(chunk.to_vec()));
            match self.gate.pass(&call, deadline, request.send()).await {
                Ok(_) => {}
                // AWS forgets an instance an hour after its end. One such id spoils the request
                // for all: it is halved until the one is alone, which is as good as terminated.
                Err(refusal) if refusal.code.as_deref() == Some(INSTANCE_NOT_FOUND) => {
                    if let (first, second @ [_, ..]) = chunk.split_at(chunk.len().div_ceil(2)) {
                        chunks.extend([second, first]);
                    }
                }
                Err(refusal) => return Err(refusal.into()),
            }
        }
        Ok(())
    }
}

fn describe(selector: &InstanceSelector) -> String {
    let tags: Vec<String> = selector
        .tags
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    format!("instances with tags {}", tags.join(", "))
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
    Some(Instance {
        id: instance.instance_id()?.to_owned(),
        zone: instance
            .placement()
            .and_then(|placement| placement.availability_zone())
            .unwrap_or_default()
            .to_owned(),
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
            .map(str::to_owned),
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
