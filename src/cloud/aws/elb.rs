//! Elastic Load Balancing: target groups and their targets.

use std::{sync::Arc, time::Duration as StdDuration};

use aws_config::SdkConfig;
use aws_sdk_elasticloadbalancingv2::{
    Client,
    types::{
        ProtocolEnum, TargetDescription, TargetGroup as AwsTargetGroup, TargetHealth,
        TargetTypeEnum,
    },
};
use tokio::time::Instant;

use super::{
    errors::{self, INVALID_TARGET, TOO_MANY_REGISTRATIONS},
    gate::{Call, Deadline, Gate, Refusal},
    groups::Groups,
    halves::{Halves, Verdict},
    settings::{Attributes, health_check_port},
};
use crate::{
    api::{Duration, TargetGroupRef},
    cloud::{Budget, Caller, Error, Listed, TargetGroup, TargetGroupArn, error::cut, kept::Kept},
    plan::{GroupSettings, Health, LoadBalancerKind, TargetId},
};

const SERVICE: &str = "elasticloadbalancing";

/// How many targets one request carries. AWS documents no limit; other controllers have sent
/// this many for years.
const TARGETS_IN_A_REQUEST: usize = 200;

/// How much of the load balancer's words on a target is kept, in bytes.
const REASON_KEPT: usize = 256;

/// The longest id of a target: an ARN, of a load balancer or of a function.
const LONGEST_ID: usize = 256;

/// How long an attribute of a load balancer is good for: many groups ask for the same one.
const BALANCER_KEPT: StdDuration = StdDuration::from_secs(60);

/// The verbs that Elastic Load Balancing answers.
pub(super) struct Elb {
    client: Client,
    gate: Arc<Gate>,
    groups: Groups,
    /// Cross-zone load balancing, by the load balancer's ARN.
    cross_zone: Kept<String, bool>,
}

impl Elb {
    pub(super) fn new(config: &SdkConfig, gate: Arc<Gate>) -> Self {
        let client = Client::new(config);
        Self {
            groups: Groups::new(client.clone(), Arc::clone(&gate)),
            client,
            gate,
            cross_zone: Kept::for_duration(BALANCER_KEPT),
        }
    }

    pub(super) async fn target_group(
        &self,
        caller: &Caller,
        group: &TargetGroupRef,
        deadline: Deadline,
    ) -> Result<TargetGroup, Error> {
        let thing = format!("target group {}", group.name());
        let call = read("DescribeTargetGroups", &thing, caller);
        let found = self.groups.describe(caller, group, deadline).await?;
        let arn = found
            .target_group_arn()
            .ok_or_else(|| errors::incomplete(&call, "target group ARN"))?;
        let name = found
            .target_group_name()
            .ok_or_else(|| errors::incomplete(&call, "target group name"))?;
        let arn = TargetGroupArn(arn.to_owned());
        let (delay, settings) = self
            .attributes(caller, &arn, &found, &thing, deadline)
            .await?;
        Ok(TargetGroup {
            arn,
            name: name.to_owned(),
            load_balancer: load_balancer_of(found.protocol()),
            instance_targets: holds_instances(&found),
            in_use: !found.load_balancer_arns().is_empty(),
            delay,
            settings,
        })
    }

    async fn attributes(
        &self,
        caller: &Caller,
        arn: &TargetGroupArn,
        group: &AwsTargetGroup,
        thing: &str,
        deadline: Deadline,
    ) -> Result<(Duration, GroupSettings), Error> {
        let call = read("DescribeTargetGroupAttributes", thing, caller);
        let port = health_check_port(group.health_check_port())
            .map_err(|what| errors::incomplete(&call, what))?;
        let request = self
            .client
            .describe_target_group_attributes()
            .target_group_arn(&arn.0);
        let answer = self.gate.pass(&call, deadline, request.send()).await?;
        let unusable = |what| errors::incomplete(&call, what);
        let listed = answer
            .attributes
            .as_deref()
            .ok_or_else(|| unusable("attributes"))?;
        let pairs = listed.iter().map(|one| (one.key(), one.value()));
        let attributes = Attributes::of(pairs);
        let delay = match attributes.delay() {
            Ok(Some(delay)) => delay,
            // A group of functions drains nothing and has no delay.
            Ok(None) if !holds_instances(group) => Duration::ZERO,
            Ok(None) | Err(_) => return Err(unusable("deregistration delay")),
        };
        let kind = load_balancer_of(group.protocol());
        let cross_zone = match attributes.cross_zone().map_err(unusable)? {
            Some(own) => own,
            None => self.cross_zone(caller, kind, group, deadline).await?,
        };
        let settings = attributes.settings(kind, port, cross_zone);
        Ok((delay, settings.map_err(unusable)?))
    }

    /// Cross-zone load balancing where the group leaves it to its load balancer: always on for an
    /// Application Load Balancer, and off for the others unless they say otherwise. With several
    /// load balancers it is on where all of them have it on.
    async fn cross_zone(
        &self,
        caller: &Caller,
        kind: LoadBalancerKind,
        group: &AwsTargetGroup,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        if kind == LoadBalancerKind::Application {
            return Ok(true);
        }
        let balancers = group.load_balancer_arns();
        let mut everywhere = !balancers.is_empty();
        for arn in balancers {
            everywhere &= self.balancer_crosses_zones(caller, arn, deadline).await?;
        }
        Ok(everywhere)
    }

    async fn balancer_crosses_zones(
        &self,
        caller: &Caller,
        arn: &String,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        if let Some(kept) = self.cross_zone.get(arn, None) {
            return Ok(kept);
        }
        let thing = format!("load balancer {}", arn.rsplit('/').nth(1).unwrap_or(arn));
        let call = read("DescribeLoadBalancerAttributes", &thing, caller);
        let asked = Instant::now();
        let request = self
            .client
            .describe_load_balancer_attributes()
            .load_balancer_arn(arn);
        let answer = self.gate.pass(&call, deadline, request.send()).await?;
        let listed = answer
            .attributes
            .as_deref()
            .ok_or_else(|| errors::incomplete(&call, "attributes"))?;
        let pairs = listed.iter().map(|one| (one.key(), one.value()));
        let on = Attributes::of(pairs)
            .cross_zone()
            .map_err(|what| errors::incomplete(&call, what))?
            .unwrap_or(false);
        self.cross_zone.put(arn.clone(), asked, on);
        Ok(on)
    }

    /// Asks without naming targets: what is listed is registered or draining, what is not is
    /// gone. Asked by name, AWS answers `unused` for a wrong port as well.
    pub(super) async fn target_health(
        &self,
        caller: &Caller,
        group: &TargetGroupArn,
        deadline: Deadline,
    ) -> Result<Listed, Error> {
        let thing = format!("target group {}", group.name());
        let call = read("DescribeTargetHealth", &thing, caller);
        let request = self
            .client
            .describe_target_health()
            .target_group_arn(&group.0);
        let answer = self.gate.pass(&call, deadline, request.send()).await?;
        let descriptions = answer
            .target_health_descriptions
            .ok_or_else(|| errors::incomplete(&call, "list of targets"))?;
        let mut listed = Listed::default();
        for description in descriptions {
            // To leave out a target that cannot be read would be to call it gone.
            let target = description
                .target()
                .and_then(target_id)
                .ok_or_else(|| errors::incomplete(&call, "id and port of a target"))?;
            let said = description.target_health();
            let health = said.map_or(Health::Other, health_of);
            if health != Health::Healthy
                && let Some(reason) = said.and_then(reason_of)
            {
                listed.reasons.insert(target.clone(), reason);
            }
            listed.targets.insert(target, health);
        }
        Ok(listed)
    }

    pub(super) async fn register(
        &self,
        caller: &Caller,
        group: &TargetGroupArn,
        targets: &[TargetId],
        deadline: Deadline,
    ) -> Result<(), Error> {
        let thing = format!("target group {}", group.name());
        let call = effect("RegisterTargets", &thing, caller);
        let send = async |targets: Vec<TargetId>| {
            let request = self
                .client
                .register_targets()
                .target_group_arn(&group.0)
                .set_targets(Some(descriptions(&targets)));
            let sent = self.gate.pass(&call, deadline, request.send()).await;
            sent.map(drop)
        };
        let verdict = |_: &[TargetId], refusal: &Refusal| {
            if refusal.is(INVALID_TARGET) || refusal.is(TOO_MANY_REGISTRATIONS) {
                Verdict::Refused
            } else {
                Verdict::Broken
            }
        };
        Halves::of(targets, TARGETS_IN_A_REQUEST)
            .send(|target| &target.id, send, verdict, |_, _| None)
            .await
    }

    pub(super) async fn deregister(
        &self,
        caller: &Caller,
        group: &TargetGroupArn,
        targets: &[TargetId],
        deadline: Deadline,
    ) -> Result<(), Error> {
        let thing = format!("target group {}", group.name());
        let call = effect("DeregisterTargets", &thing, caller);
        let send = async |targets: Vec<TargetId>| {
            let request = self
                .client
                .deregister_targets()
                .target_group_arn(&group.0)
                .set_targets(Some(descriptions(&targets)));
            let sent = self.gate.pass(&call, deadline, request.send()).await;
            sent.map(drop)
        };
        // An instance that does not exist any more cannot be registered.
        let verdict = |_: &[TargetId], refusal: &Refusal| {
            if refusal.is(INVALID_TARGET) {
                Verdict::Done
            } else {
                Verdict::Broken
            }
        };
        Halves::of(targets, TARGETS_IN_A_REQUEST)
            .send(|target| &target.id, send, verdict, |_, _| None)
            .await
    }
}

pub(super) fn read<'a>(operation: &'static str, thing: &'a str, caller: &'a Caller) -> Call<'a> {
    Call {
        service: SERVICE,
        operation,
        budget: Budget::ElbRead,
        thing,
        caller,
    }
}

fn effect<'a>(operation: &'static str, thing: &'a str, caller: &'a Caller) -> Call<'a> {
    Call {
        service: SERVICE,
        operation,
        budget: Budget::ElbRegister,
        thing,
        caller,
    }
}

fn holds_instances(group: &AwsTargetGroup) -> bool {
    group.target_type() == Some(&TargetTypeEnum::Instance)
}

/// `Target.Timeout: Request timed out`.
fn reason_of(health: &TargetHealth) -> Option<String> {
    let parts = [
        health.reason().map(|reason| reason.as_str()),
        health.description(),
    ];
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| cut(parts.join(": "), REASON_KEPT))
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
    let id = target.id().filter(|id| id.len() <= LONGEST_ID)?;
    Some(TargetId {
        id: id.to_owned(),
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
