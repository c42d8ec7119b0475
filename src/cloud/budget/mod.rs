//! How many requests an account and region has to bear from us.
//!
//! AWS's limits belong to the whole account: every controller, pipeline and console session
//! shares them. Each kind of request has a token bucket at a part of the documented limit. A
//! caller takes a place in the queue and sleeps until its turn: the more urgent class goes first,
//! and inside a class the namespaces take turns, so that the releases of one team cannot stop those
//! of another. Where the wait would be too long, it is told so at once: a late answer is worth
//! nothing to a planner that looks again anyway, and a queue without a bound never empties.

mod bucket;
mod lately;
mod queue;
#[cfg(test)]
mod tests;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{self, Instant};

use self::bucket::{Asked, Bucket};
use super::{Caller, Error};
use crate::plan::{
    FailureKind, Pace,
    limits::{LOOK_WITHDRAWN, LOOK_WITHDRAWN_LONGEST},
};

/// How long a request waits for its turn. What is left of the operation timeout is enough for
/// the request itself.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

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

    /// Waits for a turn, for 2 s and until `deadline` at most.
    ///
    /// # Errors
    /// [`FailureKind::Throttled`]: at once, where the turn would come too late, and after the wait,
    /// where more urgent callers came in between.
    pub async fn take(
        &self,
        budget: Budget,
        caller: &Caller,
        deadline: Instant,
    ) -> Result<(), Error> {
        let now = Instant::now();
        // A turn at the deadline itself is worth nothing.
        let left = deadline
            .saturating_duration_since(now)
            .saturating_sub(Duration::from_millis(1));
        let patience = PATIENCE.min(left);
        let asked = self.with(budget, |bucket| bucket.ask(now, caller, patience));
        let mut turn = match asked {
            Asked::Now => return Ok(()),
            Asked::TooLate => return Err(exhausted(budget)),
            Asked::Waits(turn) => turn,
        };
        let last = now + patience;
        loop {
            // Each caller that waits gives the turns that are due, its own or those of others.
            let due = self.with(budget, |bucket| bucket.serve(Instant::now()));
            if turn.try_recv().is_ok() {
                return Ok(());
            }
            if Instant::now() >= last {
                return Err(exhausted(budget));
            }
            // Where a turn is due already, it is for a caller that is about to take it.
            let wake = due.max(Instant::now() + Duration::from_millis(1)).min(last);
            tokio::select! {
                biased;
                served = &mut turn => return served.map_err(|_| exhausted(budget)),
                () = time::sleep_until(wake) => {}
            }
        }
    }

    /// How often this budget lets targets be looked at that are withdrawn: by what releases in
    /// progress have asked for in the last 30 s. Idle ones do not count, since they give way.
    #[must_use]
    pub fn pace(&self) -> Pace {
        let now = Instant::now();
        let load = self.with(Budget::ElbRead, |bucket| bucket.load(now));
        let (often, seldom) = (
            LOOK_WITHDRAWN.as_secs_f64(),
            LOOK_WITHDRAWN_LONGEST.as_secs_f64(),
        );
        // From the shortest at half of the budget to the longest at all of it.
        let stretched = often + (load * 2.0 - 1.0).clamp(0.0, 1.0) * (seldom - often);
        Pace {
            every: Duration::from_secs_f64(stretched).into(),
            may_withdraw: load <= 1.0,
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

fn exhausted(budget: Budget) -> Error {
    Error::new(
        FailureKind::Throttled,
        format!(
            "the controller's own rate budget {} for AWS has nothing left; it is tried again; if \
             this lasts, too many releases run at once in this account and region",
            budget.name()
        ),
    )
}
