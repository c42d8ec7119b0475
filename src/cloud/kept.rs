//! Readings that are good for a while.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// More than an account may have target groups in a region (3000), so that names which no longer
/// exist cannot fill the memory.
const ENTRIES: usize = 4096;

/// How old a reading may become for callers who say that it may be old.
const LONGEST: Duration = Duration::from_secs(3600);

/// Readings by what was asked, each with when it was asked for.
#[derive(Debug)]
pub(super) struct Kept<K, V> {
    fresh: Duration,
    entries: Mutex<HashMap<K, (Instant, V)>>,
}

impl<K: Eq + Hash + Clone, V: Clone> Kept<K, V> {
    /// Readings that are fresh for so long.
    pub(super) fn for_duration(fresh: Duration) -> Self {
        Self {
            fresh,
            entries: Mutex::default(),
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<K, (Instant, V)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reading that is fresh, or no older than the caller lets it be.
    pub(super) fn get(&self, key: &K, may_be_old: Option<Duration>) -> Option<V> {
        let good = may_be_old.map_or(self.fresh, |old| old.min(LONGEST).max(self.fresh));
        let entries = self.entries();
        let (at, value) = entries.get(key)?;
        (at.elapsed() < good).then(|| value.clone())
    }

    /// The last reading, good or not.
    pub(super) fn last(&self, key: &K) -> Option<V> {
        self.entries().get(key).map(|(_, value)| value.clone())
    }

    /// Keeps a reading that was asked for at an instant.
    pub(super) fn put(&self, key: K, at: Instant, value: V) {
        let mut entries = self.entries();
        if entries.len() >= ENTRIES {
            entries.retain(|_, (at, _)| at.elapsed() < LONGEST);
        }
        if entries.len() >= ENTRIES {
            entries.retain(|_, (at, _)| at.elapsed() < self.fresh);
        }
        if entries.len() < ENTRIES {
            entries.insert(key, (at, value));
        }
    }

    /// Forgets everything: it has just been changed.
    pub(super) fn forget(&self) {
        self.entries().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reading_is_good_until_its_time_is_over_or_it_is_forgotten() {
        let kept = Kept::for_duration(Duration::from_secs(10));
        kept.put("fleet", Instant::now(), 3);
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(kept.get(&"fleet", None), Some(3));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(kept.get(&"fleet", None), None);
        assert_eq!(kept.last(&"fleet"), Some(3));
        let minute = Some(Duration::from_secs(60));
        assert_eq!(kept.get(&"fleet", minute), Some(3));
        tokio::time::advance(Duration::from_secs(50)).await;
        assert_eq!(kept.get(&"fleet", minute), None);
        kept.put("fleet", Instant::now(), 4);
        kept.forget();
        assert_eq!(kept.get(&"fleet", None), None);
    }
}
