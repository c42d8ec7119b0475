//! Garbage collection: a dependent goes when its last owner is gone.
//!
//! In a cluster the controller manager does this some time after the fact. The registry does it
//! in the very transaction that gives the reason, so no client can come in between. The events
//! that watches see are the same, in the same order.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    DeleteOptions, Writer, finalizers, is_terminating,
    owners::{owners, reference},
    text,
};
use crate::{
    catalog::Resource,
    status::ApiError,
    store::{Change, Key, Object},
};

/// Keeps an owner until its dependents have lost their references to it.
pub(super) const ORPHAN: &str = "orphan";

/// Keeps an owner until the dependents that block its deletion are gone.
pub(super) const FOREGROUND: &str = "foregroundDeletion";

/// What happens to the dependents of an object that is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// They go after it.
    Background,
    /// They go before it.
    Foreground,
    /// They stay, without their references to it.
    Orphan,
}

impl Policy {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "Background" => Some(Self::Background),
            "Foreground" => Some(Self::Foreground),
            "Orphan" => Some(Self::Orphan),
            _ => None,
        }
    }

    /// The finalizers of an object once its deletion is asked for. Without a policy, the one that
    /// the object's finalizers name stays.
    pub(super) fn finalizers(policy: Option<Self>, object: &Value) -> Vec<String> {
        let before = finalizers(object);
        let wanted = match policy {
            None => return before.into_iter().map(str::to_owned).collect(),
            Some(Self::Background) => None,
            Some(Self::Foreground) => Some(FOREGROUND),
            Some(Self::Orphan) => Some(ORPHAN),
        };
        let others = before
            .into_iter()
            .filter(|finalizer| ![ORPHAN, FOREGROUND].contains(finalizer));
        others.chain(wanted).map(str::to_owned).collect()
    }
}

/// How an owner that a reference names stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is there, or the registry cannot tell because it does not serve the owner's kind.
    Present,
    /// It is deleted in the foreground and waits for its dependents.
    Waiting,
    Absent,
}

impl Writer<'_> {
    /// Carries out what follows from the writes of this transaction, and from what follows from
    /// those. Called once at its end.
    pub(crate) fn settle(&mut self) -> Result<(), ApiError> {
        let mut followed = 0;
        loop {
            while let Some(change) = self.transaction.change(followed).cloned() {
                followed += 1;
                self.follow(&change)?;
            }
            self.finish_terminating();
            if self.transaction.change(followed).is_none() {
                return Ok(());
            }
        }
    }

    fn follow(&mut self, change: &Change) -> Result<(), ApiError> {
        if change.after.is_some() {
            self.end_deletion(&change.key)?;
            self.collect(&change.key)?;
        }
        let Some(before) = &change.before else {
            return Ok(());
        };
        if change.after.is_none() {
            for (key, _) in self.dependents(before) {
                self.collect(&key)?;
            }
        }
        // An owner may have waited for this dependent.
        if change.after.as_deref().map_or(&[][..], owners) != owners(before) {
            for owner in owners(before) {
                if let Some(key) = self.owner_key(owner, &change.key.namespace) {
                    self.end_deletion(&key)?;
                }
            }
        }
        Ok(())
    }

    /// Deletes an object whose owners are all gone; where only some are, the references to those
    /// are removed.
    fn collect(&mut self, key: &Key) -> Result<(), ApiError> {
        let Some(object) = self.transaction.get(key) else {
            return Ok(());
        };
        if owners(&object).is_empty() || is_terminating(&object) {
            return Ok(());
        }
        let standings: Vec<Standing> = owners(&object)
            .iter()
            .map(|owner| self.standing(owner, &key.namespace))
            .collect();
        let present = |standing: &Standing| *standing == Standing::Present;
        if standings.iter().all(present) {
            return Ok(());
        }
        if standings.iter().any(present) {
            let both = owners(&object).iter().zip(&standings);
            let kept = both.filter(|(_, standing)| present(standing));
            let kept = kept.map(|(owner, _)| owner.clone()).collect();
            self.put_owners(key, &object, kept);
            return Ok(());
        }
        let catalog = Arc::clone(&self.catalog);
        let Some(resource) = catalog.stored_as(&key.resource) else {
            return Ok(());
        };
        let dependents = self.dependents(&object);
        // In a circle of owners the last one goes first, or none would ever go.
        let in_circle = dependents
            .iter()
            .any(|(_, object)| finalizers(object).contains(&FOREGROUND));
        let policy =
            (standings.contains(&Standing::Waiting) && !dependents.is_empty() && !in_circle)
                .then_some(Policy::Foreground);
        let options = DeleteOptions {
            policy,
            ..DeleteOptions::default()
        };
        self.delete(resource, key, &options).map(drop)
    }

    /// Ends a deletion that waits for what becomes of the dependents.
    fn end_deletion(&mut self, key: &Key) -> Result<(), ApiError> {
        let catalog = Arc::clone(&self.catalog);
        let (Some(object), Some(resource)) =
            (self.transaction.get(key), catalog.stored_as(&key.resource))
        else {
            return Ok(());
        };
        if !is_terminating(&object) {
            return Ok(());
        }
        let uid = text(&object, "/metadata/uid");
        if finalizers(&object).contains(&ORPHAN) {
            for (dependent, object) in self.dependents(&object) {
                let mut kept = owners(&object).to_vec();
                kept.retain(|owner| owner["uid"] != uid);
                self.put_owners(&dependent, &object, kept);
            }
            self.remove_finalizer(resource, key, &object, ORPHAN);
        } else if finalizers(&object).contains(&FOREGROUND) {
            for (dependent, _) in self.blocking(&object) {
                self.collect(&dependent)?;
            }
            if self.blocking(&object).is_empty() {
                self.remove_finalizer(resource, key, &object, FOREGROUND);
            }
        }
        Ok(())
    }

    fn standing(&self, owner: &Value, namespace: &str) -> Standing {
        let Some(key) = self.owner_key(owner, namespace) else {
            return Standing::Present;
        };
        match self.transaction.get(&key) {
            Some(found) if found["metadata"]["uid"] != owner["uid"] => Standing::Absent,
            Some(found) if is_terminating(&found) && finalizers(&found).contains(&FOREGROUND) => {
                Standing::Waiting
            }
            Some(_) => Standing::Present,
            None => Standing::Absent,
        }
    }

    /// Where the owner must be. `None` for a kind that is not served, and for one with namespaces
    /// where the dependent is in none.
    fn owner_key(&self, owner: &Value, namespace: &str) -> Option<Key> {
        let (version, kind) = (text(owner, "/apiVersion"), text(owner, "/kind"));
        let resource = self.catalog.of_kind(version, kind)?;
        let home = match (resource.namespaced, namespace) {
            (true, "") => return None,
            (true, namespace) => namespace,
            (false, _) => "",
        };
        Some(Self::key(resource, home, text(owner, "/name")))
    }

    fn dependents(&self, owner: &Value) -> Vec<(Key, Object)> {
        self.transaction.owned_by(text(owner, "/metadata/uid"))
    }

    /// The dependents that an owner which is deleted in the foreground waits for.
    fn blocking(&self, owner: &Value) -> Vec<(Key, Object)> {
        let uid = text(owner, "/metadata/uid");
        let mut dependents = self.dependents(owner);
        dependents.retain(|(_, dependent)| {
            reference(dependent, uid).is_some_and(|owner| owner["blockOwnerDeletion"] == true)
        });
        dependents
    }

    fn put_owners(&mut self, key: &Key, object: &Value, owners: Vec<Value>) {
        let mut object = object.clone();
        set_or_remove(&mut object, "ownerReferences", owners);
        self.transaction.put(key.clone(), object);
    }

    fn remove_finalizer(&mut self, resource: &Resource, key: &Key, object: &Value, name: &str) {
        let kept = finalizers(object)
            .into_iter()
            .filter(|finalizer| *finalizer != name)
            .map(Value::from)
            .collect();
        let mut object = object.clone();
        set_or_remove(&mut object, "finalizers", kept);
        self.store_or_finish(resource, key, object);
    }
}

/// Sets a list of the metadata, which is left out where it is empty.
pub(super) fn set_or_remove(object: &mut Value, field: &str, list: Vec<Value>) {
    let metadata = object["metadata"].as_object_mut();
    let metadata: &mut Map<String, Value> = metadata.expect("stored objects have metadata");
    if list.is_empty() {
        metadata.remove(field);
    } else {
        metadata.insert(field.to_owned(), Value::Array(list));
    }
}
