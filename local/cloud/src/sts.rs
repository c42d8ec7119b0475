//! STS: who a caller is, and credentials for roles.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    wire::{ApiError, Params, Service},
    world::{Ctx, iso},
};

/// Credentials that were issued.
#[derive(Debug, Default)]
pub(crate) struct Sts {
    issued: BTreeMap<String, Issued>,
}

#[derive(Debug)]
struct Issued {
    principal: String,
    expires: Timestamp,
}

impl Sts {
    /// The ARN of the role that a key was issued for, or the key itself.
    pub(crate) fn principal(&self, access_key: &str) -> String {
        let issued = self.issued.get(access_key);
        issued.map_or_else(|| access_key.to_owned(), |issued| issued.principal.clone())
    }

    pub(crate) fn has_expired(&self, access_key: &str, now: Timestamp) -> bool {
        self.issued
            .get(access_key)
            .is_some_and(|issued| issued.expires <= now)
    }
}

/// What a caller with expired credentials is told.
pub(crate) fn expired(service: Service) -> ApiError {
    let message = "The security token included in the request is expired";
    match service {
        Service::Elb | Service::Sts => ApiError::with_status(403, "ExpiredToken", message),
        Service::Ec2 => ApiError::sender("RequestExpired", "Request has expired."),
        Service::Ssm => ApiError::sender("ExpiredTokenException", message),
    }
}

/// What a caller is told whom no policy allows the action.
pub(crate) fn denied(service: Service, user: &str, action: &str, resource: &str) -> ApiError {
    let denied = format!(
        "User: {user} is not authorized to perform: {action} on resource: {resource} because no \
         identity-based policy allows the {action} action"
    );
    match service {
        Service::Elb | Service::Sts => ApiError::with_status(403, "AccessDenied", denied),
        Service::Ec2 => ApiError::with_status(
            403,
            "UnauthorizedOperation",
            format!("You are not authorized to perform this operation. {denied}"),
        ),
        Service::Ssm => ApiError::sender("AccessDeniedException", denied),
    }
}

/// A principal as an ARN.
pub(crate) fn user_arn(account: &str, principal: &str) -> String {
    if principal.starts_with("arn:") {
        principal.to_owned()
    } else {
        format!("arn:aws:iam::{account}:user/{principal}")
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Assume {
    role_arn: String,
    role_session_name: String,
    duration_seconds: Option<i64>,
}

/// Carries out an action.
pub(crate) fn call(ctx: &mut Ctx<'_>, action: &str, params: &Params) -> Result<Value, ApiError> {
    match action {
        "GetCallerIdentity" => {
            let principal = ctx.world.sts.principal(ctx.access_key);
            let account = &ctx.config.account;
            let arn = user_arn(account, &principal);
            Ok(json!({"Account": account, "Arn": arn, "UserId": ctx.access_key}))
        }
        "AssumeRole" | "AssumeRoleWithWebIdentity" => assume(ctx, params.read()?),
        _ => Err(ApiError::sender(
            "InvalidAction",
            format!("The action {action} is not valid for this simulated web service."),
        )),
    }
}

fn assume(ctx: &mut Ctx<'_>, input: Assume) -> Result<Value, ApiError> {
    let Assume {
        role_arn,
        role_session_name: session,
        duration_seconds,
    } = input;
    let parts: Vec<&str> = role_arn.splitn(6, ':').collect();
    let (account, role) = match parts.as_slice() {
        ["arn", _, "iam", _, account, resource] => {
            (*account, resource.rsplit('/').next().unwrap_or_default())
        }
        _ => {
            return Err(ApiError::validation(format!(
                "'{role_arn}' is not the ARN of a role"
            )));
        }
    };
    let principal = format!("arn:aws:sts::{account}:assumed-role/{role}/{session}");
    let expires = ctx.now + SignedDuration::from_secs(duration_seconds.unwrap_or(3600));
    let access_key = format!("ASIA{}", ctx.hex(16).to_uppercase());
    let secret = ctx.hex(40);
    let token = ctx.hex(64);
    ctx.touch(role_arn);
    let user = format!("{}:{session}", ctx.hex(20).to_uppercase());
    let shown = json!({
        "Credentials": {
            "AccessKeyId": access_key,
            "SecretAccessKey": secret,
            "SessionToken": token,
            "Expiration": iso(expires),
        },
        "AssumedRoleUser": {"Arn": principal, "AssumedRoleId": user},
    });
    ctx.world
        .sts
        .issued
        .insert(access_key, Issued { principal, expires });
    Ok(shown)
}
