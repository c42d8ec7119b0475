//! Values that are equal, stored once and known by a number.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
};

use siphasher::sip128::{Hasher128, SipHasher13};

/// Values that are equal are stored once.
pub(super) struct Interned<T> {
    pub(super) values: Vec<T>,
    by_hash: HashMap<u128, u32>,
}

impl<T> Interned<T> {
    pub(super) fn new() -> Self {
        Self {
            values: Vec::new(),
            by_hash: HashMap::new(),
        }
    }

    pub(super) fn intern(&mut self, hash: u128, value: T) -> u32 {
        let next = u32::try_from(self.values.len()).expect("fewer than 2^32 values");
        match self.by_hash.entry(hash) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(free) => {
                free.insert(next);
                self.values.push(value);
                next
            }
        }
    }
}

/// 128 bits stand for a value: among ten million values, the chance that any two share them is
/// less than one in 10^24.
pub(super) fn hash(value: &impl Hash) -> u128 {
    let mut hasher = SipHasher13::new();
    value.hash(&mut hasher);
    hasher.finish128().as_u128()
}
