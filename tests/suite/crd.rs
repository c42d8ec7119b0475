//! The CustomResourceDefinition: the file is what the types say, and its rules refuse bad input
//! with words that help.

use std::{env, fs, path::Path};

use bluegreen::api::{BlueGreenRelease, crd};
use kube_cel::Validator;
use serde_json::{Value, json};

fn schema() -> Value {
    let definition = serde_json::to_value(crd::definition()).unwrap();
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

fn good() -> Value {
    json!({
        "apiVersion": "bluegreen.dev/v1alpha1",
        "kind": "BlueGreenRelease",
        "metadata": { "name": "shop", "namespace": "games" },
        "spec": {
            "version": "1.8.0",
            "traffic": { "registration": { "targetGroups": [{ "name": "shop" }, { "name": "shop-internal" }] } },
            "fleet": { "hosts": {
                "selector": { "tags": { "app": "shop" } },
                "ports": [8080, 8081],
                "start": { "document": "BlueGreen-StartUnit", "parameters": { "unit": "shop@{{port}}" } },
                "stop": { "unit": "shop@{{port}}.service" },
            } },
            "rollout": { "maxUnavailable": "25%" },
            "drain": {
                "inFlight": { "http": {
                    "inFlight": { "path": "/drain", "pointer": "/inFlight" },
                    "served": { "path": "/metrics", "sample": { "name": "served_total" } },
                } },
                "earlyFinish": true,
            },
            "retain": "10m",
        },
    })
}

fn existing() -> Value {
    json!({ "existing": { "selector": { "tags": { "app": "shop" } }, "versionTag": "Version", "port": 8080 } })
}

/// The messages of the rules that refuse an object; none, where they accept it.
fn refusals(new: &Value, old: Option<&Value>) -> Vec<String> {
    match Validator::new().validate(&schema(), new, old) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.iter().map(|error| error.message.clone()).collect(),
    }
}

fn with(change: impl FnOnce(&mut Value)) -> Value {
    let mut object = good();
    change(&mut object);
    object
}

#[test]
fn the_checked_in_file_is_what_the_types_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(crd::FILE);
    if env::var_os("BLUEGREEN_BLESS").is_some() {
        fs::write(&path, crd::yaml()).unwrap();
    }
    let file = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        file == crd::yaml(),
        "{} is out of date; run\n  BLUEGREEN_BLESS=1 cargo test --test suite crd",
        crd::FILE,
    );
}

#[test]
fn a_good_release_is_accepted_and_understood() {
    assert_eq!(refusals(&good(), None), Vec::<String>::new());
    assert_eq!(refusals(&good(), Some(&good())), Vec::<String>::new());
    let release: BlueGreenRelease = serde_json::from_value(good()).unwrap();
    assert_eq!(release.spec.version, "1.8.0");
    let other = with(|object| object["spec"]["fleet"] = existing());
    let other = {
        let mut other = other;
        other["spec"]["retain"] = json!("0s");
        other
    };
    assert_eq!(refusals(&other, None), Vec::<String>::new());
    serde_json::from_value::<BlueGreenRelease>(other).unwrap();
}

#[test]
fn another_version_is_accepted_on_an_update() {
    let new = with(|object| object["spec"]["version"] = json!("1.9.0"));
    assert_eq!(refusals(&new, Some(&good())), Vec::<String>::new());
}

/// Each bad input, and a piece of the words that it is refused with.
#[test]
fn every_rule_refuses_its_bad_input() {
    let cases = [
        (
            "/spec/fleet/existing",
            existing()["existing"].clone(),
            "give exactly one kind of fleet: hosts or existing",
        ),
        (
            "/spec/fleet",
            json!({}),
            "give exactly one kind of fleet: hosts or existing",
        ),
        (
            "/spec/fleet/hosts/ports",
            json!([0]),
            "a port is a number from 1 to 65535",
        ),
        (
            "/spec/fleet/hosts/ports",
            json!([8080, 65536]),
            "a port is a number from 1 to 65535",
        ),
        (
            "/spec/fleet/hosts/ports",
            json!([8080, 8080]),
            "the two ports are the same",
        ),
        (
            "/spec/fleet/hosts/ports",
            json!([8080]),
            "retain needs two ports",
        ),
        (
            "/spec/fleet/hosts/applicationPorts",
            json!([9080]),
            "applicationPorts and ports differ in length",
        ),
        (
            "/spec/fleet/hosts/applicationPorts",
            json!([0, 9081]),
            "an application port is a number from 1 to 65535",
        ),
        (
            "/spec/fleet/hosts/applicationPorts",
            json!([9080, 65536]),
            "an application port is a number from 1 to 65535",
        ),
        (
            "/spec/fleet/hosts/applicationPorts",
            json!([9080, 9080]),
            "the two application ports are the same",
        ),
        (
            "/spec/fleet/hosts/applicationPorts",
            json!([8081, 9081]),
            "an application port is the registered port of the other process",
        ),
        (
            "/spec/fleet/hosts/stop",
            json!({}),
            "give exactly one way to stop: unit or command",
        ),
        (
            "/spec/fleet/hosts/stop/command",
            json!({ "document": "Stop" }),
            "give exactly one way to stop: unit or command",
        ),
        (
            "/spec/traffic/registration/targetGroups",
            json!([{}]),
            "give each target group by its arn or by its name",
        ),
        (
            "/spec/traffic/registration/targetGroups",
            json!([{ "name": "a", "arn": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/a/01" }]),
            "give each target group by its arn or by its name",
        ),
        (
            "/spec/traffic/registration/targetGroups",
            json!([{ "name": "a" }, { "name": "b" }, { "name": "a" }]),
            "a target group is listed twice",
        ),
        (
            "/spec/drain",
            json!({ "earlyFinish": true }),
            "earlyFinish needs inFlight",
        ),
        (
            "/spec/drain/inFlight/http/inFlight",
            json!({ "path": "/drain" }),
            "name the figure by exactly one of pointer",
        ),
        (
            "/spec/drain/inFlight/http/served",
            json!({ "path": "/drain", "pointer": "/n", "sample": { "name": "n" } }),
            "name the figure by exactly one of pointer",
        ),
        (
            "/spec/drain/inFlight/http/served/sample",
            json!({ "name": "n", "labels": { ("x".repeat(189)): "x" } }),
            "the name of a label has 1 to 128 characters",
        ),
        (
            "/spec/drain/inFlight/http/served/sample",
            json!({ "name": "n", "except": { "": ["x"] } }),
            "the name of a label has 1 to 128 characters",
        ),
    ];
    for (path, value, words) in cases {
        let bad = with(|object| set(object, path, value.clone()));
        let messages = refusals(&bad, None);
        assert!(
            messages.iter().any(|message| message.starts_with(words)),
            "{path} = {value}: {messages:?}"
        );
    }
}

#[test]
fn a_promotion_by_a_person_is_for_those_where_both_versions_live_at_once() {
    let manual = |object: &mut Value| object["spec"]["promotion"] = json!({ "mode": "Manual" });
    assert_eq!(refusals(&with(manual), None), Vec::<String>::new());
    let others = with(|object| {
        manual(object);
        object["spec"]["fleet"] = existing();
        object["spec"]["retain"] = json!("0s");
    });
    assert_eq!(refusals(&others, None), Vec::<String>::new());
    let in_place = with(|object| {
        manual(object);
        object["spec"]["fleet"]["hosts"]["ports"] = json!([8080]);
        object["spec"]["retain"] = json!("0s");
    });
    let [message] = refusals(&in_place, None).try_into().unwrap();
    assert!(
        message.starts_with("promotion.mode Manual needs two ports"),
        "{message}"
    );
    for promotion in [json!({}), json!({ "mode": "Auto" })] {
        let automatic = with(|object| {
            object["spec"]["promotion"] = promotion;
            object["spec"]["fleet"]["hosts"]["ports"] = json!([8080]);
            object["spec"]["retain"] = json!("0s");
        });
        assert_eq!(refusals(&automatic, None), Vec::<String>::new());
    }
}

#[test]
fn application_ports_cannot_be_added_changed_or_removed() {
    let given =
        |ports: Value| with(|object| object["spec"]["fleet"]["hosts"]["applicationPorts"] = ports);
    let behind = given(json!([9080, 9081]));
    assert_eq!(refusals(&behind, None), Vec::<String>::new());
    assert_eq!(refusals(&behind, Some(&behind)), Vec::<String>::new());
    for (old, new) in [
        (good(), behind.clone()),
        (behind.clone(), given(json!([9081, 9080]))),
        (behind, good()),
    ] {
        let [message] = refusals(&new, Some(&old)).try_into().unwrap();
        assert_eq!(
            message,
            "applicationPorts cannot be changed; create a new release for other ports"
        );
    }
}

#[test]
fn what_identifies_a_release_cannot_be_changed() {
    let cases = [
        (
            "/spec/traffic/registration/targetGroups/0/name",
            json!("other"),
            "traffic cannot be changed",
        ),
        (
            "/spec/fleet/hosts/ports",
            json!([8080, 9090]),
            "ports cannot be changed",
        ),
        (
            "/spec/fleet/hosts/selector/tags/app",
            json!("other"),
            "selector cannot be changed",
        ),
        (
            "/spec/fleet",
            existing(),
            "fleet cannot be changed to another kind",
        ),
        (
            "/spec/aws",
            json!({ "region": "eu-west-1" }),
            "aws cannot be changed",
        ),
    ];
    for (path, value, words) in cases {
        let new = with(|object| set(object, path, value.clone()));
        let messages = refusals(&new, Some(&good()));
        assert!(
            messages.iter().any(|message| message.starts_with(words)),
            "{path} = {value}: {messages:?}"
        );
    }
    let before = with(|object| set(object, "/spec/fleet", existing()));
    let after = with(|object| {
        set(object, "/spec/fleet", existing());
        set(object, "/spec/fleet/existing/port", json!(9090));
    });
    let messages = refusals(&after, Some(&before));
    assert!(
        messages
            .iter()
            .any(|message| message.starts_with("port cannot be changed")),
        "{messages:?}"
    );
}

fn set(object: &mut Value, path: &str, value: Value) {
    let (parent, field) = path.rsplit_once('/').unwrap();
    let parent = object.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(items) => items[field.parse::<usize>().unwrap()] = value,
        parent => parent[field] = value,
    }
}
