//! The chart's admission policy, as an API server evaluates it: who may write which part of a
//! release.

use std::{collections::BTreeMap, fs, path::Path};

use bluegreen::api::FINALIZER;
use kube_cel::{
    KubeCelExt,
    cel::{Context, Program, Value as Cel},
};
use serde_json::{Value, json};

const CONTROLLER: &str = "system:serviceaccount:bluegreen-system:bluegreen-controller";
const USER: &str = "jane@example.com";
const BREAK_GLASS: &str = "bluegreen.dev/break-glass";

/// The template's first document, with what Helm fills in.
fn policy() -> Value {
    let file = "charts/bluegreen-controller/templates/admissionpolicy.yaml";
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let (_, text) = text.split_once("}}\napiVersion").unwrap();
    let (policy, _) = text.split_once("\n---\n").unwrap();
    let policy = format!("apiVersion{policy}")
        .replace("{{ .Release.Namespace }}", "bluegreen-system")
        .replace(
            r#"{{ include "bluegreen.serviceAccount" . }}"#,
            "bluegreen-controller",
        );
    let lines = policy.lines().filter(|line| !line.contains("{{"));
    serde_norway::from_str(&lines.collect::<Vec<_>>().join("\n")).unwrap()
}

fn texts<'a>(policy: &'a Value, list: &str, field: &str) -> Vec<&'a str> {
    let items = policy["spec"][list].as_array().unwrap().iter();
    items.map(|item| item[field].as_str().unwrap()).collect()
}

fn evaluate(expression: &str, request: &Value, variables: &BTreeMap<String, Cel>) -> Cel {
    let mut context = Context::default().with_all();
    for name in ["request", "object", "oldObject"] {
        context.add_variable(name, request[name].clone()).unwrap();
    }
    let variables: Cel = Cel::from(
        variables
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect::<std::collections::HashMap<_, _>>(),
    );
    context.add_variable_from_value("variables", variables);
    let program = Program::compile(expression).unwrap();
    let value = program.execute(&context);
    value.unwrap_or_else(|error| panic!("{expression}: {error}"))
}

/// Why a request is refused; nothing, where it is let through.
fn refused(request: &Value) -> Option<String> {
    let policy = policy();
    let mut variables = BTreeMap::new();
    let names = texts(&policy, "variables", "name");
    for (name, expression) in names.iter().zip(texts(&policy, "variables", "expression")) {
        let value = evaluate(expression, request, &variables);
        variables.insert((*name).to_owned(), value);
    }
    let messages = texts(&policy, "validations", "message");
    let validations = texts(&policy, "validations", "expression");
    let failed = validations
        .iter()
        .position(|one| evaluate(one, request, &variables) != Cel::Bool(true));
    failed.map(|index| messages[index].to_owned())
}

fn release(metadata: &Value) -> Value {
    let mut release = json!({
        "apiVersion": "bluegreen.dev/v1alpha1", "kind": "BlueGreenRelease",
        "metadata": { "name": "shop", "namespace": "games" },
        "spec": { "version": "1.8.0" },
    });
    for (name, value) in metadata.as_object().unwrap() {
        release["metadata"][name] = value.clone();
    }
    release
}

fn held() -> Value {
    json!({ "finalizers": [FINALIZER] })
}

/// A change of a release from one metadata to another.
fn update(user: &str, before: &Value, after: &Value) -> Value {
    json!({
        "request": {
            "operation": "UPDATE", "userInfo": { "username": user, "groups": ["system:masters"] },
            "name": "shop", "namespace": "games",
        },
        "object": release(after),
        "oldObject": release(before),
    })
}

/// A write of the status.
fn status(user: &str, metadata: &Value) -> Value {
    let mut request = update(user, metadata, metadata);
    request["request"]["subResource"] = json!("status");
    request["object"]["status"] = json!({ "phase": "Released" });
    request
}

/// A creation: there is no object before.
fn create(user: &str, metadata: &Value) -> Value {
    let mut request = update(user, metadata, metadata);
    request["request"]["operation"] = json!("CREATE");
    request["oldObject"] = Value::Null;
    request
}

fn broken(mut metadata: Value) -> Value {
    metadata["annotations"] = json!({ BREAK_GLASS: "true" });
    metadata
}

#[test]
fn what_is_let_through() {
    let plain = json!({});
    let others = json!({ "finalizers": ["foregroundDeletion"], "annotations": { "a": "b" } });
    let both = json!({ "finalizers": ["foregroundDeletion", FINALIZER] });
    for (case, request) in [
        (
            "the controller writes a status",
            status(CONTROLLER, &held()),
        ),
        (
            "it puts the finalizer on",
            update(CONTROLLER, &plain, &held()),
        ),
        ("it takes it off", update(CONTROLLER, &held(), &plain)),
        ("a user creates a release", create(USER, &plain)),
        (
            "with annotations and another finalizer",
            create(USER, &others),
        ),
        ("and changes it", update(USER, &held(), &held())),
        (
            "or what has no finalizer yet",
            update(USER, &plain, &others),
        ),
        (
            "the garbage collector adds its own",
            update(USER, &held(), &both),
        ),
        ("and takes it off", update(USER, &both, &held())),
        (
            "a user breaks the glass for a status",
            status(USER, &broken(held())),
        ),
        (
            "for the finalizer",
            update(USER, &held(), &broken(plain.clone())),
        ),
        (
            "for a release that is restored",
            create(USER, &broken(held())),
        ),
    ] {
        assert_eq!(refused(&request), None, "{case}");
    }
}

#[test]
fn what_is_refused() {
    let plain = json!({});
    let named = |value: Value| {
        let mut metadata = held();
        metadata["annotations"] = value;
        metadata
    };
    let elsewhere = "system:serviceaccount:games:bluegreen-controller";
    for (case, request, words) in [
        ("a status by a user", status(USER, &held()), "status"),
        (
            "by an account of that name elsewhere",
            status(elsewhere, &held()),
            "status",
        ),
        (
            "of a release without finalizer",
            status(USER, &plain),
            "status",
        ),
        (
            "glass that is not broken",
            status(USER, &named(json!({ BREAK_GLASS: "false" }))),
            "status",
        ),
        (
            "another annotation",
            status(USER, &named(json!({ "break-glass": "true" }))),
            "status",
        ),
        (
            "a finalizer that is taken off",
            update(USER, &held(), &plain),
            "finalizer",
        ),
        ("put on", update(USER, &plain, &held()), "finalizer"),
        (
            "there from the beginning",
            create(USER, &held()),
            "finalizer",
        ),
        (
            "taken off together with the annotation",
            update(USER, &broken(held()), &plain),
            "finalizer",
        ),
    ] {
        let message = refused(&request).unwrap_or_else(|| panic!("{case} is let through"));
        assert!(message.contains(words), "{case}: {message}");
        assert!(message.contains(BREAK_GLASS), "{case}: {message}");
    }
}

/// A request that it is not asked about is let through, so all of these must be.
#[test]
fn it_is_asked_about_every_write_of_a_release() {
    let policy = policy();
    assert_eq!(policy["spec"]["failurePolicy"], "Fail");
    let rules = &policy["spec"]["matchConstraints"]["resourceRules"];
    let wanted = json!([{
        "apiGroups": ["bluegreen.dev"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"],
        "resources": ["bluegreenreleases", "bluegreenreleases/status"],
    }]);
    assert_eq!(*rules, wanted);
}

#[test]
fn the_runbook_says_how_to_break_the_glass() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbook.md");
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(&format!("kubectl annotate bgr NAME {BREAK_GLASS}=true")));
}
