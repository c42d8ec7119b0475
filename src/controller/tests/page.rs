//! `docs/observability.md` lists the metrics, their labels and the Events, and all of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter::successors,
    time::Duration,
};

use serde_json::json;

use super::transitions::{rendered, status};
use crate::{
    api::{Phase, StopHow},
    cloud::{self, CANCELLED, ENDED_WELL},
    controller::{Metrics, Outcome, Severity, metrics::Counted, notices},
    plan::FailureKind,
};

const PAGE: &str = include_str!("../../../docs/observability.md");
const EVENTS: &str = include_str!("../events.rs");
const ADAPTERS: [&str; 4] = [
    include_str!("../../cloud/aws/ec2.rs"),
    include_str!("../../cloud/aws/elb.rs"),
    include_str!("../../cloud/aws/hosts.rs"),
    include_str!("../../cloud/aws/ssm.rs"),
];

const ALERTS: &str =
    include_str!("../../../charts/bluegreen-controller/templates/prometheusrule.yaml");

type Words = BTreeSet<String>;

/// Every outcome of a pass: a new one does not compile until it is here.
fn outcomes() -> impl Iterator<Item = Outcome> {
    successors(Some(Outcome::Rested), |outcome| match outcome {
        Outcome::Rested => Some(Outcome::Waited),
        Outcome::Waited => Some(Outcome::Acted),
        Outcome::Acted => Some(Outcome::Conflict),
        Outcome::Conflict => Some(Outcome::Gone),
        Outcome::Gone => Some(Outcome::Invalid),
        Outcome::Invalid => Some(Outcome::Stopped),
        Outcome::Stopped => Some(Outcome::Unfenced),
        Outcome::Unfenced => Some(Outcome::Failed),
        Outcome::Failed => None,
    })
}

fn phases() -> impl Iterator<Item = Phase> {
    successors(Some(Phase::Pending), |phase| match phase {
        Phase::Pending => Some(Phase::Preflight),
        Phase::Preflight => Some(Phase::Starting),
        Phase::Starting => Some(Phase::Registering),
        Phase::Registering => Some(Phase::AwaitingPromotion),
        Phase::AwaitingPromotion => Some(Phase::Draining),
        Phase::Draining => Some(Phase::Retaining),
        Phase::Retaining => Some(Phase::Stopping),
        Phase::Stopping => Some(Phase::Released),
        Phase::Released => Some(Phase::RollingBack),
        Phase::RollingBack => Some(Phase::RolledBack),
        Phase::RolledBack => Some(Phase::Stalled),
        Phase::Stalled => Some(Phase::Paused),
        Phase::Paused => Some(Phase::Deleting),
        Phase::Deleting => None,
    })
}

fn stops() -> impl Iterator<Item = StopHow> {
    successors(Some(StopHow::Graceful), |how| match how {
        StopHow::Graceful => Some(StopHow::Killed),
        StopHow::Killed => Some(StopHow::NotRunning),
        StopHow::NotRunning => Some(StopHow::InstanceTerminated),
        StopHow::InstanceTerminated => None,
    })
}

fn failures() -> impl Iterator<Item = FailureKind> {
    successors(Some(FailureKind::NotAsked), |kind| match kind {
        FailureKind::NotAsked => Some(FailureKind::Denied),
        FailureKind::Denied => Some(FailureKind::Throttled),
        FailureKind::Throttled => Some(FailureKind::NotFound),
        FailureKind::NotFound => Some(FailureKind::Rejected),
        FailureKind::Rejected => Some(FailureKind::Unavailable),
        FailureKind::Unavailable => None,
    })
}

/// The operations that the adapters on the AWS SDK name.
fn operations() -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    for source in ADAPTERS {
        for call in ["read(\"", "effect(\"", "operation: \""] {
            let pieces = source.split(call).skip(1);
            found.extend(pieces.map(|piece| piece.split('"').next().unwrap()));
        }
    }
    assert!(found.len() > 5, "they were not found: {found:?}");
    found
}

/// Metrics in which every label has had every value.
fn filled() -> Metrics {
    let metrics = Metrics::default();
    for outcome in outcomes() {
        metrics.reconciled(outcome, Duration::ZERO);
    }
    let censuses = phases().map(|phase| status(json!({ "phase": phase })));
    metrics.census(censuses.map(|status| Some(Counted::of(Some(&status)))));
    // An instance that is terminated has no report of how long its process took.
    for how in stops().filter(|how| *how != StopHow::InstanceTerminated) {
        let steps =
            json!({ "terminated": { "at": "2027-01-15T08:00:00Z", "how": how, "took": "1s" } });
        let target =
            json!({ "revision": 1, "id": "i-1", "port": 80, "color": "Blue", "steps": steps });
        metrics.proven(&status(json!({})), &status(json!({ "targets": [target] })));
    }
    let failed = failures().map(|kind| cloud::Error::new(kind, "").category());
    let results: Vec<_> = failed.chain([ENDED_WELL, CANCELLED]).collect();
    for operation in operations() {
        for result in &results {
            metrics.aws_started(operation);
            metrics.aws_finished(operation, result, Duration::ZERO);
        }
        metrics.aws_held_back(operation);
    }
    metrics
}

/// What is exposed of a metric.
#[derive(Debug, PartialEq, Eq)]
struct Exposed {
    kind: String,
    labels: BTreeMap<String, Words>,
}

/// Every metric by the name that a query has for it.
fn exposed() -> BTreeMap<String, Exposed> {
    let text = rendered(&filled());
    let mut metrics = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["#", "TYPE", family, kind] => {
                let suffix = if kind == "counter" { "_total" } else { "" };
                name = format!("{family}{suffix}");
                let kind = kind.to_owned();
                let labels = BTreeMap::new();
                metrics.insert(name.clone(), Exposed { kind, labels });
            }
            ["#", ..] => {}
            _ => {
                let Some((_, labels)) = line.split_once('{') else {
                    continue;
                };
                let (labels, _) = labels.split_once('}').unwrap();
                let known = &mut metrics.get_mut(&name).unwrap().labels;
                for (label, value) in labels.split(',').filter_map(|one| one.split_once('=')) {
                    let value = value.trim_matches('"').to_owned();
                    if label != "le" {
                        known.entry(label.to_owned()).or_default().insert(value);
                    }
                }
            }
        }
    }
    metrics
}

/// The rows of the page's table whose head begins so, as cells.
fn table(head: &str) -> Vec<Vec<&'static str>> {
    let head = format!("| {head} |");
    let lines = PAGE.lines().skip_while(|line| !line.starts_with(&head));
    let rows = lines.skip(2).take_while(|line| line.starts_with('|'));
    let rows: Vec<_> = rows
        .map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    assert!(!rows.is_empty(), "the page has no table {head}");
    rows
}

/// What stands in backticks.
fn words(cell: &str) -> Words {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The values that the page gives a label of a metric.
fn values(label: &str, metric: &str) -> Words {
    let rows = table("label");
    let of_it = format!("`{label}` of `{metric}`");
    let everywhere = format!("`{label}`");
    let mut rows = rows.iter();
    let row = rows.find(|row| row[0] == of_it || row[0] == everywhere);
    words(row.unwrap_or_else(|| panic!("no row for {of_it}"))[1])
}

#[test]
fn the_page_has_every_metric_with_its_type_and_labels_and_no_other() {
    let mut listed = BTreeMap::new();
    for row in table("metric") {
        let name = row[0].trim_matches('`').to_owned();
        let labels = words(row[2]).into_iter();
        let labels = labels
            .map(|label| (label.clone(), values(&label, &name)))
            .collect();
        let kind = row[1].to_owned();
        listed.insert(name, Exposed { kind, labels });
    }
    assert_eq!(listed, exposed());
}

/// As Prometheus' own advice has it: one prefix, base units, `_total` for what only grows, and no
/// label's name in a metric's.
#[test]
fn metrics_are_named_as_prometheus_asks() {
    let units = [
        "milliseconds",
        "millis",
        "ms",
        "minutes",
        "hours",
        "percent",
    ];
    for (name, Exposed { kind, labels }) in exposed() {
        let words: Vec<_> = name.split('_').collect();
        let plain =
            |word: &&str| !word.is_empty() && word.bytes().all(|sign| sign.is_ascii_lowercase());
        assert!(words.iter().all(plain), "{name}");
        assert_eq!(words[0], "bluegreen", "{name}");
        assert_eq!(words.last() == Some(&"total"), kind == "counter", "{name}");
        let times = name.contains("duration") || kind == "histogram";
        assert_eq!(words.contains(&"seconds"), times, "{name}");
        assert!(!times || words.last() == Some(&"seconds"), "{name}");
        assert!(!words.iter().any(|word| units.contains(word)), "{name}");
        for label in labels.keys() {
            assert!(!words.contains(&label.as_str()), "{name} and {label}");
        }
    }
}

#[test]
fn what_is_alerted_on_is_exposed() {
    let exposed = exposed();
    for row in table("what") {
        for expression in words(row[1]) {
            let names = expression
                .split(|sign: char| !(sign.is_ascii_alphanumeric() || sign == '_'))
                .filter(|word| word.starts_with("bluegreen_"));
            let names: Vec<_> = names.collect();
            assert!(!names.is_empty(), "{expression}");
            assert!(
                names.iter().all(|name| exposed.contains_key(*name)),
                "{expression}"
            );
        }
    }
}

/// What the chart's rule alerts on and for how long it must last, without the labels by which it
/// finds its own series.
fn alerts() -> BTreeSet<(String, Option<String>)> {
    let own_only = [("{ {{- $series -}} }", ""), ("{ {{- $series }},", "{")];
    let alerts = ALERTS.split("- alert: ").skip(1).map(|alert| {
        let (_, rest) = alert.split_once("expr: ").expect("an alert has an expr");
        let (rest, _) = rest.split_once("labels: ").expect("an alert has labels");
        let (expression, time) = match rest.split_once("for: ") {
            Some((expression, time)) => (expression, Some(time.trim().to_owned())),
            None => (rest, None),
        };
        let words = expression.trim_start_matches(">-").split_whitespace();
        let mut expression = words.collect::<Vec<_>>().join(" ");
        for (theirs, ours) in own_only {
            expression = expression.replace(theirs, ours);
        }
        (expression, time)
    });
    alerts.collect()
}

#[test]
fn the_page_has_every_alert_and_no_other() {
    let rows = table("what");
    let listed = rows.iter().map(|row| {
        let (expression, time) = row[1].rsplit_once('`').expect("an expression in backticks");
        let expression = expression.trim_start_matches('`').replace("\\|", "|");
        let time = time.strip_prefix(" for ");
        let time = time.map(|time| time.replace(" min", "m"));
        (expression, time)
    });
    assert_eq!(listed.collect::<BTreeSet<_>>(), alerts());
}

/// The words that the source gives Events as reasons.
fn reasons() -> Words {
    let quoted = EVENTS.split('"').skip(1).step_by(2);
    let is_reason = |word: &&str| {
        word.starts_with(|sign: char| sign.is_ascii_uppercase())
            && word.chars().all(|sign| sign.is_ascii_alphabetic())
            && *word != "True"
    };
    quoted.filter(is_reason).map(str::to_owned).collect()
}

#[test]
fn the_page_has_every_event_and_no_other() {
    let mut listed = BTreeMap::new();
    for row in table("reason") {
        let reasons = words(row[0]).into_iter();
        listed.extend(reasons.map(|reason| (reason, row[1])));
    }
    let mut told = reasons();
    for phase in phases() {
        let old = status(json!({ "revision": 1, "phase": "Pending" }));
        let new = status(json!({ "revision": 1, "phase": phase }));
        for notice in notices(&old, &new) {
            let severity = match notice.severity {
                Severity::Normal => "Normal",
                Severity::Warning => "Warning",
            };
            assert_eq!(listed.get(notice.reason), Some(&severity), "{notice:?}");
            told.insert(notice.reason.to_owned());
        }
    }
    assert_eq!(listed.into_keys().collect::<Words>(), told);
}
