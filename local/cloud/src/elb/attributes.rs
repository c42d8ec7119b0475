//! Attributes of target groups: which a protocol has, their defaults, and what they may be.

use std::collections::BTreeMap;

use super::balancers::{in_range, set_attribute};
use crate::wire::ApiError;

/// A target group's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Of an Application Load Balancer; the only one whose traffic is simulated.
    Http,
    /// Of a Network Load Balancer. Groups of these can be made, described and registered with, and
    /// no listener here forwards to them.
    Tcp,
    Tls,
    Udp,
    TcpUdp,
}

impl Protocol {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "HTTP" => Self::Http,
            "TCP" => Self::Tcp,
            "TLS" => Self::Tls,
            "UDP" => Self::Udp,
            "TCP_UDP" => Self::TcpUdp,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Udp => "UDP",
            Self::TcpUdp => "TCP_UDP",
        }
    }

    pub(crate) fn is_http(self) -> bool {
        self == Self::Http
    }
}

const COMMON: [(&str, &str); 6] = [
    ("deregistration_delay.timeout_seconds", "300"),
    (
        "load_balancing.cross_zone.enabled",
        "use_load_balancer_configuration",
    ),
    (
        "target_group_health.dns_failover.minimum_healthy_targets.count",
        "1",
    ),
    (
        "target_group_health.dns_failover.minimum_healthy_targets.percentage",
        "off",
    ),
    (
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
        "1",
    ),
    (
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
        "off",
    ),
];

const HTTP: [(&str, &str); 6] = [
    ("load_balancing.algorithm.type", "round_robin"),
    ("slow_start.duration_seconds", "0"),
    ("stickiness.app_cookie.duration_seconds", "86400"),
    ("stickiness.enabled", "false"),
    ("stickiness.lb_cookie.duration_seconds", "86400"),
    ("stickiness.type", "lb_cookie"),
];

const NETWORK: [(&str, &str); 5] = [
    ("preserve_client_ip.enabled", "true"),
    ("proxy_protocol_v2.enabled", "false"),
    ("stickiness.enabled", "false"),
    ("stickiness.type", "source_ip"),
    (
        "target_health_state.unhealthy.draining_interval_seconds",
        "0",
    ),
];

/// The attributes of a new group of instances.
pub(super) fn defaults(protocol: Protocol) -> BTreeMap<String, String> {
    let datagrams = matches!(protocol, Protocol::Udp | Protocol::TcpUdp);
    // Flows without an end of their own are cut off by default; connections are left open.
    let termination = [
        (
            "deregistration_delay.connection_termination.enabled",
            if datagrams { "true" } else { "false" },
        ),
        (
            "target_health_state.unhealthy.connection_termination.enabled",
            if datagrams { "false" } else { "true" },
        ),
    ];
    let own: Vec<(&str, &str)> = match protocol {
        Protocol::Http => HTTP.into(),
        Protocol::Tcp | Protocol::Tls | Protocol::Udp | Protocol::TcpUdp => {
            NETWORK.into_iter().chain(termination).collect()
        }
    };
    super::balancers::defaults(&[&COMMON[..], &own[..]].concat())
}

/// Sets an attribute that the group has to a value that it may have.
pub(super) fn set(
    attributes: &mut BTreeMap<String, String>,
    key: &str,
    value: String,
) -> Result<(), ApiError> {
    let valid = match key {
        "deregistration_delay.timeout_seconds" => in_range(&value, 0, 3600),
        "slow_start.duration_seconds" => value == "0" || in_range(&value, 30, 900),
        "stickiness.lb_cookie.duration_seconds" | "stickiness.app_cookie.duration_seconds" => {
            in_range(&value, 1, 604_800)
        }
        "load_balancing.cross_zone.enabled" => matches!(
            value.as_str(),
            "true" | "false" | "use_load_balancer_configuration"
        ),
        "stickiness.type" => match value.as_str() {
            "app_cookie" => {
                return Err(ApiError::sender(
                    "InvalidConfigurationRequest",
                    "stickiness of type 'app_cookie' is not simulated; 'lb_cookie' is",
                ));
            }
            other => attributes.get(key).is_some_and(|now| now == other),
        },
        key if key.ends_with(".enabled") => matches!(value.as_str(), "true" | "false"),
        _ => true,
    };
    set_attribute(attributes, key, value, valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocol_has_the_attributes_and_defaults_that_aws_gives_it() {
        let termination = "deregistration_delay.connection_termination.enabled";
        for (protocol, key, expected) in [
            (Protocol::Http, "slow_start.duration_seconds", Some("0")),
            (Protocol::Http, "stickiness.type", Some("lb_cookie")),
            (Protocol::Http, termination, None),
            (Protocol::Tcp, termination, Some("false")),
            (Protocol::Tls, termination, Some("false")),
            (Protocol::Udp, termination, Some("true")),
            (Protocol::TcpUdp, termination, Some("true")),
            (Protocol::Tcp, "slow_start.duration_seconds", None),
            (Protocol::Tcp, "stickiness.type", Some("source_ip")),
            (
                Protocol::Tcp,
                "load_balancing.cross_zone.enabled",
                Some("use_load_balancer_configuration"),
            ),
        ] {
            let attributes = defaults(protocol);
            let found = attributes.get(key).map(String::as_str);
            assert_eq!(found, expected, "{protocol:?} {key}");
        }
    }

    #[test]
    fn an_attribute_of_another_protocol_and_a_value_that_it_cannot_have_are_refused() {
        for (protocol, key, value, code) in [
            (
                Protocol::Tcp,
                "slow_start.duration_seconds",
                "30",
                "InvalidConfigurationRequest",
            ),
            (
                Protocol::Http,
                "stickiness.type",
                "app_cookie",
                "InvalidConfigurationRequest",
            ),
            (
                Protocol::Http,
                "stickiness.type",
                "source_ip",
                "ValidationError",
            ),
            (
                Protocol::Http,
                "stickiness.lb_cookie.duration_seconds",
                "0",
                "ValidationError",
            ),
            (
                Protocol::Tcp,
                "preserve_client_ip.enabled",
                "yes",
                "ValidationError",
            ),
        ] {
            let mut attributes = defaults(protocol);
            let err = set(&mut attributes, key, value.to_owned()).unwrap_err();
            assert_eq!(err.code, code, "{protocol:?} {key} {value}");
        }
    }
}
