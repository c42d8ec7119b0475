//! The documents' order on a unit, for hosts that have no shell: one command at a time works on a
//! unit, and none that is older than one that has worked on it.
//!
//! The documents keep a lock and a file per unit; here it is a lock and a number. It never decides
//! what a command does once it may work.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bluegreen_net::Clock;
use tokio::sync::OwnedMutexGuard;

use super::{Halt, words::Refused};

/// The units of all hosts: by the host's id and the unit's name.
#[derive(Debug, Clone, Default)]
pub(super) struct Fences {
    units: Arc<Mutex<BTreeMap<(String, String), Unit>>>,
}

#[derive(Debug, Default)]
struct Unit {
    /// The highest fence of a command that was let through; 0 before the first.
    stored: u64,
    /// Held by the command that works on the unit.
    lock: Arc<tokio::sync::Mutex<()>>,
}

/// The right to work on a unit, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _lock: OwnedMutexGuard<()>,
}

impl Fences {
    /// Waits for the unit, for as long as `patience`, and compares the fence; 0 is none.
    pub(super) async fn enter(
        &self,
        clock: &Clock,
        (host, unit): (&str, &str),
        fence: u64,
        patience: Duration,
    ) -> Result<Turn, Refused> {
        let key = (host.to_owned(), unit.to_owned());
        let lock = Arc::clone(&self.units().entry(key.clone()).or_default().lock);
        let lock = clock.timeout(patience, lock.lock_owned()).await;
        let lock = lock.map_err(|_| Refused::Unlocked { fence })?;
        let mut units = self.units();
        let stored = &mut units.entry(key).or_default().stored;
        match fence {
            0 => {}
            fence if fence < *stored => {
                return Err(Refused::Superseded {
                    fence,
                    stored: *stored,
                });
            }
            fence => *stored = fence,
        }
        Ok(Turn { _lock: lock })
    }

    /// What worked on the host's units works no more. A host that stops keeps its disk, and with
    /// it what was stored.
    pub(super) fn halt(&self, host: &str, how: Halt) {
        let mut units = self.units();
        match how {
            Halt::Stopped => {
                let theirs = units.iter_mut().filter(|((id, _), _)| id == host);
                theirs.for_each(|(_, unit)| unit.lock = Arc::default());
            }
            Halt::Terminated => units.retain(|(id, _), _| id != host),
        }
    }

    fn units(&self) -> MutexGuard<'_, BTreeMap<(String, String), Unit>> {
        // Every change of the map is a single step: what a panic leaves behind is whole.
        self.units.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
