//! What a simulated cloud is like: its names, its addresses and how hostile it is.

use std::{net::Ipv4Addr, time::Duration};

use rand::{RngExt, rngs::StdRng};

/// The identity and temper of a simulated cloud.
#[derive(Debug, Clone)]
pub struct Config {
    /// The region that ARNs and zones carry.
    pub region: String,
    /// The account that ARNs carry.
    pub account: String,
    /// Everything random comes from this.
    pub seed: u64,
    /// What goes wrong by itself.
    pub hostility: Hostility,
    /// Instances get addresses counting up from the one after this.
    pub instance_addresses: Ipv4Addr,
    /// Nodes of load balancers get addresses counting up from the one after this.
    pub node_addresses: Ipv4Addr,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            region: "ap-northeast-2".to_owned(),
            account: "123456789012".to_owned(),
            seed: 1,
            hostility: Hostility::realistic(),
            instance_addresses: Ipv4Addr::new(127, 20, 0, 0),
            node_addresses: Ipv4Addr::new(127, 10, 0, 0),
        }
    }
}

/// The delays and doubts of the real services. All durations are virtual.
#[derive(Debug, Clone, PartialEq)]
pub struct Hostility {
    /// From RegisterTargets until nodes are told of the target.
    pub registration_lag: Span,
    /// How likely a change is followed by a time in which reads may show what was before it.
    pub stale_probability: f64,
    /// How long that time is.
    pub stale_for: Span,
    /// Whether the published token buckets are enforced.
    pub throttling: bool,
    /// From `pending` to `running`.
    pub boot: Span,
    /// From `stopping` to `stopped` and from `shutting-down` to `terminated`.
    pub halt: Span,
    /// How likely a new instance is unknown to reads at first.
    pub not_found_probability: f64,
    /// How long it is unknown then.
    pub not_found_for: Span,
    /// From SendCommand until an invocation is known to reads.
    pub invocation_missing_for: Span,
    /// From SendCommand until an online agent starts it.
    pub command_start: Span,
    /// From CreateLoadBalancer until it is `active`.
    pub provisioning: Span,
    /// From `terminated` until the load balancer forgets the target.
    pub terminated_target_kept: Duration,
    /// From `terminated` until EC2 forgets the instance.
    pub terminated_instance_kept: Duration,
}

impl Hostility {
    /// As the real services are known or believed to behave.
    #[must_use]
    pub fn realistic() -> Self {
        Self {
            registration_lag: Span::seconds(1.0, 5.0),
            stale_probability: 0.1,
            stale_for: Span::seconds(0.0, 3.0),
            throttling: true,
            boot: Span::seconds(5.0, 40.0),
            halt: Span::seconds(2.0, 20.0),
            not_found_probability: 0.2,
            not_found_for: Span::seconds(0.0, 3.0),
            invocation_missing_for: Span::seconds(0.0, 1.0),
            command_start: Span::seconds(0.5, 5.0),
            provisioning: Span::seconds(2.0, 10.0),
            terminated_target_kept: Duration::from_secs(60),
            terminated_instance_kept: Duration::from_secs(3600),
        }
    }

    /// Nothing lags and nothing is throttled. For tests of one behaviour at a time.
    #[must_use]
    pub fn calm() -> Self {
        Self {
            registration_lag: Span::NONE,
            stale_probability: 0.0,
            stale_for: Span::NONE,
            throttling: false,
            boot: Span::NONE,
            halt: Span::NONE,
            not_found_probability: 0.0,
            not_found_for: Span::NONE,
            invocation_missing_for: Span::NONE,
            command_start: Span::NONE,
            provisioning: Span::NONE,
            ..Self::realistic()
        }
    }
}

/// A duration drawn evenly between two ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// The shortest, in seconds.
    pub from: f64,
    /// The longest, in seconds.
    pub to: f64,
}

impl Span {
    /// No time at all.
    pub const NONE: Self = Self { from: 0.0, to: 0.0 };

    /// Between `from` and `to` seconds.
    ///
    /// # Panics
    /// When the ends are negative, not finite, or the wrong way round.
    #[must_use]
    pub fn seconds(from: f64, to: f64) -> Self {
        assert!(
            0.0 <= from && from <= to && to.is_finite(),
            "a span must run from a smaller to a larger number of seconds, not from {from} to {to}"
        );
        Self { from, to }
    }

    /// Always the same duration.
    #[must_use]
    pub fn exactly(duration: Duration) -> Self {
        let seconds = duration.as_secs_f64();
        Self {
            from: seconds,
            to: seconds,
        }
    }

    pub(crate) fn draw(self, random: &mut StdRng) -> Duration {
        let share: f64 = random.random();
        Duration::from_secs_f64(self.from + (self.to - self.from) * share)
    }
}
