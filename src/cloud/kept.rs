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

/// Readings by what was asked, each with when it was asked for.
#[derive(Debug)]
pub(super) struct Kept<K, V> {
    long: Duration,
    entries: Mutex<HashMap<K, (Instant, V)>>,
}

impl<K: Eq + Hash + Clone, V: Clone> Kept<K, V> {
    /// Keeps readings for so long.
    pub(super) fn for_duration(long: Duration) -> Self {
        Self {
            long,
            entries: Mutex::default(),
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<K, (Instant, V)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reading that is still good.
    pub(super) fn get(&self, key: &K) -> Option<V> {
        let entries = self.entries();
        let (at, value) = entries.get(key)?;
        (at.elapsed() < self.long).then(|| value.clone())
    }

    /// The last reading, good or not.
    pub(super) fn last(&self, key: &K) -> Option<V> {
        self.entries().get(key).map(|(_, value)| value.clone())
    }

    /// Keeps a reading that was asked for at an instant.
    pub(super) fn put(&self, key: K, at: Instant, value: V) {
        let mut entries = self.entries();
        if entries.len() >= ENTRIES {
            entries.retain(|_, (at, _)| at.elapsed() < self.long);
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
        assert_eq!(kept.get(&"fleet"), Some(3));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(kept.get(&"fleet"), None);
        assert_eq!(kept.last(&"fleet"), Some(3));
        kept.put("fleet", Instant::now(), 4);
        kept.forget();
        assert_eq!(kept.get(&"fleet"), None);
    }
}
