//! Which objects name which owners: an index, so that the end of an owner does not cost a look at
//! every object.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::{Change, Key};

/// The keys of the objects that name an owner, by the owner's uid.
pub(super) type Owned = HashMap<String, BTreeSet<Key>>;

/// The uids of the owners that an object names.
pub(super) fn owner_uids(object: &Value) -> impl Iterator<Item = &str> {
    let owners = object["metadata"]["ownerReferences"].as_array();
    let owners = owners.into_iter().flatten();
    owners.filter_map(|owner| owner["uid"].as_str())
}

/// Notes one object.
pub(super) fn note(owned: &mut Owned, key: &Key, object: &Value) {
    for uid in owner_uids(object) {
        owned.entry(uid.to_owned()).or_default().insert(key.clone());
    }
}

/// Brings the index up to date with a write.
pub(super) fn update(owned: &mut Owned, change: &Change) {
    if let Some(before) = &change.before {
        for uid in owner_uids(before) {
            if let Some(keys) = owned.get_mut(uid) {
                keys.remove(&change.key);
                if keys.is_empty() {
                    owned.remove(uid);
                }
            }
        }
    }
    if let Some(after) = &change.after {
        note(owned, &change.key, after);
    }
}
