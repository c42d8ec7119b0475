//! Which service and action a request is for, and who asks.

use bytes::Bytes;
use http::Request;
use serde_json::Value;

use super::{ApiError, Params, read::Dialect};

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

    /// The version of the service's API; SSM's is in its target.
    fn version(self) -> Option<&'static str> {
        match self {
            Self::Elb => Some("2015-12-01"),
            Self::Ec2 => Some("2016-11-15"),
            Self::Sts => Some("2011-06-15"),
            Self::Ssm => None,
        }
    }

    fn from_version(version: &str) -> Option<Self> {
        [Self::Elb, Self::Ec2, Self::Sts]
            .into_iter()
            .find(|service| service.version() == Some(version))
    }

    fn dialect(self) -> Dialect {
        match self {
            Self::Ec2 => Dialect::Ec2,
            Self::Elb | Self::Sts | Self::Ssm => Dialect::Query,
        }
    }

    /// Another version of a service is another service: its calls have other parameters.
    fn check_version(self, action: &str, sent: Option<&str>) -> Result<(), ApiError> {
        if sent == self.version() {
            return Ok(());
        }
        Err(match (self, sent) {
            (Self::Ec2, None) => ApiError::sender(
                "MissingParameter",
                "The request must contain the parameter Version",
            ),
            (Self::Ec2, Some(version)) => ApiError::sender(
                "NoSuchVersion",
                format!("The requested version ({version}) of service AmazonEC2 is not valid"),
            ),
            (Self::Elb | Self::Sts | Self::Ssm, version) => {
                let version = version.unwrap_or("NO_VERSION_SPECIFIED");
                ApiError::sender(
                    "InvalidAction",
                    format!("Could not find operation {action} for version {version}"),
                )
            }
        })
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
    if let Some(target) = target {
        return parse_json(request, target, credential).map_err(|err| (Protocol::Json, err));
    }
    let form = if request.body().is_empty() {
        request.uri().query().unwrap_or_default().as_bytes()
    } else {
        request.body()
    };
    let service = credential
        .as_ref()
        .and_then(|(_, scope)| Service::from_scope(scope))
        .or_else(|| Service::from_version(&version(form)?));
    let Some(service) = service else {
        let message = "the request names no service that is simulated here: elasticloadbalancing \
            (v2), ec2, ssm and sts are";
        return Err((
            Service::Sts.protocol(),
            ApiError::sender("InvalidAction", message),
        ));
    };
    let fail = |err| (service.protocol(), err);
    let params = Params::from_form(form, service.dialect()).map_err(fail)?;
    let action = params.text("Action").ok_or_else(|| {
        fail(ApiError::sender(
            "MissingAction",
            "no Action was supplied with this request",
        ))
    })?;
    service
        .check_version(&action, version(form).as_deref())
        .map_err(fail)?;
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

/// What all operations of Systems Manager begin with.
const SSM_TARGET: &str = "AmazonSSM.";

fn parse_json(
    request: &Request<Bytes>,
    target: &str,
    credential: Option<(String, String)>,
) -> Result<Call, ApiError> {
    let Some(action) = target.strip_prefix(SSM_TARGET) else {
        return Err(ApiError::sender(
            "UnknownOperationException",
            format!("the target {target} is none of {SSM_TARGET}*"),
        ));
    };
    let (access_key, _) = credential.ok_or_else(missing_token)?;
    let body: Value = serde_json::from_slice(request.body())
        .map_err(|err| ApiError::sender("SerializationException", err.to_string()))?;
    Ok(Call {
        service: Service::Ssm,
        action: action.to_owned(),
        params: Params::Json(body),
        access_key,
    })
}

/// The version of a form, which is needed before its service is known.
fn version(form: &[u8]) -> Option<String> {
    let mut fields = form_urlencoded::parse(form);
    let (_, version) = fields.find(|(name, text)| name == "Version" && !text.is_empty())?;
    Some(version.into_owned())
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
