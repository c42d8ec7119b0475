//! The Helm charts, as far as they can be checked without Helm: values, schema and templates name
//! the same things, and what they say of the program is true.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use bluegreen::{
    api::crd,
    controller::{Cidrs, Options},
};
use serde_json::Value;

/// Helm puts this into the values of every chart; no chart of ours reads it.
const HELMS_OWN: &str = "global";

/// Read by Helm, which decides by it whether the chart inside is installed.
const CONDITION: &str = "enabled";

fn chart(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("charts")
        .join(name)
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(path: &Path) -> Value {
    serde_norway::from_str(&text(path)).unwrap()
}

fn values(name: &str) -> Value {
    yaml(&chart(name).join("values.yaml"))
}

fn schema(name: &str) -> Value {
    serde_json::from_str(&text(&chart(name).join("values.schema.json"))).unwrap()
}

/// What the values file says of each value: the comment above it.
fn comments(name: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut path: Vec<String> = Vec::new();
    let mut comment: Vec<String> = Vec::new();
    for line in text(&chart(name).join("values.yaml")).lines() {
        let code = line.trim_start();
        if let Some(words) = code.strip_prefix('#') {
            comment.push(words.trim().to_owned());
            continue;
        }
        if let Some((key, _)) = code.split_once(':')
            && !code.starts_with('-')
        {
            path.truncate((line.len() - code.len()) / 2);
            path.push(key.to_owned());
            if !comment.is_empty() {
                found.insert(path.join("."), comment.join(" "));
            }
        }
        comment.clear();
    }
    found
}

/// The values that the schema describes: those that it gives no parts of their own.
fn described(schema: &Value, path: &str, found: &mut BTreeMap<String, String>) {
    let properties = schema["properties"].as_object().into_iter().flatten();
    for (name, value) in properties.filter(|(name, _)| *name != HELMS_OWN) {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        let description = value["description"].as_str().unwrap_or_default();
        assert!(!description.is_empty(), "{path} has no description");
        if value["additionalProperties"] == false {
            described(value, &path, found);
        } else {
            found.insert(path, description.to_owned());
        }
    }
}

/// Whether the values have something there.
fn has(values: &Value, path: &str) -> bool {
    path.split('.')
        .try_fold(values, |value, name| value.get(name))
        .is_some()
}

/// The paths of the values that are there, as far as the schema knows parts.
fn present(values: &Value, known: &BTreeMap<String, String>, path: &str) -> Vec<String> {
    match values {
        Value::Object(parts) if !known.contains_key(path) => parts
            .iter()
            .flat_map(|(name, part)| {
                let path = format!("{path}.{name}");
                present(part, known, path.trim_start_matches('.'))
            })
            .collect(),
        _ => vec![path.to_owned()],
    }
}

fn check_values(name: &str) {
    let mut known = BTreeMap::new();
    described(&schema(name), "", &mut known);
    let values = values(name);
    for path in known.keys() {
        assert!(has(&values, path), "{name}: values.yaml lacks {path}");
    }
    for path in present(&values, &known, "") {
        assert!(
            known.contains_key(&path),
            "{name}: values.schema.json lacks {path}"
        );
    }
    let comments = comments(name);
    for (path, description) in known {
        assert_eq!(
            comments.get(&path),
            Some(&description),
            "{name}: values.yaml and values.schema.json say different things of {path}"
        );
    }
}

#[test]
fn values_and_schema_have_the_same_values_and_say_the_same_of_them() {
    check_values("bluegreen-crds");
    check_values("bluegreen-controller");
}

/// The templates' paths into the values: `.Values.` or `$.Values.`, up to the first other sign.
fn used(name: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(chart(name).join("templates")).unwrap() {
        let template = text(&entry.unwrap().path());
        for piece in template.split(".Values.").skip(1) {
            let end = piece
                .find(|sign: char| !(sign.is_ascii_alphanumeric() || sign == '.'))
                .unwrap_or(piece.len());
            found.insert(piece[..end].trim_end_matches('.').to_owned());
        }
    }
    found
}

/// Templates that take a whole section and then its parts (`with .Values.image`) use all of it.
fn covers(used: &BTreeSet<String>, path: &str) -> bool {
    path.match_indices('.')
        .map(|(at, _)| &path[..at])
        .chain([path])
        .any(|whole| used.contains(whole))
}

fn check_used(name: &str, elsewhere: &[&str]) {
    let mut known = BTreeMap::new();
    described(&schema(name), "", &mut known);
    let used = used(name);
    let values = values(name);
    for path in &used {
        assert!(
            has(&values, path),
            "{name}: a template reads {path}, which is no value"
        );
    }
    for path in known.keys() {
        let ours = !elsewhere.iter().any(|other| path == other);
        assert!(
            !ours || covers(&used, path),
            "{name}: no template reads {path}"
        );
    }
}

#[test]
fn every_value_is_read_by_a_template_and_templates_read_nothing_else() {
    check_used("bluegreen-crds", &[CONDITION]);
    // What the chart inside reads.
    check_used("bluegreen-controller", &["crds.labels", "crds.annotations"]);
}

#[test]
fn the_values_of_the_chart_inside_are_its_own() {
    let inside = values("bluegreen-crds");
    assert_eq!(values("bluegreen-controller")["crds"], inside);
}

#[test]
fn the_charts_have_the_version_of_the_program() {
    for name in ["bluegreen-crds", "bluegreen-controller"] {
        let chart = yaml(&chart(name).join("Chart.yaml"));
        assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"), "{name}");
        assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"), "{name}");
        for dependency in chart["dependencies"].as_array().into_iter().flatten() {
            assert_eq!(dependency["version"], env!("CARGO_PKG_VERSION"), "{name}");
        }
    }
}

#[test]
fn the_definition_in_the_chart_is_what_the_types_say() {
    let name = Path::new(crd::FILE).file_name().unwrap();
    let file = chart("bluegreen-crds").join("files").join(name);
    assert_eq!(text(&file), crd::yaml());
}

#[test]
fn defaults_of_the_chart_are_those_of_the_program() {
    let values = values("bluegreen-controller");
    assert_eq!(values["concurrency"], Options::default().concurrency);
    let cidrs: Vec<&str> = values["probes"]["cidrs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cidr| cidr.as_str().unwrap())
        .collect();
    assert_eq!(cidrs.join(","), Cidrs::default().to_string());
    let grace = values["terminationGracePeriodSeconds"].as_u64().unwrap();
    let work = Options::default().shutdown_within.as_secs();
    // Two seconds each for the last Events, open connections, the lease and the last traces.
    assert!(work + 8 < grace, "a pod is killed before its work ended");
}

/// The metrics' names as the program registers them, with the prefix and the unit.
fn metrics() -> BTreeSet<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/controller/metrics.rs");
    let source: String = text(&source).split_whitespace().collect();
    let mut found = BTreeSet::new();
    for (call, unit) in [(".register(\"", ""), (".register_with_unit(\"", "_seconds")] {
        for piece in source.split(call).skip(1) {
            let name = piece.split('"').next().unwrap_or_default();
            found.insert(format!("bluegreen_{name}{unit}"));
        }
    }
    assert!(found.len() > 5, "the metrics were not found: {found:?}");
    found
}

#[test]
fn alerts_and_dashboard_show_metrics_that_there_are() {
    let metrics = metrics();
    for file in ["templates/prometheusrule.yaml", "files/dashboard.json"] {
        let file = text(&chart("bluegreen-controller").join(file));
        let names = file
            .split(|sign: char| !(sign.is_ascii_alphanumeric() || sign == '_'))
            .filter(|word| word.starts_with("bluegreen_"));
        for name in names {
            let known = ["", "_total", "_bucket", "_count", "_sum"]
                .iter()
                .filter_map(|suffix| name.strip_suffix(suffix))
                .any(|name| metrics.contains(name));
            assert!(known, "there is no metric {name}");
        }
    }
}

/// A template's text, in one line.
fn template(name: &str) -> String {
    let text = text(&chart("bluegreen-controller").join("templates").join(name));
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_admission_policy_is_there_where_the_cluster_knows_it_and_the_values_want_it() {
    let policy = template("admissionpolicy.yaml");
    assert_eq!(
        values("bluegreen-controller")["admissionPolicy"]["enabled"],
        true
    );
    assert!(policy.contains(
        r#"{{- if and .Values.admissionPolicy.enabled (semverCompare ">=1.30-0" .Capabilities.KubeVersion.Version) }}"#
    ));
    assert!(policy.contains("kind: ValidatingAdmissionPolicyBinding"));
    assert!(policy.contains("validationActions: [Deny]"));
    // Of two controllers for a namespace each, neither may refuse what the other does.
    assert!(policy.contains("kubernetes.io/metadata.name: {{ . }}"));
}

#[test]
fn the_controller_may_create_and_delete_revisions_and_never_change_one() {
    let roles = template("rbac.yaml");
    let rule =
        "- apiGroups: [apps] resources: [controllerrevisions] verbs: [get, list, create, delete]";
    assert!(roles.contains(rule), "{roles}");
    assert_eq!(roles.matches("controllerrevisions").count(), 1);
}

#[test]
fn no_user_gets_a_right_on_releases_that_the_values_do_not_ask_for() {
    assert_eq!(
        values("bluegreen-controller")["rbac"]["aggregateRoles"],
        false
    );
}
