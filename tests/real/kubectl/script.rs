//! What is typed. Each command runs on the embedded registry and on a real API server, and says
//! the same on both.

/// A command, and what is expected of it.
pub(super) struct Step {
    pub(super) arguments: &'static [&'static str],
    pub(super) expected: Expected,
}

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Succeeds,
    Fails,
}

pub(super) enum Expected {
    /// Both servers say the same, and it ends so.
    Same(End),
    /// The real server is too old for it and lacks a feature.
    TooOld {
        feature: &'static str,
        /// What the registry says, as a real server does that is not too old.
        registry: Says,
        /// What shows that this one still is.
        real: Says,
    },
}

/// How a command ends, and words of what it says.
#[derive(Debug)]
pub(super) struct Says {
    pub(super) end: End,
    pub(super) words: &'static str,
}

const fn step(arguments: &'static [&'static str]) -> Step {
    Step {
        arguments,
        expected: Expected::Same(End::Succeeds),
    }
}

/// A command that is refused, finds nothing, waits in vain or shows a difference.
const fn fails(arguments: &'static [&'static str]) -> Step {
    Step {
        arguments,
        expected: Expected::Same(End::Fails),
    }
}

const fn too_old(
    arguments: &'static [&'static str],
    feature: &'static str,
    registry: Says,
    real: Says,
) -> Step {
    Step {
        arguments,
        expected: Expected::TooOld {
            feature,
            registry,
            real,
        },
    }
}

const fn succeeds(words: &'static str) -> Says {
    let end = End::Succeeds;
    Says { end, words }
}

const fn refused(words: &'static str) -> Says {
    let end = End::Fails;
    Says { end, words }
}

/// Files that the commands name.
pub(super) const FILES: &[(&str, &str)] = &[
    (
        "widgets.yaml",
        include_str!("../../../local/conformance/src/widgets.yaml"),
    ),
    (
        "one.yaml",
        "apiVersion: conformance.bluegreen.dev/v1
kind: Widget
metadata: {name: one, labels: {team: red}}
spec: {size: 2, owner: ann, tags: [a, b], parts: [{name: x}]}
",
    ),
    (
        "changed.yaml",
        "apiVersion: conformance.bluegreen.dev/v1
kind: Widget
metadata: {name: one, labels: {team: red}}
spec: {size: 4, tags: [a, b], parts: [{name: x}, {name: z}]}
",
    ),
    (
        "invalid.yaml",
        "apiVersion: conformance.bluegreen.dev/v1
kind: Widget
metadata: {name: invalid}
spec: {size: 101}
",
    ),
    (
        "unknown.yaml",
        "apiVersion: conformance.bluegreen.dev/v1
kind: Widget
metadata: {name: unknown}
spec: {size: 1, nope: 2}
",
    ),
    (
        "replaced.yaml",
        "apiVersion: conformance.bluegreen.dev/v1
kind: Widget
metadata: {name: one}
spec: {size: 9}
",
    ),
    (
        "event.yaml",
        "apiVersion: events.k8s.io/v1
kind: Event
metadata: {name: one.1}
type: Warning
reason: Stuck
action: Wait
note: cannot go on
eventTime: 2026-01-02T03:04:05.000006Z
reportingController: conformance.dev/suite
reportingInstance: suite-1
regarding: {apiVersion: conformance.bluegreen.dev/v1, kind: Widget, name: one, namespace: typed}
",
    ),
    (
        "lease.yaml",
        "apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: leader}
spec: {holderIdentity: me, leaseDurationSeconds: 15, renewTime: \"2026-01-02T03:04:05.000006Z\"}
",
    ),
];

const FIELD_VALIDATION: &str = "validation of fields, which came with 1.25";

/// The commands, in their order.
pub(super) const STEPS: &[Step] = &[
    // Definitions and discovery.
    step(&["create", "-f", "widgets.yaml"]),
    fails(&["create", "-f", "widgets.yaml"]),
    step(&[
        "wait",
        "--for=condition=Established",
        "crd/widgets.conformance.bluegreen.dev",
    ]),
    step(&["get", "crd", "widgets.conformance.bluegreen.dev"]),
    step(&["api-resources", "--api-group=conformance.bluegreen.dev"]),
    step(&["api-resources", "--api-group=coordination.k8s.io"]),
    step(&["get", "--raw", "/readyz"]),
    step(&["create", "namespace", "typed"]),
    step(&["get", "namespace", "typed"]),
    // Apply and get.
    step(&["get", "widgets"]),
    step(&["apply", "-f", "one.yaml"]),
    step(&["apply", "-f", "one.yaml"]),
    step(&["diff", "-f", "one.yaml"]),
    step(&["get", "widgets"]),
    step(&["get", "wgt", "-o", "wide", "--show-labels"]),
    step(&["get", "wgt", "one", "-o", "yaml"]),
    step(&["get", "wgt", "-o", "json"]),
    step(&["get", "wgt", "-o", "name"]),
    step(&[
        "get",
        "wgt",
        "one",
        "-o",
        "jsonpath={.spec.parts[0].weight}",
    ]),
    step(&[
        "get",
        "wgt",
        "-o",
        "custom-columns=N:.metadata.name,S:.spec.size,M:.spec.mode",
    ]),
    step(&["get", "conformance", "-A"]),
    step(&["get", "wgt", "-l", "team in (red)", "--no-headers"]),
    step(&["get", "wgt", "-l", "team!=red"]),
    step(&["get", "wgt", "--field-selector", "metadata.name=one"]),
    fails(&["get", "wgt", "--field-selector", "spec.size=1"]),
    fails(&["get", "wgt", "none"]),
    fails(&["get", "gizmos"]),
    step(&["describe", "wgt", "one"]),
    // The real server takes a moment until it can explain a new definition.
    too_old(
        &["explain", "widget.spec"],
        "OpenAPI v3, which came with 1.24",
        succeeds("size\t<integer> -required-"),
        succeeds("RESOURCE: spec <Object>"),
    ),
    // Changes.
    fails(&["diff", "-f", "one.yaml"]),
    fails(&["diff", "-f", "changed.yaml"]),
    step(&["apply", "-f", "changed.yaml", "--dry-run=server"]),
    step(&["apply", "-f", "changed.yaml"]),
    step(&["get", "wgt", "one", "-o", "jsonpath={.spec}"]),
    step(&[
        "patch",
        "wgt",
        "one",
        "--type=merge",
        "-p",
        r#"{"spec":{"size":5}}"#,
    ]),
    step(&[
        "patch",
        "wgt",
        "one",
        "--type=merge",
        "-p",
        r#"{"spec":{"size":5}}"#,
    ]),
    step(&[
        "patch",
        "wgt",
        "one",
        "--type=json",
        "-p",
        r#"[{"op":"replace","path":"/spec/size","value":6}]"#,
    ]),
    fails(&[
        "patch",
        "wgt",
        "one",
        "--type=json",
        "-p",
        r#"[{"op":"test","path":"/spec/size","value":1}]"#,
    ]),
    fails(&[
        "patch",
        "wgt",
        "one",
        "--type=strategic",
        "-p",
        r#"{"spec":{"size":7}}"#,
    ]),
    fails(&[
        "patch",
        "wgt",
        "one",
        "--type=merge",
        "-p",
        r#"{"spec":{"size":"big"}}"#,
    ]),
    step(&[
        "patch",
        "wgt",
        "one",
        "--subresource=status",
        "--type=merge",
        "-p",
        r#"{"status":{"conditions":[{"type":"Ready","status":"True"}]},"spec":{"size":99}}"#,
    ]),
    step(&["get", "wgt", "one"]),
    step(&["wait", "--for=condition=Ready", "wgt/one", "--timeout=5s"]),
    fails(&[
        "wait",
        "--for=condition=Ready=false",
        "wgt/one",
        "--timeout=1s",
    ]),
    step(&[
        "wait",
        "--for=jsonpath={.spec.size}=6",
        "wgt/one",
        "--timeout=5s",
    ]),
    step(&["label", "wgt", "one", "tier=a"]),
    fails(&["label", "wgt", "one", "tier=b"]),
    step(&["label", "wgt", "one", "tier-"]),
    fails(&["label", "wgt", "one", "tier=not fine"]),
    step(&[
        "annotate",
        "wgt",
        "one",
        "conformance.dev/request=promote 2",
    ]),
    fails(&["annotate", "wgt", "one", "conformance.dev/request=abort 2"]),
    step(&["replace", "-f", "replaced.yaml"]),
    step(&["get", "wgt", "one", "-o", "jsonpath={.spec}"]),
    // Server-side apply.
    fails(&[
        "apply",
        "--server-side",
        "--field-manager=ci",
        "-f",
        "changed.yaml",
    ]),
    step(&[
        "apply",
        "--server-side",
        "--field-manager=ci",
        "--force-conflicts",
        "-f",
        "changed.yaml",
    ]),
    step(&[
        "apply",
        "--server-side",
        "--field-manager=ci",
        "-f",
        "changed.yaml",
    ]),
    // What is refused.
    fails(&["create", "-f", "invalid.yaml"]),
    fails(&["create", "-f", "one.yaml"]),
    too_old(
        &["create", "-f", "unknown.yaml"],
        FIELD_VALIDATION,
        refused("strict decoding error: unknown field \"spec.nope\""),
        refused("ValidationError(Widget.spec): unknown field \"nope\""),
    ),
    too_old(
        &[
            "create",
            "--validate=warn",
            "-f",
            "unknown.yaml",
            "--dry-run=server",
        ],
        FIELD_VALIDATION,
        succeeds("Warning: unknown field \"spec.nope\""),
        succeeds("cannot perform warn validation"),
    ),
    step(&["create", "--validate=ignore", "-f", "unknown.yaml"]),
    fails(&["create", "-n", "nowhere", "-f", "one.yaml"]),
    // Events and leases.
    step(&["create", "-f", "event.yaml"]),
    step(&["get", "events"]),
    step(&["get", "events", "-o", "wide"]),
    step(&["events", "--for", "widget/one"]),
    step(&["create", "-f", "lease.yaml"]),
    step(&["get", "lease"]),
    step(&["get", "lease", "leader", "-o", "yaml"]),
    step(&[
        "patch",
        "lease",
        "leader",
        "-p",
        r#"{"spec":{"holderIdentity":"you"}}"#,
    ]),
    step(&["delete", "lease", "leader"]),
    // Deletion.
    step(&[
        "patch",
        "wgt",
        "one",
        "--type=merge",
        "-p",
        r#"{"metadata":{"finalizers":["conformance.dev/hold"]}}"#,
    ]),
    step(&["delete", "wgt", "one", "--wait=false"]),
    // kubectl may say something of a watch that lasts for less than a second.
    fails(&["wait", "--for=delete", "wgt/one", "--timeout=5s"]),
    step(&[
        "patch",
        "wgt",
        "one",
        "--type=merge",
        "-p",
        r#"{"metadata":{"finalizers":null}}"#,
    ]),
    step(&["wait", "--for=delete", "wgt/one", "--timeout=5s"]),
    fails(&["delete", "wgt", "one"]),
    step(&["delete", "wgt", "one", "--ignore-not-found"]),
    step(&["delete", "wgt", "--all"]),
    step(&["delete", "namespace", "typed", "--wait=false"]),
    step(&["delete", "-f", "widgets.yaml"]),
    fails(&["get", "wgt"]),
];
