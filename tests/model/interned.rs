//! Values that are equal, stored once and known by a number.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    hash::{BuildHasherDefault, Hash, Hasher},
    marker::PhantomData,
    ops::Index,
};

use siphasher::sip128::{Hasher128, SipHasher13};

/// The number of a value.
pub(super) struct Id<T>(u32, PhantomData<fn() -> T>);

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for Id<T> {}

impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Values that are equal are stored once.
pub(super) struct Interned<T> {
    values: Vec<T>,
    by_hash: Known<u128, u32>,
}

impl<T> Interned<T> {
    pub(super) fn new() -> Self {
        Self {
            values: Vec::new(),
            by_hash: Known::default(),
        }
    }

    pub(super) fn intern(&mut self, hash: u128, value: T) -> Id<T> {
        let next = u32::try_from(self.values.len()).expect("fewer than 2^32 values");
        let number = match self.by_hash.entry(hash) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(free) => {
                free.insert(next);
                self.values.push(value);
                next
            }
        };
        Id(number, PhantomData)
    }
}

impl<T: Hash> Interned<T> {
    /// Takes in a value all of which counts.
    pub(super) fn take(&mut self, value: T) -> Id<T> {
        self.intern(hash(&value), value)
    }
}

impl<T> Index<Id<T>> for Interned<T> {
    type Output = T;

    fn index(&self, id: Id<T>) -> &T {
        &self.values[id.0 as usize]
    }
}

/// 128 bits stand for a value: among ten million values, the chance that any two share them is
/// less than one in 10^24.
pub(super) fn hash(value: &impl Hash) -> u128 {
    let mut hasher = SipHasher13::new();
    value.hash(&mut hasher);
    hasher.finish128().as_u128()
}

/// What is known of numbers. Nobody chooses them to collide, so a multiplication mixes them enough.
pub(super) type Known<K, V> = HashMap<K, V, BuildHasherDefault<Mixed>>;

/// Numbers, mixed.
#[derive(Default)]
pub(super) struct Mixed(u64);

impl Mixed {
    fn mix(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(29) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        // The map looks at the highest bits and at the lowest: the lowest are the worst mixed.
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.mix(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.mix(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(u64::from(number));
    }

    /// What is itself a hash.
    fn write_u128(&mut self, number: u128) {
        self.mix(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.mix(number.cast_unsigned() as u64);
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }
}
