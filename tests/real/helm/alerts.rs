//! The alerts and the dashboard, read by Prometheus' own tool.

use std::{collections::BTreeSet, fs};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{SETS, Set, expected, objects, template, word};
use crate::{
    Real,
    report::{Side, Suite},
    tools::{command, run},
};

/// The set of values in which they are switched on.
const EVERYTHING: &Set = &SETS[3];

/// What Grafana puts in place of its variables.
const VARIABLES: [(&str, &str); 4] = [
    ("$__range", "6h"),
    ("$__rate_interval", "1m"),
    ("$namespace", "platform"),
    ("$job", "all-releases"),
];

pub(super) async fn suite(real: &Real, suite: &mut Suite) {
    suite
        .case(
            Side::Real,
            "each alert fires when it should, and not before",
            fires(real),
        )
        .await;
    suite
        .case(
            Side::Real,
            "the dashboard's queries can be read",
            dashboard(real),
        )
        .await;
}

/// The one object of a kind.
async fn only(real: &Real, is: impl Fn(&Value) -> bool) -> Value {
    let text = template(real, EVERYTHING).await;
    let mut found = objects(&text).into_iter().filter(is);
    let one = found.next().expect("everything is switched on");
    assert!(found.next().is_none(), "there is one of it");
    one
}

async fn promtool(real: &Real, arguments: &[&str]) -> String {
    let mut promtool = command(&real.tools.promtool);
    promtool.current_dir(real.folder.path()).args(arguments);
    run(&mut promtool).await.good()
}

/// The stories, as far as this looks at them.
#[derive(Deserialize)]
struct Stories {
    tests: Vec<Story>,
}

#[derive(Deserialize)]
struct Story {
    alert_rule_test: Vec<Moment>,
}

/// What is expected of an alert at one moment of a story.
#[derive(Deserialize)]
struct Moment {
    alertname: String,
    exp_alerts: Vec<Value>,
}

impl Stories {
    /// The alerts that a moment has of which this holds.
    fn alerts(&self, holds: impl Fn(&Moment) -> bool) -> BTreeSet<&str> {
        let moments = self.tests.iter().flat_map(|story| &story.alert_rule_test);
        let moments = moments.filter(|moment| holds(moment));
        moments.map(|moment| moment.alertname.as_str()).collect()
    }
}

/// `helm/alerts.yaml` has for each alert a story at whose end it fires, and none before.
async fn fires(real: &Real) {
    let mut rule = only(real, |object| object["kind"] == "PrometheusRule").await;
    // With its annotations, whose templates are checked too.
    check(real, &rule).await;
    let mut alerts = BTreeSet::new();
    for group in rule["spec"]["groups"].as_array_mut().unwrap() {
        for alert in group["rules"].as_array_mut().unwrap() {
            alerts.insert(alert["alert"].as_str().unwrap().to_owned());
            // A story would have to repeat what the alert says to people.
            alert.as_object_mut().unwrap().remove("annotations");
        }
    }
    let text = fs::read_to_string(expected(real, "alerts.yaml")).unwrap();
    let stories: Stories = serde_norway::from_str(&text).unwrap();
    let fire = stories.alerts(|moment| !moment.exp_alerts.is_empty());
    let rest = stories.alerts(|moment| moment.exp_alerts.is_empty());
    for alert in &alerts {
        assert!(fire.contains(&**alert), "no story fires {alert}");
        assert!(rest.contains(&**alert), "no story has {alert} wait");
    }
    for name in fire.union(&rest) {
        assert!(alerts.contains(*name), "a story is of no alert: {name}");
    }
    check(real, &rule).await;
    let copy = real.folder.path().join("alerts.yaml");
    fs::write(&copy, text).unwrap();
    let said = promtool(real, &["test", "rules", word(&copy)]).await;
    assert!(said.contains("SUCCESS"), "{said}");
}

/// Writes the rules as the stories name them, and has them checked.
async fn check(real: &Real, rule: &Value) {
    let rules = real.folder.path().join("rules.yaml");
    let groups = json!({ "groups": rule["spec"]["groups"] });
    fs::write(&rules, groups.to_string()).unwrap();
    promtool(real, &["check", "rules", "--lint-fatal", word(&rules)]).await;
}

async fn dashboard(real: &Real) {
    let map = only(real, |object| {
        object["kind"] == "ConfigMap" && object["data"].to_string().contains("\\\"expr\\\"")
    });
    let map = map.await;
    let mut queries = Vec::new();
    for dashboard in map["data"].as_object().unwrap().values() {
        gather(
            &serde_json::from_str(dashboard.as_str().unwrap()).unwrap(),
            &mut queries,
        );
    }
    assert!(queries.len() > 10, "{queries:?}");
    // A rule is anything that can be asked, with a name.
    let rules: Vec<Value> = queries
        .iter()
        .enumerate()
        .map(|(index, query)| json!({ "record": format!("query:{index}"), "expr": query }))
        .collect();
    let file = real.folder.path().join("dashboard.yaml");
    let groups = json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    fs::write(&file, groups.to_string()).unwrap();
    promtool(real, &["check", "rules", "--lint=none", word(&file)]).await;
}

fn gather(value: &Value, queries: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| gather(item, queries)),
        Value::Object(fields) => {
            if let Some(query) = fields.get("expr").and_then(Value::as_str) {
                let filled = VARIABLES
                    .iter()
                    .fold(query.to_owned(), |text, (name, is)| text.replace(name, is));
                queries.push(filled);
            }
            fields.values().for_each(|field| gather(field, queries));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
