//! Starting, stopping and terminating, and what happens to instances with time.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Reply,
    describe::transition,
    model::{Ec2, State, arn, host, unknown_instance},
};
use crate::{
    config::Config,
    elb,
    events::EventKind,
    hosts::Halt,
    wire::ApiError,
    world::{Ctx, Effect, World, later},
};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Ids {
    #[serde(rename = "InstanceId")]
    instance_ids: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Modify {
    instance_id: String,
    disable_api_termination: Option<Flag>,
    attribute: Option<String>,
    value: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Flag {
    value: bool,
}

pub(super) fn start(ctx: &mut Ctx<'_>, input: &Ids) -> Reply {
    require_all(ctx, &input.instance_ids)?;
    for id in &input.instance_ids {
        match ctx.ec2().instance(id)?.state {
            State::Stopped | State::Running | State::Pending => {}
            state @ (State::Stopping | State::ShuttingDown | State::Terminated) => {
                return Err(wrong_state(id, state));
            }
        }
    }
    let each = input.instance_ids.iter().map(|id| {
        let from = ctx.ec2().instances[id].state;
        if from != State::Stopped {
            return transition(id, from, from);
        }
        let running_at = ctx.after(ctx.config.hostility.boot);
        set(ctx, id, State::Pending, Some((running_at, State::Running)));
        transition(id, from, State::Pending)
    });
    Ok(json!({"instancesSet": each.collect::<Vec<_>>()}))
}

pub(super) fn stop(ctx: &mut Ctx<'_>, input: &Ids) -> Reply {
    require_all(ctx, &input.instance_ids)?;
    for id in &input.instance_ids {
        match ctx.ec2().instance(id)?.state {
            State::Running | State::Stopping | State::Stopped => {}
            state @ (State::Pending | State::ShuttingDown | State::Terminated) => {
                return Err(wrong_state(id, state));
            }
        }
    }
    let each = input.instance_ids.iter().map(|id| {
        let from = ctx.ec2().instances[id].state;
        if from != State::Running {
            return transition(id, from, from);
        }
        halt(ctx, id, State::Stopping, State::Stopped, Halt::Stopped);
        transition(id, from, State::Stopping)
    });
    Ok(json!({"instancesSet": each.collect::<Vec<_>>()}))
}

pub(super) fn terminate(ctx: &mut Ctx<'_>, input: &Ids) -> Reply {
    require_all(ctx, &input.instance_ids)?;
    let protected = |ctx: &mut Ctx<'_>, id: &String| {
        let instance = &ctx.ec2().instances[id];
        instance.protected && instance.state != State::Terminated
    };
    let refused: Vec<&String> = input
        .instance_ids
        .iter()
        .filter(|id| protected(ctx, id))
        .collect();
    // A protected instance saves those of its zone that are named in the same call, while the
    // others are terminated although the call fails.
    let spared: BTreeSet<String> = refused
        .iter()
        .map(|id| ctx.ec2().instances[*id].zone.clone())
        .collect();
    let mut changes = Vec::new();
    for id in &input.instance_ids {
        let instance = &ctx.ec2().instances[id];
        let (from, zone) = (instance.state, instance.zone.clone());
        if spared.contains(&zone) {
            continue;
        }
        changes.push(terminate_one(ctx, id, from));
    }
    match refused.first() {
        None => Ok(json!({"instancesSet": changes})),
        Some(id) => Err(ApiError::sender(
            "OperationNotPermitted",
            format!(
                "The instance '{id}' may not be terminated. Modify its 'disableApiTermination' \
                 instance attribute and try again."
            ),
        )),
    }
}

fn terminate_one(ctx: &mut Ctx<'_>, id: &str, from: State) -> Value {
    match from {
        State::Terminated | State::ShuttingDown => transition(id, from, from),
        State::Pending | State::Running | State::Stopping | State::Stopped => {
            halt(
                ctx,
                id,
                State::ShuttingDown,
                State::Terminated,
                Halt::Terminated,
            );
            transition(id, from, State::ShuttingDown)
        }
    }
}

pub(super) fn modify(ctx: &mut Ctx<'_>, input: &Modify) -> Reply {
    ctx.touch(arn(ctx.config, &input.instance_id));
    ctx.ec2().instance(&input.instance_id)?;
    let named = input.attribute.as_deref() == Some("disableApiTermination");
    let by_name = input.value.filter(|_| named);
    let flag = input.disable_api_termination.as_ref();
    let Some(protected) = flag.map(|flag| flag.value).or(by_name) else {
        return Err(ApiError::sender(
            "InvalidParameterCombination",
            "only the attribute disableApiTermination can be modified here",
        ));
    };
    if let Some(instance) = ctx.ec2().instances.get_mut(&input.instance_id) {
        instance.protected = protected;
    }
    ctx.event(
        EventKind::Modified,
        input.instance_id.clone(),
        format!("protected {protected}"),
    );
    Ok(json!({"return": true}))
}

/// All are known, or the whole call fails.
fn require_all(ctx: &mut Ctx<'_>, ids: &[String]) -> Result<(), ApiError> {
    for id in ids {
        ctx.touch(arn(ctx.config, id));
        let visible_from = ctx.ec2().instance(id)?.visible_from;
        if ctx.now < visible_from {
            return Err(unknown_instance(id));
        }
    }
    Ok(())
}

fn wrong_state(id: &str, state: State) -> ApiError {
    ApiError::sender(
        "IncorrectInstanceState",
        format!("The instance '{id}' is in the state '{}'", state.name()),
    )
}

fn halt(ctx: &mut Ctx<'_>, id: &str, via: State, to: State, how: Halt) {
    let done_at = ctx.after(ctx.config.hostility.halt);
    let host = host(&ctx.ec2().instances[id]);
    set(ctx, id, via, Some((done_at, to)));
    ctx.effect(Effect::Halt(host, how));
}

fn set(ctx: &mut Ctx<'_>, id: &str, state: State, next: Option<(Timestamp, State)>) {
    if let Some(instance) = ctx.ec2().instances.get_mut(id) {
        instance.state = state;
        instance.next = next;
    }
    ctx.event(EventKind::InstanceState, id, state.name());
}

/// The instance is stopped this instant, as when its hardware fails.
pub(crate) fn halt_now(ctx: &mut Ctx<'_>, id: &str) -> Result<(), ApiError> {
    let host = host(ctx.ec2().instance(id)?);
    set(ctx, id, State::Stopped, None);
    ctx.effect(Effect::Halt(host, Halt::Stopped));
    Ok(())
}

/// When an instance changes by itself next.
pub(crate) fn next_due(ec2: &Ec2, config: &Config) -> Option<Timestamp> {
    let due = ec2.instances.values().flat_map(|instance| {
        let kept = config.hostility.terminated_instance_kept;
        let forgotten = instance.terminated_at.map(|at| later(at, kept));
        [instance.next.map(|(at, _)| at), forgotten]
    });
    due.flatten().min()
}

/// Moves instances on. Returns whether any did.
pub(crate) fn advance(world: &mut World, now: Timestamp, config: &Config) -> bool {
    let mut arrived = Vec::new();
    for instance in world.live.ec2.instances.values_mut() {
        if let Some((at, state)) = instance.next.filter(|(at, _)| *at <= now) {
            instance.state = state;
            instance.next = None;
            if state == State::Terminated {
                instance.terminated_at = Some(at);
            }
            arrived.push((instance.id.clone(), state, host(instance)));
        }
    }
    for (id, state, host) in &arrived {
        world
            .events
            .record(now, EventKind::InstanceState, id.clone(), state.name());
        if *state == State::Running {
            elb::instance_running(world, id, now, config);
            world.effects.push(Effect::Boot(host.clone()));
        }
    }
    let kept = config.hostility.terminated_instance_kept;
    let forgotten: Vec<String> = world
        .live
        .ec2
        .instances
        .values()
        .filter(|instance| {
            instance
                .terminated_at
                .is_some_and(|at| later(at, kept) <= now)
        })
        .map(|instance| instance.id.clone())
        .collect();
    for id in &forgotten {
        world.live.ec2.instances.remove(id);
        elb::instance_halted(world, id, now);
    }
    !arrived.is_empty() || !forgotten.is_empty()
}
