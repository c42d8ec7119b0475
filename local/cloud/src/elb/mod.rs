//! Elastic Load Balancing v2: the control plane of Application Load Balancers for HTTP.

mod actions;
mod attributes;
mod balancers;
mod groups;
mod health;
mod listeners;
mod model;
mod names;
mod publish;
mod rules;
mod tags;
mod targets;

use serde_json::{Value, json};

use crate::{
    wire::{ApiError, Params},
    world::Ctx,
};

pub(crate) use health::status;
pub(crate) use model::{Elb, instance_halted, instance_running};
pub(crate) use names::is_reserved;
pub(crate) use publish::topology;
pub(crate) use targets::{advance, next_due, report};

type Reply = Result<Value, ApiError>;

/// Carries out an action.
pub(crate) fn call(ctx: &mut Ctx<'_>, action: &str, params: &Params) -> Reply {
    if action.starts_with("Describe") {
        ctx.allow_stale_reads();
    }
    match action {
        "CreateLoadBalancer" => balancers::create(ctx, params.read()?),
        "DescribeLoadBalancers" => balancers::describe(ctx, &params.read()?),
        "DescribeLoadBalancerAttributes" => balancers::attributes(ctx, &params.read()?),
        "ModifyLoadBalancerAttributes" => {
            ctx.change(|ctx| balancers::modify_attributes(ctx, params.read()?))
        }
        "DeleteLoadBalancer" => ctx.change(|ctx| balancers::delete(ctx, &params.read()?)),
        "CreateTargetGroup" => ctx.change(|ctx| groups::create(ctx, params.read()?)),
        "DescribeTargetGroups" => groups::describe(ctx, &params.read()?),
        "ModifyTargetGroup" => ctx.change(|ctx| groups::modify(ctx, &params.read()?)),
        "DescribeTargetGroupAttributes" => groups::describe_attributes(ctx, &params.read()?),
        "ModifyTargetGroupAttributes" => {
            ctx.change(|ctx| groups::modify_attributes(ctx, params.read()?))
        }
        "DeleteTargetGroup" => ctx.change(|ctx| groups::delete(ctx, &params.read()?)),
        "CreateListener" => ctx.change(|ctx| listeners::create(ctx, params.read()?)),
        "DescribeListeners" => listeners::describe(ctx, &params.read()?),
        "ModifyListener" => ctx.change(|ctx| listeners::modify(ctx, &params.read()?)),
        "DeleteListener" => ctx.change(|ctx| listeners::delete(ctx, &params.read()?)),
        "CreateRule" => ctx.change(|ctx| rules::create(ctx, params.read()?)),
        "DescribeRules" => rules::describe(ctx, &params.read()?),
        "ModifyRule" => ctx.change(|ctx| rules::modify(ctx, params.read()?)),
        "DeleteRule" => ctx.change(|ctx| rules::delete(ctx, &params.read()?)),
        "SetRulePriorities" => ctx.change(|ctx| rules::set_priorities(ctx, &params.read()?)),
        "RegisterTargets" => ctx.change(|ctx| targets::register(ctx, &params.read()?)),
        "DeregisterTargets" => ctx.change(|ctx| targets::deregister(ctx, &params.read()?)),
        "DescribeTargetHealth" => health::describe(ctx, &params.read()?),
        "DescribeTags" => tags::describe(ctx, &params.read()?),
        "AddTags" => ctx.change(|ctx| tags::add(ctx, &params.read()?)),
        "RemoveTags" => ctx.change(|ctx| tags::remove(ctx, &params.read()?)),
        "DescribeListenerAttributes" => Ok(json!({"Attributes": []})),
        _ => Err(ApiError::sender(
            "InvalidAction",
            format!("The action {action} is not valid for this simulated web service."),
        )),
    }
}
