//! Which service and action a request is for, and who asks.

use bytes::Bytes;
use http::Request;
use serde_json::Value;

use super::{ApiError, Params};

/// A simulated service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Service {
    Elb,
    Ec2,
    Ssm,
    Sts,
}

impl Service {
    /// The name that IAM actions carry before the colon.
    pub(crate) fn iam_prefix(self) -> &'static str {
        match self {
            Self::Elb => "elasticloadbalancing",
            Self::Ec2 => "ec2",
            Self::Ssm => "ssm",
            Self::Sts => "sts",
        }
    }

    pub(crate) fn protocol(self) -> Protocol {
        match self {
            Self::Elb => {
                Protocol::Query("http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/")
            }
            Self::Sts => Protocol::Query("https://sts.amazonaws.com/doc/2011-06-15/"),
            Self::Ec2 => Protocol::Ec2,
            Self::Ssm => Protocol::Json,
        }
    }

    fn from_scope(name: &str) -> Option<Self> {
        [Self::Elb, Self::Ec2, Self::Ssm, Self::Sts]
            .into_iter()
            .find(|service| service.iam_prefix() == name)
    }

    fn from_version(version: &str) -> Option<Self> {
        match version {
            "2015-12-01" => Some(Self::Elb),
            "2016-11-15" => Some(Self::Ec2),
            "2011-06-15" => Some(Self::Sts),
            _ => None,
        }
    }
}

/// How a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Form fields in, XML of this namespace out.
    Query(&'static str),
    /// EC2's dialect of the same.
    Ec2,
    /// JSON 1.1.
    Json,
}

/// One call of one action.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) service: Service,
    pub(crate) action: String,
    pub(crate) params: Params,
    /// The access key id; empty for the one STS call that needs none.
    pub(crate) access_key: String,
}

/// Reads a request. The signature is not verified, but there must be one.
pub(crate) fn parse(request: &Request<Bytes>) -> Result<Call, (Protocol, ApiError)> {
    let credential = credential(request);
    let target = request
        .headers()
        .get("x-amz-target")
        .and_then(|value| value.to_str().ok());
    if let Some((_, action)) = target.and_then(|target| target.split_once('.')) {
        let fail = |err| (Protocol::Json, err);
        let body: Value = serde_json::from_slice(request.body())
            .map_err(|err| fail(ApiError::sender("SerializationException", err.to_string())))?;
        let (access_key, _) = credential.ok_or_else(|| fail(missing_token()))?;
        return Ok(Call {
            service: Service::Ssm,
            action: action.to_owned(),
            params: Params::Json(body),
            access_key,
        });
    }
    let params = if request.body().is_empty() {
        Params::from_form(request.uri().query().unwrap_or_default().as_bytes())
    } else {
        Params::from_form(request.body())
    };
    let service = credential
        .as_ref()
        .and_then(|(_, scope)| Service::from_scope(scope))
        .or_else(|| Service::from_version(&params.text("Version")?));
    let Some(service) = service else {
        let message = "the request names no service that is simulated here: elasticloadbalancing \
            (v2), ec2, ssm and sts are";
        return Err((
            Service::Sts.protocol(),
            ApiError::sender("InvalidAction", message),
        ));
    };
    let fail = |err| (service.protocol(), err);
    let action = params.text("Action").ok_or_else(|| {
        fail(ApiError::sender(
            "MissingAction",
            "no Action was supplied with this request",
        ))
    })?;
    let access_key = match credential {
        Some((access_key, _)) => access_key,
        // A web identity token is its own proof; such a call is not signed.
        None if action == "AssumeRoleWithWebIdentity" => String::new(),
        None => return Err(fail(missing_token())),
    };
    Ok(Call {
        service,
        action,
        params,
        access_key,
    })
}

fn missing_token() -> ApiError {
    ApiError::with_status(
        403,
        "MissingAuthenticationToken",
        "Request is missing Authentication Token",
    )
}

/// The access key id and the service of the credential scope.
fn credential(request: &Request<Bytes>) -> Option<(String, String)> {
    let header = request
        .headers()
        .get(http::header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    let (_, rest) = header.split_once("Credential=")?;
    let scope: Vec<&str> = rest.split([',', ' ']).next()?.split('/').collect();
    match scope.as_slice() {
        [key, _date, _region, service, _terminator] if !key.is_empty() => {
            Some(((*key).to_owned(), (*service).to_owned()))
        }
        _ => None,
    }
}
