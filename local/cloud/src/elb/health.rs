//! What a target's state is, and why.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Reply,
    model::{Group, Target},
    targets::{TargetDescription, check_descriptions, statuses},
};
use crate::{
    topology::{HealthFailure, NodeHealth},
    wire::ApiError,
    world::{Ctx, View},
};

/// A state with its reason code and description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TargetStatus {
    pub(crate) state: &'static str,
    pub(crate) reason: Option<&'static str>,
    pub(crate) description: Option<String>,
}

fn because(state: &'static str, reason: &'static str, description: &str) -> TargetStatus {
    TargetStatus {
        state,
        reason: Some(reason),
        description: Some(description.to_owned()),
    }
}

/// The status of a registered target.
pub(crate) fn status(
    view: &View,
    group: &Group,
    id: &str,
    target: &Target,
    now: Timestamp,
) -> TargetStatus {
    let instance = view.ec2.instances.get(id);
    let Some(instance) = instance.filter(|instance| instance.is_running()) else {
        let state = instance.map_or("terminated", |instance| instance.state.name());
        return because(
            "unused",
            "Target.InvalidState",
            &format!("Target is in the {state} state"),
        );
    };
    if target.draining_until.is_some() {
        let description = "Target deregistration is in progress";
        return because("draining", "Target.DeregistrationInProgress", description);
    }
    let Some(load_balancer) = view.elb.load_balancer_of(&group.arn) else {
        let description =
            "Target group is not configured to receive traffic from the load balancer";
        return because("unused", "Target.NotInUse", description);
    };
    if !load_balancer
        .zones
        .iter()
        .any(|zone| zone.name == instance.zone)
    {
        let description =
            "Target is in an Availability Zone that is not enabled for the load balancer";
        return because("unused", "Target.NotInUse", description);
    }
    if now < target.active_at {
        let description = "Target registration is in progress";
        return because("initial", "Elb.RegistrationInProgress", description);
    }
    let nodes = load_balancer.zones.iter().map(|zone| &zone.address);
    let opinions: Vec<Option<&NodeHealth>> = nodes.map(|node| target.reports.get(node)).collect();
    let failure = opinions.iter().flatten().find_map(|health| match health {
        NodeHealth::Unhealthy(failure) => Some(failure),
        NodeHealth::Healthy => None,
    });
    match failure {
        Some(HealthFailure::Status(_)) => mismatch(&opinions),
        Some(HealthFailure::Timeout) => because("unhealthy", "Target.Timeout", "Request timed out"),
        Some(HealthFailure::Failed) => because(
            "unhealthy",
            "Target.FailedHealthChecks",
            "Health checks failed",
        ),
        None if opinions.iter().all(Option::is_some) => TargetStatus {
            state: "healthy",
            reason: None,
            description: None,
        },
        None => because(
            "initial",
            "Elb.InitialHealthChecking",
            "Initial health checks in progress",
        ),
    }
}

/// The codes that the nodes were answered with.
fn mismatch(opinions: &[Option<&NodeHealth>]) -> TargetStatus {
    let codes = opinions.iter().flatten().filter_map(|health| match health {
        NodeHealth::Unhealthy(HealthFailure::Status(code)) => Some(code),
        NodeHealth::Unhealthy(HealthFailure::Timeout | HealthFailure::Failed)
        | NodeHealth::Healthy => None,
    });
    let codes: BTreeSet<String> = codes.map(u16::to_string).collect();
    let codes: Vec<String> = codes.into_iter().collect();
    because(
        "unhealthy",
        "Target.ResponseCodeMismatch",
        &format!(
            "Health checks failed with these codes: [{}]",
            codes.join(", ")
        ),
    )
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Describe {
    target_group_arn: String,
    #[serde(default)]
    targets: Vec<TargetDescription>,
}

pub(super) fn describe(ctx: &mut Ctx<'_>, input: &Describe) -> Reply {
    let view = ctx.view();
    let group = view.elb.group(&input.target_group_arn)?;
    let known = statuses(view, group, ctx.now);
    if input.targets.is_empty() {
        let all = known
            .iter()
            .map(|(id, port, status)| show(group, id, *port, status));
        return Ok(json!({"TargetHealthDescriptions": all.collect::<Vec<_>>()}));
    }
    let mut descriptions = Vec::new();
    check_descriptions(&input.targets)?;
    for target in &input.targets {
        let id = &target.id;
        // Whether an instance exists is asked of the live world: that lag has its own knob.
        if !ctx.world.live.ec2.instances.contains_key(id) {
            return Err(ApiError::sender(
                "InvalidTarget",
                format!("The following targets are not valid: '{id}'"),
            ));
        }
        let port = target.port_of(group);
        let found = known
            .iter()
            .find(|(other, at, _)| (other, *at) == (id, port));
        let status = found.map_or_else(not_registered, |(_, _, status)| status.clone());
        descriptions.push(show(group, id, port, &status));
    }
    Ok(json!({"TargetHealthDescriptions": descriptions}))
}

fn not_registered() -> TargetStatus {
    let description = "Target is not registered to the target group";
    because("unused", "Target.NotRegistered", description)
}

fn show(group: &Group, id: &str, port: u16, status: &TargetStatus) -> Value {
    let check_port = match group.check.port.as_str() {
        "traffic-port" => port.to_string(),
        fixed => fixed.to_owned(),
    };
    json!({
        "Target": {"Id": id, "Port": port},
        "HealthCheckPort": check_port,
        "TargetHealth": {
            "State": status.state,
            "Reason": status.reason,
            "Description": status.description,
        },
    })
}
