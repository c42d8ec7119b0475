//! What is refused before anything is changed, and with which reason: the first decision of a release
//! in a world with one thing amiss.

use std::collections::{BTreeMap, BTreeSet};

use bluegreen_api::{
    BlueGreenReleaseStatus, DrainTimeoutPolicy, Duration, Figure, HttpProbe, InFlight, Phase,
    Reason,
};
use bluegreen_plan::{
    Decision, Document, Group, Health, LoadBalancerKind, Needs, Observation, Reading, Release,
    decide,
};

use super::{
    owners::release,
    scenario::{Scenario, in_place, side_by_side},
    world::{Look, NOW, World},
};

/// What a release that has not begun sees, and its spec.
struct Before {
    release: Release,
    seen: Observation,
}

impl Before {
    fn of(scenario: &Scenario) -> Self {
        let world = World::begin(scenario);
        Self {
            release: release(scenario),
            seen: world.observe(scenario, &Needs::default(), Look::Fresh),
        }
    }

    /// With every target group changed.
    fn groups(mut self, change: impl Fn(&mut Group)) -> Self {
        for group in &mut self.seen.groups {
            if let Reading::Known(group) = group {
                change(group);
            }
        }
        self
    }

    fn first(&self) -> Decision {
        let status = BlueGreenReleaseStatus::default();
        decide(&self.release, &status, &self.seen, NOW)
    }

    /// Holds that the release is stalled before its first change, with words that say why.
    fn refused(&self, reason: Reason, words: &[&str]) {
        let decision = self.first();
        let status = &decision.status;
        assert_eq!(decision.step, None, "{}", status.message);
        assert_eq!(status.phase, Phase::Stalled, "{}", status.message);
        let mut told = status.conditions.iter();
        let stalled = told.find(|told| told.type_ == "Stalled").expect("Stalled");
        assert_eq!(stalled.reason, reason.as_str(), "{}", stalled.message);
        for word in words {
            assert!(
                stalled.message.contains(word),
                "{word}: {}",
                stalled.message
            );
        }
    }

    fn begins(&self) {
        let decision = self.first();
        let status = &decision.status;
        assert!(status.course.is_some(), "{}", status.message);
    }
}

fn probe() -> InFlight {
    let figure = || Figure {
        path: "/drain".to_owned(),
        pointer: Some("/n".to_owned()),
        sample: None,
    };
    InFlight {
        http: HttpProbe {
            port: None,
            in_flight: figure(),
            served: figure(),
        },
        quiet_for: Duration::from_secs(10),
    }
}

#[test]
fn what_is_as_it_should_be_begins() {
    Before::of(&in_place()).begins();
    Before::of(&side_by_side()).begins();
}

#[test]
fn a_fixed_health_check_port_is_refused_with_two_ports() {
    let fixed = |group: &mut Group| group.settings.health_check_port = Some(8080);
    Before::of(&side_by_side())
        .groups(fixed)
        .refused(Reason::TargetGroupUnsuitable, &["8080", "traffic-port"]);
    Before::of(&in_place()).groups(fixed).begins();
}

#[test]
fn a_slow_start_that_outlasts_the_health_timeout_is_refused() {
    let slow = |seconds| {
        let slow_start = Duration::from_secs(seconds);
        move |group: &mut Group| group.settings.slow_start = slow_start
    };
    Before::of(&side_by_side())
        .groups(slow(10))
        .refused(Reason::TargetGroupUnsuitable, &["slowly", "health.timeout"]);
    Before::of(&side_by_side()).groups(slow(9)).begins();
}

#[test]
fn a_network_load_balancer_that_keeps_connections_needs_a_probe() {
    let keeps = || {
        Before::of(&side_by_side()).groups(|group| {
            group.load_balancer = LoadBalancerKind::Network;
            group.settings.connection_termination = false;
        })
    };
    keeps().refused(
        Reason::TargetGroupUnsuitable,
        &["connection_termination.enabled", "drain.inFlight"],
    );
    let mut probed = keeps();
    probed.release.spec.drain.in_flight = Some(probe());
    probed.begins();
    let mut proceeds = keeps();
    proceeds.release.spec.drain.on_timeout = DrainTimeoutPolicy::Proceed;
    proceeds.begins();
}

#[test]
fn a_delay_that_is_shorter_than_the_longest_request_is_refused_or_pointed_out() {
    let short = || Before::of(&side_by_side()).groups(|g| g.delay = Duration::from_secs(20));
    let mut declared = short();
    declared.release.spec.drain.longest_request = Some(Duration::from_secs(21));
    declared.refused(
        Reason::DelayTooShort,
        &[
            "deregistration delay",
            "20s",
            "21s",
            "timeout_seconds to 21",
        ],
    );
    let mut proceeds = short();
    proceeds.release.spec.drain.longest_request = Some(Duration::from_secs(21));
    proceeds.release.spec.drain.on_timeout = DrainTimeoutPolicy::Proceed;
    proceeds.begins();
    let told = |decision: &Decision| {
        let mut told = decision.status.conditions.iter();
        told.any(|told| told.type_ == "DelayTooShort" && told.status == "True")
    };
    assert!(told(&proceeds.first()));
    let mut enough = short();
    enough.release.spec.drain.longest_request = Some(Duration::from_secs(20));
    enough.begins();
    assert!(!told(&enough.first()));
    let unknown = Before::of(&side_by_side()).groups(|g| g.delay = Duration::from_secs(2));
    unknown.begins();
    assert!(
        told(&unknown.first()),
        "nobody has said how long requests take"
    );
    short().begins();
    assert!(!told(&short().first()));
}

#[test]
fn a_zone_that_would_be_left_without_a_target_is_named() {
    let mut before = Before::of(&in_place()).groups(|group| group.settings.cross_zone = false);
    before.begins();
    if let Reading::Known(fleet) = &mut before.seen.fleet {
        fleet[1].zone = "b".to_owned();
    }
    before.refused(Reason::WouldLeaveNoTarget, &["zone", "cross-zone"]);
}

#[test]
fn in_place_nothing_begins_where_no_target_is_healthy() {
    let every = |health: Health| {
        move |group: &mut Group| group.targets.values_mut().for_each(|one| *one = health)
    };
    Before::of(&in_place())
        .groups(every(Health::Unhealthy))
        .refused(Reason::NothingHealthy, &["g0"]);
    let waits = Before::of(&in_place())
        .groups(every(Health::Initial))
        .first();
    assert_eq!(waits.status.phase, Phase::Preflight);
    assert_eq!(waits.step, None);
}

#[test]
fn an_agent_that_is_away_is_named() {
    let mut before = Before::of(&in_place());
    before.seen.agents = Reading::Known(BTreeSet::from(["i-0".to_owned()]));
    before.refused(Reason::AgentNotOnline, &["i-1"]);
}

#[test]
fn documents_and_parameters_that_do_not_fit_are_named() {
    let with = |parameters: &[(&str, bool)], unusable: Option<&str>| {
        let mut before = Before::of(&in_place());
        let parameters = parameters
            .iter()
            .map(|(name, needed)| ((*name).to_owned(), *needed));
        let document = Document {
            unusable: unusable.map(str::to_owned),
            parameters: parameters.collect(),
        };
        before.seen.documents = BTreeMap::from([("start".to_owned(), Reading::Known(document))]);
        before
    };
    let reason = Reason::DocumentUnsuitable;
    with(&[("version", true), ("port", false)], None).begins();
    with(&[("version", true)], None).refused(reason, &["start", "no parameter port", "version"]);
    with(&[("version", true), ("port", true), ("tier", true)], None)
        .refused(reason, &["start", "needs parameter tier"]);
    with(
        &[("version", true), ("port", true)],
        Some("it is being deleted"),
    )
    .refused(reason, &["start", "it is being deleted"]);
}

#[test]
fn a_host_with_both_ports_registered_is_named_until_one_is_deregistered() {
    let alone = Before::of(&side_by_side());
    let both = Before::of(&side_by_side()).groups(|group| {
        let second = "i-0:8081".parse().expect("a target");
        group.targets.insert(second, Health::Unhealthy);
    });
    both.refused(Reason::NoFreePort, &["i-0:8080", "i-0:8081", "deregister"]);
    let stalled = both.first().status;
    let mended = decide(&alone.release, &stalled, &alone.seen, NOW);
    assert!(mended.status.course.is_some(), "{}", mended.status.message);
    assert_eq!(mended.status.targets.len(), 1, "the other one is let go");
}
