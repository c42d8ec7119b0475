//! Things that AWS does not know, and are not asked for again at once.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::Error;
use crate::plan::FailureKind;

/// How long the first answer is good for: soon enough for a person who has just created the thing.
const FIRST: Duration = Duration::from_secs(15);

/// The longest, after answers that were all the same: sixty names cost two requests a second then,
/// which idle callers may have.
const LONGEST: Duration = Duration::from_secs(30);

/// As many things as are remembered.
const ENTRIES: usize = 4096;

/// What was not found, by what was asked for. Names come from users, and each release asks again
/// and again: releases that name what does not exist would use up the budget of all others.
#[derive(Debug)]
pub(super) struct Missing<K> {
    entries: Mutex<HashMap<K, Entry>>,
}

#[derive(Debug)]
struct Entry {
    until: Instant,
    pause: Duration,
    error: Error,
}

impl<K> Default for Missing<K> {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
        }
    }
}

impl<K: Eq + Hash + Clone> Missing<K> {
    /// The map is whole at every point, so a panic elsewhere spoils nothing.
    fn entries(&self) -> MutexGuard<'_, HashMap<K, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// # Errors
    /// What AWS said the last time, where that was a short time ago.
    pub(super) fn check(&self, key: &K) -> Result<(), Error> {
        match self.entries().get(key) {
            Some(entry) if Instant::now() < entry.until => Err(entry.error.clone()),
            Some(_) | None => Ok(()),
        }
    }

    /// Takes note of an answer.
    pub(super) fn note<T>(&self, key: &K, answer: &Result<T, Error>) {
        let now = Instant::now();
        let mut entries = self.entries();
        let error = match answer {
            Ok(_) => {
                entries.remove(key);
                return;
            }
            Err(error) if error.kind() == FailureKind::NotFound => error,
            Err(_) => return,
        };
        if entries.len() >= ENTRIES {
            entries.retain(|_, entry| now < entry.until);
        }
        let before = entries.get(key).map(|entry| (entry.pause, entry.until));
        let pause = match before {
            // Callers that shared an answer tell it one by one.
            Some((_, until)) if now < until => return,
            Some((pause, _)) => (pause * 2).min(LONGEST),
            None => FIRST,
        };
        if entries.len() < ENTRIES || entries.contains_key(key) {
            let entry = Entry {
                until: now + pause,
                pause,
                error: error.clone(),
            };
            entries.insert(key.clone(), entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_missing_is_asked_for_after_pauses_that_grow_to_half_a_minute() {
        let missing = Missing::default();
        let answer: Result<(), Error> = Err(Error::new(FailureKind::NotFound, "not there"));
        for pause in [15, 30, 30, 30] {
            assert_eq!(missing.check(&"shop"), Ok(()));
            missing.note(&"shop", &answer);
            missing.note(&"shop", &answer);
            tokio::time::advance(Duration::from_millis(pause * 1000 - 1)).await;
            assert_eq!(missing.check(&"shop"), answer);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        missing.note(&"shop", &Ok(()));
        missing.note(&"shop", &answer);
        tokio::time::advance(FIRST).await;
        assert_eq!(missing.check(&"shop"), Ok(()));
        let lost: Result<(), Error> = Err(Error::new(FailureKind::Unavailable, "later"));
        missing.note(&"stock", &lost);
        assert_eq!(missing.check(&"stock"), Ok(()));
    }
}
