//! The judge is not blind to what a controller decides.

use bluegreen::{
    api::{BlueGreenReleaseSpec, Duration, StepKind},
    plan::{
        CommandState, Group, GroupSettings, Instance, InstanceState, LoadBalancerKind, Pace,
        SendCommand, Step,
    },
};
use serde_json::{from_value, json};

use super::*;
use crate::harness::{Manifest, Scene};

const GROUP: &str = "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/snackgame/0";

fn judge() -> Judge {
    Judge::new(Clock::stepped())
}

fn release() -> Release {
    let manifest = Manifest::of(&Scene::in_place());
    let spec: BlueGreenReleaseSpec = from_value(manifest.0["spec"].clone()).unwrap();
    Release {
        uid: "uid".to_owned(),
        generation: 1,
        spec,
        finalizer: true,
        revisions: BTreeMap::new(),
        deleting: false,
        request: None,
    }
}

/// One group, in which nothing is listed but what is given.
fn seen(targets: impl IntoIterator<Item = (TargetId, Health)>) -> Observation {
    let group = Group {
        name: "snackgame".to_owned(),
        load_balancer: LoadBalancerKind::Application,
        instance_targets: true,
        in_use: true,
        delay: Duration::from_secs(60),
        settings: GroupSettings::default(),
        targets: targets.into_iter().collect(),
        reasons: BTreeMap::new(),
    };
    Observation {
        began_at: Time::from_millis(1_000_000),
        fleet: Reading::Known(vec![Instance {
            id: "i-1".to_owned(),
            zone: "a".to_owned(),
            state: InstanceState::Running,
            address: None,
            version: None,
        }]),
        groups: vec![Reading::Known(group)],
        // The stop that status speaks of never arrived.
        commands: BTreeMap::from([("op".to_owned(), Reading::Known(CommandState::Absent))]),
        probes: BTreeMap::new(),
        ports: BTreeMap::new(),
        agents: Reading::Known(BTreeSet::new()),
        documents: BTreeMap::new(),
        pace: Pace::default(),
        claims: Vec::new(),
        last_effect: None,
    }
}

fn status(direction: &str, steps: &Value) -> BlueGreenReleaseStatus {
    let at = Time::from_millis(900_000);
    from_value(json!({
        "conditions": [{
            "type": "Ready", "status": "False", "reason": "Releasing", "message": "draining",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }],
        "course": {"direction": direction, "since": at, "generation": 1, "progressAt": at},
        "intent": {"id": "op", "step": "Stop", "at": at, "targets": ["i-1:8080"]},
        "targets": [{
            "revision": 0, "id": "i-1", "port": 8080, "color": "Blue", "steps": steps,
            "process": {"operation": "op", "step": "Stop", "requestedAt": at, "sentAt": at},
        }],
    }))
    .unwrap()
}

/// What status says of a target whose drain is proven.
fn proven() -> Value {
    let at = Time::from_millis(900_000);
    json!({
        "deregistered": {"at": at, "groups": ["snackgame"]},
        "drained": {
            "at": at, "proof": "FullDelay", "since": at, "delay": "60s", "settle": "45s",
        },
    })
}

fn stopping(status: BlueGreenReleaseStatus) -> Decision {
    let command = SendCommand {
        operation: "op".to_owned(),
        kind: StepKind::Stop,
        document: "BlueGreen-StopUnit".to_owned(),
        parameters: BTreeMap::new(),
        instances: vec!["i-1".to_owned()],
        port: 8080,
        timeout: Duration::from_secs(120),
    };
    Decision {
        status,
        step: Some(Step::Send(command)),
        look_at: Time::from_millis(1_000_000),
    }
}

fn truth(state: &str) -> Value {
    let target = json!({"id": "i-1", "port": 8080, "state": state, "reason": null});
    json!({"targetGroups": [{"arn": GROUP, "targets": [target]}]})
}

#[test]
fn a_pass_that_breaks_nothing_is_no_violation() {
    let (judge, before) = (judge(), status("Forward", &proven()));
    let decision = stopping(before.clone());
    judge.0.state.lock().unwrap().truth = Some(Arc::new(truth("draining")));
    judge.decided(&release(), &before, &seen([]), &decision);
    assert_eq!(judge.violations(), [""; 0]);
}

#[test]
fn a_stop_without_a_proof_is_noticed() {
    let (judge, before) = (judge(), status("Forward", &json!({})));
    let decision = stopping(before.clone());
    judge.decided(&release(), &before, &seen([]), &decision);
    let violations = judge.violations().join("\n");
    assert!(violations.contains("S14"), "{violations}");
    assert!(!judge.may_stop("i-1", 8080), "nor at the process");
}

#[test]
fn a_stop_that_rests_on_an_old_reading_is_noticed() {
    let (judge, before) = (judge(), status("Forward", &proven()));
    let decision = stopping(before.clone());
    judge.0.state.lock().unwrap().truth = Some(Arc::new(truth("healthy")));
    judge.decided(&release(), &before, &seen([]), &decision);
    let violations = judge.violations().join("\n");
    assert!(violations.contains("S2"), "{violations}");
    assert!(violations.contains("in truth"), "{violations}");
    assert!(judge.may_stop("i-1", 8080), "status has a proof");
}

#[test]
fn a_turn_from_back_to_forward_is_noticed() {
    let (judge, before) = (judge(), status("Back", &proven()));
    let decision = Decision {
        step: None,
        ..stopping(status("Forward", &proven()))
    };
    judge.decided(&release(), &before, &seen([]), &decision);
    let violations = judge.violations().join("\n");
    assert!(violations.contains("S9"), "{violations}");
}

#[test]
fn a_status_that_misleads_whoever_waits_is_noticed() {
    let before = status("Forward", &proven());
    for conditions in [
        json!([["Ready", "True"]]),
        json!([
            ["Ready", "False"],
            ["Reconciling", "True"],
            ["Stalled", "True"]
        ]),
    ] {
        let judge = judge();
        let mut after = before.clone();
        after.conditions = conditions
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                from_value(json!({
                    "type": one[0], "status": one[1], "reason": "Releasing", "message": "draining",
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }))
                .unwrap()
            })
            .collect();
        judge.decided(&release(), &before, &seen([]), &stopping(after));
        let violations = judge.violations().join("\n");
        assert!(violations.contains("kstatus"), "{violations}");
    }
}

#[test]
fn a_process_that_is_left_over_at_rest_is_noticed() {
    let judge = judge();
    let mut status = status("Forward", &proven());
    let spec = release().spec;
    status.blue = Some(
        from_value(json!({
            "revision": 1, "version": "1.8.0", "startedAt": Time::from_millis(900_000),
        }))
        .unwrap(),
    );
    let port = |runs: &str, registered| TruePort {
        target: TargetId {
            id: "i-1".to_owned(),
            port: 8080,
        },
        runs: Some(runs.to_owned()),
        registered,
    };
    let rests = |truth: &[TruePort]| {
        judge.rests(&AtRest {
            spec: &spec,
            status: &status,
            truth,
        });
    };
    rests(&[port("1.8.0", true)]);
    assert_eq!(judge.violations(), [""; 0]);
    rests(&[port("1.7.3", false)]);
    let violations = judge.violations().join("\n");
    assert!(violations.contains("S6"), "{violations}");
}

#[test]
fn an_instance_that_is_terminated_while_it_is_registered_is_noticed() {
    let truth = |state: &str, draining_until: Value| {
        let target = json!({"id": "i-1", "port": 8080, "drainingUntil": draining_until});
        json!({
            "instances": [{"id": "i-1", "state": state}],
            "targetGroups": [{"arn": GROUP, "targets": [target]}],
        })
    };
    let in_service = terminated_in_service(&truth("shutting-down", Value::Null));
    assert_eq!(in_service, ["i-1:8080"]);
    for (state, draining_until) in [
        ("running", Value::Null),
        ("stopped", Value::Null),
        ("terminated", json!("2027-01-15T08:00:00Z")),
    ] {
        let in_service = terminated_in_service(&truth(state, draining_until));
        assert_eq!(in_service, [""; 0], "{state}");
    }
}

#[test]
fn where_statuses_are_torn_no_proof_in_status_is_asked() {
    let (judge, before) = (judge(), status("Forward", &json!({})));
    judge.expect_torn_statuses();
    let decision = stopping(before.clone());
    judge.decided(&release(), &before, &seen([]), &decision);
    assert_eq!(judge.violations(), [""; 0]);
    assert!(judge.may_stop("i-1", 8080), "status is not asked");
}
