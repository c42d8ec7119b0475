//! RunInstances.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Reply, TagSpecification,
    model::{Instance, State, TokenUse, arn},
    tags,
    templates::{self, Chosen, Reference, TemplateData},
};
use crate::{
    events::EventKind,
    wire::{ApiError, Params},
    world::Ctx,
};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Run {
    min_count: usize,
    max_count: usize,
    image_id: Option<String>,
    instance_type: Option<String>,
    subnet_id: Option<String>,
    user_data: Option<String>,
    client_token: Option<String>,
    disable_api_termination: Option<bool>,
    launch_template: Option<Reference>,
    #[serde(default, rename = "TagSpecification")]
    tag_specifications: Vec<TagSpecification>,
}

/// What is launched, after the template and the request were put together.
struct Plan {
    image: String,
    instance_type: String,
    subnet: String,
    user_data: Option<String>,
    protected: bool,
    tags: BTreeMap<String, String>,
}

pub(super) fn run(ctx: &mut Ctx<'_>, params: &Params) -> Reply {
    let input: Run = params.read()?;
    let mut parameters = params.to_json();
    if let Value::Object(fields) = &mut parameters {
        fields.remove("ClientToken");
    }
    if let Some(token) = &input.client_token
        && let Some(used) = ctx.ec2().tokens.get(token).cloned()
    {
        return repeat(ctx, &used, &parameters);
    }
    if input.min_count == 0 || input.max_count < input.min_count {
        return Err(ApiError::sender(
            "InvalidParameterValue",
            "MinCount must be at least 1 and at most MaxCount",
        ));
    }
    let specified = input.tag_specifications.iter().flat_map(|one| &one.tags);
    tags::check_keys(specified.map(|tag| tag.key.as_str()))?;
    let plan = plan(ctx, &input)?;
    let count = room(ctx, &plan, &input)?;
    let reservation = format!("r-{}", ctx.hex(17));
    let mut ids = Vec::new();
    for index in 0..count {
        ids.push(launch(ctx, &plan, &input, &reservation, index)?);
    }
    let reply = show(ctx, &reservation, &ids);
    if let Some(token) = input.client_token {
        let instances = ids;
        let used = TokenUse {
            parameters,
            reservation,
            instances,
        };
        ctx.ec2().tokens.insert(token, used);
    }
    Ok(reply)
}

fn repeat(ctx: &mut Ctx<'_>, used: &TokenUse, parameters: &Value) -> Reply {
    if used.parameters != *parameters {
        return Err(ApiError::sender(
            "IdempotentParameterMismatch",
            "The client token was used with other parameters in an earlier request",
        ));
    }
    let ended = |id: &String| {
        let instance = ctx.world.live.ec2.instances.get(id);
        instance.is_none_or(|instance| instance.state == State::Terminated)
    };
    if used.instances.iter().all(ended) {
        return Err(ApiError::sender(
            "IdempotentInstanceTerminated",
            "The instances that were launched with this client token are terminated",
        ));
    }
    Ok(show(ctx, &used.reservation, &used.instances))
}

fn plan(ctx: &mut Ctx<'_>, input: &Run) -> Result<Plan, ApiError> {
    let chosen = match &input.launch_template {
        None => Chosen::default(),
        Some(reference) => templates::choose(ctx.ec2(), reference)?,
    };
    if let Some((id, _)) = &chosen.provenance {
        let template = ctx.arn("ec2", &format!("launch-template/{id}"));
        ctx.touch(template);
    }
    let TemplateData {
        image_id,
        instance_type,
        subnet_id,
        user_data,
        disable_api_termination,
        tag_specifications,
    } = chosen.data;
    let Some(image) = input.image_id.clone().or(image_id) else {
        return Err(ApiError::sender(
            "MissingParameter",
            "The request must contain the parameter ImageId",
        ));
    };
    if !image.starts_with("ami-") {
        return Err(ApiError::sender(
            "InvalidAMIID.Malformed",
            format!("Invalid id: \"{image}\" (expecting \"ami-...\")"),
        ));
    }
    let default_subnet = || ctx.world.live.ec2.subnets.keys().next().cloned();
    let subnet = input
        .subnet_id
        .clone()
        .or(subnet_id)
        .or_else(default_subnet);
    let subnet = subnet
        .filter(|id| ctx.world.live.ec2.subnets.contains_key(id))
        .ok_or_else(|| {
            ApiError::sender(
                "InvalidSubnetID.NotFound",
                "The subnet of the request does not exist",
            )
        })?;
    // Tags of the template and of the request are merged; the request's win.
    let specifications = tag_specifications.iter().chain(&input.tag_specifications);
    let mut tags: BTreeMap<String, String> = specifications
        .filter(|specification| specification.resource_type == "instance")
        .flat_map(|specification| specification.tags.clone())
        .map(|tag| (tag.key, tag.value))
        .collect();
    if let Some((id, version)) = chosen.provenance {
        tags.insert("aws:ec2launchtemplate:id".to_owned(), id);
        tags.insert(
            "aws:ec2launchtemplate:version".to_owned(),
            version.to_string(),
        );
    }
    Ok(Plan {
        image,
        instance_type: input
            .instance_type
            .clone()
            .or(instance_type)
            .unwrap_or_else(|| "m1.small".to_owned()),
        subnet,
        user_data: input.user_data.clone().or(user_data),
        protected: input
            .disable_api_termination
            .or(disable_api_termination)
            .unwrap_or(false),
        tags,
    })
}

/// How many can be launched: as many as there is room for, but not fewer than MinCount.
fn room(ctx: &mut Ctx<'_>, plan: &Plan, input: &Run) -> Result<usize, ApiError> {
    let ec2 = ctx.ec2();
    let zone = &ec2.subnets[&plan.subnet].zone;
    let Some(capacity) = ec2.capacity.get(zone) else {
        return Ok(input.max_count);
    };
    let alive =
        |instance: &&Instance| instance.zone == *zone && instance.state != State::Terminated;
    let free = capacity.saturating_sub(ec2.instances.values().filter(alive).count());
    if free < input.min_count {
        return Err(ApiError::with_status(
            500,
            "InsufficientInstanceCapacity",
            format!(
                "There is no capacity for {} instances in zone {zone}",
                input.min_count
            ),
        ));
    }
    Ok(free.min(input.max_count))
}

fn launch(
    ctx: &mut Ctx<'_>,
    plan: &Plan,
    input: &Run,
    reservation: &str,
    launch_index: usize,
) -> Result<String, ApiError> {
    let id = format!("i-{}", ctx.hex(17));
    let hostility = &ctx.config.hostility;
    let running_at = ctx.after(hostility.boot);
    let hidden = ctx.chance(hostility.not_found_probability);
    let visible_from = if hidden {
        ctx.after(hostility.not_found_for)
    } else {
        ctx.now
    };
    let base = ctx.config.instance_addresses;
    let address = ctx.ec2().next_address(base);
    let subnet = ctx.ec2().subnets[&plan.subnet].clone();
    let instance = Instance {
        id: id.clone(),
        reservation: reservation.to_owned(),
        image: plan.image.clone(),
        instance_type: plan.instance_type.clone(),
        state: State::Pending,
        next: Some((running_at, State::Running)),
        address,
        vpc: subnet.vpc,
        subnet: plan.subnet.clone(),
        zone: subnet.zone,
        tags: plan.tags.clone(),
        client_token: input.client_token.clone(),
        user_data: plan.user_data.clone(),
        launched: ctx.now,
        launch_index,
        visible_from,
        terminated_at: None,
        protected: plan.protected,
    };
    ctx.ec2().instances.insert(id.clone(), instance);
    ctx.touch(arn(ctx.config, &id));
    ctx.event(EventKind::InstanceState, id.clone(), "pending");
    Ok(id)
}

fn show(ctx: &Ctx<'_>, reservation: &str, ids: &[String]) -> Value {
    let instances = ids
        .iter()
        .filter_map(|id| ctx.world.live.ec2.instances.get(id));
    json!({
        "reservationId": reservation,
        "ownerId": ctx.config.account,
        "groupSet": [],
        "instancesSet": instances.map(Instance::show).collect::<Vec<_>>(),
    })
}
