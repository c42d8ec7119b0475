//! Load balancers and their attributes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Reply,
    model::{LoadBalancer, Zone},
    names,
    tags::Tag,
};
use crate::{
    events::EventKind,
    paging::ByMarker,
    wire::ApiError,
    world::{Ctx, iso},
};

/// The attributes that an Application Load Balancer has, with their defaults.
const ATTRIBUTES: [(&str, &str); 9] = [
    ("access_logs.s3.enabled", "false"),
    ("client_keep_alive.seconds", "3600"),
    ("deletion_protection.enabled", "false"),
    ("idle_timeout.timeout_seconds", "60"),
    ("load_balancing.cross_zone.enabled", "true"),
    ("routing.http.drop_invalid_header_fields.enabled", "false"),
    ("routing.http.preserve_host_header.enabled", "false"),
    ("routing.http.xff_header_processing.mode", "append"),
    ("routing.http2.enabled", "true"),
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Create {
    name: String,
    #[serde(default)]
    subnets: Vec<String>,
    #[serde(default)]
    subnet_mappings: Vec<SubnetMapping>,
    scheme: Option<String>,
    r#type: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SubnetMapping {
    subnet_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Describe {
    #[serde(default)]
    load_balancer_arns: Vec<String>,
    #[serde(default)]
    names: Vec<String>,
    #[serde(flatten)]
    page: ByMarker,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct One {
    load_balancer_arn: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Modify {
    load_balancer_arn: String,
    attributes: Vec<Attribute>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Attribute {
    pub(super) key: String,
    #[serde(default)]
    pub(super) value: String,
}

pub(super) fn create(ctx: &mut Ctx<'_>, input: Create) -> Reply {
    names::check("Load balancer", &input.name)?;
    names::check_tags(&input.tags)?;
    if input.r#type.as_deref().unwrap_or("application") != "application" {
        return Err(ApiError::validation(
            "only load balancers of type 'application' are simulated",
        ));
    }
    let mapped = input
        .subnet_mappings
        .into_iter()
        .map(|mapping| mapping.subnet_id);
    let subnets: Vec<String> = input.subnets.into_iter().chain(mapped).collect();
    let (vpc, zones) = enabled_zones(ctx, &subnets)?;
    let mut others = ctx.world.live.elb.load_balancers.values();
    if let Some(existing) = others.find(|lb| lb.name == input.name) {
        let same: Vec<&String> = existing.zones.iter().map(|zone| &zone.subnet).collect();
        if same == subnets.iter().collect::<Vec<_>>() {
            let shown = show(ctx, existing);
            return Ok(json!({"LoadBalancers": [shown]}));
        }
        return Err(ApiError::sender(
            "DuplicateLoadBalancerName",
            format!(
                "A load balancer with the name '{}' exists with other settings",
                input.name
            ),
        ));
    }
    let id = ctx.hex(16);
    let arn = ctx.arn(
        "elasticloadbalancing",
        &format!("loadbalancer/app/{}/{id}", input.name),
    );
    let base = ctx.config.node_addresses;
    let zones = zones
        .into_iter()
        .map(|(subnet, name)| Zone {
            name,
            subnet,
            address: ctx.ec2().next_node_address(base),
        })
        .collect();
    let load_balancer = LoadBalancer {
        arn: arn.clone(),
        name: input.name,
        scheme: input.scheme.unwrap_or_else(|| "internet-facing".to_owned()),
        vpc,
        created: ctx.now,
        active_at: ctx.after(ctx.config.hostility.provisioning),
        zones,
        attributes: defaults(&ATTRIBUTES),
    };
    let shown = show(ctx, &load_balancer);
    ctx.elb().load_balancers.insert(arn.clone(), load_balancer);
    super::tags::set(ctx, &arn, input.tags);
    ctx.touch(arn.clone());
    ctx.event(EventKind::Created, arn, "load balancer");
    Ok(json!({"LoadBalancers": [shown]}))
}

/// The VPC, and each subnet with its zone.
fn enabled_zones(
    ctx: &Ctx<'_>,
    subnets: &[String],
) -> Result<(String, Vec<(String, String)>), ApiError> {
    let mut vpc = None;
    let mut zones = Vec::new();
    for id in subnets {
        let subnet = ctx.world.live.ec2.subnets.get(id).ok_or_else(|| {
            ApiError::sender(
                "SubnetNotFound",
                format!("The subnet ID '{id}' does not exist"),
            )
        })?;
        if zones.iter().any(|(_, zone)| *zone == subnet.zone) {
            return Err(ApiError::sender(
                "InvalidConfigurationRequest",
                "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
            ));
        }
        vpc.get_or_insert_with(|| subnet.vpc.clone());
        zones.push((id.clone(), subnet.zone.clone()));
    }
    match vpc {
        Some(vpc) if zones.len() >= 2 => Ok((vpc, zones)),
        _ => Err(ApiError::validation(
            "At least two subnets in two different Availability Zones must be specified",
        )),
    }
}

pub(super) fn describe(ctx: &mut Ctx<'_>, input: &Describe) -> Reply {
    let elb = &ctx.view().elb;
    for arn in &input.load_balancer_arns {
        elb.load_balancer(arn)?;
    }
    for name in &input.names {
        if !elb.load_balancers.values().any(|lb| lb.name == *name) {
            return Err(ApiError::sender(
                "LoadBalancerNotFound",
                format!("Load balancers '[{name}]' not found"),
            ));
        }
    }
    let everything = input.load_balancer_arns.is_empty() && input.names.is_empty();
    let found = elb.load_balancers.values().filter(|lb| {
        everything || input.load_balancer_arns.contains(&lb.arn) || input.names.contains(&lb.name)
    });
    let shown = found.map(|lb| show(ctx, lb)).collect();
    input.page.elb("LoadBalancers", shown)
}

pub(super) fn attributes(ctx: &mut Ctx<'_>, input: &One) -> Reply {
    let load_balancer = ctx.view().elb.load_balancer(&input.load_balancer_arn)?;
    Ok(json!({"Attributes": list(&load_balancer.attributes)}))
}

pub(super) fn modify_attributes(ctx: &mut Ctx<'_>, input: Modify) -> Reply {
    let arn = input.load_balancer_arn;
    ctx.touch(arn.clone());
    let mut attributes = ctx.elb().load_balancer(&arn)?.attributes.clone();
    for Attribute { key, value } in input.attributes {
        let valid = match key.as_str() {
            "idle_timeout.timeout_seconds" => in_range(&value, 1, 4000),
            "client_keep_alive.seconds" => in_range(&value, 60, 604_800),
            key if key.ends_with(".enabled") => matches!(value.as_str(), "true" | "false"),
            _ => true,
        };
        // AWS does not let an Application Load Balancer turn it off; its groups may.
        if key == "load_balancing.cross_zone.enabled" && value == "false" {
            return Err(ApiError::sender(
                "InvalidConfigurationRequest",
                "Cross-zone load balancing cannot be turned off for an Application Load Balancer; \
                 turn it off for a target group",
            ));
        }
        set_attribute(&mut attributes, &key, value, valid)?;
    }
    let shown = list(&attributes);
    if let Some(load_balancer) = ctx.elb().load_balancers.get_mut(&arn) {
        load_balancer.attributes = attributes;
    }
    ctx.event(EventKind::Modified, arn, "attributes");
    Ok(json!({"Attributes": shown}))
}

pub(super) fn delete(ctx: &mut Ctx<'_>, input: &One) -> Reply {
    let arn = &input.load_balancer_arn;
    ctx.touch(arn.clone());
    // Deleting what does not exist succeeds.
    let protection = "deletion_protection.enabled";
    if let Some(load_balancer) = ctx.elb().load_balancers.get(arn)
        && load_balancer
            .attributes
            .get(protection)
            .is_some_and(|on| on == "true")
    {
        return Err(ApiError::sender(
            "OperationNotPermitted",
            format!(
                "Load balancer '{arn}' cannot be deleted because deletion protection is enabled"
            ),
        ));
    }
    ctx.elb().load_balancers.remove(arn);
    ctx.elb()
        .listeners
        .retain(|_, listener| listener.load_balancer != *arn);
    ctx.elb().tags.remove(arn);
    ctx.event(EventKind::Deleted, arn.clone(), "load balancer");
    Ok(json!({}))
}

/// A list of attributes as the API shows them.
pub(super) fn list(attributes: &BTreeMap<String, String>) -> Vec<Value> {
    attributes
        .iter()
        .map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect()
}

pub(super) fn defaults(attributes: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    attributes.iter().map(owned).collect()
}

pub(super) fn in_range(value: &str, from: u32, to: u32) -> bool {
    value
        .parse()
        .is_ok_and(|number| (from..=to).contains(&number))
}

/// Sets an attribute that must be known.
pub(super) fn set_attribute(
    attributes: &mut BTreeMap<String, String>,
    key: &str,
    value: String,
    valid: bool,
) -> Result<(), ApiError> {
    match attributes.get_mut(key) {
        Some(_) if !valid => Err(ApiError::validation(format!(
            "'{value}' is not a valid value of attribute '{key}'"
        ))),
        Some(current) => {
            *current = value;
            Ok(())
        }
        None => Err(ApiError::sender(
            "InvalidConfigurationRequest",
            format!("Attribute key '{key}' is not recognized"),
        )),
    }
}

fn show(ctx: &Ctx<'_>, lb: &LoadBalancer) -> Value {
    let code = if ctx.now < lb.active_at {
        "provisioning"
    } else {
        "active"
    };
    let zones: Vec<Value> = lb
        .zones
        .iter()
        .map(|zone| {
            json!({
                "ZoneName": zone.name,
                "SubnetId": zone.subnet,
                "LoadBalancerAddresses": [{"IpAddress": zone.address.to_string()}],
            })
        })
        .collect();
    json!({
        "LoadBalancerArn": lb.arn,
        "LoadBalancerName": lb.name,
        "DNSName": format!("{}-1.{}.elb.amazonaws.com", lb.name, ctx.config.region),
        "CanonicalHostedZoneId": "ZSIMULATED",
        "CreatedTime": iso(lb.created),
        "Scheme": lb.scheme,
        "VpcId": lb.vpc,
        "State": {"Code": code},
        "Type": "application",
        "IpAddressType": "ipv4",
        "AvailabilityZones": zones,
        "SecurityGroups": [],
    })
}
