//! Listeners, with the default action that only they can change.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Reply, actions,
    model::{Listener, put_to_use},
    tags::Tag,
};
use crate::{events::EventKind, paging::ByMarker, wire::ApiError, world::Ctx};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Create {
    load_balancer_arn: String,
    protocol: Option<String>,
    port: Option<u16>,
    default_actions: Vec<Value>,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Modify {
    listener_arn: String,
    protocol: Option<String>,
    port: Option<u16>,
    #[serde(default)]
    default_actions: Vec<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct One {
    listener_arn: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Describe {
    load_balancer_arn: Option<String>,
    #[serde(default)]
    listener_arns: Vec<String>,
    #[serde(flatten)]
    page: ByMarker,
}

pub(super) fn create(ctx: &mut Ctx<'_>, input: Create) -> Reply {
    let load_balancer = input.load_balancer_arn;
    ctx.touch(load_balancer.clone());
    ctx.elb().load_balancer(&load_balancer)?;
    let port = input
        .port
        .ok_or_else(|| ApiError::validation("a listener needs a Port"))?;
    require_http(input.protocol.as_deref().unwrap_or_default())?;
    require_free_port(ctx, &load_balancer, port, "")?;
    let default_actions = actions::read(ctx.elb(), &load_balancer, &input.default_actions)?;
    let id = ctx.hex(16);
    let arn = format!(
        "{}/{id}",
        load_balancer.replacen(":loadbalancer/", ":listener/", 1)
    );
    let listener = Listener {
        arn: arn.clone(),
        load_balancer,
        port,
        default_actions,
        rules: Vec::new(),
    };
    let shown = show(&listener);
    let uses = ctx.elb().uses();
    ctx.elb().listeners.insert(arn.clone(), listener);
    put_to_use(ctx, &uses);
    super::tags::set(ctx, &arn, input.tags);
    ctx.event(EventKind::Created, arn, "listener");
    Ok(json!({"Listeners": [shown]}))
}

pub(super) fn describe(ctx: &mut Ctx<'_>, input: &Describe) -> Reply {
    let elb = &ctx.view().elb;
    if input.load_balancer_arn.is_none() && input.listener_arns.is_empty() {
        return Err(ApiError::validation(
            "You must specify either listener ARNs or a load balancer ARN",
        ));
    }
    for arn in &input.listener_arns {
        elb.listener(arn)?;
    }
    if let Some(arn) = &input.load_balancer_arn {
        elb.load_balancer(arn)?;
    }
    let found = elb.listeners.values().filter(|listener| {
        let load_balancer = input.load_balancer_arn.as_ref();
        load_balancer.is_none_or(|arn| *arn == listener.load_balancer)
            && (input.listener_arns.is_empty() || input.listener_arns.contains(&listener.arn))
    });
    input.page.elb("Listeners", found.map(show).collect())
}

pub(super) fn modify(ctx: &mut Ctx<'_>, input: &Modify) -> Reply {
    let arn = &input.listener_arn;
    ctx.touch(arn.clone());
    let load_balancer = ctx.elb().listener(arn)?.load_balancer.clone();
    if let Some(protocol) = &input.protocol {
        require_http(protocol)?;
    }
    if let Some(port) = input.port {
        require_free_port(ctx, &load_balancer, port, arn)?;
    }
    // An absent list keeps the actions; a present one replaces all of them.
    let actions = match input.default_actions.as_slice() {
        [] => None,
        sent => Some(actions::read(ctx.elb(), &load_balancer, sent)?),
    };
    let uses = ctx.elb().uses();
    let listener = ctx.elb().listener_mut(arn)?;
    listener.port = input.port.unwrap_or(listener.port);
    if let Some(actions) = actions {
        listener.default_actions = actions;
    }
    let shown = show(listener);
    put_to_use(ctx, &uses);
    ctx.event(
        EventKind::Modified,
        arn.clone(),
        shown["DefaultActions"].to_string(),
    );
    Ok(json!({"Listeners": [shown]}))
}

pub(super) fn delete(ctx: &mut Ctx<'_>, input: &One) -> Reply {
    ctx.touch(input.listener_arn.clone());
    ctx.elb().listener(&input.listener_arn)?;
    ctx.elb().listeners.remove(&input.listener_arn);
    ctx.elb().tags.remove(&input.listener_arn);
    ctx.event(EventKind::Deleted, input.listener_arn.clone(), "listener");
    Ok(json!({}))
}

fn require_http(protocol: &str) -> Result<(), ApiError> {
    match protocol {
        "HTTP" => Ok(()),
        other => Err(ApiError::sender(
            "UnsupportedProtocol",
            format!("only protocol HTTP is simulated, not '{other}'"),
        )),
    }
}

fn require_free_port(
    ctx: &mut Ctx<'_>,
    load_balancer: &str,
    port: u16,
    except: &str,
) -> Result<(), ApiError> {
    let mut others = ctx
        .elb()
        .listeners
        .values()
        .filter(|found| found.arn != except);
    if others.any(|found| found.load_balancer == load_balancer && found.port == port) {
        return Err(ApiError::sender(
            "DuplicateListener",
            format!("A listener already exists on port {port} for load balancer '{load_balancer}'"),
        ));
    }
    Ok(())
}

fn show(listener: &Listener) -> Value {
    let actions: Vec<&Value> = listener
        .default_actions
        .iter()
        .map(|action| &action.wire)
        .collect();
    json!({
        "ListenerArn": listener.arn,
        "LoadBalancerArn": listener.load_balancer,
        "Port": listener.port,
        "Protocol": "HTTP",
        "DefaultActions": actions,
    })
}
