//! Elastic Load Balancing: target groups and their targets.

use std::{collections::BTreeMap, sync::Arc};

use aws_config::SdkConfig;
use aws_sdk_elasticloadbalancingv2::{
    Client,
    types::{
        ProtocolEnum, TargetDescription, TargetGroup as AwsTargetGroup, TargetHealth,
        TargetTypeEnum,
    },
};

use super::{
    errors::{self, INVALID_TARGET},
    gate::{Call, Deadline, Gate, Refusal},
};
use crate::{
    api::{Duration, TargetGroupRef},
    cloud::{Budget, Error, TargetGroup, TargetGroupArn},
    plan::{FailureKind, GroupSettings, Health, LoadBalancerKind, TargetId},
};

const SERVICE: &str = "elasticloadbalancing";

/// How many targets one request carries. AWS documents no limit; other controllers have sent
/// this many for years.
const TARGETS_IN_A_REQUEST: usize = 200;

const DELAY: &str = "deregistration_delay.timeout_seconds";

/// The verbs that Elastic Load Balancing answers.
pub(super) struct Elb {
    client: Client,
    gate: Arc<Gate>,
}

impl Elb {
    pub(super) fn new(config: &SdkConfig, gate: Arc<Gate>) -> Self {
        Self {
            client: Client::new(config),
            gate,
        }
    }

    pub(super) async fn target_group(
        &self,
        group: &TargetGroupRef,
        deadline: Deadline,
    ) -> Result<TargetGroup, Error> {
        let thing = format!("target group {}", group.name());
        let call = read("DescribeTargetGroups", &thing);
        let found = self.describe(group, &call, deadline).await?;
        let arn = found
            .target_group_arn()
            .ok_or_else(|| errors::incomplete(&call, "target group ARN"))?;
        let name = found
            .target_group_name()
            .ok_or_else(|| errors::incomplete(&call, "target group name"))?;
        let instance_targets = found.target_type() == Some(&TargetTypeEnum::Instance);
        let arn = TargetGroupArn(arn.to_owned());
        Ok(TargetGroup {
            delay: self.delay(&arn, instance_targets, &thing, deadline).await?,
            arn,
            name: name.to_owned(),
            load_balancer: load_balancer_of(found.protocol()),
            instance_targets,
            in_use: !found.load_balancer_arns().is_empty(),
            settings: GroupSettings::default(),
        })
    }

    /// The one group of this ARN or name, on whatever page it is.
    async fn describe(
        &self,
        group: &TargetGroupRef,
        call: &Call<'_>,
        deadline: Deadline,
    ) -> Result<AwsTargetGroup, Error> {
        let mut marker = None;
        loop {
            let request = self.client.describe_target_groups().set_marker(marker);
            let request = match (&group.arn, &group.name) {
                (Some(arn), _) => request.target_group_arns(arn),
                (None, name) => request.names(name.as_deref().unwrap_or_default()),
            };
            let page = self.gate.pass(call, deadline, request.send()).await?;
            if let Some(found) = page.target_groups.unwrap_or_default().pop() {
                return Ok(found);
            }
            marker = page.next_marker;
            if marker.is_none() {
                return Err(Error::new(
                    FailureKind::NotFound,
                    format!("{call}: there is no such target group; check its name and the region"),
                ));
            }
        }
    }

    async fn delay(
        &self,
        arn: &TargetGroupArn,
        instance_targets: bool,
        thing: &str,
        deadline: Deadline,
    ) -> Result<Duration, Error> {
        let call = read("DescribeTargetGroupAttributes", thing);
        let request = self
            .client
            .describe_target_group_attributes()
            .target_group_arn(&arn.0);
        let answer = self.gate.pass(&call, deadline, request.send()).await?;
        let value = answer
            .attributes()
            .iter()
            .find(|attribute| attribute.key() == Some(DELAY))
            .and_then(|attribute| attribute.value());
        match value.map(str::parse) {
            Some(Ok(seconds)) => Ok(Duration::from_secs(seconds)),
            // A group of functions drains nothing and has no delay.
            None if !instance_targets => Ok(Duration::ZERO),
            Some(Err(_)) | None => Err(errors::incomplete(&call, "deregistration delay")),
        }
    }

    /// Asks without naming targets: what is listed is registered or draining, what is not is
    /// gone. Asked by name, AWS answers `unused` for a wrong port as well.
    pub(super) async fn target_health(
        &self,
        group: &TargetGroupArn,
        deadline: Deadline,
    ) -> Result<BTreeMap<TargetId, Health>, Error> {
        let thing = format!("target group {}", group.name());
        let call = read("DescribeTargetHealth", &thing);
        let request = self
            .client
            .describe_target_health()
            .target_group_arn(&group.0);
        let answer = self.gate.pass(&call, deadline, request.send()).await?;
        answer
            .target_health_descriptions()
            .iter()
            .map(|listed| {
                // To leave out a target that cannot be read would be to call it gone.
                let target = listed
                    .target()
                    .and_then(target_id)
                    .ok_or_else(|| errors::incomplete(&call, "id and port of a target"))?;
                Ok((
                    target,
                    listed.target_health().map_or(Health::Other, health_of),
                ))
            })
            .collect()
    }

    pub(super) async fn register(
        &self,
        group: &TargetGroupArn,
        targets: &[TargetId],
        deadline: Deadline,
    ) -> Result<(), Error> {
        let thing = format!("target group {}", group.name());
        let call = effect("RegisterTargets", &thing);
        for chunk in targets.chunks(TARGETS_IN_A_REQUEST) {
            let request = self
                .client
                .register_targets()
                .target_group_arn(&group.0)
                .set_targets(Some(descriptions(chunk)));
            self.gate.pass(&call, deadline, request.send()).await?;
        }
        Ok(())
    }

    pub(super) async fn deregister(
        &self,
        group: &TargetGroupArn,
        targets: &[TargetId],
        deadline: Deadline,
    ) -> Result<(), Error> {
        let thing = format!("target group {}", group.name());
        let call = effect("DeregisterTargets", &thing);
        let mut chunks: Vec<&[TargetId]> = targets.chunks(TARGETS_IN_A_REQUEST).collect();
        chunks.reverse();
        while let Some(chunk) = chunks.pop() {
            let request = self
                .client
                .deregister_targets()
                .target_group_arn(&group.0)
                .set_targets(Some(descriptions(chunk)));
            match self.gate.pass(&call, deadline, request.send()).await {
                Ok(_) => {}
                // One instance that does not exist any more spoils the request for all: it is
                // halved until the one is alone. That one cannot be registered.
                Err(refusal) if is(&refusal, INVALID_TARGET) => {
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

fn read<'a>(operation: &'static str, thing: &'a str) -> Call<'a> {
    Call {
        service: SERVICE,
        operation,
        budget: Budget::ElbRead,
        thing,
    }
}

fn effect<'a>(operation: &'static str, thing: &'a str) -> Call<'a> {
    Call {
        service: SERVICE,
        operation,
        budget: Budget::ElbRegister,
        thing,
    }
}

fn is(refusal: &Refusal, code: &str) -> bool {
    refusal.code.as_deref() == Some(code)
}

/// Always id and port: a target that is registered with another port is another target.
fn descriptions(targets: &[TargetId]) -> Vec<TargetDescription> {
    targets
        .iter()
        .map(|target| {
            TargetDescription::builder()
                .id(&target.id)
                .port(i32::from(target.port))
                .build()
        })
        .collect()
}

fn target_id(target: &TargetDescription) -> Option<TargetId> {
    Some(TargetId {
        id: target.id()?.to_owned(),
        port: u16::try_from(target.port()?).ok()?,
    })
}

fn load_balancer_of(protocol: Option<&ProtocolEnum>) -> LoadBalancerKind {
    match protocol {
        // A group of functions has no protocol, and is for an application load balancer.
        Some(ProtocolEnum::Http | ProtocolEnum::Https) | None => LoadBalancerKind::Application,
        Some(ProtocolEnum::Geneve) => LoadBalancerKind::Gateway,
        // Whatever protocol is new is more likely of the transport layer, and a network load
        // balancer is the one that is given more time.
        Some(_) => LoadBalancerKind::Network,
    }
}

/// By the words on the wire: both lists have grown, and a word that is not known here is neither
/// healthy nor gone.
fn health_of(health: &TargetHealth) -> Health {
    let state = health.state().map_or("", |state| state.as_str());
    let reason = health.reason().map_or("", |reason| reason.as_str());
    match (state, reason) {
        ("initial", _) => Health::Initial,
        ("healthy", _) => Health::Healthy,
        ("unhealthy" | "unhealthy.draining", _) => Health::Unhealthy,
        ("draining", _) => Health::Draining,
        ("unused", "Target.NotRegistered") => Health::NotRegistered,
        ("unused", "Target.NotInUse") => Health::NotInUse,
        ("unused", "Target.InvalidState") => Health::InvalidState,
        _ => Health::Other,
    }
}
