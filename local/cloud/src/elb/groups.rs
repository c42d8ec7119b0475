//! Target groups and their attributes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Reply,
    attributes::{self, Protocol},
    balancers::{Attribute, in_range, list},
    model::{CheckSettings, Group},
    names,
    tags::Tag,
};
use crate::{events::EventKind, paging::ByMarker, wire::ApiError, world::Ctx};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Create {
    name: String,
    protocol: Option<String>,
    port: Option<u32>,
    vpc_id: Option<String>,
    target_type: Option<String>,
    health_check_protocol: Option<String>,
    health_check_path: Option<String>,
    health_check_port: Option<String>,
    health_check_interval_seconds: Option<u32>,
    health_check_timeout_seconds: Option<u32>,
    healthy_threshold_count: Option<u32>,
    unhealthy_threshold_count: Option<u32>,
    matcher: Option<Matcher>,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Modify {
    target_group_arn: String,
    health_check_path: Option<String>,
    health_check_port: Option<String>,
    health_check_interval_seconds: Option<u32>,
    health_check_timeout_seconds: Option<u32>,
    healthy_threshold_count: Option<u32>,
    unhealthy_threshold_count: Option<u32>,
    matcher: Option<Matcher>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Matcher {
    http_code: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Describe {
    load_balancer_arn: Option<String>,
    #[serde(default)]
    target_group_arns: Vec<String>,
    #[serde(default)]
    names: Vec<String>,
    #[serde(flatten)]
    page: ByMarker,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct One {
    target_group_arn: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ModifyAttributes {
    target_group_arn: String,
    attributes: Vec<Attribute>,
}

pub(super) fn create(ctx: &mut Ctx<'_>, input: Create) -> Reply {
    let (Some(port), Some(vpc)) = (input.port, input.vpc_id) else {
        return Err(ApiError::validation(
            "a target group of type 'instance' needs Port and VpcId",
        ));
    };
    names::check("Target group", &input.name)?;
    names::check_tags(&input.tags)?;
    let port = super::targets::port("Port", port)?;
    let kind = input.target_type.as_deref().unwrap_or("instance");
    let protocol = Protocol::parse(input.protocol.as_deref().unwrap_or("HTTP"));
    let check_protocol = input.health_check_protocol.as_deref().unwrap_or("HTTP");
    let Some(protocol) = protocol.filter(|_| (kind, check_protocol) == ("instance", "HTTP")) else {
        return Err(ApiError::validation(
            "only target groups of type 'instance' with protocol HTTP, TCP, TLS, UDP or TCP_UDP \
             and health checks over HTTP are simulated",
        ));
    };
    if !ctx.world.live.ec2.vpcs.contains(&vpc) {
        return Err(ApiError::validation(format!(
            "The VPC ID '{vpc}' is not found"
        )));
    }
    let mut check = CheckSettings {
        path: "/".to_owned(),
        port: "traffic-port".to_owned(),
        interval: 30,
        timeout: 5,
        healthy_threshold: 5,
        unhealthy_threshold: 2,
        matcher: "200".to_owned(),
    };
    let settings = Modify {
        target_group_arn: String::new(),
        health_check_path: input.health_check_path,
        health_check_port: input.health_check_port,
        health_check_interval_seconds: input.health_check_interval_seconds,
        health_check_timeout_seconds: input.health_check_timeout_seconds,
        healthy_threshold_count: input.healthy_threshold_count,
        unhealthy_threshold_count: input.unhealthy_threshold_count,
        matcher: input.matcher,
    };
    change_check(&mut check, &settings)?;
    let mut others = ctx.world.live.elb.groups.values();
    if let Some(existing) = others.find(|group| group.name == input.name) {
        // Asking again for the same thing is answered with what exists.
        let ports = (existing.port, existing.protocol);
        if (ports, &existing.vpc, &existing.check) == ((port, protocol), &vpc, &check) {
            let shown = show(&ctx.world.live.elb, existing);
            return Ok(json!({"TargetGroups": [shown]}));
        }
        return Err(ApiError::sender(
            "DuplicateTargetGroupName",
            format!(
                "A target group with the same name '{}' exists, but with different settings",
                input.name
            ),
        ));
    }
    let id = ctx.hex(16);
    let arn = ctx.arn(
        "elasticloadbalancing",
        &format!("targetgroup/{}/{id}", input.name),
    );
    let group = Group {
        arn: arn.clone(),
        name: input.name,
        protocol,
        port,
        vpc,
        check,
        attributes: attributes::defaults(protocol),
        targets: BTreeMap::new(),
        endless_drains: false,
    };
    let shown = show(ctx.elb(), &group);
    ctx.elb().groups.insert(arn.clone(), group);
    super::tags::set(ctx, &arn, input.tags);
    ctx.touch(arn.clone());
    ctx.event(EventKind::Created, arn, "target group");
    Ok(json!({"TargetGroups": [shown]}))
}

pub(super) fn describe(ctx: &mut Ctx<'_>, input: &Describe) -> Reply {
    let elb = &ctx.view().elb;
    for arn in &input.target_group_arns {
        elb.group(arn)?;
    }
    for name in &input.names {
        if !elb.groups.values().any(|group| group.name == *name) {
            return Err(ApiError::sender(
                "TargetGroupNotFound",
                "One or more target groups not found",
            ));
        }
    }
    if let Some(arn) = &input.load_balancer_arn {
        elb.load_balancer(arn)?;
    }
    let uses = elb.uses();
    let found = elb.groups.values().filter(|group| {
        let load_balancer = input.load_balancer_arn.as_ref();
        (input.target_group_arns.is_empty() || input.target_group_arns.contains(&group.arn))
            && (input.names.is_empty() || input.names.contains(&group.name))
            && load_balancer.is_none_or(|arn| uses.get(&group.arn) == Some(arn))
    });
    let shown = found.map(|group| show(elb, group)).collect();
    input.page.elb("TargetGroups", shown)
}

pub(super) fn modify(ctx: &mut Ctx<'_>, input: &Modify) -> Reply {
    ctx.touch(input.target_group_arn.clone());
    let mut check = ctx.elb().group(&input.target_group_arn)?.check.clone();
    change_check(&mut check, input)?;
    ctx.elb().group_mut(&input.target_group_arn)?.check = check;
    ctx.event(
        EventKind::Modified,
        input.target_group_arn.clone(),
        "health check",
    );
    let elb = &ctx.world.live.elb;
    Ok(json!({"TargetGroups": [show(elb, elb.group(&input.target_group_arn)?)]}))
}

pub(super) fn describe_attributes(ctx: &mut Ctx<'_>, input: &One) -> Reply {
    let group = ctx.view().elb.group(&input.target_group_arn)?;
    Ok(json!({"Attributes": list(&group.attributes)}))
}

pub(super) fn modify_attributes(ctx: &mut Ctx<'_>, input: ModifyAttributes) -> Reply {
    let arn = input.target_group_arn;
    ctx.touch(arn.clone());
    let mut attributes = ctx.elb().group(&arn)?.attributes.clone();
    for Attribute { key, value } in input.attributes {
        if key == "stickiness.enabled" && value == "true" && behind_plain_weights(ctx, &arn) {
            return Err(super::actions::stickiness_conflict());
        }
        attributes::set(&mut attributes, &key, value)?;
    }
    let shown = list(&attributes);
    ctx.elb().group_mut(&arn)?.attributes = attributes;
    ctx.event(EventKind::Modified, arn, "attributes");
    Ok(json!({"Attributes": shown}))
}

/// Whether the group is in a weighted action without group stickiness.
fn behind_plain_weights(ctx: &mut Ctx<'_>, arn: &str) -> bool {
    ctx.elb().listeners.values().any(|listener| {
        let rules = listener.rules.iter().flat_map(|rule| &rule.actions);
        rules.chain(&listener.default_actions).any(|action| {
            let names_it = action
                .groups()
                .iter()
                .any(|group| group.target_group == arn);
            names_it && action.forbids_target_stickiness()
        })
    })
}

pub(super) fn delete(ctx: &mut Ctx<'_>, input: &One) -> Reply {
    let arn = &input.target_group_arn;
    ctx.touch(arn.clone());
    if ctx.elb().uses().contains_key(arn) {
        return Err(ApiError::sender(
            "ResourceInUse",
            format!("Target group '{arn}' is currently in use by a listener or a rule"),
        ));
    }
    ctx.elb().groups.remove(arn);
    ctx.elb().tags.remove(arn);
    ctx.event(EventKind::Deleted, arn.clone(), "target group");
    Ok(json!({}))
}

fn change_check(check: &mut CheckSettings, input: &Modify) -> Result<(), ApiError> {
    let ranged = |name: &str, current: &mut u32, wanted: Option<u32>, from, to| match wanted {
        Some(value) if !(from..=to).contains(&value) => Err(ApiError::validation(format!(
            "{name} must be between {from} and {to}, not {value}"
        ))),
        Some(value) => {
            *current = value;
            Ok(())
        }
        None => Ok(()),
    };
    ranged(
        "HealthCheckIntervalSeconds",
        &mut check.interval,
        input.health_check_interval_seconds,
        5,
        300,
    )?;
    ranged(
        "HealthCheckTimeoutSeconds",
        &mut check.timeout,
        input.health_check_timeout_seconds,
        2,
        120,
    )?;
    ranged(
        "HealthyThresholdCount",
        &mut check.healthy_threshold,
        input.healthy_threshold_count,
        2,
        10,
    )?;
    ranged(
        "UnhealthyThresholdCount",
        &mut check.unhealthy_threshold,
        input.unhealthy_threshold_count,
        2,
        10,
    )?;
    if check.timeout >= check.interval {
        return Err(ApiError::validation(format!(
            "Health check timeout '{}' must be smaller than the interval '{}'",
            check.timeout, check.interval
        )));
    }
    if let Some(path) = &input.health_check_path {
        if !path.starts_with('/') || path.len() > 1024 {
            return Err(ApiError::validation(format!(
                "Health check path '{path}' must begin with a '/' character, and can have at most \
                 1024 characters"
            )));
        }
        check.path.clone_from(path);
    }
    if let Some(port) = &input.health_check_port {
        if port != "traffic-port" && !in_range(port, 1, 65_535) {
            return Err(ApiError::validation(format!(
                "Health check port '{port}' is not valid"
            )));
        }
        check.port.clone_from(port);
    }
    if let Some(Matcher { http_code }) = &input.matcher {
        if super::publish::matcher(http_code).is_none() {
            return Err(ApiError::validation(format!(
                "Health check matcher '{http_code}' is not valid"
            )));
        }
        check.matcher.clone_from(http_code);
    }
    Ok(())
}

fn show(elb: &super::Elb, group: &Group) -> Value {
    let check = &group.check;
    let load_balancers: Vec<&str> = elb
        .load_balancer_of(&group.arn)
        .map(|lb| lb.arn.as_str())
        .into_iter()
        .collect();
    json!({
        "TargetGroupArn": group.arn,
        "TargetGroupName": group.name,
        "Protocol": group.protocol.name(),
        "ProtocolVersion": group.protocol.is_http().then_some("HTTP1"),
        "Port": group.port,
        "VpcId": group.vpc,
        "TargetType": "instance",
        "IpAddressType": "ipv4",
        "LoadBalancerArns": load_balancers,
        "HealthCheckEnabled": true,
        "HealthCheckProtocol": "HTTP",
        "HealthCheckPath": check.path,
        "HealthCheckPort": check.port,
        "HealthCheckIntervalSeconds": check.interval,
        "HealthCheckTimeoutSeconds": check.timeout,
        "HealthyThresholdCount": check.healthy_threshold,
        "UnhealthyThresholdCount": check.unhealthy_threshold,
        "Matcher": {"HttpCode": check.matcher},
    })
}
