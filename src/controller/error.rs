//! Why a pass failed. "Not yet" and "somebody was faster" are not failures and are not here.

use std::{future::Future, time::Duration};

use kube::core::Status;
use tracing::Instrument;

use crate::{causes, telemetry};

/// How long a call to the API server may take. A server answers in milliseconds; one that takes
/// longer than this is in trouble, and the answer would be of no use to the decision any more.
const API_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a pass failed. It is tried again, later each time.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The API server could not be asked, or refused. This is not a `#[source]`: its words and
    /// those of its causes are in the text already.
    #[error("{verb} failed: {}", said(error))]
    Api {
        /// What was asked.
        verb: &'static str,
        /// What it said.
        error: Box<kube::Error>,
    },

    /// The API server did not answer. A write may have happened.
    #[error("{verb} was not answered within {} s; is the API server overloaded?", API_TIMEOUT.as_secs())]
    NoAnswer {
        /// What was asked.
        verb: &'static str,
    },

    /// A revision cannot be kept under its name.
    #[error(
        "the ControllerRevision {name} belongs to {owner} and not to this release; delete it, or give the release another name"
    )]
    NameTaken {
        /// The name.
        name: String,
        /// What it belongs to.
        owner: String,
    },

    /// An object lacks what the API server gives to every object.
    #[error("the API server sent an object without {0}")]
    Incomplete(&'static str),

    /// The code has an error. One release must not take the others with it.
    #[error("a reconcile panicked; the panic message is in the log above: please report it")]
    Panicked,
}

impl Error {
    /// What the API server said, if it said anything.
    pub(super) fn status(&self) -> Option<&Status> {
        match self {
            Self::Api { error, .. } => match error.as_ref() {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            Self::NoAnswer { .. }
            | Self::NameTaken { .. }
            | Self::Incomplete(_)
            | Self::Panicked => None,
        }
    }

    /// What the API server said if it understood what was asked and will not have it: no
    /// permission, an admission policy, a definition that the object does not fit. The same is
    /// refused again until somebody changes something, so it is for a person to know.
    pub(super) fn refusal(&self) -> Option<&Status> {
        self.status()
            .filter(|status| matches!(status.code, 400 | 403 | 413 | 422))
    }
}

/// What a person should read: the server's own words where there are any. kube would print the
/// whole answer after them.
fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} ({})", status.message, status.code),
        other => causes::told(other),
    }
}

/// [`call`], as a part of the trace of a pass.
pub(super) async fn traced_call<T>(
    verb: &'static str,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Error> {
    let span = telemetry::kubernetes(verb);
    let answer = self::call(verb, call).instrument(span.clone()).await;
    answer.inspect_err(|error| telemetry::failed(&span, error.to_string()))
}

/// Makes one call to the API server, within the timeout.
pub(super) async fn call<T>(
    verb: &'static str,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(API_TIMEOUT, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Error::Api {
            verb,
            error: Box::new(error),
        }),
        Err(_) => Err(Error::NoAnswer { verb }),
    }
}
