//! What EC2 knows.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::templates::Template;
use crate::{config::Config, hosts::Host, wire::ApiError, world::iso};

/// Instances and what they need.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ec2 {
    pub(crate) vpcs: BTreeSet<String>,
    pub(crate) subnets: BTreeMap<String, Subnet>,
    pub(crate) instances: BTreeMap<String, Instance>,
    pub(super) templates: BTreeMap<String, Template>,
    pub(super) tokens: BTreeMap<String, TokenUse>,
    /// How many instances a zone has room for; absent is unlimited.
    pub(crate) capacity: BTreeMap<String, usize>,
    addresses: u32,
    nodes: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct Subnet {
    pub(crate) vpc: String,
    pub(crate) zone: String,
}

/// What a client token was used for.
#[derive(Debug, Clone)]
pub(super) struct TokenUse {
    /// The parameters without the token.
    pub(super) parameters: Value,
    pub(super) reservation: String,
    pub(super) instances: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) reservation: String,
    pub(crate) image: String,
    pub(crate) instance_type: String,
    pub(crate) state: State,
    /// The state that it goes to by itself, and when.
    pub(crate) next: Option<(Timestamp, State)>,
    pub(crate) address: IpAddr,
    pub(crate) vpc: String,
    pub(crate) subnet: String,
    pub(crate) zone: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) client_token: Option<String>,
    pub(crate) user_data: Option<String>,
    pub(crate) launched: Timestamp,
    pub(crate) launch_index: usize,
    /// Reads do not know it before.
    pub(crate) visible_from: Timestamp,
    pub(crate) terminated_at: Option<Timestamp>,
    /// Termination protection.
    pub(crate) protected: bool,
}

/// An instance's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Pending,
    Running,
    ShuttingDown,
    Terminated,
    Stopping,
    Stopped,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }

    /// As the API shows it.
    pub(super) fn show(self) -> Value {
        let code = match self {
            Self::Pending => 0,
            Self::Running => 16,
            Self::ShuttingDown => 32,
            Self::Terminated => 48,
            Self::Stopping => 64,
            Self::Stopped => 80,
        };
        json!({"code": code, "name": self.name()})
    }
}

impl Instance {
    pub(crate) fn is_running(&self) -> bool {
        self.state == State::Running
    }

    pub(super) fn show(&self) -> Value {
        let tags: Vec<Value> = self
            .tags
            .iter()
            .map(|(key, value)| json!({"key": key, "value": value}))
            .collect();
        let gone = self.state == State::Terminated;
        let network = (!gone).then_some(());
        json!({
            "instanceId": self.id,
            "imageId": self.image,
            "instanceState": self.state.show(),
            "privateDnsName": network.map(|()| format!("ip-{}.internal", self.address).replace('.', "-")),
            "dnsName": "",
            "reason": "",
            "amiLaunchIndex": self.launch_index,
            "instanceType": self.instance_type,
            "launchTime": iso(self.launched),
            "placement": {"availabilityZone": self.zone, "groupName": "", "tenancy": "default"},
            "monitoring": {"state": "disabled"},
            "subnetId": network.map(|()| &self.subnet),
            "vpcId": network.map(|()| &self.vpc),
            "privateIpAddress": network.map(|()| self.address.to_string()),
            "clientToken": self.client_token.as_deref().unwrap_or_default(),
            "architecture": "x86_64",
            "rootDeviceType": "ebs",
            "virtualizationType": "hvm",
            "hypervisor": "xen",
            "tagSet": tags,
        })
    }
}

impl Ec2 {
    pub(crate) fn instance(&self, id: &str) -> Result<&Instance, ApiError> {
        self.instances.get(id).ok_or_else(|| unknown_instance(id))
    }

    /// An address that no instance has had yet.
    pub(crate) fn next_address(&mut self, base: Ipv4Addr) -> IpAddr {
        self.addresses += 1;
        nth_address(base, self.addresses)
    }

    /// An address for a node of a load balancer.
    pub(crate) fn next_node_address(&mut self, base: Ipv4Addr) -> IpAddr {
        self.nodes += 1;
        nth_address(base, self.nodes)
    }
}

fn nth_address(base: Ipv4Addr, nth: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(base.to_bits().wrapping_add(nth)))
}

pub(super) fn unknown_instance(id: &str) -> ApiError {
    if id.starts_with("i-") {
        return ApiError::sender(
            "InvalidInstanceID.NotFound",
            format!("The instance ID '{id}' does not exist"),
        );
    }
    ApiError::sender(
        "InvalidInstanceID.Malformed",
        format!("Invalid id: \"{id}\" (expecting \"i-...\")"),
    )
}

/// An instance as its host is told of it.
pub(crate) fn host(instance: &Instance) -> Host {
    Host {
        id: instance.id.clone(),
        address: instance.address,
        zone: instance.zone.clone(),
        image: instance.image.clone(),
        tags: instance.tags.clone(),
        user_data: instance.user_data.clone(),
    }
}

/// An instance's ARN.
pub(crate) fn arn(config: &Config, id: &str) -> String {
    format!(
        "arn:aws:ec2:{}:{}:instance/{id}",
        config.region, config.account
    )
}
