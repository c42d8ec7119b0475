//! Several writes as one.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::{Change, Key, Object, Store, StoreError, owners::owner_uids};

/// Writes that are stored together, or not at all. Reads through it see its own writes.
pub(crate) struct Transaction<'a> {
    store: &'a mut Store,
    pending: BTreeMap<Key, Option<Object>>,
    changes: Vec<Change>,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(store: &'a mut Store) -> Self {
        Self {
            store,
            pending: BTreeMap::new(),
            changes: Vec::new(),
        }
    }

    fn next_version(&self) -> u64 {
        let pending = u64::try_from(self.changes.len()).expect("a transaction fits in memory");
        self.store.version + pending + 1
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Object> {
        match self.pending.get(key) {
            Some(pending) => pending.clone(),
            None => self.store.get(key).cloned(),
        }
    }

    /// The objects of a resource in key order; of all namespaces where `namespace` is empty.
    pub(crate) fn list(&self, resource: &Arc<str>, namespace: &str) -> Vec<(Key, Object)> {
        let mut objects: BTreeMap<Key, Object> = self
            .store
            .list(resource, namespace)
            .map(|(key, object)| (key.clone(), Arc::clone(object)))
            .collect();
        for (key, object) in &self.pending {
            let wanted =
                key.resource == *resource && (namespace.is_empty() || key.namespace == namespace);
            if !wanted {
                continue;
            }
            match object {
                Some(object) => objects.insert(key.clone(), Arc::clone(object)),
                None => objects.remove(key),
            };
        }
        objects.into_iter().collect()
    }

    /// All objects in a namespace, of every resource.
    pub(crate) fn list_namespace(&self, namespace: &str) -> Vec<(Key, Object)> {
        let mut objects: BTreeMap<Key, Option<Object>> = self
            .store
            .objects
            .iter()
            .map(|(key, object)| (key.clone(), Some(Arc::clone(object))))
            .collect();
        objects.extend(self.pending.clone());
        objects
            .into_iter()
            .filter(|(key, _)| key.namespace == namespace)
            .filter_map(|(key, object)| Some((key, object?)))
            .collect()
    }

    /// The objects that name `uid` as an owner, in key order.
    pub(crate) fn owned_by(&self, uid: &str) -> Vec<(Key, Object)> {
        let mut keys = self.store.owned.get(uid).cloned().unwrap_or_default();
        let names = |object: &Object| owner_uids(object).any(|owner| owner == uid);
        let pending = self.pending.iter();
        let pending = pending.filter(|(_, object)| object.as_ref().is_some_and(names));
        keys.extend(pending.map(|(key, _)| key.clone()));
        let objects = keys.into_iter();
        objects
            .filter_map(|key| Some((key.clone(), self.get(&key)?)))
            .filter(|(_, object)| names(object))
            .collect()
    }

    /// The write of this number, counted from zero.
    pub(crate) fn change(&self, number: usize) -> Option<&Change> {
        self.changes.get(number)
    }

    /// Stores an object under the next version, which it writes into the object's metadata.
    pub(crate) fn put(&mut self, key: Key, mut object: Value) -> Object {
        let version = self.next_version();
        object["metadata"]["resourceVersion"] = Value::from(version.to_string());
        let object = Arc::new(object);
        let before = self.get(&key);
        self.record(version, key, before, Some(Arc::clone(&object)));
        object
    }

    /// Removes an object and returns it as it was, with the version of the removal.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<Object> {
        let before = self.get(key)?;
        let version = self.next_version();
        self.record(version, key.clone(), Some(Arc::clone(&before)), None);
        let mut last = Value::clone(&before);
        last["metadata"]["resourceVersion"] = Value::from(version.to_string());
        Some(Arc::new(last))
    }

    /// The keys that were written so far.
    pub(crate) fn touched(&self) -> impl Iterator<Item = &Key> {
        self.pending.keys()
    }

    /// Stores everything.
    pub(crate) fn commit(self) -> Result<(), StoreError> {
        self.store.apply(self.changes)
    }

    fn record(&mut self, version: u64, key: Key, before: Option<Object>, after: Option<Object>) {
        self.pending.insert(key.clone(), after.clone());
        self.changes.push(Change {
            version,
            key,
            before,
            after,
        });
    }
}
