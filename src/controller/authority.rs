//! Whether this process may still change anything: the lease as a fence.
//!
//! A lease alone does not keep two leaders apart. A process that was halted for longer than its
//! lease goes on in the middle of a line, with another leader at work since. So nothing is begun
//! unless the lease surely outlasts it: counted from before the renewal was asked for, on this
//! process's own clocks, with the operation's timeout and a margin taken off.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

/// Two processes count the lease on two clocks, and a call that has timed out may still be
/// written by the kernel. Clocks that are kept by NTP differ by less than a thousandth; this is
/// far more than both.
pub(super) const MARGIN: Duration = Duration::from_secs(1);

/// The right of a process to change things, shared by all of it. Clones are the same right.
#[derive(Debug, Clone)]
pub struct Authority(Arc<Mutex<Held>>);

#[derive(Debug, Clone, Copy)]
enum Held {
    /// There is no election, and nobody else.
    Always,
    /// Another leads, or nobody.
    No,
    /// The lease is ours.
    Since {
        /// When its last renewal was asked for.
        renewal: Moment,
        /// How long it lasts from then.
        lasts: Duration,
        /// When we may begin: not at once where another may not know yet that it has lost it.
        from: Instant,
    },
}

/// An instant on two clocks. The one that cannot be set back stands still while a virtual machine
/// is paused, the other one does not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    monotonic: Instant,
    wall: SystemTime,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self {
            monotonic: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// How long ago it was, by the clock that says longer.
    pub(super) fn elapsed(self) -> Duration {
        let monotonic = self.monotonic.elapsed();
        // An error says that the wall's clock was set back: then it knows nothing.
        let wall = self.wall.elapsed().unwrap_or_default();
        monotonic.max(wall)
    }

    /// The instant so much later, by the clock that timers go by.
    pub(super) fn after(self, time: Duration) -> Instant {
        self.monotonic + time
    }
}

impl Authority {
    /// That of a process that is alone, for which nobody else stands by.
    #[must_use]
    pub fn alone() -> Self {
        Self(Arc::new(Mutex::new(Held::Always)))
    }

    /// That of a process that has to be elected first.
    #[must_use]
    pub fn elected() -> Self {
        Self(Arc::new(Mutex::new(Held::No)))
    }

    /// Whether something may begin that takes up to `time`: it will have ended, or be known to
    /// have failed, before anybody else can act.
    #[must_use]
    pub fn outlasts(&self, time: Duration) -> bool {
        match *self.lock() {
            Held::Always => true,
            Held::No => false,
            Held::Since {
                renewal,
                lasts,
                from,
            } => from <= Instant::now() && renewal.elapsed() + time + MARGIN <= lasts,
        }
    }

    /// The lease is ours from a request on that was begun at `renewal`. Nothing may begin before
    /// `from`.
    pub(super) fn begun(&self, renewal: Moment, lasts: Duration, from: Instant) {
        *self.lock() = Held::Since {
            renewal,
            lasts,
            from,
        };
    }

    /// The lease, which is ours, was renewed by a request that was begun at `again`.
    pub(super) fn renewed(&self, again: Moment) {
        if let Held::Since { renewal, .. } = &mut *self.lock() {
            *renewal = again;
        }
    }

    /// Whether the lease was ours and was not renewed in time.
    pub(super) fn expired(&self) -> bool {
        match *self.lock() {
            Held::Always | Held::No => false,
            Held::Since { renewal, lasts, .. } => renewal.elapsed() + MARGIN > lasts,
        }
    }

    /// The lease is not ours any more, or not yet.
    pub(super) fn ended(&self) {
        *self.lock() = Held::No;
    }

    /// The state is whole at every point, so a panic elsewhere spoils nothing.
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const LEASE: Duration = Duration::from_secs(15);
    const OPERATION: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn what_would_not_end_within_the_lease_is_not_begun() {
        let authority = Authority::elected();
        assert!(!authority.outlasts(Duration::ZERO));
        authority.begun(Moment::now(), LEASE, Instant::now());
        assert!(authority.outlasts(OPERATION));
        advance(LEASE - OPERATION - MARGIN).await;
        assert!(authority.outlasts(OPERATION));
        advance(Duration::from_millis(1)).await;
        assert!(!authority.outlasts(OPERATION));
        assert!(authority.outlasts(OPERATION / 2));
        authority.renewed(Moment::now());
        assert!(authority.outlasts(OPERATION));
        advance(LEASE).await;
        assert!(authority.expired());
        authority.ended();
        assert!(!authority.outlasts(Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_begun_before_the_term_and_a_renewal_does_not_bring_it_forward() {
        let authority = Authority::elected();
        authority.begun(Moment::now(), LEASE, Instant::now() + LEASE);
        advance(LEASE / 2).await;
        authority.renewed(Moment::now());
        assert!(!authority.outlasts(Duration::ZERO) && !authority.expired());
        advance(LEASE / 2).await;
        assert!(authority.outlasts(OPERATION));
    }

    #[test]
    fn the_clock_that_says_longer_counts() {
        let paused = Moment {
            monotonic: Instant::now(),
            wall: SystemTime::now() - LEASE,
        };
        assert!(paused.elapsed() >= LEASE);
        let set_back = Moment {
            monotonic: Instant::now(),
            wall: SystemTime::now() + LEASE,
        };
        assert!(set_back.elapsed() < LEASE);
    }
}
