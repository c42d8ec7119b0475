//! Where objects live: an ordered map in memory, written through to SQLite, with a bounded
//! history of changes for watches and for reads of the past.
//!
//! There is one writer. A transaction sees its own writes, and either all of it is stored, under
//! consecutive resource versions, or none of it. The store knows keys, versions and JSON; what an
//! object means is not its business.

mod database;
mod owners;
mod transaction;

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    sync::Arc,
};

use serde_json::Value;
use tokio::sync::watch;

use self::database::Database;
pub(crate) use self::transaction::Transaction;

/// Why the database could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite answered with an error.
    #[error("the registry's database failed; check the disk and the file's owner: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// An object in the file is not JSON.
    #[error("the registry's database holds an object that is not JSON; restore the file: {0}")]
    Json(#[from] serde_json::Error),
    /// The file was written by a later release.
    #[error(
        "the registry's database has schema version {found} and this release knows up to \
         {known}; use the release that wrote it"
    )]
    TooNew {
        /// The file's schema version.
        found: i64,
        /// The newest schema version that this code reads.
        known: i64,
    },
}

/// Which object: resource, namespace (empty where there is none), name. Ordered as lists are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    /// Plural and group, as in `samples.demo.dev`.
    pub(crate) resource: Arc<str>,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// An object as it was stored.
pub(crate) type Object = Arc<Value>;

/// One stored write.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) key: Key,
    pub(crate) before: Option<Object>,
    /// Absent for a removal.
    pub(crate) after: Option<Object>,
}

/// How much of the past is kept, whichever of the two is reached first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) changes: usize,
    /// The objects of the changes, as JSON.
    pub(crate) bytes: usize,
}

/// The state of the past that was asked for is no longer known.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Compacted {
    /// The oldest version from which changes are known.
    pub(crate) oldest: u64,
}

/// A change with the bytes that it keeps in memory.
#[derive(Debug)]
struct Remembered {
    change: Change,
    bytes: usize,
}

/// All objects and the recent past.
#[derive(Debug)]
pub(crate) struct Store {
    database: Database,
    objects: BTreeMap<Key, Object>,
    owned: owners::Owned,
    history: VecDeque<Remembered>,
    /// The sum over the history.
    history_bytes: usize,
    limits: Limits,
    version: u64,
    compacted: u64,
    written: watch::Sender<u64>,
}

impl Store {
    /// Opens the database at `path`, or one in memory, and reads what it holds.
    pub(crate) fn open(path: Option<&Path>, limits: Limits) -> Result<Self, StoreError> {
        let database = Database::open(path)?;
        let (version, objects) = database.load()?;
        let mut owned = owners::Owned::new();
        for (key, object) in &objects {
            owners::note(&mut owned, key, object);
        }
        Ok(Self {
            database,
            objects,
            owned,
            history: VecDeque::new(),
            history_bytes: 0,
            limits,
            version,
            // What happened before this start is not known any more.
            compacted: version,
            written: watch::Sender::new(version),
        })
    }

    /// The version of the last write.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Tells of every write, by its version.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.written.subscribe()
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Object> {
        self.objects.get(key)
    }

    /// The objects of a resource in key order; of all namespaces where `namespace` is empty.
    pub(crate) fn list<'a>(
        &'a self,
        resource: &'a Arc<str>,
        namespace: &'a str,
    ) -> impl Iterator<Item = (&'a Key, &'a Object)> + 'a {
        let first = Key {
            resource: Arc::clone(resource),
            namespace: namespace.to_owned(),
            name: String::new(),
        };
        self.objects.range(first..).take_while(move |(key, _)| {
            key.resource == *resource && (namespace.is_empty() || key.namespace == namespace)
        })
    }

    /// The objects of a resource as they were when `version` was the last write.
    pub(crate) fn list_at(
        &self,
        resource: &Arc<str>,
        namespace: &str,
        version: u64,
    ) -> Result<BTreeMap<Key, Object>, Compacted> {
        let mut objects: BTreeMap<Key, Object> = self
            .list(resource, namespace)
            .map(|(key, object)| (key.clone(), Arc::clone(object)))
            .collect();
        if version >= self.version {
            return Ok(objects);
        }
        if version < self.compacted {
            return Err(Compacted {
                oldest: self.compacted,
            });
        }
        for Remembered { change, .. } in self.history.iter().rev() {
            if change.version <= version {
                break;
            }
            let wanted = change.key.resource == *resource
                && (namespace.is_empty() || change.key.namespace == namespace);
            if wanted {
                match &change.before {
                    Some(before) => objects.insert(change.key.clone(), Arc::clone(before)),
                    None => objects.remove(&change.key),
                };
            }
        }
        Ok(objects)
    }

    /// The version that was current `writes` writes ago, or the oldest that is known.
    pub(crate) fn version_before(&self, writes: usize) -> u64 {
        match writes {
            0 => self.version,
            _ => self
                .history
                .iter()
                .rev()
                .nth(writes - 1)
                .map_or(self.compacted, |past| past.change.version - 1),
        }
    }

    /// The changes of a resource after `version`.
    pub(crate) fn changes_after(
        &self,
        resource: &Arc<str>,
        namespace: &str,
        version: u64,
    ) -> Result<Vec<Change>, Compacted> {
        if version < self.compacted {
            return Err(Compacted {
                oldest: self.compacted,
            });
        }
        let start = self
            .history
            .partition_point(|past| past.change.version <= version);
        let changes = self
            .history
            .range(start..)
            .map(|past| &past.change)
            .filter(|change| {
                change.key.resource == *resource
                    && (namespace.is_empty() || change.key.namespace == namespace)
            })
            .cloned()
            .collect();
        Ok(changes)
    }

    /// Forgets all history up to now, as a long time of writing would.
    pub(crate) fn compact(&mut self) {
        self.history.clear();
        self.history_bytes = 0;
        self.compacted = self.version;
    }

    /// Starts a transaction; dropping it without a commit leaves no trace.
    pub(crate) fn begin(&mut self) -> Transaction<'_> {
        Transaction::new(self)
    }

    fn apply(&mut self, changes: Vec<Change>) -> Result<(), StoreError> {
        let Some(last) = changes.last() else {
            return Ok(());
        };
        let version = last.version;
        let sizes = self.database.write(version, &changes)?;
        for (change, bytes) in changes.into_iter().zip(sizes) {
            owners::update(&mut self.owned, &change);
            match &change.after {
                Some(after) => self.objects.insert(change.key.clone(), Arc::clone(after)),
                None => self.objects.remove(&change.key),
            };
            self.history_bytes += bytes;
            self.history.push_back(Remembered { change, bytes });
        }
        while self.history.len() > self.limits.changes || self.history_bytes > self.limits.bytes {
            let Some(forgotten) = self.history.pop_front() else {
                break;
            };
            self.history_bytes -= forgotten.bytes;
            self.compacted = forgotten.change.version;
        }
        self.version = version;
        self.written.send_replace(version);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(name: &str) -> Key {
        Key {
            resource: "things".into(),
            namespace: "a".to_owned(),
            name: name.to_owned(),
        }
    }

    fn limits(changes: usize) -> Limits {
        Limits {
            changes,
            bytes: 1_000_000,
        }
    }

    fn put(store: &mut Store, name: &str, value: i64) {
        let mut transaction = store.begin();
        transaction.put(key(name), json!({"metadata": {}, "value": value}));
        transaction.commit().unwrap();
    }

    #[test]
    fn the_past_can_be_listed_until_it_is_compacted() {
        let mut store = Store::open(None, limits(3)).unwrap();
        let start = store.version();
        for value in 1..=3 {
            put(&mut store, "x", value);
        }
        let resource: Arc<str> = "things".into();
        let past = store.list_at(&resource, "", start + 2).unwrap();
        assert_eq!(past[&key("x")]["value"], 2);
        assert!(store.list_at(&resource, "", start).unwrap().is_empty());

        put(&mut store, "x", 4);
        let lost = store.list_at(&resource, "", start);
        assert_eq!(lost, Err(Compacted { oldest: start + 1 }));
        assert!(store.changes_after(&resource, "", start).is_err());
        assert_eq!(
            store.changes_after(&resource, "", start + 1).unwrap().len(),
            3
        );
    }

    #[test]
    fn the_history_is_bounded_by_the_bytes_of_its_objects() {
        let mut store = Store::open(
            None,
            Limits {
                changes: 1_000,
                bytes: 10_000,
            },
        )
        .unwrap();
        let resource: Arc<str> = "things".into();
        for value in 0..100 {
            let mut transaction = store.begin();
            let text = "x".repeat(1_000);
            transaction.put(
                key("x"),
                json!({"metadata": {}, "value": value, "text": text}),
            );
            transaction.commit().unwrap();
        }
        assert!(store.history_bytes <= 10_000, "{}", store.history_bytes);
        assert_eq!(store.history.len(), 9);
        let oldest = store.version() - 9;
        assert!(store.changes_after(&resource, "", oldest).is_ok());
        assert!(store.changes_after(&resource, "", oldest - 1).is_err());

        // The object that was removed is kept by the removal alone, once its last write is gone.
        let mut transaction = store.begin();
        transaction.remove(&key("x"));
        transaction.commit().unwrap();
        assert!(store.history_bytes > 1_000 && store.history_bytes <= 10_000);
        store.compact();
        assert_eq!(store.history_bytes, 0);

        // One change that is larger than all that may be kept is not kept at all.
        let mut transaction = store.begin();
        let text = "x".repeat(20_000);
        transaction.put(key("x"), json!({"metadata": {}, "text": text}));
        transaction.commit().unwrap();
        assert_eq!(store.history.len(), 0);
        assert!(store.changes_after(&resource, "", store.version()).is_ok());
    }

    #[test]
    fn a_dropped_transaction_leaves_no_trace() {
        let mut store = Store::open(None, limits(10)).unwrap();
        let before = store.version();
        let mut transaction = store.begin();
        transaction.put(key("x"), json!({"metadata": {}}));
        assert!(transaction.get(&key("x")).is_some());
        drop(transaction);
        assert_eq!(store.version(), before);
        assert!(store.get(&key("x")).is_none());
    }

    #[test]
    fn a_file_keeps_objects_and_the_version_but_not_the_history() {
        let directory = std::env::temp_dir().join(format!("registry-store-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("data.sqlite");
        let version = {
            let mut store = Store::open(Some(&path), limits(10)).unwrap();
            put(&mut store, "x", 1);
            put(&mut store, "x", 2);
            store.version()
        };
        let store = Store::open(Some(&path), limits(10)).unwrap();
        assert_eq!(store.version(), version);
        assert_eq!(store.get(&key("x")).unwrap()["value"], 2);
        let resource: Arc<str> = "things".into();
        assert!(
            store
                .changes_after(&resource, "", version)
                .unwrap()
                .is_empty()
        );
        assert!(store.changes_after(&resource, "", version - 1).is_err());
        drop(store);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
