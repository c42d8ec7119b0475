//! How many requests an account and region has to bear from us.
//!
//! AWS's limits belong to the whole account: every controller, pipeline and console session
//! shares them. Each kind of request has a token bucket at a part of the documented limit. A
//! caller takes a place in the queue and sleeps until its turn; places are given in the order of
//! asking. Where the wait would be too long, it is told so at once: a late answer is worth
//! nothing to a planner that looks again anyway, and a queue without a bound never empties.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{self, Instant};

use super::Error;
use crate::plan::FailureKind;

/// How long a request waits for its turn. What is left of the operation timeout is enough for
/// the request itself.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// A rate that was halved has doubled again after this long: buckets of AWS fill within seconds,
/// so a minute is enough to see whether the pace is borne, and slow enough not to swing.
const RECOVERY: Duration = Duration::from_secs(60);

/// Answers that were under way together tell of the same empty bucket: the rate is halved once
/// in this time.
const SLOW_DOWN_ONCE_IN: Duration = Duration::from_secs(1);

/// The slowest that a budget gets: a sixteenth of its rate, so that it is still tried often
/// enough to notice that AWS has recovered.
const SLOWEST: f64 = 1.0 / 16.0;

/// The kinds of request that have a budget of their own, as AWS's own buckets are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// `Describe*` of Elastic Load Balancing.
    ElbRead,
    /// `RegisterTargets` and `DeregisterTargets`.
    ElbRegister,
    /// `DescribeInstances`.
    Ec2Read,
    /// `TerminateInstances`.
    Ec2Terminate,
    /// `ListCommands` and `ListCommandInvocations`.
    SsmRead,
    /// `SendCommand`.
    SsmSend,
}

impl Budget {
    const COUNT: usize = 6;

    /// Requests in a second, and how many may come at once after a rest.
    const fn limits(self) -> (f64, f64) {
        match self {
            // The account has 10 a second and 40 at once for all of ELBv2. A third of the rate
            // and half of the burst leave the rest to other controllers and to people. The burst
            // is for the seconds in which a release waits for one host after the other.
            Self::ElbRead => (3.0, 20.0),
            // 4 a second and 20 at once; a quarter of each. One request carries 200 targets.
            Self::ElbRegister => (1.0, 5.0),
            // 20 a second and 100 at once when filtered; a quarter of the rate. One request
            // reads a whole fleet.
            Self::Ec2Read => (5.0, 20.0),
            // 5 a second and 100 at once, shared with everything that scales down. One request
            // carries 100 instances.
            Self::Ec2Terminate => (1.0, 5.0),
            // Nothing is published for Systems Manager. One request reads all hosts of a command.
            Self::SsmRead => (3.0, 20.0),
            // Not published either; commands are rare, and one request carries 50 hosts.
            Self::SsmSend => (1.0, 5.0),
        }
    }

    /// The name that messages use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ElbRead => "elb-read",
            Self::ElbRegister => "elb-register",
            Self::Ec2Read => "ec2-read",
            Self::Ec2Terminate => "ec2-terminate",
            Self::SsmRead => "ssm-read",
            Self::SsmSend => "ssm-send",
        }
    }
}

/// The budgets of one account and region.
#[derive(Debug)]
pub struct Budgets {
    buckets: [Mutex<Bucket>; Budget::COUNT],
}

impl Default for Budgets {
    fn default() -> Self {
        Self::times(1.0)
    }
}

impl Budgets {
    /// Full budgets, with so many times the rates and bursts: for an account whose limits AWS
    /// has raised, or for one that is shared with more than usual.
    #[must_use]
    pub fn times(factor: f64) -> Self {
        let now = Instant::now();
        let full = |budget: Budget| Mutex::new(Bucket::full(budget, factor, now));
        Self {
            buckets: [
                full(Budget::ElbRead),
                full(Budget::ElbRegister),
                full(Budget::Ec2Read),
                full(Budget::Ec2Terminate),
                full(Budget::SsmRead),
                full(Budget::SsmSend),
            ],
        }
    }

    /// Waits for a turn, for 2 s and until `deadline` at most. A place whose owner goes away
    /// while it waits is lost, which errs on the side of asking less.
    ///
    /// # Errors
    /// [`FailureKind::Throttled`], at once, where the turn would come too late.
    pub async fn take(&self, budget: Budget, deadline: Instant) -> Result<(), Error> {
        let now = Instant::now();
        // A turn at the deadline itself is worth nothing.
        let left = deadline
            .saturating_duration_since(now)
            .saturating_sub(Duration::from_millis(1));
        let wait = self.with(budget, |bucket| bucket.take(now, PATIENCE.min(left)));
        match wait {
            Some(wait) => {
                if wait > Duration::ZERO {
                    time::sleep_until(now + wait).await;
                }
                Ok(())
            }
            None => Err(Error::new(
                FailureKind::Throttled,
                format!(
                    "the controller's own rate budget {} for AWS has nothing left; it is tried \
                     again; if this lasts, too many releases run at once in this account and region",
                    budget.name()
                ),
            )),
        }
    }

    /// AWS said that there are too many requests: goes at half the pace, and recovers slowly.
    pub fn slow_down(&self, budget: Budget) {
        let now = Instant::now();
        self.with(budget, |bucket| bucket.slow_down(now));
    }

    fn with<T>(&self, budget: Budget, act: impl FnOnce(&mut Bucket) -> T) -> T {
        // A bucket is numbers that are valid at every point, so a panic elsewhere spoils nothing.
        let mut bucket = self.buckets[budget as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        act(&mut bucket)
    }
}

#[derive(Debug)]
struct Bucket {
    rate: f64,
    burst: f64,
    /// What is left; below zero, as many callers are waiting.
    tokens: f64,
    /// The share of the rate that is used now.
    pace: f64,
    updated: Instant,
    slowed: Option<Instant>,
}

impl Bucket {
    fn full(budget: Budget, factor: f64, now: Instant) -> Self {
        let (rate, burst) = budget.limits();
        let (rate, burst) = (rate * factor, burst * factor);
        Self {
            rate,
            burst,
            tokens: burst,
            pace: 1.0,
            updated: now,
            slowed: None,
        }
    }

    fn take(&mut self, now: Instant, patience: Duration) -> Option<Duration> {
        self.refill(now);
        let left = self.tokens - 1.0;
        let wait = Duration::from_secs_f64((-left).max(0.0) / (self.rate * self.pace));
        if wait > patience {
            return None;
        }
        self.tokens = left;
        Some(wait)
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.updated).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.rate * self.pace).min(self.burst);
        self.pace = (self.pace * (elapsed / RECOVERY.as_secs_f64()).exp2()).min(1.0);
        self.updated = now;
    }

    fn slow_down(&mut self, now: Instant) {
        self.refill(now);
        // AWS's bucket is empty, whatever ours holds.
        self.tokens = self.tokens.min(0.0);
        let lately = |at: Instant| now.saturating_duration_since(at) < SLOW_DOWN_ONCE_IN;
        if !self.slowed.is_some_and(lately) {
            self.pace = (self.pace / 2.0).max(SLOWEST);
            self.slowed = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn far() -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }

    async fn take_all(budgets: &Budgets, budget: Budget, count: usize) {
        for _ in 0..count {
            budgets.take(budget, far()).await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_at_once_and_then_the_rate_holds() {
        let budgets = Budgets::default();
        let begin = Instant::now();
        take_all(&budgets, Budget::ElbRead, 20).await;
        assert_eq!(begin.elapsed(), Duration::ZERO);
        take_all(&budgets, Budget::ElbRead, 30).await;
        let took = begin.elapsed().as_secs_f64();
        assert!((10.0..10.1).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_with_raised_limits_is_asked_more_often() {
        let budgets = Budgets::times(2.0);
        let begin = Instant::now();
        take_all(&budgets, Budget::ElbRead, 40).await;
        assert_eq!(begin.elapsed(), Duration::ZERO);
        take_all(&budgets, Budget::ElbRead, 30).await;
        let took = begin.elapsed().as_secs_f64();
        assert!((5.0..5.1).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_that_rests_fills_up_to_its_burst_and_no_further() {
        let budgets = Budgets::default();
        take_all(&budgets, Budget::ElbRegister, 5).await;
        time::sleep(Duration::from_secs(3600)).await;
        let begin = Instant::now();
        take_all(&budgets, Budget::ElbRegister, 5).await;
        assert_eq!(begin.elapsed(), Duration::ZERO);
        take_all(&budgets, Budget::ElbRegister, 1).await;
        assert!(begin.elapsed() >= Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn turns_come_in_the_order_of_asking() {
        let budgets = Arc::new(Budgets::default());
        take_all(&budgets, Budget::ElbRead, 20).await;
        let (turns, mut order) = tokio::sync::mpsc::unbounded_channel();
        for caller in 0..5 {
            let (budgets, turns) = (Arc::clone(&budgets), turns.clone());
            tokio::spawn(async move {
                budgets.take(Budget::ElbRead, far()).await.unwrap();
                turns.send(caller).unwrap();
            });
        }
        drop(turns);
        let mut seen = Vec::new();
        while let Some(caller) = order.recv().await {
            seen.push(caller);
        }
        assert_eq!(seen, [0, 1, 2, 3, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_would_wait_too_long_is_told_at_once_and_takes_no_place() {
        let budgets = Arc::new(Budgets::default());
        take_all(&budgets, Budget::SsmSend, 5).await;
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let budgets = Arc::clone(&budgets);
                tokio::spawn(async move { budgets.take(Budget::SsmSend, far()).await })
            })
            .collect();
        tokio::task::yield_now().await;
        let begin = Instant::now();
        for _ in 0..1000 {
            let refused = budgets.take(Budget::SsmSend, far()).await.unwrap_err();
            assert_eq!(refused.kind(), FailureKind::Throttled);
            assert!(refused.to_string().contains("ssm-send"), "{refused}");
        }
        assert_eq!(begin.elapsed(), Duration::ZERO);
        for task in waiting {
            task.await.unwrap().unwrap();
        }
        assert_eq!(begin.elapsed(), Duration::from_secs(2));
        take_all(&budgets, Budget::SsmSend, 1).await;
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_beyond_the_deadline() {
        let budgets = Budgets::default();
        take_all(&budgets, Budget::SsmSend, 5).await;
        let soon = Instant::now() + Duration::from_millis(500);
        assert!(budgets.take(Budget::SsmSend, soon).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn when_aws_throttles_the_pace_halves_once_and_recovers_slowly() {
        let budgets = Budgets::default();
        for _ in 0..20 {
            budgets.slow_down(Budget::Ec2Read);
        }
        let begin = Instant::now();
        take_all(&budgets, Budget::Ec2Read, 5).await;
        let took = begin.elapsed().as_secs_f64();
        assert!((1.9..2.1).contains(&took), "half of 5 a second: {took}");
        time::sleep(RECOVERY * 2).await;
        take_all(&budgets, Budget::Ec2Read, 20).await;
        let begin = Instant::now();
        take_all(&budgets, Budget::Ec2Read, 5).await;
        let took = begin.elapsed().as_secs_f64();
        assert!((0.9..1.1).contains(&took), "5 a second again: {took}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_budget_does_not_hold_up_another() {
        let budgets = Budgets::default();
        take_all(&budgets, Budget::ElbRead, 26).await;
        let begin = Instant::now();
        take_all(&budgets, Budget::ElbRegister, 5).await;
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }
}
