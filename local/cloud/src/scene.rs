//! Scenes: a network, a load balancer, groups and hosts in a few lines, without any call.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use serde_json::{Value, json};

use crate::{
    cloud::Cloud,
    ec2::{self, Instance, State, Subnet},
    events::EventKind,
    wire::ApiError,
    world::{Ctx, Effect},
};

/// What is to be built.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The load balancer's name.
    pub load_balancer: String,
    /// The port of its one listener, the same on every node.
    pub listener_port: u16,
    /// The zones, by their letters. The load balancer has a node in each.
    pub zones: Vec<char>,
    /// The target groups. The listener forwards to the first.
    pub groups: Vec<GroupPlan>,
    /// The instances, which run from the start.
    pub hosts: Vec<HostPlan>,
}

/// A target group to be built.
#[derive(Debug, Clone)]
pub struct GroupPlan {
    /// Its name.
    pub name: String,
    /// Its port.
    pub port: u16,
    /// The path that is checked.
    pub check_path: String,
    /// Between two checks of one node; at least 5 s.
    pub check_interval: Duration,
    /// Until a drain is over.
    pub deregistration_delay: Duration,
    /// The group's tags.
    pub tags: BTreeMap<String, String>,
}

/// An instance to be built.
#[derive(Debug, Clone)]
pub struct HostPlan {
    /// Its zone's letter.
    pub zone: char,
    /// Its image.
    pub image: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

impl GroupPlan {
    /// A group with AWS's defaults.
    #[must_use]
    pub fn new(name: &str, port: u16) -> Self {
        Self {
            name: name.to_owned(),
            port,
            check_path: "/".to_owned(),
            check_interval: Duration::from_secs(30),
            deregistration_delay: Duration::from_secs(300),
            tags: BTreeMap::new(),
        }
    }
}

impl HostPlan {
    /// An instance with one tag.
    #[must_use]
    pub fn new(zone: char, tag: &str, value: &str) -> Self {
        Self {
            zone,
            image: "ami-0123456789abcdef0".to_owned(),
            tags: BTreeMap::from([(tag.to_owned(), value.to_owned())]),
        }
    }
}

impl Plan {
    /// A load balancer with two zones, one group and hosts that are spread over the zones and
    /// carry the tag `app` with the name.
    #[must_use]
    pub fn simple(name: &str, port: u16, hosts: usize) -> Self {
        let zones = vec!['a', 'c'];
        let host = |index: usize| HostPlan::new(zones[index % zones.len()], "app", name);
        Self {
            load_balancer: name.to_owned(),
            listener_port: 80,
            groups: vec![GroupPlan::new(name, port)],
            hosts: (0..hosts).map(host).collect(),
            zones,
        }
    }
}

/// What was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene {
    /// The VPC.
    pub vpc: String,
    /// The subnets, one for each zone.
    pub subnets: Vec<String>,
    /// The load balancer's ARN.
    pub load_balancer: String,
    /// The addresses of its nodes.
    pub nodes: Vec<IpAddr>,
    /// The listener's ARN.
    pub listener: String,
    /// The listener's port.
    pub listener_port: u16,
    /// The target groups' ARNs, in the order of the plan.
    pub groups: Vec<String>,
    /// The instances, in the order of the plan.
    pub hosts: Vec<SceneHost>,
}

/// An instance that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SceneHost {
    /// Its id.
    pub id: String,
    /// Its address.
    pub address: IpAddr,
    /// Its zone.
    pub zone: String,
}

impl Cloud {
    /// Builds a scene.
    ///
    /// # Errors
    /// What AWS would refuse, as its code and message.
    pub fn build(&self, plan: &Plan) -> Result<Scene, String> {
        let (vpc, subnets) = self.inner.arrange(|ctx| Ok(network(ctx, plan)))?;
        let ids: Vec<&String> = subnets.values().collect();
        let name = &plan.load_balancer;
        let created = self.arrange("CreateLoadBalancer", &json!({"Name": name, "Subnets": ids}))?;
        let load_balancer = text(&created, "/LoadBalancers/0/LoadBalancerArn");
        let groups: Vec<String> = plan
            .groups
            .iter()
            .map(|group| self.build_group(&vpc, group))
            .collect::<Result<_, _>>()?;
        let first = groups
            .first()
            .ok_or("a scene needs at least one target group")?;
        let listener = self.arrange(
            "CreateListener",
            &json!({
                "LoadBalancerArn": load_balancer,
                "Protocol": "HTTP",
                "Port": plan.listener_port,
                "DefaultActions": [{"Type": "forward", "TargetGroupArn": first}],
            }),
        )?;
        let hosts = plan.hosts.iter().map(|host| {
            self.inner.arrange(|ctx| {
                let subnet = subnets.get(&host.zone).ok_or_else(|| {
                    ApiError::validation(format!("the scene has no zone '{}'", host.zone))
                })?;
                Ok(running_host(ctx, host, subnet))
            })
        });
        let addresses = "/LoadBalancers/0/AvailabilityZones";
        let zones = created.pointer(addresses).and_then(Value::as_array);
        let nodes = zones.into_iter().flatten().filter_map(|zone| {
            text(zone, "/LoadBalancerAddresses/0/IpAddress")
                .parse()
                .ok()
        });
        Ok(Scene {
            nodes: nodes.collect(),
            hosts: hosts.collect::<Result<_, _>>()?,
            subnets: subnets.into_values().collect(),
            listener: text(&listener, "/Listeners/0/ListenerArn"),
            listener_port: plan.listener_port,
            vpc,
            load_balancer,
            groups,
        })
    }

    /// Adds a target group that no listener names yet.
    ///
    /// # Errors
    /// What AWS would refuse, as its code and message.
    pub fn build_group(&self, vpc: &str, plan: &GroupPlan) -> Result<String, String> {
        let interval = plan.check_interval.as_secs();
        let tags = plan
            .tags
            .iter()
            .map(|(key, value)| json!({"Key": key, "Value": value}));
        let created = self.arrange(
            "CreateTargetGroup",
            &json!({
                "Name": plan.name,
                "Protocol": "HTTP",
                "Port": plan.port,
                "VpcId": vpc,
                "HealthCheckPath": plan.check_path,
                "HealthCheckIntervalSeconds": interval,
                "HealthCheckTimeoutSeconds": 5.min(interval.saturating_sub(1)),
                "Tags": tags.collect::<Vec<_>>(),
            }),
        )?;
        let arn = text(&created, "/TargetGroups/0/TargetGroupArn");
        let delay = plan.deregistration_delay.as_secs().to_string();
        self.arrange(
            "ModifyTargetGroupAttributes",
            &json!({
                "TargetGroupArn": arn,
                "Attributes": [{"Key": "deregistration_delay.timeout_seconds", "Value": delay}],
            }),
        )?;
        Ok(arn)
    }

    /// Registers targets.
    ///
    /// # Errors
    /// What AWS would refuse, as its code and message.
    pub fn register(&self, group: &str, targets: &[(&str, u16)]) -> Result<(), String> {
        let target = |(id, port): &(&str, u16)| json!({"Id": id, "Port": port});
        let targets: Vec<Value> = targets.iter().map(target).collect();
        let parameters = json!({"TargetGroupArn": group, "Targets": targets});
        self.arrange("RegisterTargets", &parameters).map(drop)
    }
}

fn text(value: &Value, pointer: &str) -> String {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_default().to_owned()
}

/// A VPC with a subnet in each zone.
fn network(ctx: &mut Ctx<'_>, plan: &Plan) -> (String, BTreeMap<char, String>) {
    let vpc = format!("vpc-{}", ctx.hex(17));
    ctx.ec2().vpcs.insert(vpc.clone());
    let subnets = plan.zones.iter().map(|letter| {
        let id = format!("subnet-{}", ctx.hex(17));
        let zone = format!("{}{letter}", ctx.config.region);
        let vpc = vpc.clone();
        ctx.ec2().subnets.insert(id.clone(), Subnet { vpc, zone });
        (*letter, id)
    });
    let subnets = subnets.collect();
    (vpc, subnets)
}

fn running_host(ctx: &mut Ctx<'_>, plan: &HostPlan, subnet: &str) -> SceneHost {
    let base = ctx.config.instance_addresses;
    let Subnet { vpc, zone } = ctx.ec2().subnets[subnet].clone();
    let instance = Instance {
        id: format!("i-{}", ctx.hex(17)),
        reservation: format!("r-{}", ctx.hex(17)),
        image: plan.image.clone(),
        instance_type: "m1.small".to_owned(),
        state: State::Running,
        next: None,
        address: ctx.ec2().next_address(base),
        vpc,
        subnet: subnet.to_owned(),
        zone: zone.clone(),
        tags: plan.tags.clone(),
        client_token: None,
        user_data: None,
        launched: ctx.now,
        launch_index: 0,
        visible_from: ctx.now,
        terminated_at: None,
        protected: false,
    };
    let built = SceneHost {
        id: instance.id.clone(),
        address: instance.address,
        zone,
    };
    ctx.effect(Effect::Boot(ec2::host(&instance)));
    ctx.event(EventKind::InstanceState, instance.id.clone(), "running");
    ctx.ec2().instances.insert(instance.id.clone(), instance);
    built
}
