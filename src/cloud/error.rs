//! What can go wrong at the edge.

use crate::plan::{Failure, FailureKind};

/// The longest message, in bytes. Parts of it are words of AWS and of users, and it ends up in
/// status.
const LONGEST_MESSAGE: usize = 1024;

/// The beginning of a text, at most so many bytes of it, with a mark where it was cut.
pub(super) fn cut(mut text: String, longest: usize) -> String {
    if text.len() > longest {
        text.truncate(text.floor_char_boundary(longest.saturating_sub('…'.len_utf8())));
        text.push('…');
    }
    text
}

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
            message: cut(message.into(), LONGEST_MESSAGE),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("short".to_owned(), 5), "short");
        for longest in 3..12 {
            let cut = cut("äöü€äöü€".to_owned(), longest);
            assert!(cut.len() <= longest && cut.ends_with('…'), "{cut}");
        }
        let error = Error::new(FailureKind::Rejected, "ä".repeat(400_000));
        assert!(error.to_string().len() <= LONGEST_MESSAGE);
    }
}
