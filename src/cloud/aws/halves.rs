//! Effects on many things, of which AWS refuses some.
//!
//! One thing that AWS does not take spoils the request for all. So a request that was refused is
//! split until the one is alone, and the others have what was asked for.

use std::{collections::VecDeque, future::Future};

use super::gate::Refusal;
use crate::{cloud::Error, plan::FailureKind};

/// As many ids as a message names.
const NAMED: usize = 5;

/// The things of an effect, in requests that get smaller.
pub(super) struct Halves<T> {
    open: VecDeque<Vec<T>>,
    failed: Vec<(String, Error)>,
    asked: usize,
}

impl<T: Clone> Halves<T> {
    /// Begins with requests of at most so many things.
    pub(super) fn of(things: &[T], most: usize) -> Self {
        Self {
            open: things.chunks(most).map(<[T]>::to_vec).collect(),
            failed: Vec::new(),
            asked: things.len(),
        }
    }

    /// Sends every request. Where it is refused, `verdict` says what that means for its things; the
    /// parts of a request that is split come after all that were there before, so that as many
    /// things as possible have landed when the time is over.
    ///
    /// # Errors
    /// With the names of the things that AWS did not take; the first one's cause is the cause.
    pub(super) async fn send<F>(
        mut self,
        id: impl Fn(&T) -> &str,
        send: impl Fn(Vec<T>) -> F,
        verdict: impl Fn(&[T], &Refusal) -> Verdict,
        split: impl Fn(&[T], &Refusal) -> Option<Vec<Vec<T>>>,
    ) -> Result<(), Error>
    where
        F: Future<Output = Result<(), Refusal>>,
    {
        while let Some(things) = self.open.pop_front() {
            let Err(refusal) = send(things.clone()).await else {
                continue;
            };
            match verdict(&things, &refusal) {
                Verdict::Broken => return Err(self.broken(refusal.error)),
                Verdict::Done if things.len() == 1 => {}
                Verdict::Refused if things.len() == 1 => {
                    self.failed.push((id(&things[0]).to_owned(), refusal.error));
                }
                Verdict::Done | Verdict::Refused => {
                    let parts = named(&things, &refusal, &id)
                        .or_else(|| split(&things, &refusal))
                        .unwrap_or_else(|| halves(things));
                    self.open.extend(parts);
                }
            }
        }
        match self.failed.first() {
            None => Ok(()),
            Some((_, first)) => Err(Error::new(first.kind(), self.names(&first.to_string()))),
        }
    }

    /// The whole account or connection is at fault, and not one of the things. What was refused
    /// before is said too: it would be lost otherwise.
    fn broken(&self, error: Error) -> Error {
        if self.failed.is_empty() {
            return error;
        }
        Error::new(error.kind(), self.names(&error.to_string()))
    }

    fn names(&self, cause: &str) -> String {
        if self.asked == 1 {
            return cause.to_owned();
        }
        let ids: Vec<&str> = self.failed.iter().map(|(id, _)| id.as_str()).collect();
        let more = match ids.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let shown = ids[..ids.len().min(NAMED)].join(", ");
        format!(
            "{} of {} failed, {shown}{more}: {cause}",
            ids.len(),
            self.asked
        )
    }
}

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Some of the things are refused.
    Refused,
    /// Some of the things are as the effect wants them already.
    Done,
    /// It has nothing to do with single things.
    Broken,
}

impl Verdict {
    /// For the kinds that are about the request itself.
    pub(super) fn of_kind(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Rejected | FailureKind::NotFound => Self::Refused,
            FailureKind::NotAsked
            | FailureKind::Denied
            | FailureKind::Throttled
            | FailureKind::Unavailable => Self::Broken,
        }
    }
}

/// AWS's text names the things that it refuses: each of them alone, and the others together.
fn named<T: Clone>(
    things: &[T],
    refusal: &Refusal,
    id: impl Fn(&T) -> &str,
) -> Option<Vec<Vec<T>>> {
    let word = |character: char| !character.is_ascii_alphanumeric() && character != '-';
    let words: Vec<&str> = refusal.text.as_deref()?.split(word).collect();
    let (refused, others): (Vec<T>, Vec<T>) = things
        .iter()
        .cloned()
        .partition(|thing| words.contains(&id(thing)));
    if refused.is_empty() || others.is_empty() {
        return None;
    }
    let mut parts = vec![others];
    // More than a few of them are cheaper to halve.
    if refused.len() <= NAMED {
        parts.extend(refused.into_iter().map(|one| vec![one]));
    } else {
        parts.push(refused);
    }
    Some(parts)
}

fn halves<T>(mut things: Vec<T>) -> Vec<Vec<T>> {
    let second = things.split_off(things.len().div_ceil(2));
    vec![things, second]
}
