//! Actions of listeners and rules: read, checked, and written back as AWS normalises them.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};

use super::model::Elb;
use crate::{
    topology,
    topology::WeightedGroup,
    wire::{ApiError, Params},
};

/// The most target groups that one action may name.
const GROUPS_PER_ACTION: usize = 5;

/// An action that passed the checks.
#[derive(Debug, Clone)]
pub(crate) struct Action {
    /// What was sent, with the forward configuration filled in; fields that are unknown here are
    /// kept.
    pub(crate) wire: Value,
    effect: Effect,
    group_stickiness: Option<Duration>,
}

#[derive(Debug, Clone)]
enum Effect {
    Forward(Vec<WeightedGroup>),
    Fixed {
        status: u16,
        body: String,
    },
    /// Accepted and shown, but not carried out by the data plane.
    Other,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Sent {
    r#type: String,
    target_group_arn: Option<String>,
    forward_config: Option<Forward>,
    fixed_response_config: Option<Fixed>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Forward {
    #[serde(default)]
    target_groups: Vec<Tuple>,
    target_group_stickiness_config: Option<Stickiness>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tuple {
    target_group_arn: String,
    weight: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stickiness {
    enabled: Option<bool>,
    duration_seconds: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Fixed {
    status_code: u16,
    #[serde(default)]
    message_body: String,
}

impl Action {
    /// The groups that it forwards to.
    pub(crate) fn groups(&self) -> &[WeightedGroup] {
        match &self.effect {
            Effect::Forward(groups) => groups,
            Effect::Fixed { .. } | Effect::Other => &[],
        }
    }

    /// Whether it is an error for a group of this action to have target stickiness.
    pub(crate) fn forbids_target_stickiness(&self) -> bool {
        self.groups().len() > 1 && self.group_stickiness.is_none()
    }
}

/// What the data plane does for a list of actions.
pub(crate) fn effective(actions: &[Action]) -> topology::Action {
    let last = actions
        .iter()
        .rev()
        .find_map(|action| match &action.effect {
            Effect::Forward(groups) => Some(topology::Action::Forward(groups.clone())),
            Effect::Fixed { status, body } => Some(topology::Action::FixedResponse {
                status: *status,
                body: body.clone(),
            }),
            Effect::Other => None,
        });
    last.unwrap_or_else(|| topology::Action::FixedResponse {
        status: 501,
        body: "this kind of action is not simulated".to_owned(),
    })
}

/// Reads and checks the whole list of actions of a listener or rule of a load balancer.
pub(crate) fn read(
    elb: &Elb,
    load_balancer: &str,
    sent: &[Value],
) -> Result<Vec<Action>, ApiError> {
    if sent.is_empty() {
        return Err(ApiError::validation("at least one action is required"));
    }
    let actions: Vec<Action> = sent.iter().map(read_one).collect::<Result<_, _>>()?;
    let uses = elb.uses();
    for action in &actions {
        for WeightedGroup { target_group, .. } in action.groups() {
            let group = elb.group(target_group)?;
            if uses
                .get(target_group)
                .is_some_and(|used| used != load_balancer)
            {
                return Err(ApiError::sender(
                    "TargetGroupAssociationLimit",
                    format!(
                        "The following target groups cannot be associated with more than one \
                         load balancer: {target_group}"
                    ),
                ));
            }
            if !group.protocol.is_http() {
                return Err(ApiError::sender(
                    "IncompatibleProtocols",
                    format!(
                        "The protocol '{}' of target group '{target_group}' is not compatible with \
                         a listener of protocol 'HTTP'",
                        group.protocol.name()
                    ),
                ));
            }
            if group.vpc != elb.load_balancer(load_balancer)?.vpc {
                return Err(ApiError::sender(
                    "InvalidConfigurationRequest",
                    format!(
                        "target group '{target_group}' is in another VPC than the load balancer"
                    ),
                ));
            }
            let sticky = group.attributes.get("stickiness.enabled");
            if sticky.is_some_and(|on| on == "true") && action.forbids_target_stickiness() {
                return Err(stickiness_conflict());
            }
        }
    }
    match actions.last().map(|action| &action.effect) {
        Some(Effect::Forward(_) | Effect::Fixed { .. }) => Ok(actions),
        _ if actions.len() == 1 => Ok(actions),
        _ => Err(ApiError::sender(
            "InvalidLoadBalancerAction",
            "the last action must be a forward, redirect or fixed-response action",
        )),
    }
}

/// The error of a group with target stickiness behind a weighted action without group stickiness.
pub(crate) fn stickiness_conflict() -> ApiError {
    ApiError::sender(
        "InvalidConfigurationRequest",
        "This target group appears behind a rule with group stickiness disabled. You must enable \
         group stickiness before enabling target stickiness",
    )
}

fn read_one(sent: &Value) -> Result<Action, ApiError> {
    let action: Sent = Params::from_json_of_form(sent).read()?;
    let mut wire = sent.clone();
    let mut group_stickiness = None;
    let effect = match action.r#type.as_str() {
        "forward" => {
            let config = action.forward_config.as_ref();
            let sticky = config.and_then(|config| config.target_group_stickiness_config.as_ref());
            group_stickiness = sticky.map(stickiness).transpose()?.flatten();
            let groups = forward(action.target_group_arn.as_deref(), config)?;
            normalise(&mut wire, &groups);
            Effect::Forward(groups)
        }
        "fixed-response" => {
            let fixed = action.fixed_response_config.ok_or_else(|| {
                ApiError::validation("a fixed-response action needs a FixedResponseConfig")
            })?;
            Effect::Fixed {
                status: fixed.status_code,
                body: fixed.message_body,
            }
        }
        "redirect" | "authenticate-oidc" | "authenticate-cognito" | "jwt-validation" => {
            Effect::Other
        }
        other => {
            return Err(ApiError::validation(format!(
                "'{other}' is not a type of action"
            )));
        }
    };
    Ok(Action {
        wire,
        effect,
        group_stickiness,
    })
}

/// For how long a client is sent to the group that it was sent to before.
pub(super) fn group_stickiness(actions: &[Action]) -> Option<Duration> {
    actions.iter().rev().find_map(|one| one.group_stickiness)
}

/// The week is the longest that AWS allows, the day what is meant where none is said.
fn stickiness(sent: &Stickiness) -> Result<Option<Duration>, ApiError> {
    let seconds = sent.duration_seconds.unwrap_or(86_400);
    if !(1..=604_800).contains(&seconds) {
        return Err(ApiError::validation(format!(
            "DurationSeconds {seconds} must be between 1 and 604800"
        )));
    }
    let on = sent.enabled.unwrap_or(false);
    Ok(on.then(|| Duration::from_secs(u64::from(seconds))))
}

fn forward(single: Option<&str>, config: Option<&Forward>) -> Result<Vec<WeightedGroup>, ApiError> {
    let tuples = config.map_or(&[][..], |config| &config.target_groups);
    let mut groups: BTreeMap<&str, u16> = BTreeMap::new();
    let mut order = Vec::new();
    for tuple in tuples {
        let weight = tuple.weight.unwrap_or(1);
        let weight = u16::try_from(weight)
            .ok()
            .filter(|weight| *weight <= 999)
            .ok_or_else(|| {
                ApiError::validation(format!("Weight {weight} must be between 0 and 999"))
            })?;
        let arn = tuple.target_group_arn.as_str();
        if groups.insert(arn, weight).is_some() {
            return Err(ApiError::validation(format!(
                "target group '{arn}' appears twice in one action"
            )));
        }
        order.push((arn, weight));
    }
    match single {
        Some(arn) if order.is_empty() => order.push((arn, 1)),
        Some(arn) if order.len() > 1 || order[0].0 != arn => {
            return Err(ApiError::sender(
                "InvalidLoadBalancerAction",
                "TargetGroupArn and ForwardConfig name different target groups",
            ));
        }
        _ => {}
    }
    if order.is_empty() {
        return Err(ApiError::sender(
            "InvalidLoadBalancerAction",
            "A target group ARN must be specified for a forward action",
        ));
    }
    if order.len() > GROUPS_PER_ACTION {
        return Err(ApiError::validation(format!(
            "an action may name at most {GROUPS_PER_ACTION} target groups, not {}",
            order.len()
        )));
    }
    let group = |(arn, weight): (&str, u16)| WeightedGroup {
        target_group: arn.to_owned(),
        weight,
    };
    Ok(order.into_iter().map(group).collect())
}

/// AWS shows a forward action to one group in both ways, and to several in one.
fn normalise(wire: &mut Value, groups: &[WeightedGroup]) {
    let Value::Object(fields) = wire else {
        return;
    };
    let tuples: Vec<Value> = groups
        .iter()
        .map(|group| json!({"TargetGroupArn": group.target_group, "Weight": group.weight}))
        .collect();
    let config = fields.entry("ForwardConfig").or_insert_with(|| json!({}));
    config["TargetGroups"] = Value::Array(tuples);
    if config.get("TargetGroupStickinessConfig").is_none() {
        config["TargetGroupStickinessConfig"] = json!({"Enabled": false});
    }
    match groups {
        [only] => fields.insert("TargetGroupArn".to_owned(), json!(only.target_group)),
        _ => fields.remove("TargetGroupArn"),
    };
}
