//! Registration, deregistration, and what happens to a target with time.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;

use super::{
    Reply,
    health::{TargetStatus, status},
    model::{Group, Target},
};
use crate::{
    config::Config,
    events::EventKind,
    topology::HealthReport,
    wire::ApiError,
    world::{Ctx, View, World, later},
};

/// How many targets a target group can have.
const TARGETS_PER_GROUP: usize = 1000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Targets {
    target_group_arn: String,
    targets: Vec<TargetDescription>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TargetDescription {
    pub(super) id: String,
    port: Option<u32>,
    availability_zone: Option<String>,
}

impl TargetDescription {
    /// The port; without one the group's own is meant.
    pub(super) fn port_of(&self, group: &Group) -> u16 {
        let port = self.port.and_then(|port| u16::try_from(port).ok());
        port.unwrap_or(group.port)
    }
}

/// Checks what descriptions of targets of type `instance` may say.
pub(super) fn check_descriptions(targets: &[TargetDescription]) -> Result<(), ApiError> {
    for (index, target) in targets.iter().enumerate() {
        if let Some(sent) = target.port {
            port(&format!("Targets.{}.Port", index + 1), sent)?;
        }
        if let Some(zone) = &target.availability_zone {
            return Err(ApiError::validation(format!(
                "You cannot specify an Availability Zone ('{zone}') for a target of type 'instance'"
            )));
        }
    }
    Ok(())
}

/// A port that was sent as the parameter at this path.
pub(super) fn port(path: &str, sent: u32) -> Result<u16, ApiError> {
    let refuse = |constraint| ApiError::constraint(Some(&sent.to_string()), path, constraint);
    match u16::try_from(sent) {
        Ok(0) => Err(refuse("Member must have value greater than or equal to 1")),
        Ok(port) => Ok(port),
        Err(_) => Err(refuse("Member must have value less than or equal to 65535")),
    }
}

pub(super) fn register(ctx: &mut Ctx<'_>, input: &Targets) -> Reply {
    let arn = &input.target_group_arn;
    ctx.touch(arn.clone());
    let group = ctx.elb().group(arn)?.clone();
    check_descriptions(&input.targets)?;
    check_instances(ctx, &group, &input.targets)?;
    if group.targets.len() + input.targets.len() > TARGETS_PER_GROUP {
        return Err(ApiError::sender(
            "TooManyTargets",
            format!("target group '{arn}' cannot have more than {TARGETS_PER_GROUP} targets"),
        ));
    }
    for target in &input.targets {
        register_one(ctx, &group, &target.id, target.port_of(&group))?;
    }
    Ok(json!({}))
}

/// One instance that cannot be registered fails the whole call: none of them is.
fn check_instances(
    ctx: &mut Ctx<'_>,
    group: &Group,
    targets: &[TargetDescription],
) -> Result<(), ApiError> {
    let invalid = |message: String| Err(ApiError::sender("InvalidTarget", message));
    let named = |ids: &[&str]| format!("'{}'", ids.join("', '"));
    let instances = &ctx.ec2().instances;
    let (mut elsewhere, mut resting) = (Vec::new(), Vec::new());
    for TargetDescription { id, .. } in targets {
        match instances.get(id) {
            None => return invalid(format!("Instance ID '{id}' is not valid")),
            Some(instance) if instance.vpc != group.vpc => elsewhere.push(id.as_str()),
            Some(instance) if !instance.is_running() => resting.push(id.as_str()),
            Some(_) => {}
        }
    }
    if !elsewhere.is_empty() {
        let (vpc, ids) = (&group.vpc, named(&elsewhere));
        return invalid(format!(
            "The following targets are not in the target group VPC '{vpc}': {ids}"
        ));
    }
    if !resting.is_empty() {
        let ids = named(&resting);
        return invalid(format!(
            "The following targets are not in a running state and cannot be registered: {ids}"
        ));
    }
    Ok(())
}

fn register_one(ctx: &mut Ctx<'_>, group: &Group, id: &str, port: u16) -> Result<(), ApiError> {
    let active_at = ctx.after(ctx.config.hostility.registration_lag);
    ctx.elb().serial += 1;
    let serial = ctx.elb().serial;
    let targets = &mut ctx.elb().group_mut(&group.arn)?.targets;
    match targets.get_mut(&(id.to_owned(), port)) {
        // Registering what is registered changes nothing.
        Some(target) if target.draining_until.is_none() => return Ok(()),
        Some(target) => {
            target.draining_until = None;
            target.check_anew(serial, active_at);
        }
        None => {
            let target = Target {
                serial,
                life: serial,
                active_at,
                draining_until: None,
                reports: BTreeMap::new(),
            };
            targets.insert((id.to_owned(), port), target);
        }
    }
    ctx.event(
        EventKind::TargetRegistered,
        format!("{} {id}:{port}", group.arn),
        "",
    );
    Ok(())
}

pub(super) fn deregister(ctx: &mut Ctx<'_>, input: &Targets) -> Reply {
    let arn = &input.target_group_arn;
    ctx.touch(arn.clone());
    let group = ctx.elb().group(arn)?.clone();
    check_descriptions(&input.targets)?;
    let delay = group.attributes.get("deregistration_delay.timeout_seconds");
    let delay = delay.and_then(|delay| delay.parse().ok()).unwrap_or(300);
    for target in &input.targets {
        // A target is an id and a port. Without a port the group's own is meant: a registration
        // with another port is left alone, and the caller is told that all went well.
        let key = (target.id.clone(), target.port_of(&group));
        let subject = format!("{arn} {}:{}", key.0, key.1);
        let until = ctx.now + SignedDuration::from_secs(delay);
        let targets = &mut ctx.elb().group_mut(arn)?.targets;
        let Some(target) = targets.get_mut(&key) else {
            continue;
        };
        if target.draining_until.is_some() {
            continue;
        }
        if delay == 0 && !group.endless_drains {
            targets.remove(&key);
            ctx.event(EventKind::TargetGone, subject, "no deregistration delay");
        } else {
            target.draining_until = Some(until);
            ctx.event(EventKind::TargetDraining, subject, format!("until {until}"));
        }
    }
    Ok(json!({}))
}

/// Takes what a node's health checks say.
pub(crate) fn report(world: &mut World, report: HealthReport, now: Timestamp) {
    let HealthReport {
        node,
        target_group,
        target: key,
        life,
        health,
    } = report;
    let Some(group) = world.live.elb.groups.get_mut(&target_group) else {
        return;
    };
    let target = group.targets.get_mut(&(key.id.clone(), key.port));
    let current = |target: &&mut Target| target.serial == key.serial && target.life == life;
    let Some(target) = target.filter(current) else {
        return;
    };
    let subject = format!("{target_group} {}:{}", key.id, key.port);
    let detail = format!("{node}: {health:?}");
    target.reports.insert(node, health);
    world
        .events
        .record(now, EventKind::TargetChecked, subject, detail);
}

/// When a target's state changes by itself next.
pub(crate) fn next_due(view: &View, now: Timestamp, config: &Config) -> Option<Timestamp> {
    let groups = view.elb.groups.values();
    let targets = groups.flat_map(|group| group.targets.iter().map(move |entry| (group, entry)));
    let due = targets.flat_map(|(group, ((id, _), target))| {
        let active = Some(target.active_at).filter(|at| *at > now);
        [
            active,
            group.drain_ends(target),
            forgotten_at(view, id, config),
        ]
    });
    due.flatten().min()
}

/// Removes targets whose time is over. Returns whether nodes have to be told of anything.
pub(crate) fn advance(world: &mut World, now: Timestamp, config: &Config) -> bool {
    let mut gone = Vec::new();
    for group in world.live.elb.groups.values() {
        for ((id, port), target) in &group.targets {
            let drained = group.drain_ends(target).is_some_and(|until| until <= now);
            let forgotten = forgotten_at(&world.live, id, config).is_some_and(|at| at <= now);
            if drained || forgotten {
                gone.push((group.arn.clone(), (id.clone(), *port), drained));
            }
        }
    }
    for (arn, key, drained) in &gone {
        if let Some(group) = world.live.elb.groups.get_mut(arn) {
            group.targets.remove(key);
        }
        let why = if *drained {
            "deregistration delay over"
        } else {
            "instance terminated"
        };
        let subject = format!("{arn} {}:{}", key.0, key.1);
        world
            .events
            .record(now, EventKind::TargetGone, subject, why);
    }
    !gone.is_empty()
}

fn forgotten_at(view: &View, id: &str, config: &Config) -> Option<Timestamp> {
    let terminated = view.ec2.instances.get(id)?.terminated_at?;
    Some(later(terminated, config.hostility.terminated_target_kept))
}

/// The status of every target of a group, in order.
pub(super) fn statuses(
    view: &View,
    group: &Group,
    now: Timestamp,
) -> Vec<(String, u16, TargetStatus)> {
    let listed = group.targets.iter().filter(|(_, target)| {
        // A stale view may still hold a target whose drain is over by now.
        group.drain_ends(target).is_none_or(|until| now < until)
    });
    listed
        .map(|((id, port), target)| (id.clone(), *port, status(view, group, id, target, now)))
        .collect()
}
