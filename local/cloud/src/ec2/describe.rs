//! Reading instances.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Reply,
    filters::{self, Filter},
    model::{Instance, State, unknown_instance},
};
use crate::{paging::ByToken, wire::ApiError, world::Ctx};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Describe {
    #[serde(default, rename = "InstanceId")]
    instance_ids: Vec<String>,
    #[serde(default, rename = "Filter")]
    filters: Vec<Filter>,
    #[serde(default)]
    include_all_instances: bool,
    #[serde(flatten)]
    page: ByToken,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Attribute {
    instance_id: String,
    attribute: String,
}

pub(super) fn instances(ctx: &mut Ctx<'_>, input: &Describe) -> Reply {
    let found = select(ctx, input)?;
    let mut reservations: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for instance in found {
        reservations
            .entry(&instance.reservation)
            .or_default()
            .push(instance.show());
    }
    let owner = &ctx.config.account;
    let shown = reservations.into_iter().map(|(id, instances)| {
        json!({"reservationId": id, "ownerId": owner, "groupSet": [], "instancesSet": instances})
    });
    input.page.ec2("reservationSet", shown.collect(), (5, 1000))
}

pub(super) fn status(ctx: &mut Ctx<'_>, input: &Describe) -> Reply {
    let found = select(ctx, input)?;
    let checks = |ok: bool| {
        let status = if ok { "ok" } else { "not-applicable" };
        let details = ok.then(|| json!([{"name": "reachability", "status": "passed"}]));
        json!({"status": status, "details": details})
    };
    let shown = found
        .into_iter()
        .filter(|instance| input.include_all_instances || instance.is_running())
        .map(|instance| {
            json!({
                "instanceId": instance.id,
                "availabilityZone": instance.zone,
                "instanceState": instance.state.show(),
                "systemStatus": checks(instance.is_running()),
                "instanceStatus": checks(instance.is_running()),
            })
        });
    input
        .page
        .ec2("instanceStatusSet", shown.collect(), (5, 1000))
}

pub(super) fn attribute(ctx: &mut Ctx<'_>, input: &Attribute) -> Reply {
    let instance = ctx.view().ec2.instance(&input.instance_id)?;
    let value = match input.attribute.as_str() {
        "disableApiTermination" => json!(instance.protected),
        "instanceType" => json!(instance.instance_type),
        "userData" => json!(instance.user_data),
        other => {
            return Err(ApiError::sender(
                "InvalidParameterValue",
                format!("the attribute '{other}' is not simulated"),
            ));
        }
    };
    Ok(json!({"instanceId": instance.id, &input.attribute: {"value": value}}))
}

fn select<'a>(ctx: &'a Ctx<'_>, input: &Describe) -> Result<Vec<&'a Instance>, ApiError> {
    if input.page.is_bounded() && !input.instance_ids.is_empty() {
        return Err(ApiError::sender(
            "InvalidParameterCombination",
            "The parameter instancesSet cannot be used with the parameter maxResults",
        ));
    }
    let ec2 = &ctx.view().ec2;
    // One unknown id fails the whole call.
    for id in &input.instance_ids {
        let known = ec2.instances.get(id);
        if known.is_none_or(|instance| ctx.now < instance.visible_from) {
            return Err(unknown_instance(id));
        }
    }
    let mut found = Vec::new();
    for instance in ec2.instances.values() {
        let named = input.instance_ids.is_empty() || input.instance_ids.contains(&instance.id);
        if named && instance.visible_from <= ctx.now && filters::instance(&input.filters, instance)?
        {
            found.push(instance);
        }
    }
    Ok(found)
}

/// A change of state as the API shows it.
pub(super) fn transition(id: &str, from: State, to: State) -> Value {
    json!({"instanceId": id, "previousState": from.show(), "currentState": to.show()})
}
