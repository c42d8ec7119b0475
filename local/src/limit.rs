//! The physical limit of a method: what its steps take when every change of state is known at the
//! instant it happens, with the delays, settle and quiet times of its configuration taken as
//! given.
//!
//! It is computed from what truly happened on each host ([`Fact`]s with the instants of the
//! simulator, not with those at which a method noticed them) as the time in which at least one of
//! these was going on:
//!
//! | what | from | until |
//! |---|---|---|
//! | a start | the command was sent | the process accepts connections |
//! | a stop | the command was sent | the process has ended |
//! | telling an application to fail its health check | the command was sent | it was carried out |
//! | a withdrawal | the target began to drain, or was told to fail | what the method waits for is true: see [`Withdrawal`] |
//! | coming into service | the target was registered, or listens where it was registered all along | it is healthy, and `stable_for` longer |
//!
//! What is over the limit is therefore the time in which nothing of this was going on: something
//! had happened and nobody had noticed, or a call was on its way. Times overlap where a method
//! does several things at once; such a time is counted once. The way of a command to the host and
//! the pace of health checks belong to AWS and to the configuration, hence to the limit.
//!
//! This module must never look at what a method says of itself.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Something that truly happened to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fact {
    /// When, in virtual time.
    pub at: Timestamp,
    /// Which host: its index in the scene.
    pub host: usize,
    /// What.
    pub kind: FactKind,
}

/// The kinds of [`Fact`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactKind {
    /// A command to start the application was accepted by AWS.
    StartSent,
    /// A command to stop it was accepted.
    StopSent,
    /// A command that tells it to fail its health check was accepted.
    TellSent,
    /// That command was carried out.
    Told,
    /// Its target was registered.
    Registered,
    /// Its target began to drain.
    Draining,
    /// Its target's deregistration delay ended.
    Gone,
    /// Its target became healthy.
    Healthy,
    /// Its target ceased to be healthy.
    NotHealthy,
    /// Its process accepts connections.
    Listening,
    /// Its process ended.
    Ended,
    /// The last request to the process that ended afterwards was over.
    LastRequest,
}

/// What a method's configuration says about waiting. All durations are virtual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// When a withdrawn target may be stopped.
    pub withdrawal: Withdrawal,
    /// How long a target must have been healthy.
    pub stable_for: Duration,
}

/// When a withdrawn target may be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdrawal {
    /// Targets are not withdrawn.
    None,
    /// After a fixed time.
    Sleep(Duration),
    /// When the deregistration delay has ended.
    Delay,
    /// When the drain is proven: the delay has ended and the nodes have settled; or, earlier, the
    /// nodes have settled and the application has been quiet for `quiet_for` since, if given.
    Proof {
        /// The time that the nodes are given to learn of the withdrawal.
        settle: Duration,
        /// The quiet period that ends a drain early.
        quiet_for: Option<Duration>,
    },
}

/// From when until when.
pub type Span = (Timestamp, Timestamp);

/// The physical limit between `start` and `end`.
#[must_use]
pub fn physical_limit(facts: &[Fact], rules: Rules, start: Timestamp, end: Timestamp) -> Duration {
    let whole = length(&(start, end));
    let idle: Duration = idle(facts, rules, start, end).iter().map(length).sum();
    whole.saturating_sub(idle)
}

/// What is over the limit: the times between `start` and `end` in which nothing physical was going
/// on, in their order.
#[must_use]
pub fn idle(facts: &[Fact], rules: Rules, start: Timestamp, end: Timestamp) -> Vec<Span> {
    let mut hosts: Vec<usize> = facts.iter().map(|fact| fact.host).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let mut spans: Vec<Span> = Vec::new();
    for host in hosts {
        let mut own: Vec<Fact> = facts.iter().filter(|f| f.host == host).copied().collect();
        own.sort_by_key(|fact| fact.at);
        spans.extend(own.iter().filter_map(|fact| Host(&own).span(fact, rules)));
    }
    uncovered(spans, start, end)
}

/// The facts of one host in their order.
struct Host<'a>(&'a [Fact]);

impl Host<'_> {
    /// What began with a fact, if something did that also came to its end.
    fn span(&self, fact: &Fact, rules: Rules) -> Option<Span> {
        let from = fact.at;
        let until = match fact.kind {
            FactKind::StartSent => self.first(FactKind::Listening, from),
            FactKind::StopSent => self.first(FactKind::Ended, from),
            FactKind::TellSent => self.first(FactKind::Told, from),
            FactKind::Told | FactKind::Draining => self.withdrawn(from, rules.withdrawal),
            FactKind::Registered => self.in_service(from, rules),
            FactKind::Listening => match self.state_before(from) {
                // It comes into service with its registration, or never left it.
                Some(FactKind::Healthy | FactKind::Draining | FactKind::Gone) | None => None,
                _ => self.in_service(from, rules),
            },
            FactKind::Gone
            | FactKind::Healthy
            | FactKind::NotHealthy
            | FactKind::Ended
            | FactKind::LastRequest => None,
        };
        Some((from, until?))
    }

    fn first(&self, kind: FactKind, from: Timestamp) -> Option<Timestamp> {
        let mut found = self.0.iter().filter(|fact| fact.kind == kind);
        found.find(|fact| fact.at >= from).map(|fact| fact.at)
    }

    /// Where the target stood just before an instant.
    fn state_before(&self, at: Timestamp) -> Option<FactKind> {
        let before = self.0.iter().rev().filter(|fact| fact.at <= at);
        before.map(|fact| fact.kind).find(|kind| {
            matches!(
                kind,
                FactKind::Registered
                    | FactKind::Draining
                    | FactKind::Gone
                    | FactKind::Healthy
                    | FactKind::NotHealthy
            )
        })
    }

    fn in_service(&self, from: Timestamp, rules: Rules) -> Option<Timestamp> {
        let healthy = self.first(FactKind::Healthy, from)?;
        Some(after(healthy, rules.stable_for))
    }

    fn withdrawn(&self, from: Timestamp, withdrawal: Withdrawal) -> Option<Timestamp> {
        match withdrawal {
            Withdrawal::None => None,
            Withdrawal::Sleep(time) => Some(after(from, time)),
            Withdrawal::Delay => self.first(FactKind::Gone, from),
            Withdrawal::Proof { settle, quiet_for } => {
                let settled = after(from, settle);
                let full = self
                    .first(FactKind::Gone, from)
                    .map(|gone| after(gone, READ_AGAIN).max(settled));
                let early = quiet_for.map(|quiet_for| {
                    let last = self.first(FactKind::LastRequest, from);
                    after(last.map_or(settled, |last| last.max(settled)), quiet_for)
                });
                match (full, early) {
                    (Some(full), Some(early)) => Some(full.min(early)),
                    (one, other) => one.or(other),
                }
            }
        }
    }
}

/// That a group has let go of a target counts in two readings that are so far apart.
const READ_AGAIN: Duration = Duration::from_secs(5);

fn after(at: Timestamp, time: Duration) -> Timestamp {
    // No duration of a scenario is anywhere near the end of time.
    at + SignedDuration::try_from(time).unwrap_or(SignedDuration::ZERO)
}

fn length((from, until): &Span) -> Duration {
    Duration::try_from(until.duration_since(*from)).unwrap_or_default()
}

/// The parts of the time between `start` and `end` that no span covers.
fn uncovered(mut spans: Vec<Span>, start: Timestamp, end: Timestamp) -> Vec<Span> {
    spans.sort_unstable();
    let mut gaps = Vec::new();
    let mut reached = start;
    for (from, until) in spans {
        let from = from.min(end);
        if from > reached {
            gaps.push((reached, from));
        }
        reached = reached.max(until);
    }
    if end > reached {
        gaps.push((reached, end));
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;
    use FactKind::{
        Draining, Ended, Gone, Healthy, LastRequest, Listening, NotHealthy, Registered, StartSent,
        StopSent, TellSent, Told,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::constant(1_800_000_000 + second, 0)
    }

    fn facts(host: usize, list: &[(i64, FactKind)]) -> Vec<Fact> {
        let fact = |&(second, kind): &(i64, FactKind)| Fact {
            at: at(second),
            host,
            kind,
        };
        list.iter().map(fact).collect()
    }

    fn limit(facts: &[Fact], withdrawal: Withdrawal, stable_for: u64, end: i64) -> u64 {
        let rules = Rules {
            withdrawal,
            stable_for: Duration::from_secs(stable_for),
        };
        physical_limit(facts, rules, at(0), at(end)).as_secs()
    }

    #[test]
    fn a_wait_that_ends_before_it_is_noticed_counts_until_it_ended() {
        // The delay was over at 60 and noticed at 75; the process ended at 80 after 5 s.
        let log = facts(0, &[(0, Draining), (60, Gone), (75, StopSent), (80, Ended)]);
        assert_eq!(limit(&log, Withdrawal::Delay, 0, 80), 65);
    }

    #[test]
    fn a_fixed_wait_is_given_whatever_happens_meanwhile() {
        let log = facts(0, &[(0, Draining), (17, StopSent), (20, Ended), (60, Gone)]);
        assert_eq!(
            limit(&log, Withdrawal::Sleep(Duration::from_secs(15)), 0, 20),
            18
        );
        let log = facts(0, &[(0, TellSent), (3, Told), (15, StopSent), (20, Ended)]);
        assert_eq!(
            limit(&log, Withdrawal::Sleep(Duration::from_secs(10)), 0, 20),
            18
        );
    }

    #[test]
    fn a_proof_takes_settle_and_quiet_time_after_the_last_request_or_the_whole_delay() {
        let proof = |quiet_for: Option<u64>| Withdrawal::Proof {
            settle: Duration::from_secs(45),
            quiet_for: quiet_for.map(Duration::from_secs),
        };
        let log = facts(
            0,
            &[
                (0, Draining),
                (30, LastRequest),
                (60, StopSent),
                (62, Ended),
            ],
        );
        assert_eq!(
            limit(&log, proof(Some(10)), 0, 62),
            57,
            "settle, then quiet"
        );
        let log = facts(
            0,
            &[
                (0, Draining),
                (50, LastRequest),
                (70, StopSent),
                (72, Ended),
            ],
        );
        assert_eq!(
            limit(&log, proof(Some(10)), 0, 72),
            62,
            "quiet after the last"
        );
        // The second reading is due at 95.
        let log = facts(
            0,
            &[(0, Draining), (90, Gone), (98, StopSent), (100, Ended)],
        );
        assert_eq!(
            limit(&log, proof(None), 0, 100),
            97,
            "the whole delay, read twice"
        );
        let log = facts(
            0,
            &[
                (0, Draining),
                (84, LastRequest),
                (90, Gone),
                (98, StopSent),
                (100, Ended),
            ],
        );
        assert_eq!(
            limit(&log, proof(Some(10)), 0, 100),
            96,
            "whichever is first"
        );
        let log = facts(0, &[(0, Draining), (20, Gone), (50, StopSent), (52, Ended)]);
        assert_eq!(limit(&log, proof(None), 0, 52), 47, "never before settle");
    }

    #[test]
    fn coming_into_service_lasts_until_healthy_and_stable() {
        let log = facts(
            0,
            &[
                (0, StartSent),
                (9, Listening),
                (12, Registered),
                (30, Healthy),
            ],
        );
        assert_eq!(limit(&log, Withdrawal::None, 0, 100), 27);
        assert_eq!(limit(&log, Withdrawal::None, 10, 100), 37);
    }

    #[test]
    fn a_target_that_stayed_registered_is_in_service_when_it_is_found_healthy_again() {
        let log = facts(
            0,
            &[
                (0, Healthy),
                (10, NotHealthy),
                (20, Listening),
                (50, Healthy),
            ],
        );
        assert_eq!(limit(&log, Withdrawal::None, 0, 100), 30);
        let log = facts(0, &[(0, Healthy), (20, Listening)]);
        assert_eq!(limit(&log, Withdrawal::None, 0, 100), 0, "nobody noticed");
    }

    #[test]
    fn what_happens_at_the_same_time_is_counted_once_and_only_until_the_end() {
        let mut log = facts(0, &[(0, StopSent), (10, Ended)]);
        log.extend(facts(1, &[(5, StopSent), (20, Ended)]));
        log.extend(facts(2, &[(30, StopSent), (50, Ended)]));
        assert_eq!(limit(&log, Withdrawal::None, 0, 40), 30);
        assert_eq!(limit(&[], Withdrawal::None, 0, 40), 0);
    }

    #[test]
    fn what_is_over_the_limit_can_be_pointed_at() {
        let log = facts(
            0,
            &[(5, StopSent), (10, Ended), (12, StartSent), (20, Listening)],
        );
        let rules = Rules {
            withdrawal: Withdrawal::None,
            stable_for: Duration::ZERO,
        };
        let gaps = idle(&log, rules, at(0), at(30));
        assert_eq!(gaps, [(at(0), at(5)), (at(10), at(12)), (at(20), at(30))]);
    }

    #[test]
    fn what_never_came_true_has_no_limit_of_its_own() {
        let log = facts(0, &[(0, StartSent), (5, Draining)]);
        assert_eq!(limit(&log, Withdrawal::Delay, 0, 40), 0);
    }
}
