//! What Elastic Load Balancing knows.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use jiff::Timestamp;
use serde_json::Value;

use super::{actions::Action, attributes::Protocol};
use crate::{
    config::Config,
    topology::NodeHealth,
    wire::ApiError,
    world::{World, later},
};

/// All load balancers and what belongs to them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Elb {
    pub(crate) load_balancers: BTreeMap<String, LoadBalancer>,
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) listeners: BTreeMap<String, Listener>,
    pub(crate) tags: BTreeMap<String, BTreeMap<String, String>>,
    /// Counts registrations and lives of targets.
    pub(crate) serial: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct LoadBalancer {
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) scheme: String,
    pub(crate) vpc: String,
    pub(crate) created: Timestamp,
    pub(crate) active_at: Timestamp,
    pub(crate) zones: Vec<Zone>,
    pub(crate) attributes: BTreeMap<String, String>,
}

/// A zone that a load balancer is enabled in, with its node there.
#[derive(Debug, Clone)]
pub(crate) struct Zone {
    pub(crate) name: String,
    pub(crate) subnet: String,
    pub(crate) address: IpAddr,
}

#[derive(Debug, Clone)]
pub(crate) struct Listener {
    pub(crate) arn: String,
    pub(crate) load_balancer: String,
    pub(crate) port: u16,
    pub(crate) default_actions: Vec<Action>,
    pub(crate) rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) arn: String,
    pub(crate) priority: u32,
    /// As they were sent.
    pub(crate) conditions: Vec<Value>,
    pub(crate) actions: Vec<Action>,
}

#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
    pub(crate) port: u16,
    pub(crate) vpc: String,
    pub(crate) check: CheckSettings,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) targets: BTreeMap<(String, u16), Target>,
    /// Whether targets stay `draining` when their delay is over.
    pub(crate) endless_drains: bool,
}

impl Group {
    /// When a target's drain ends by itself, if it does.
    pub(crate) fn drain_ends(&self, target: &Target) -> Option<Timestamp> {
        target.draining_until.filter(|_| !self.endless_drains)
    }
}

/// A target group's health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckSettings {
    pub(crate) path: String,
    /// `traffic-port` or a number.
    pub(crate) port: String,
    pub(crate) interval: u32,
    pub(crate) timeout: u32,
    pub(crate) healthy_threshold: u32,
    pub(crate) unhealthy_threshold: u32,
    pub(crate) matcher: String,
}

/// A registration.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) serial: u64,
    /// Which life of the registration this is: see [`crate::topology::Target::life`].
    pub(crate) life: u64,
    /// From when nodes check it.
    pub(crate) active_at: Timestamp,
    pub(crate) draining_until: Option<Timestamp>,
    /// What nodes reported in this life.
    pub(crate) reports: BTreeMap<IpAddr, NodeHealth>,
}

impl Target {
    /// Begins another life: after it was undrained, put to use, or its instance restarted. Reports
    /// of the earlier life never count again, as the process may have ended since.
    pub(crate) fn check_anew(&mut self, life: u64, active_at: Timestamp) {
        self.life = life;
        self.active_at = active_at;
        self.reports.clear();
    }
}

impl Elb {
    pub(crate) fn load_balancer(&self, arn: &str) -> Result<&LoadBalancer, ApiError> {
        self.load_balancers
            .get(arn)
            .ok_or_else(|| not_found("LoadBalancerNotFound", "load balancers", arn))
    }

    pub(crate) fn group(&self, arn: &str) -> Result<&Group, ApiError> {
        self.groups
            .get(arn)
            .ok_or_else(|| not_found("TargetGroupNotFound", "target groups", arn))
    }

    pub(crate) fn group_mut(&mut self, arn: &str) -> Result<&mut Group, ApiError> {
        self.groups
            .get_mut(arn)
            .ok_or_else(|| not_found("TargetGroupNotFound", "target groups", arn))
    }

    pub(crate) fn listener(&self, arn: &str) -> Result<&Listener, ApiError> {
        self.listeners
            .get(arn)
            .ok_or_else(|| not_found("ListenerNotFound", "listeners", arn))
    }

    pub(crate) fn listener_mut(&mut self, arn: &str) -> Result<&mut Listener, ApiError> {
        self.listeners
            .get_mut(arn)
            .ok_or_else(|| not_found("ListenerNotFound", "listeners", arn))
    }

    /// The listener that has a rule.
    pub(crate) fn listener_of_rule(&mut self, rule: &str) -> Result<&mut Listener, ApiError> {
        self.listeners
            .values_mut()
            .find(|listener| listener.rules.iter().any(|found| found.arn == rule))
            .ok_or_else(|| not_found("RuleNotFound", "rules", rule))
    }

    /// The load balancers of the groups that some action names.
    pub(crate) fn uses(&self) -> BTreeMap<String, String> {
        let mut uses = BTreeMap::new();
        for listener in self.listeners.values() {
            let rules = listener.rules.iter().flat_map(|rule| &rule.actions);
            for action in listener.default_actions.iter().chain(rules) {
                for group in action.groups() {
                    uses.insert(group.target_group.clone(), listener.load_balancer.clone());
                }
            }
        }
        uses
    }

    /// The load balancer that a group is used by.
    pub(crate) fn load_balancer_of(&self, group: &str) -> Option<&LoadBalancer> {
        self.load_balancers.get(self.uses().get(group)?)
    }

    /// Whether a resource of this kind exists, for tags.
    pub(crate) fn exists(&self, arn: &str) -> bool {
        let rules = || self.listeners.values().flat_map(|listener| &listener.rules);
        self.load_balancers.contains_key(arn)
            || self.groups.contains_key(arn)
            || self.listeners.contains_key(arn)
            || rules().any(|rule| rule.arn == arn)
    }
}

fn not_found(code: &'static str, what: &str, arn: &str) -> ApiError {
    ApiError::sender(code, format!("One or more {what} not found: '{arn}'"))
}

/// After actions changed: the targets of groups that are newly in use are checked from now on.
pub(crate) fn put_to_use(ctx: &mut crate::world::Ctx<'_>, before: &BTreeMap<String, String>) {
    let now_used: BTreeSet<String> = ctx.elb().uses().into_keys().collect();
    for arn in now_used.iter().filter(|arn| !before.contains_key(*arn)) {
        let active_at = ctx.after(ctx.config.hostility.registration_lag);
        ctx.elb().serial += 1;
        let life = ctx.elb().serial;
        if let Some(group) = ctx.elb().groups.get_mut(arn) {
            group
                .targets
                .values_mut()
                .filter(|target| target.draining_until.is_none())
                .for_each(|target| target.check_anew(life, active_at));
        }
    }
}

/// An instance runs: its targets are checked anew.
pub(crate) fn instance_running(world: &mut World, id: &str, now: Timestamp, config: &Config) {
    let lag = config.hostility.registration_lag;
    for group in world.live.elb.groups.values_mut() {
        for ((target_id, _), target) in &mut group.targets {
            if target_id == id {
                world.live.elb.serial += 1;
                let life = world.live.elb.serial;
                target.check_anew(life, later(now, lag.draw(&mut world.random)));
                target.serial = life;
            }
        }
    }
}

/// EC2 forgot a terminated instance, or the time came: its targets go.
pub(crate) fn instance_halted(world: &mut World, id: &str, now: Timestamp) {
    for group in world.live.elb.groups.values_mut() {
        let arn = group.arn.clone();
        group.targets.retain(|(target, port), _| {
            if target == id {
                let subject = format!("{arn} {target}:{port}");
                let kind = crate::events::EventKind::TargetGone;
                world
                    .events
                    .record(now, kind, subject, "instance terminated");
            }
            target != id
        });
    }
}
