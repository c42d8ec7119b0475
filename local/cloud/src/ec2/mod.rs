//! EC2: instances, their states and tags, launch templates, and as much network as clients ask
//! about.

mod describe;
mod filters;
mod launch;
mod model;
mod network;
mod power;
mod tags;
mod templates;

use serde::Deserialize;
use serde_json::Value;

use crate::{
    wire::{ApiError, Params},
    world::Ctx,
};

pub(crate) use model::{Ec2, Instance, State, Subnet, host};
pub(crate) use power::{advance, halt_now, next_due};

type Reply = Result<Value, ApiError>;

/// Parameters that every action has.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Common {
    #[serde(default)]
    dry_run: bool,
}

/// A tag as it is sent.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

/// Tags for what is created along the way.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase")]
struct TagSpecification {
    resource_type: String,
    #[serde(default, rename = "Tag")]
    tags: Vec<Tag>,
}

/// Carries out an action.
pub(crate) fn call(ctx: &mut Ctx<'_>, action: &str, params: &Params) -> Reply {
    if params.read::<Common>()?.dry_run {
        return Err(ApiError::with_status(
            412,
            "DryRunOperation",
            "Request would have succeeded, but DryRun flag is set.",
        ));
    }
    if action.starts_with("Describe") {
        ctx.allow_stale_reads();
    }
    match action {
        "RunInstances" => ctx.change(|ctx| launch::run(ctx, params)),
        "DescribeInstances" => describe::instances(ctx, &params.read()?),
        "DescribeInstanceStatus" => describe::status(ctx, &params.read()?),
        "DescribeInstanceAttribute" => describe::attribute(ctx, &params.read()?),
        "StartInstances" => ctx.change(|ctx| power::start(ctx, &params.read()?)),
        "StopInstances" => ctx.change(|ctx| power::stop(ctx, &params.read()?)),
        "TerminateInstances" => ctx.change(|ctx| power::terminate(ctx, &params.read()?)),
        "ModifyInstanceAttribute" => ctx.change(|ctx| power::modify(ctx, &params.read()?)),
        "CreateTags" => ctx.change(|ctx| tags::create(ctx, &params.read()?)),
        "DeleteTags" => ctx.change(|ctx| tags::delete(ctx, &params.read()?)),
        "DescribeTags" => tags::describe(ctx, &params.read()?),
        "CreateLaunchTemplate" => ctx.change(|ctx| templates::create(ctx, params.read()?)),
        "CreateLaunchTemplateVersion" => {
            ctx.change(|ctx| templates::create_version(ctx, params.read()?))
        }
        "ModifyLaunchTemplate" => ctx.change(|ctx| templates::modify(ctx, &params.read()?)),
        "DescribeLaunchTemplates" => templates::describe(ctx, &params.read()?),
        "DescribeLaunchTemplateVersions" => templates::describe_versions(ctx, &params.read()?),
        "DescribeVpcs" => network::vpcs(ctx, &params.read()?),
        "DescribeSubnets" => network::subnets(ctx, &params.read()?),
        "DescribeAvailabilityZones" => Ok(network::zones(ctx)),
        _ => Err(ApiError::sender(
            "InvalidAction",
            format!("The action {action} is not valid for this simulated web service."),
        )),
    }
}
