//! AWS's error codes, and what they mean here. No other file knows a code.
//!
//! Messages are functions of the cause alone: they end up in status, where a message that differs
//! from one try to the next would be a change each time. What AWS adds for its support (request
//! ids, encoded authorization messages) goes to the log.

use std::error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::{
    answer::Unusable,
    gate::{Call, Refusal},
    http::Unfenced,
};
use crate::{
    cloud::{Error, error::cut},
    plan::FailureKind,
};

/// The credentials lack a permission.
const DENIED: [&str; 5] = [
    "AccessDenied",
    "AccessDeniedException",
    "NotAuthorized",
    "OptInRequired",
    "UnauthorizedOperation",
];

/// The credentials are not valid (any more), or this machine's clock is wrong.
const NOT_AUTHENTICATED: [&str; 14] = [
    // EC2's word for an access key that nobody has; a permission that lacks has another.
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "InvalidToken",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

/// Too many requests.
const THROTTLED: [&str; 13] = [
    "BandwidthLimitExceeded",
    "PriorRequestNotComplete",
    "RateExceeded",
    "RateLimitExceeded",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "TooManyRequestsException",
];

/// The named thing does not exist, or not yet, or not any more.
const NOT_FOUND: [&str; 6] = [
    "InvalidDocument",
    "InvalidDocumentVersion",
    INSTANCE_NOT_FOUND,
    INSTANCE_NOT_MANAGED,
    "TargetGroupNotFound",
    "TargetGroupNotFoundException",
];

/// AWS failed. For an effect: it may have happened.
const UNAVAILABLE: [&str; 10] = [
    "HealthUnavailable",
    "InsufficientCapacity",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "InternalServerException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "Unavailable",
];

/// EC2 does not know an instance.
pub(super) const INSTANCE_NOT_FOUND: &str = "InvalidInstanceID.NotFound";

/// Systems Manager cannot reach an instance.
const INSTANCE_NOT_MANAGED: &str = "InvalidInstanceId";

/// ELB does not know an instance, or it cannot be a target.
pub(super) const INVALID_TARGET: &str = "InvalidTarget";

/// An instance is in as many target groups, with as many ports, as it may be.
pub(super) const TOO_MANY_REGISTRATIONS: &str = "TooManyRegistrationsForTargetId";

/// Systems Manager does not know a command, or not yet.
pub(super) const INVALID_COMMAND: &str = "InvalidCommandId";

/// How much of AWS's own text is kept: enough for the sentence that says what was wrong, too
/// little for a list of a hundred ids.
const TEXT_KEPT: usize = 240;

/// No code of AWS is longer.
const CODE_KEPT: usize = 80;

/// From here on AWS's text differs from one try to the next.
const UNSTABLE_FROM: [&str; 3] = ["encoded authorization", "request id", "requestid"];

/// Says what an error of the SDK means.
pub(super) fn translate<E>(call: &Call<'_>, error: &SdkError<E, HttpResponse>) -> Refusal
where
    E: ProvideErrorMetadata + error::Error + Send + Sync + 'static,
{
    tracing::debug!(
        operation = call.operation,
        thing = call.thing,
        ?error,
        "aws call failed"
    );
    let error = match error {
        SdkError::ServiceError(context) => {
            let metadata = context.err().meta();
            let status = context.raw().status().as_u16();
            return answered(call, metadata.code(), metadata.message(), status);
        }
        SdkError::TimeoutError(_) => too_late(call),
        SdkError::ConstructionFailure(_) | SdkError::DispatchFailure(_) => undelivered(call, error),
        SdkError::ResponseError(context) => Error::new(
            FailureKind::Unavailable,
            format!(
                "{call}: the answer, of status {}, ended early or is not one of AWS; it is tried \
                 again; if this lasts, check the endpoint of this region and the proxies before it",
                context.raw().status().as_u16()
            ),
        ),
        _ => Error::new(
            FailureKind::Unavailable,
            format!("{call}: failed in a way that this version does not know; it is tried again"),
        ),
    };
    error.into()
}

/// No answer in time.
pub(super) fn too_late(call: &Call<'_>) -> Error {
    Error::new(
        FailureKind::Unavailable,
        format!("{call}: no answer from AWS in time; it is tried again"),
    )
}

/// An answer that lacks what it must have.
pub(super) fn incomplete(call: &Call<'_>, what: &str) -> Error {
    Error::new(
        FailureKind::Unavailable,
        format!("{call}: the answer of AWS has no usable {what}; it is tried again"),
    )
}

/// An answer about something else than what was asked for.
pub(super) fn foreign(call: &Call<'_>, what: &str) -> Error {
    Error::new(
        FailureKind::Unavailable,
        format!(
            "{call}: the answer is about {what}; it is tried again; if this lasts, check the \
             endpoint of this region and the proxies before it"
        ),
    )
}

fn answered(call: &Call<'_>, code: Option<&str>, text: Option<&str>, status: u16) -> Refusal {
    let shown = cut(code.unwrap_or("no code").to_owned(), CODE_KEPT);
    let shown = shown.as_str();
    let kind = kind_of(code, status);
    let message = match kind {
        FailureKind::Denied if NOT_AUTHENTICATED.contains(&shown) => format!(
            "{call}: AWS does not accept the controller's credentials ({shown}); give it a valid \
             role, and check that this machine's clock is right"
        ),
        FailureKind::Denied => format!(
            "{call}: denied by AWS ({shown}); allow the action in the controller's IAM policy, \
             see docs/aws-iam.md"
        ),
        FailureKind::Throttled => format!(
            "{call}: AWS has had too many requests from this account ({shown}); it is tried \
             again at half the pace"
        ),
        FailureKind::Unavailable | FailureKind::NotAsked => {
            format!("{call}: AWS failed ({shown}); it is tried again")
        }
        FailureKind::NotFound => format!("{call}: {}; {}", said(shown, text), remedy(code)),
        FailureKind::Rejected => format!(
            "{call}: AWS refused it, {}; correct the release or the resource that it names",
            said(shown, text)
        ),
    };
    Refusal {
        code: code.map(str::to_owned),
        text: text.map(str::to_owned),
        error: Error::new(kind, message),
    }
}

fn kind_of(code: Option<&str>, status: u16) -> FailureKind {
    let is_in = |codes: &[&str]| code.is_some_and(|code| codes.contains(&code));
    if is_in(&DENIED) || is_in(&NOT_AUTHENTICATED) {
        FailureKind::Denied
    } else if is_in(&THROTTLED) {
        FailureKind::Throttled
    } else if is_in(&NOT_FOUND) {
        FailureKind::NotFound
    } else if is_in(&UNAVAILABLE) {
        FailureKind::Unavailable
    } else {
        match status {
            429 => FailureKind::Throttled,
            401 | 403 => FailureKind::Denied,
            400..=499 if status != 408 => FailureKind::Rejected,
            // A code that nobody knows with a status that is nobody's fault: it may have happened.
            _ => FailureKind::Unavailable,
        }
    }
}

fn remedy(code: Option<&str>) -> &'static str {
    match code {
        Some(INSTANCE_NOT_MANAGED) => {
            "check that the instance runs, that the SSM agent runs on it, and that its instance \
             profile allows Systems Manager"
        }
        Some("InvalidDocument" | "InvalidDocumentVersion") => {
            "create the document in this account and region, or correct its name in the release"
        }
        Some(INSTANCE_NOT_FOUND) => "check the instance's id",
        _ => "check the name or ARN, the account and the region in the release",
    }
}

/// An answer that says nothing: what was asked for may have happened. The status alone tells one
/// thing, that there were too many requests: proxies say so too, in words of their own.
fn refused_answer(call: &Call<'_>, unusable: Unusable) -> Error {
    if unusable.status == 429 {
        return answered(call, None, None, unusable.status).error;
    }
    Error::new(
        FailureKind::Unavailable,
        format!(
            "{call}: {unusable}; it is tried again; if this lasts, check the endpoint of this \
             region and the proxies before it"
        ),
    )
}

/// Before an answer: no credentials, no connection, or a request that cannot be built.
fn undelivered<E>(call: &Call<'_>, error: &SdkError<E, HttpResponse>) -> Error
where
    E: error::Error + 'static,
{
    if caused_by::<Unfenced>(error).is_some() {
        return Error::new(
            FailureKind::NotAsked,
            format!(
                "{call}: not asked, because this controller's lease might end before the answer \
                 comes; it is decided anew when the lease is renewed, here or by another"
            ),
        );
    }
    if let Some(unusable) = caused_by::<Unusable>(error) {
        return refused_answer(call, *unusable);
    }
    match caused_by::<CredentialsError>(error) {
        Some(CredentialsError::ProviderTimedOut(_)) => Error::new(
            FailureKind::Unavailable,
            format!(
                "{call}: the provider of credentials did not answer in time; it is tried again"
            ),
        ),
        Some(_) => Error::new(
            FailureKind::Denied,
            format!(
                "{call}: the controller has no AWS credentials; give its service account or its \
                 machine a role, see docs/aws-iam.md"
            ),
        ),
        None if matches!(error, SdkError::ConstructionFailure(_)) => Error::new(
            FailureKind::Rejected,
            format!("{call}: the request cannot be built; check the names in the release"),
        ),
        None => Error::new(
            FailureKind::Unavailable,
            format!(
                "{call}: AWS cannot be reached; it is tried again; if this lasts, check the \
                 network, DNS and the endpoint of this region"
            ),
        ),
    }
}

fn caused_by<'a, E: error::Error + 'static>(
    error: &'a (dyn error::Error + 'static),
) -> Option<&'a E> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// AWS's own words, cut where they stop being the same every time.
fn said(code: &str, text: Option<&str>) -> String {
    let text = text.unwrap_or_default();
    let lower = text.to_ascii_lowercase();
    let stable = UNSTABLE_FROM
        .iter()
        .filter_map(|mark| lower.find(mark))
        .min()
        .unwrap_or(text.len());
    let mut kept: String = text[..stable].chars().take(TEXT_KEPT).collect();
    kept.truncate(
        kept.trim_end_matches(&[' ', '(', '.', ',', ';', ':'][..])
            .len(),
    );
    if kept.is_empty() {
        return code.to_owned();
    }
    format!("{code}: {kept}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_in_one_set_only() {
        let all: Vec<&str> = [
            &DENIED[..],
            &NOT_AUTHENTICATED,
            &THROTTLED,
            &NOT_FOUND,
            &UNAVAILABLE,
        ]
        .concat();
        for code in &all {
            assert_eq!(
                all.iter().filter(|other| *other == code).count(),
                1,
                "{code}"
            );
        }
    }

    #[test]
    fn a_code_counts_for_more_than_the_status() {
        assert_eq!(
            kind_of(Some("RequestLimitExceeded"), 503),
            FailureKind::Throttled
        );
        assert_eq!(
            kind_of(Some("HealthUnavailable"), 500),
            FailureKind::Unavailable
        );
        assert_eq!(kind_of(Some("NewlyInvented"), 400), FailureKind::Rejected);
        assert_eq!(kind_of(Some("NewlyInvented"), 403), FailureKind::Denied);
        assert_eq!(kind_of(None, 429), FailureKind::Throttled);
        assert_eq!(kind_of(None, 502), FailureKind::Unavailable);
        assert_eq!(kind_of(None, 408), FailureKind::Unavailable);
    }

    #[test]
    fn text_that_differs_from_one_try_to_the_next_is_cut() {
        assert_eq!(
            said(
                "X",
                Some("You may not. Encoded authorization failure message: abc")
            ),
            "X: You may not"
        );
        assert_eq!(said("X", Some("Not so (Request ID: 12-34)")), "X: Not so");
        assert_eq!(said("X", None), "X");
        assert_eq!(
            said("X", Some(&"ä".repeat(1000))).chars().count(),
            3 + TEXT_KEPT
        );
    }
}
