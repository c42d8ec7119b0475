//! What can go wrong at the edge.

use crate::plan::{Failure, FailureKind};

/// A call to AWS that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: FailureKind,
    message: String,
}

impl Error {
    /// An error of a kind. The message names the thing, the cause and the remedy, and holds
    /// nothing that differs from one try to the next (request ids, times): it ends up in status.
    #[must_use]
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// Which kind.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// A word for metrics, from a closed set.
    #[must_use]
    pub fn category(&self) -> &'static str {
        match self.kind {
            FailureKind::NotAsked => "not-asked",
            FailureKind::Denied => "denied",
            FailureKind::Throttled => "throttled",
            FailureKind::NotFound => "not-found",
            FailureKind::Rejected => "rejected",
            FailureKind::Unavailable => "unavailable",
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            kind: error.kind,
            message: error.message,
        }
    }
}
