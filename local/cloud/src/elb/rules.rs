//! Rules of a listener.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Reply, actions,
    actions::Action,
    model::{Listener, Rule, put_to_use},
    publish,
    tags::Tag,
};
use crate::{events::EventKind, paging::ByMarker, wire::ApiError, world::Ctx};

/// The highest priority number that AWS takes.
const LAST_PRIORITY: u32 = 50_000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Create {
    listener_arn: String,
    priority: u32,
    #[serde(default)]
    conditions: Vec<Value>,
    #[serde(default)]
    actions: Vec<Value>,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Modify {
    rule_arn: String,
    #[serde(default)]
    conditions: Vec<Value>,
    #[serde(default)]
    actions: Vec<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct One {
    rule_arn: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Describe {
    listener_arn: Option<String>,
    #[serde(default)]
    rule_arns: Vec<String>,
    #[serde(flatten)]
    page: ByMarker,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetPriorities {
    rule_priorities: Vec<RulePriority>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RulePriority {
    rule_arn: String,
    priority: u32,
}

pub(super) fn create(ctx: &mut Ctx<'_>, input: Create) -> Reply {
    ctx.touch(input.listener_arn.clone());
    let listener = ctx.elb().listener(&input.listener_arn)?.clone();
    require_priority(input.priority)?;
    if listener
        .rules
        .iter()
        .any(|rule| rule.priority == input.priority)
    {
        return Err(priority_in_use(input.priority));
    }
    if input.conditions.is_empty() {
        return Err(ApiError::validation("a rule needs at least one condition"));
    }
    publish::conditions(&input.conditions)?;
    let actions = actions::read(ctx.elb(), &listener.load_balancer, &input.actions)?;
    let id = ctx.hex(16);
    let arn = format!(
        "{}/{id}",
        listener.arn.replacen(":listener/", ":listener-rule/", 1)
    );
    let rule = Rule {
        arn: arn.clone(),
        priority: input.priority,
        conditions: input.conditions,
        actions,
    };
    let shown = show(&rule);
    let uses = ctx.elb().uses();
    let rules = &mut ctx.elb().listener_mut(&input.listener_arn)?.rules;
    rules.push(rule);
    rules.sort_by_key(|rule| rule.priority);
    put_to_use(ctx, &uses);
    super::tags::set(ctx, &arn, input.tags);
    ctx.event(EventKind::Created, arn, "rule");
    Ok(json!({"Rules": [shown]}))
}

pub(super) fn describe(ctx: &mut Ctx<'_>, input: &Describe) -> Reply {
    let elb = &ctx.view().elb;
    let listeners: Vec<&Listener> = match &input.listener_arn {
        Some(arn) => vec![elb.listener(arn)?],
        None => elb.listeners.values().collect(),
    };
    let all: Vec<Value> = listeners
        .into_iter()
        .flat_map(|listener| {
            let default = show_default(listener);
            listener.rules.iter().map(show).chain([default])
        })
        .collect();
    let arn_of = |rule: &Value| rule["RuleArn"].as_str().unwrap_or_default().to_owned();
    if let Some(missing) = input
        .rule_arns
        .iter()
        .find(|arn| !all.iter().any(|rule| arn_of(rule) == **arn))
    {
        return Err(ApiError::sender(
            "RuleNotFound",
            format!("One or more rules not found: '{missing}'"),
        ));
    }
    if input.listener_arn.is_none() && input.rule_arns.is_empty() {
        return Err(ApiError::validation(
            "You must specify either listener rule ARNs or a listener ARN",
        ));
    }
    let wanted =
        |rule: &Value| input.rule_arns.is_empty() || input.rule_arns.contains(&arn_of(rule));
    let found = all.into_iter().filter(wanted).collect();
    input.page.elb("Rules", found)
}

pub(super) fn modify(ctx: &mut Ctx<'_>, input: Modify) -> Reply {
    let arn = input.rule_arn;
    ctx.touch(arn.clone());
    refuse_default(ctx, &arn, "modified; use ModifyListener")?;
    let load_balancer = ctx.elb().listener_of_rule(&arn)?.load_balancer.clone();
    publish::conditions(&input.conditions)?;
    let actions = match input.actions.as_slice() {
        [] => None,
        sent => Some(actions::read(ctx.elb(), &load_balancer, sent)?),
    };
    let uses = ctx.elb().uses();
    let listener = ctx.elb().listener_of_rule(&arn)?;
    let mut shown = Value::Null;
    for rule in listener.rules.iter_mut().filter(|rule| rule.arn == arn) {
        if let Some(actions) = &actions {
            rule.actions.clone_from(actions);
        }
        if !input.conditions.is_empty() {
            rule.conditions.clone_from(&input.conditions);
        }
        shown = show(rule);
    }
    put_to_use(ctx, &uses);
    ctx.event(EventKind::Modified, arn, shown["Actions"].to_string());
    Ok(json!({"Rules": [shown]}))
}

pub(super) fn delete(ctx: &mut Ctx<'_>, input: &One) -> Reply {
    let arn = &input.rule_arn;
    ctx.touch(arn.clone());
    refuse_default(ctx, arn, "deleted")?;
    ctx.elb()
        .listener_of_rule(arn)?
        .rules
        .retain(|rule| rule.arn != *arn);
    ctx.elb().tags.remove(arn);
    ctx.event(EventKind::Deleted, arn.clone(), "rule");
    Ok(json!({}))
}

pub(super) fn set_priorities(ctx: &mut Ctx<'_>, input: &SetPriorities) -> Reply {
    let Some(first) = input.rule_priorities.first() else {
        return Err(ApiError::validation(
            "at least one rule priority is required",
        ));
    };
    let mut listener = ctx.elb().listener_of_rule(&first.rule_arn)?.clone();
    for RulePriority { rule_arn, priority } in &input.rule_priorities {
        ctx.touch(rule_arn.clone());
        refuse_default(ctx, rule_arn, "given a priority")?;
        require_priority(*priority)?;
        let rule = listener.rules.iter_mut().find(|rule| rule.arn == *rule_arn);
        let rule = rule.ok_or_else(|| {
            ApiError::sender(
                "RuleNotFound",
                format!("One or more rules not found: '{rule_arn}'"),
            )
        })?;
        rule.priority = *priority;
    }
    listener.rules.sort_by_key(|rule| rule.priority);
    if let Some(pair) = listener
        .rules
        .windows(2)
        .find(|pair| pair[0].priority == pair[1].priority)
    {
        return Err(priority_in_use(pair[0].priority));
    }
    let moved = input.rule_priorities.iter().map(|moved| &moved.rule_arn);
    let moved: Vec<&String> = moved.collect();
    let rules = listener
        .rules
        .iter()
        .filter(|rule| moved.contains(&&rule.arn));
    let shown: Vec<Value> = rules.map(show).collect();
    ctx.event(EventKind::Modified, listener.arn.clone(), "rule priorities");
    ctx.elb().listeners.insert(listener.arn.clone(), listener);
    Ok(json!({"Rules": shown}))
}

fn refuse_default(ctx: &mut Ctx<'_>, arn: &str, what: &str) -> Result<(), ApiError> {
    let is_default = |listener: &Listener| default_arn(listener) == arn;
    if ctx.elb().listeners.values().any(is_default) {
        return Err(ApiError::sender(
            "OperationNotPermitted",
            format!("Default rule '{arn}' cannot be {what}"),
        ));
    }
    Ok(())
}

fn require_priority(priority: u32) -> Result<(), ApiError> {
    if (1..=LAST_PRIORITY).contains(&priority) {
        return Ok(());
    }
    Err(ApiError::validation(format!(
        "Priority must be between 1 and {LAST_PRIORITY}, not {priority}"
    )))
}

fn priority_in_use(priority: u32) -> ApiError {
    ApiError::sender(
        "PriorityInUse",
        format!("Priority '{priority}' is currently in use"),
    )
}

/// The ARN of a listener's default rule: it has no entry of its own.
pub(super) fn default_arn(listener: &Listener) -> String {
    format!(
        "{}/default",
        listener.arn.replacen(":listener/", ":listener-rule/", 1)
    )
}

fn show(rule: &Rule) -> Value {
    shown(
        &rule.arn,
        &rule.priority.to_string(),
        &rule.conditions,
        &rule.actions,
    )
}

fn show_default(listener: &Listener) -> Value {
    shown(
        &default_arn(listener),
        "default",
        &[],
        &listener.default_actions,
    )
}

fn shown(arn: &str, priority: &str, conditions: &[Value], actions: &[Action]) -> Value {
    json!({
        "RuleArn": arn,
        "Priority": priority,
        "Conditions": conditions,
        "Actions": actions.iter().map(|action| &action.wire).collect::<Vec<_>>(),
        "IsDefault": priority == "default",
    })
}
