//! The settings of target groups and load balancers, from their attributes.

use std::collections::BTreeMap;

use crate::{
    api::Duration,
    plan::{GroupSettings, LoadBalancerKind},
};

const DELAY: &str = "deregistration_delay.timeout_seconds";
const SLOW_START: &str = "slow_start.duration_seconds";
const STICKINESS: &str = "stickiness.enabled";
const CROSS_ZONE: &str = "load_balancing.cross_zone.enabled";
const CONNECTION_TERMINATION: &str = "deregistration_delay.connection_termination.enabled";

/// The word for "ask the load balancer".
const OF_THE_BALANCER: &str = "use_load_balancer_configuration";

/// The port of the health check where it is the target's own.
const TRAFFIC_PORT: &str = "traffic-port";

/// Attributes by their keys. One that is there and cannot be read is an error, which names it.
pub(super) struct Attributes<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Attributes<'a> {
    pub(super) fn of(pairs: impl Iterator<Item = (Option<&'a str>, Option<&'a str>)>) -> Self {
        let pairs = pairs.filter_map(|(key, value)| Some((key?, value?)));
        Self(pairs.collect())
    }

    /// How long a target drains. `None` where the group has no such attribute.
    pub(super) fn delay(&self) -> Result<Option<Duration>, &'static str> {
        self.seconds(DELAY)
    }

    /// Cross-zone load balancing of a load balancer or a target group; `None` where it is not said
    /// here.
    pub(super) fn cross_zone(&self) -> Result<Option<bool>, &'static str> {
        match self.0.get(CROSS_ZONE) {
            Some(&OF_THE_BALANCER) => Ok(None),
            _ => self.flag(CROSS_ZONE),
        }
    }

    /// The settings of a target group, with what AWS documents where something is not set.
    pub(super) fn settings(
        &self,
        kind: LoadBalancerKind,
        health_check_port: Option<u16>,
        cross_zone: bool,
    ) -> Result<GroupSettings, &'static str> {
        let terminates = self.flag(CONNECTION_TERMINATION)?.unwrap_or(false);
        Ok(GroupSettings {
            health_check_port,
            slow_start: self.seconds(SLOW_START)?.unwrap_or(Duration::ZERO),
            stickiness: self.flag(STICKINESS)?.unwrap_or(false),
            cross_zone,
            // An Application Load Balancer ends them always.
            connection_termination: terminates || kind == LoadBalancerKind::Application,
        })
    }

    fn flag(&self, key: &'static str) -> Result<Option<bool>, &'static str> {
        let value = self.0.get(key).map(|value| value.parse());
        value.transpose().map_err(|_| key)
    }

    fn seconds(&self, key: &'static str) -> Result<Option<Duration>, &'static str> {
        let value = self.0.get(key).map(|value| value.parse());
        let seconds = value.transpose().map_err(|_| key)?;
        Ok(seconds.map(|seconds: u32| Duration::from_secs(seconds.into())))
    }
}

/// The port that is checked, where it is not the target's own.
pub(super) fn health_check_port(word: Option<&str>) -> Result<Option<u16>, &'static str> {
    match word {
        // A group of functions has no port.
        None | Some("" | TRAFFIC_PORT) => Ok(None),
        Some(port) => port.parse().map(Some).map_err(|_| "health check port"),
    }
}
