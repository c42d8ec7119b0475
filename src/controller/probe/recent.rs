//! What the probes found a moment ago: to notice a counter that went back, and to describe a fault
//! in the same words as long as it lasts.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Counts,
    fault::{Fault, Kind},
};
use crate::{api::HttpProbe, plan::Failure};

/// After this time a process may have ended as it should, and another one is there.
const KEPT: Duration = Duration::from_secs(10 * 60);

/// How many targets are remembered.
const MOST: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<HashMap<(SocketAddr, u64), Entry>>);

#[derive(Debug)]
struct Entry {
    at: Instant,
    served: Option<u64>,
    fault: Option<Fault>,
}

impl Recent {
    /// Compares with the reading before, and remembers this one.
    pub(super) fn compare(
        &self,
        target: SocketAddr,
        probe: &HttpProbe,
        asked: Result<Counts, Fault>,
    ) -> Result<Counts, Failure> {
        let mut hasher = DefaultHasher::new();
        probe.hash(&mut hasher);
        let key = (target, hasher.finish());
        let now = Instant::now();
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = entries
            .remove(&key)
            .filter(|entry| now.duration_since(entry.at) < KEPT);
        let (served_before, fault_before) = match before {
            Some(entry) => (entry.served, entry.fault),
            None => (None, None),
        };
        let asked = asked.and_then(|counts| went_back(target, served_before, counts));
        let (served, fault) = match &asked {
            Ok(counts) => (Some(counts.served), None),
            // The new process counts from its own beginning.
            Err(fault) if fault.kind == Kind::Restarted => (None, None),
            // What an answer begins with may differ each time, and this ends up in status.
            Err(fault) => match fault_before.filter(|before| before.kind == fault.kind) {
                Some(before) => (served_before, Some(before)),
                None => (served_before, Some(fault.clone())),
            },
        };
        let told = fault.clone();
        if entries.len() >= MOST {
            let oldest = entries.iter().min_by_key(|(_, entry)| entry.at);
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                entries.remove(&oldest);
            }
        }
        let at = now;
        entries.insert(key, Entry { at, served, fault });
        asked.map_err(|fault| told.unwrap_or(fault).into_failure())
    }
}

fn went_back(target: SocketAddr, before: Option<u64>, counts: Counts) -> Result<Counts, Fault> {
    match before {
        Some(before) if counts.served < before => Err(Fault::new(
            Kind::Restarted,
            format!(
                "the probe of the target {target}: drain.inFlight.http.served went back from \
                 {before} to {}, so the process restarted or forgot samples",
                counts.served
            ),
            "this reading proves nothing, and the next one is compared anew; if it happens again, \
             look why the process restarts",
        )),
        Some(_) | None => Ok(counts),
    }
}
