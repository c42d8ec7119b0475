//! A token bucket with a queue before it.

use std::time::Duration;

use tokio::{sync::oneshot, time::Instant};

use super::{Budget, lately::Lately, queue::Queue};
use crate::cloud::{Caller, Urgency};

/// A rate that was halved has doubled again after this long: buckets of AWS fill within seconds,
/// so a minute is enough to see whether the pace is borne, and slow enough not to swing.
pub(super) const RECOVERY: Duration = Duration::from_secs(60);

/// Answers that were under way together tell of the same empty bucket: the rate is halved once
/// in this time.
const SLOW_DOWN_ONCE_IN: Duration = Duration::from_secs(1);

/// The slowest that a budget gets: a sixteenth of its rate, so that it is still tried often
/// enough to notice that AWS has recovered.
const SLOWEST: f64 = 1.0 / 16.0;

/// Sums of fractions miss a whole number by less than this.
const ROUNDING: f64 = 1e-6;

/// What a caller is told at once.
#[derive(Debug)]
pub(super) enum Asked {
    /// It is its turn.
    Now,
    /// It has a place in the queue.
    Waits(oneshot::Receiver<()>),
    /// Its turn would come too late.
    TooLate,
}

#[derive(Debug)]
pub(super) struct Bucket {
    rate: f64,
    burst: f64,
    tokens: f64,
    /// The share of the rate that is used now.
    pace: f64,
    updated: Instant,
    slowed: Option<Instant>,
    queue: Queue,
    lately: Lately,
}

impl Bucket {
    pub(super) fn full(budget: Budget, factor: f64, now: Instant) -> Self {
        let (rate, burst) = budget.limits();
        let (rate, burst) = (rate * factor, burst * factor);
        Self {
            rate,
            burst,
            tokens: burst,
            pace: 1.0,
            updated: now,
            slowed: None,
            queue: Queue::default(),
            lately: Lately::new(now),
        }
    }

    /// A turn, or a place in the queue where the turn comes within `patience`.
    pub(super) fn ask(&mut self, now: Instant, caller: &Caller, patience: Duration) -> Asked {
        self.serve(now);
        let ahead = self.queue.ahead(caller);
        if ahead == 0 && self.take(caller.urgency, now) {
            return Asked::Now;
        }
        #[expect(clippy::cast_precision_loss, reason = "the queue is short")]
        let wait = (ahead as f64 + 1.0 - self.tokens) / (self.rate * self.pace);
        if wait > patience.as_secs_f64() + ROUNDING {
            self.missed(caller.urgency, now);
            return Asked::TooLate;
        }
        self.note(caller.urgency, now);
        Asked::Waits(self.queue.join(caller))
    }

    /// Gives all turns that are due, and says when the next one is.
    pub(super) fn serve(&mut self, now: Instant) -> Instant {
        self.refill(now);
        while self.tokens + ROUNDING >= 1.0 && self.queue.serve() {
            self.tokens -= 1.0;
        }
        let due = (1.0 - self.tokens).max(0.0) / (self.rate * self.pace);
        now + Duration::from_secs_f64(due)
    }

    /// A caller that wanted a turn had none.
    pub(super) fn missed(&mut self, urgency: Urgency, now: Instant) {
        self.note(urgency, now);
    }

    /// What the callers that are in progress have asked for lately, as a share of what there was.
    pub(super) fn load(&mut self, now: Instant) -> f64 {
        self.refill(now);
        f64::from(self.lately.count(now)) / (Lately::SECONDS * self.rate * self.pace)
    }

    pub(super) fn slow_down(&mut self, now: Instant) {
        self.refill(now);
        // AWS's bucket is empty, whatever ours holds.
        self.tokens = self.tokens.min(0.0);
        let lately = |at: Instant| now.saturating_duration_since(at) < SLOW_DOWN_ONCE_IN;
        if !self.slowed.is_some_and(lately) {
            self.pace = (self.pace / 2.0).max(SLOWEST);
            self.slowed = Some(now);
        }
    }

    fn take(&mut self, urgency: Urgency, now: Instant) -> bool {
        let enough = self.tokens + ROUNDING >= 1.0;
        if enough {
            self.tokens -= 1.0;
            self.note(urgency, now);
        }
        enough
    }

    /// Idle callers give way to the others, so they take nothing from them.
    fn note(&mut self, urgency: Urgency, now: Instant) {
        if urgency <= Urgency::InProgress {
            self.lately.note(now);
        }
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.updated).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.rate * self.pace).min(self.burst);
        self.pace = (self.pace * (elapsed / RECOVERY.as_secs_f64()).exp2()).min(1.0);
        self.updated = now;
    }
}
