//! The small fleets that are explored.

use std::collections::BTreeMap;

use bluegreen_api::{
    Adopt, Aws, BlueGreenReleaseSpec, Command, Drain, DriftPolicy, Duration, Existing,
    ExistingTermination, FailurePolicy, Figure, Fleet, Health, Hosts, HttpProbe, InFlight,
    InstanceSelector, MaxUnavailable, Promotion, PromotionMode, RegistrationTraffic, Rollout,
    Settle, Stop, StopCommand, TargetGroupRef, Traffic,
};

use super::world::{Kind, Look};

/// One unit of the model's time. It equals the planner's fence, so that a reading is stale by
/// less than a tick and a request that was sent has landed within one.
pub(super) const TICK: Duration = Duration::from_secs(5);

/// How many faults of each kind may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Budget {
    pub(super) crash_before: u8,
    pub(super) crash_after: u8,
    pub(super) lost_reply: u8,
    pub(super) stale_read: u8,
    pub(super) spec_change: u8,
    /// What others do to the fleet and to its target groups, and what befalls them.
    pub(super) others: u8,
    /// Readings that fail, are cut, or are of an old fleet.
    pub(super) misread: u8,
    /// What people ask for.
    pub(super) asks: u8,
}

impl Budget {
    pub(super) const fn of_each(count: u8) -> Self {
        Self {
            crash_before: count,
            crash_after: count,
            lost_reply: count,
            stale_read: count,
            spec_change: count,
            others: 0,
            misread: 0,
            asks: 0,
        }
    }

    /// Whether everything that can happen with `other` can happen with this.
    pub(super) fn covers(self, other: Self) -> bool {
        self.crash_before >= other.crash_before
            && self.crash_after >= other.crash_after
            && self.lost_reply >= other.lost_reply
            && self.stale_read >= other.stale_read
            && self.spec_change >= other.spec_change
            && self.others >= other.others
            && self.misread >= other.misread
            && self.asks >= other.asks
    }
}

/// A fleet, its settings, and what may happen to it.
#[derive(Debug, Clone)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) spec: BlueGreenReleaseSpec,
    /// Hosts. With a fleet of others' instances: those of each version.
    pub(super) hosts: usize,
    pub(super) groups: usize,
    /// The deregistration delay in ticks.
    pub(super) delay: u8,
    /// How long nodes may go on sending to a deregistered target, in ticks.
    pub(super) settle: u8,
    /// Versions whose targets never become healthy.
    pub(super) sick_versions: &'static [u8],
    /// Whether a change of the spec may be its deletion.
    pub(super) may_delete: bool,
    pub(super) budget: Budget,
    /// What others may do.
    pub(super) deeds: &'static [Kind],
    /// How the world may be misread. Numbers do not count.
    pub(super) looks: &'static [Look],
}

/// The version in the spec with that number.
pub(super) fn version(number: u8) -> String {
    format!("v{number}")
}

pub(super) fn group(index: usize) -> String {
    format!("g{index}")
}

fn spec(fleet: Fleet, groups: usize) -> BlueGreenReleaseSpec {
    let group_ref = |index| TargetGroupRef {
        arn: None,
        name: Some(group(index)),
    };
    BlueGreenReleaseSpec {
        version: version(2),
        paused: false,
        traffic: Traffic {
            registration: RegistrationTraffic {
                target_groups: (0..groups).map(group_ref).collect(),
            },
        },
        fleet,
        rollout: Rollout {
            max_unavailable: MaxUnavailable::Count(1),
            step_deadline: Duration::from_secs(15),
            deadline: Duration::from_secs(7200),
        },
        health: Health {
            consecutive: 1,
            stable_for: Duration::from_millis(0),
            timeout: Duration::from_secs(10),
        },
        drain: Drain {
            settle: Settle::For(Duration::from_secs(5)),
            ..Drain::default()
        },
        stop: Stop::default(),
        promotion: Promotion::default(),
        retain: Duration::ZERO,
        on_failure: FailurePolicy::Rollback,
        drift: DriftPolicy::Report,
        history: 1,
        adopt: Some(Adopt {
            version: version(1),
        }),
        aws: Aws::default(),
    }
}

fn hosts(ports: Vec<u16>) -> Fleet {
    let parameters = BTreeMap::from([
        ("version".to_owned(), "{{version}}".to_owned()),
        ("port".to_owned(), "{{port}}".to_owned()),
    ]);
    Fleet {
        hosts: Some(Hosts {
            selector: selector(),
            ports,
            application_ports: Vec::new(),
            start: Command {
                document: "start".to_owned(),
                parameters,
            },
            stop: StopCommand {
                unit: Some("app@{{port}}.service".to_owned()),
                command: None,
            },
        }),
        existing: None,
    }
}

fn selector() -> InstanceSelector {
    InstanceSelector {
        tags: BTreeMap::from([("app".to_owned(), "shop".to_owned())]),
    }
}

fn scenario(name: &'static str, fleet: Fleet, groups: usize) -> Scenario {
    Scenario {
        name,
        spec: spec(fleet, groups),
        hosts: 2,
        groups,
        delay: 1,
        settle: 1,
        sick_versions: &[3],
        may_delete: false,
        budget: Budget::of_each(2),
        deeds: &[],
        looks: &[],
    }
}

/// Two hosts with one port: recreate in place. The release may be deleted at any moment.
pub(super) fn in_place() -> Scenario {
    Scenario {
        may_delete: true,
        ..scenario("in place", hosts(vec![8080]), 1)
    }
}

/// One host with two ports; the nodes need longer than the deregistration delay.
pub(super) fn side_by_side() -> Scenario {
    let mut scenario = Scenario {
        hosts: 1,
        settle: 2,
        ..scenario("side by side", hosts(vec![8080, 8081]), 1)
    };
    scenario.spec.drain.settle = Settle::For(TICK.times(2));
    scenario
}

/// The same with two target groups. Of each fault, one: there are many more orders of events.
pub(super) fn two_groups() -> Scenario {
    Scenario {
        hosts: 1,
        budget: Budget::of_each(1),
        ..scenario("two target groups", hosts(vec![8080, 8081]), 2)
    }
}

/// A fleet with one fault of each kind.
pub(super) fn small(scenario: Scenario) -> Scenario {
    Scenario {
        budget: Budget::of_each(1),
        ..scenario
    }
}

/// Instances of others, which are terminated.
pub(super) fn existing() -> Scenario {
    let fleet = Fleet {
        hosts: None,
        existing: Some(Existing {
            selector: selector(),
            version_tag: "Version".to_owned(),
            port: 8080,
            replicas: None,
            terminate: ExistingTermination::Instances,
        }),
    };
    Scenario {
        hosts: 1,
        ..scenario("existing instances", fleet, 1)
    }
}

/// A fleet with one crash before an effect, and nothing else.
pub(super) fn crashing(scenario: Scenario) -> Scenario {
    Scenario {
        budget: Budget {
            crash_before: 1,
            ..Budget::of_each(0)
        },
        ..scenario
    }
}

/// A fleet with one crash before an effect, and two deeds of others.
pub(super) fn meddled(scenario: Scenario) -> Scenario {
    Scenario {
        budget: Budget {
            crash_before: 1,
            others: 2,
            ..Budget::of_each(0)
        },
        deeds: &[Kind::Tags, Kind::Registers],
        ..scenario
    }
}

/// A fleet to which others do so many things, without any other fault.
pub(super) fn befallen(deeds: &'static [Kind], others: u8, scenario: Scenario) -> Scenario {
    Scenario {
        may_delete: false,
        budget: Budget {
            others,
            misread: scenario.budget.misread,
            ..Budget::of_each(0)
        },
        deeds,
        ..scenario
    }
}

/// A fleet with so many readings that go wrong, without any other fault.
pub(super) fn misread(looks: &'static [Look], misread: u8, scenario: Scenario) -> Scenario {
    Scenario {
        may_delete: false,
        budget: Budget {
            misread,
            ..Budget::of_each(0)
        },
        looks,
        ..scenario
    }
}

/// Two instances of each version, and one change of the spec: a side can be healthy in part.
pub(super) fn several() -> Scenario {
    Scenario {
        name: "two existing instances",
        hosts: 2,
        budget: Budget {
            spec_change: 1,
            ..Budget::of_each(0)
        },
        ..existing()
    }
}

/// One host with two ports, a health gate that takes a tick, and old processes that are retained
/// past their drain. One fault of each kind.
pub(super) fn gated() -> Scenario {
    let mut scenario = Scenario {
        name: "gated and retained",
        ..small(side_by_side())
    };
    scenario.spec.health.stable_for = TICK;
    scenario.spec.retain = TICK.times(5);
    scenario
}

/// A fleet with one crash before an effect, and requests by people.
pub(super) fn asked(asks: u8, scenario: Scenario) -> Scenario {
    Scenario {
        budget: Budget {
            crash_before: 1,
            asks,
            ..Budget::of_each(0)
        },
        ..scenario
    }
}

/// One host with two ports, and a person who decides that the new version takes over. The spec may
/// change, the release may be deleted, and people may ask for something else besides.
pub(super) fn promoted() -> Scenario {
    let mut scenario = Scenario {
        name: "promoted by a person",
        may_delete: true,
        ..asked(1, side_by_side())
    };
    scenario.budget.spec_change = 1;
    scenario.spec.promotion.mode = PromotionMode::Manual;
    scenario
}

/// One host with two ports that is left as it is when its release fails, until a person asks.
pub(super) fn held() -> Scenario {
    let mut scenario = Scenario {
        name: "held when it fails",
        ..asked(2, side_by_side())
    };
    scenario.spec.on_failure = FailurePolicy::Hold;
    scenario
}

/// The application's probe ends drains early.
pub(super) fn early_finish() -> Scenario {
    let mut scenario = Scenario {
        hosts: 1,
        delay: 4,
        ..scenario("early finish", hosts(vec![8080, 8081]), 1)
    };
    scenario.spec.drain = Drain {
        settle: Settle::For(Duration::from_secs(5)),
        in_flight: Some(InFlight {
            http: HttpProbe {
                port: None,
                in_flight: figure("/inFlight"),
                served: figure("/served"),
            },
            quiet_for: Duration::from_secs(5),
        }),
        early_finish: true,
        ..Drain::default()
    };
    scenario
}

/// The same with nodes that learn at once, and an application that is believed at once: nothing but
/// the second reading takes time.
pub(super) fn quiet_at_once() -> Scenario {
    let mut scenario = Scenario {
        name: "quiet at once",
        settle: 0,
        ..early_finish()
    };
    scenario.spec.drain.settle = Settle::For(Duration::ZERO);
    if let Some(probe) = &mut scenario.spec.drain.in_flight {
        probe.quiet_for = Duration::ZERO;
    }
    scenario
}

/// A figure of the probe. The model answers with the numbers themselves, so nothing reads it.
fn figure(pointer: &str) -> Figure {
    Figure {
        path: "/status".to_owned(),
        pointer: Some(pointer.to_owned()),
        sample: None,
    }
}
