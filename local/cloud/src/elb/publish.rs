//! The truth as the data plane is told it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{
    actions::{effective, group_stickiness},
    model::{Group, Listener, LoadBalancer},
    rules::default_arn,
};
use crate::{
    topology::{self, Condition, HealthCheck, Node, TargetKey, TargetPhase, Topology},
    wire::{ApiError, Params},
    world::View,
};

/// Everything that is configured now; its version is left at zero.
pub(crate) fn topology(view: &View, now: Timestamp) -> Topology {
    let balancers = view.elb.load_balancers.values();
    let groups = view.elb.groups.values();
    Topology {
        version: 0,
        load_balancers: balancers.map(|lb| load_balancer(view, lb)).collect(),
        target_groups: groups
            .map(|group| Arc::new(target_group(view, group, now)))
            .collect(),
    }
}

fn load_balancer(view: &View, lb: &LoadBalancer) -> topology::LoadBalancer {
    let seconds = |key: &str, default| {
        let value = lb.attributes.get(key).and_then(|value| value.parse().ok());
        Duration::from_secs(value.unwrap_or(default))
    };
    let listeners = view.elb.listeners.values();
    topology::LoadBalancer {
        arn: lb.arn.clone(),
        nodes: lb
            .zones
            .iter()
            .map(|zone| Node {
                zone: zone.name.clone(),
                address: zone.address,
            })
            .collect(),
        listeners: listeners
            .filter(|listener| listener.load_balancer == lb.arn)
            .map(listener)
            .collect(),
        idle_timeout: seconds("idle_timeout.timeout_seconds", 60),
        client_keep_alive: seconds("client_keep_alive.seconds", 3600),
    }
}

fn listener(listener: &Listener) -> topology::Listener {
    let rules = listener.rules.iter().map(|rule| topology::Rule {
        arn: rule.arn.clone(),
        conditions: conditions(&rule.conditions)
            .expect("conditions were checked when the rule was written"),
        action: effective(&rule.actions),
        sticky: group_stickiness(&rule.actions),
    });
    let default = topology::Rule {
        arn: default_arn(listener),
        conditions: Vec::new(),
        action: effective(&listener.default_actions),
        sticky: group_stickiness(&listener.default_actions),
    };
    topology::Listener {
        arn: listener.arn.clone(),
        port: listener.port,
        rules: rules.chain([default]).collect(),
    }
}

fn target_group(view: &View, group: &Group, now: Timestamp) -> topology::TargetGroup {
    let count = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count";
    let minimum = group
        .attributes
        .get(count)
        .and_then(|count| count.parse().ok());
    let zones: Option<Vec<&str>> = view
        .elb
        .load_balancer_of(&group.arn)
        .map(|lb| lb.zones.iter().map(|zone| zone.name.as_str()).collect());
    let check = &group.check;
    let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
    let targets = group.targets.iter().filter_map(|((id, port), target)| {
        // The load balancer drops a target whose instance does not run.
        let instance = view
            .ec2
            .instances
            .get(id)
            .filter(|found| found.is_running())?;
        let enabled = zones
            .as_ref()
            .is_none_or(|zones| zones.contains(&instance.zone.as_str()));
        let phase = match target.draining_until {
            Some(until) => TargetPhase::Draining { until },
            None if now < target.active_at || !enabled => TargetPhase::Registering,
            None => TargetPhase::Active,
        };
        Some(topology::Target {
            key: TargetKey {
                id: id.clone(),
                port: *port,
                serial: target.serial,
            },
            life: target.life,
            address: SocketAddr::new(instance.address, *port),
            zone: instance.zone.clone(),
            phase,
        })
    });
    topology::TargetGroup {
        arn: group.arn.clone(),
        health_check: HealthCheck {
            path: check.path.clone(),
            port: check.port.parse().ok(),
            interval: seconds(check.interval),
            timeout: seconds(check.timeout),
            healthy_threshold: check.healthy_threshold,
            unhealthy_threshold: check.unhealthy_threshold,
            matcher: matcher(&check.matcher).expect("the matcher was checked when it was written"),
        },
        minimum_healthy: minimum.unwrap_or(1),
        sticky: target_stickiness(group),
        targets: targets.collect(),
    }
}

/// For how long a client is sent to the target that answered it.
fn target_stickiness(group: &Group) -> Option<Duration> {
    let attribute = |key: &str| group.attributes.get(key).map(String::as_str);
    let on = attribute("stickiness.enabled") == Some("true") && group.protocol.is_http();
    let seconds = attribute("stickiness.lb_cookie.duration_seconds");
    let seconds = seconds.and_then(|seconds| seconds.parse().ok());
    on.then(|| Duration::from_secs(seconds.unwrap_or(86_400)))
}

/// Reads `200`, `200-299` and lists of them.
pub(super) fn matcher(text: &str) -> Option<Vec<(u16, u16)>> {
    let one = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let range = (from.trim().parse().ok()?, to.trim().parse().ok()?);
        (200 <= range.0 && range.0 <= range.1 && range.1 <= 499).then_some(range)
    };
    text.split(',').map(one).collect()
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SentCondition {
    field: String,
    #[serde(default)]
    values: Vec<String>,
    path_pattern_config: Option<Values>,
    host_header_config: Option<Values>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Values {
    values: Vec<String>,
}

/// Reads the conditions that the data plane can check, and refuses others.
pub(super) fn conditions(sent: &[Value]) -> Result<Vec<Condition>, ApiError> {
    sent.iter().map(condition).collect()
}

fn condition(sent: &Value) -> Result<Condition, ApiError> {
    let sent: SentCondition = Params::from_json_of_form(sent).read()?;
    let config = match sent.field.as_str() {
        "path-pattern" => sent.path_pattern_config,
        "host-header" => sent.host_header_config,
        other => {
            return Err(ApiError::validation(format!(
                "conditions on '{other}' are not simulated; path-pattern and host-header are"
            )));
        }
    };
    let values = config.map_or(sent.values, |config| config.values);
    if values.is_empty() {
        return Err(ApiError::validation("a condition needs at least one value"));
    }
    Ok(match sent.field.as_str() {
        "path-pattern" => Condition::Path(values),
        _ => Condition::Host(values),
    })
}
