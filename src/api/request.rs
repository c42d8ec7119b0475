//! What people ask of a release without touching its spec.
//!
//! A tool that syncs the spec from a repository would undo whatever a person changes in it, so a
//! request is an annotation, `bluegreen.dev/request: "promote 7"`, and the answer is in status.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;

/// The annotation that holds a request.
pub const REQUEST_ANNOTATION: &str = "bluegreen.dev/request";

/// So many bytes of a request are kept in status. Whoever needs more has not written a request.
pub const REQUEST_TEXT_MOST: usize = 128;

/// The last request that a person made with the annotation `bluegreen.dev/request`, and what became
/// of it. A request is a verb and the revision that it is about, as in `abort 7`, and may be followed
/// by words of your own, which are kept in history. `abort` puts the version before back, and the
/// aborted one is not tried again until the spec changes. `retry` tries a release again: one that
/// was rolled back or aborted as a new revision, one that is held with all its deadlines counted
/// anew. `pause` begins no new step of this release until `resume`. `promote` lets a release go on
/// that waits for a promotion. The same text is taken once, whether the annotation stays or is
/// removed and comes back: to ask for the same again, add a word, as in `retry 7 again`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LastRequest {
    /// The request as it was written; the first 128 bytes of it.
    pub text: String,
    /// When it was answered.
    pub at: Time,
    /// Whether it was taken.
    pub outcome: RequestOutcome,
    /// What follows, or why it was refused and what would be right.
    pub message: String,
}

/// Whether a request was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
pub enum RequestOutcome {
    /// It was.
    Accepted,
    /// It was not, and nothing happened because of it.
    Refused,
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Put the version before back.
    Abort,
    /// Try a release again that has failed.
    Retry,
    /// Begin no new step.
    Pause,
    /// End a pause by request.
    Resume,
    /// Withdraw the old targets now.
    Promote,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 5] = [
        Self::Abort,
        Self::Retry,
        Self::Pause,
        Self::Resume,
        Self::Promote,
    ];

    /// The word in the annotation.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::Retry => "retry",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Promote => "promote",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request: what is asked for, and of which revision. What follows is the writer's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Request {
    /// What is asked for.
    pub verb: Verb,
    /// Of which revision.
    pub revision: u64,
}

/// A text is not a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotARequest {
    /// Its first word is none of the verbs.
    #[error(
        "{0:?} cannot be asked for; write abort, retry, pause, resume or promote, and the revision, as in `abort 7`"
    )]
    Verb(String),
    /// Its second word is no number.
    #[error("after `{verb}` comes the number of the revision, as in `{verb} 7`, not {word:?}")]
    Revision {
        /// The first word.
        verb: Verb,
        /// The second.
        word: String,
    },
}

impl FromStr for Request {
    type Err = NotARequest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = text.split_whitespace();
        let word = words.next().unwrap_or_default();
        let verb = Verb::ALL.into_iter().find(|verb| verb.as_str() == word);
        let verb = verb.ok_or_else(|| NotARequest::Verb(word.to_owned()))?;
        let number = words.next().unwrap_or_default();
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let revision = digits.then(|| number.parse().ok()).flatten();
        let revision = revision.ok_or_else(|| NotARequest::Revision {
            verb,
            word: number.to_owned(),
        })?;
        Ok(Self { verb, revision })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_verb_and_a_revision() {
        for verb in Verb::ALL {
            let request = Request { verb, revision: 7 };
            assert_eq!(format!("{verb} 7").parse(), Ok(request));
            assert_eq!(format!("  {verb}\t7 as we agreed ").parse(), Ok(request));
        }
    }

    #[test]
    fn what_is_not_a_request_is_refused_with_what_would_be_right() {
        for (text, says) in [
            ("", "write abort, retry, pause, resume or promote"),
            ("undo 7", "\"undo\" cannot be asked for"),
            ("Abort 7", "\"Abort\" cannot be asked for"),
            ("7 abort", "as in `abort 7`"),
            ("promote", "as in `promote 7`, not \"\""),
            ("promote seven", "not \"seven\""),
            ("promote -7", "not \"-7\""),
            ("promote +7", "not \"+7\""),
            ("promote 7.0", "not \"7.0\""),
            (
                "promote 99999999999999999999999",
                "the number of the revision",
            ),
        ] {
            let error = text.parse::<Request>().unwrap_err().to_string();
            assert!(error.contains(says), "{text:?}: {error}");
        }
    }
}
