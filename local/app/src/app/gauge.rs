//! Counts requests, so that it can be told from outside whether the application is quiet.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use serde::{Deserialize, Serialize};

/// What `/drain` answers. Health checks, `/drain` and `/metrics` are left out of both counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DrainReading {
    /// Requests that are being handled.
    pub in_flight: u64,
    /// Requests that have ended since the start. A gauge alone misses those that come and go
    /// between two readings.
    pub served: u64,
}

/// Clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct Gauge(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// Every request, whatever it asks for.
    active: AtomicU64,
    in_flight: AtomicU64,
    served: AtomicU64,
}

/// Whether a request is work, or one that watches the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Work,
    Watching,
}

impl Gauge {
    /// Counts a request until the guard is dropped.
    pub(super) fn enter(&self, kind: Kind) -> InFlight {
        self.0.active.fetch_add(1, Ordering::Relaxed);
        if kind == Kind::Work {
            self.0.in_flight.fetch_add(1, Ordering::Relaxed);
        }
        InFlight {
            gauge: self.clone(),
            kind,
        }
    }

    /// Requests of either kind that are being handled.
    pub(super) fn active(&self) -> u64 {
        self.0.active.load(Ordering::Relaxed)
    }

    pub(super) fn read(&self) -> DrainReading {
        DrainReading {
            in_flight: self.0.in_flight.load(Ordering::Relaxed),
            served: self.0.served.load(Ordering::Relaxed),
        }
    }
}

/// A request that is being handled.
#[derive(Debug)]
pub(super) struct InFlight {
    gauge: Gauge,
    kind: Kind,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let counts = &self.gauge.0;
        if self.kind == Kind::Work {
            // In this order, so that no reading shows a request in neither count.
            counts.served.fetch_add(1, Ordering::Relaxed);
            counts.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
        counts.active.fetch_sub(1, Ordering::Relaxed);
    }
}
