//! Which of two releases comes first on a target, and what the other one says.

use std::collections::BTreeMap;

use bluegreen_api::{BlueGreenReleaseStatus, Phase, Reason};
use bluegreen_plan::{Claim, Decision, Needs, Release, Step, decide};

use super::{
    scenario::{Scenario, in_place, side_by_side},
    world::{Look, NOW, World},
};

/// A release that has not begun.
pub(super) fn release(scenario: &Scenario) -> Release {
    Release {
        uid: "younger".to_owned(),
        generation: 1,
        spec: scenario.spec.clone(),
        revisions: BTreeMap::new(),
        finalizer: false,
        deleting: false,
        request: None,
    }
}

/// What another release with the same spec names.
fn claim(scenario: &Scenario, name: &str) -> Claim {
    Claim::of(
        format!("others/{name}"),
        name.to_owned(),
        NOW,
        &scenario.spec,
        &BlueGreenReleaseStatus::default(),
    )
}

/// The first decision of a release that another one may come before.
fn first(scenario: &Scenario, release: &Release, claim: Claim) -> Decision {
    let world = World::begin(scenario);
    let mut seen = world.observe(scenario, &Needs::default(), Look::Fresh);
    seen.claims = vec![claim];
    decide(release, &BlueGreenReleaseStatus::default(), &seen, NOW)
}

fn stalls(decision: &Decision) -> bool {
    let mut told = decision.status.conditions.iter();
    let claimed = Reason::ClaimedByAnother.as_str();
    told.any(|told| told.type_ == "Stalled" && told.reason == claimed)
}

#[test]
fn of_two_releases_exactly_one_comes_first_on_a_group() {
    let scenario = side_by_side();
    let variants = || {
        ["a", "b"].into_iter().flat_map(|uid| {
            let claim = claim(&side_by_side(), uid);
            let later = Claim {
                created: NOW + bluegreen_api::Duration::from_secs(1),
                ..claim.clone()
            };
            let worked = |claim: &Claim| Claim {
                worked: claim.groups.clone(),
                ..claim.clone()
            };
            let named = |claim: &Claim| Claim {
                region: Some("eu-west-1".to_owned()),
                ..claim.clone()
            };
            let all = [claim.clone(), worked(&claim), later.clone(), worked(&later)];
            all.clone()
                .into_iter()
                .chain(all.map(|claim| named(&claim)))
        })
    };
    let own = Some("eu-west-1");
    for (one, other) in variants().flat_map(|one| variants().map(move |other| (one.clone(), other)))
    {
        let first = [one.comes_before(&other, own), other.comes_before(&one, own)];
        let differ = one.uid != other.uid;
        assert_eq!(first[0] != first[1], differ, "{one:?} {other:?}");
        if differ && one.worked.is_empty() && !other.worked.is_empty() {
            assert!(first[1], "who has changed targets comes first: {other:?}");
        }
    }
    // Each has begun in one of two groups: still one of them comes first.
    let begun = |uid: &str, group: &str| Claim {
        groups: vec!["g0".to_owned(), "g1".to_owned()],
        worked: vec![group.to_owned()],
        ..claim(&scenario, uid)
    };
    let (one, other) = (begun("a", "g0"), begun("b", "g1"));
    assert!(one.comes_before(&other, own) && !other.comes_before(&one, own));
    let ours = claim(&scenario, "a");
    let elsewhere = |change: fn(&mut Claim)| {
        let mut other = claim(&scenario, "0");
        assert!(other.comes_before(&ours, own));
        change(&mut other);
        !other.comes_before(&ours, own)
    };
    assert!(elsewhere(
        |claim| claim.region = Some("us-east-1".to_owned())
    ));
    assert!(elsewhere(|claim| claim.groups = vec!["another".to_owned()]));
}

#[test]
fn whose_targets_another_has_stalls_before_its_first_change_and_names_the_other() {
    for scenario in [in_place(), side_by_side()] {
        let decision = first(&scenario, &release(&scenario), claim(&scenario, "older"));
        assert!(stalls(&decision), "{:?}", decision.status);
        assert_eq!(decision.status.phase, Phase::Stalled);
        assert_eq!(decision.step, None);
        assert!(decision.status.targets.is_empty(), "nothing is recorded");
        let message = &decision.status.message;
        assert!(
            message.contains("others/older") && message.contains("i-0:8080"),
            "{message}"
        );
    }
}

#[test]
fn who_names_other_targets_of_the_same_group_is_no_obstacle() {
    let scenario = in_place();
    let release = release(&scenario);
    let begins = |change: fn(&mut Claim)| {
        let mut other = claim(&scenario, "older");
        change(&mut other);
        let decision = first(&scenario, &release, other);
        decision.status.course.is_some() && !stalls(&decision)
    };
    assert!(begins(|other| other.ports = vec![9090]));
    assert!(begins(|other| {
        other.tags.insert("app".to_owned(), "bank".to_owned());
    }));
    assert!(begins(|other| {
        other.tags = BTreeMap::from([("team".to_owned(), "red".to_owned())]);
    }));
    assert!(
        begins(|other| {
            other.tags.insert("team".to_owned(), "red".to_owned());
        }),
        "it asks for more, and its record has none of ours"
    );
    assert!(
        !begins(|other| {
            other.tags = BTreeMap::from([("team".to_owned(), "red".to_owned())]);
            other.targets = vec!["i-1:8080".parse().expect("a target")];
        }),
        "whatever its tags: its record has a target"
    );
}

#[test]
fn a_narrower_selector_is_claimed_by_a_wider_one() {
    let scenario = in_place();
    let mut narrow = release(&scenario);
    let hosts = narrow.spec.fleet.hosts.as_mut().expect("a fleet of hosts");
    hosts
        .selector
        .tags
        .insert("team".to_owned(), "red".to_owned());
    let decision = first(&scenario, &narrow, claim(&scenario, "older"));
    assert!(stalls(&decision), "{}", decision.status.message);
}

#[test]
fn whose_targets_another_has_may_be_deleted() {
    let scenario = side_by_side();
    let release = Release {
        finalizer: true,
        deleting: true,
        ..release(&scenario)
    };
    let decision = first(&scenario, &release, claim(&scenario, "older"));
    assert_eq!(decision.step, Some(Step::RemoveFinalizer));
}
