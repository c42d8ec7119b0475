//! Why a probe proves nothing, in words for a person.

use std::net::SocketAddr;

use crate::plan::{Failure, FailureKind};

/// How many bytes of an answer are repeated.
pub(super) const EXCERPT: usize = 64;

/// How many characters of a path, a pointer or a name are repeated.
const NAME: usize = 128;

/// The causes that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The address, the port or the path may not or cannot be asked.
    NotAsked,
    /// There was no connection, or it broke.
    Unreachable,
    /// The host refused the connection.
    Refused,
    /// There was no complete answer in time.
    Slow,
    /// Another status than 200.
    Status(u16),
    /// An answer that is not read: compressed, too large, or of unknown length.
    Unusable,
    /// The answer is not in the format of the figure.
    Format,
    /// The answer does not have the figure.
    Missing,
    /// The figure is not a number from 0 that can be compared.
    Number,
    /// The counter is lower than before: the process is another one.
    Restarted,
}

impl Kind {
    fn of_failure(self) -> FailureKind {
        match self {
            Self::Unreachable | Self::Refused | Self::Slow | Self::Status(_) | Self::Restarted => {
                FailureKind::Unavailable
            }
            Self::NotAsked | Self::Unusable | Self::Format | Self::Missing | Self::Number => {
                FailureKind::Rejected
            }
        }
    }
}

/// Why a probe proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    what: String,
    fix: String,
}

impl Fault {
    pub(super) fn new(kind: Kind, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            fix: fix.into(),
        }
    }

    /// With the field of the spec that names the figure.
    pub(super) fn of_figure(self, field: &str) -> Self {
        Self {
            what: format!("drain.inFlight.http.{field} {}", self.what),
            ..self
        }
    }

    /// With the words that name the figure in the answer.
    pub(super) fn of_name(self, name: &str) -> Self {
        Self {
            what: format!("{name} {}", self.what),
            ..self
        }
    }

    /// With the URL that was asked.
    pub(super) fn of(self, address: SocketAddr, path: &str) -> Self {
        Self {
            what: format!("the probe http://{address}{}: {}", cut(path), self.what),
            ..self
        }
    }

    pub(super) fn into_failure(self) -> Failure {
        Failure {
            kind: self.kind.of_failure(),
            message: format!("{}; {}", self.what, self.fix),
        }
    }
}

/// The beginning of an answer, in ASCII without control characters, so that it can stand in a log
/// and in status.
pub(super) fn excerpt(body: &[u8]) -> String {
    match body.get(..EXCERPT) {
        Some(start) if body.len() > EXCERPT => format!("\"{}...\"", start.escape_ascii()),
        Some(_) | None => format!("\"{}\"", body.escape_ascii()),
    }
}

/// A text of the spec, escaped and cut.
pub(super) fn cut(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(NAME)
        .flat_map(char::escape_default)
        .collect();
    if text.chars().nth(NAME).is_some() {
        shown.push_str("...");
    }
    shown
}
