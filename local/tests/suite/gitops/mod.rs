//! What tools that sync a repository read of a release: `gitops/`, over statuses that this
//! controller wrote.
//!
//! `gitops/statuses/` holds objects in every phase in which a release can be seen, and
//! `gitops/verdicts.yaml` what each tool makes of it. That Argo CD's scripts say so is asked by
//! `tests/real/gitops.rs`, with a real Lua.

mod cel;
mod files;
pub(crate) mod kstatus;
mod recorded;

use std::collections::{BTreeMap, BTreeSet};

use bluegreen::api::crd;
use serde_json::Value;

use self::files::{Verdict, fixtures, text, verdicts, yaml};

/// The objects with what is expected of them.
fn cases() -> Vec<(String, Value, Verdict)> {
    let mut verdicts = verdicts();
    let cases: Vec<_> = fixtures()
        .into_iter()
        .map(|(name, object)| {
            let verdict = verdicts.remove(&name);
            let verdict = verdict.unwrap_or_else(|| panic!("no verdict is written for {name}"));
            (name, object, verdict)
        })
        .collect();
    assert!(
        verdicts.is_empty(),
        "no status is recorded for {verdicts:?}"
    );
    cases
}

/// What no test records any more is no status that this controller writes.
#[test]
fn what_is_there_is_recorded() {
    let there: BTreeSet<_> = fixtures().into_keys().collect();
    let recorded: BTreeSet<_> = recorded::NAMES.iter().map(ToString::to_string).collect();
    assert_eq!(recorded.len(), recorded::NAMES.len(), "a name occurs twice");
    assert_eq!(there, recorded, "in the folder, and by the tests");
}

#[test]
fn every_phase_is_recorded() {
    let definition = serde_json::to_value(crd::definition()).unwrap();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let status = &schema["properties"]["status"]["properties"];
    let phase = &status["phase"];
    let words = phase["enum"].as_array().into_iter().flatten();
    let oneofs = phase["oneOf"].as_array().into_iter().flatten();
    let oneofs = oneofs.flat_map(|one| one["enum"].as_array().into_iter().flatten());
    let word = |word: &Value| word.as_str().map(str::to_owned);
    let all: BTreeSet<_> = words.chain(oneofs).filter_map(word).collect();
    assert!(all.len() > 10, "{phase}");
    let seen: BTreeSet<_> = fixtures()
        .values()
        .filter_map(|object| word(&object["status"]["phase"]))
        .collect();
    assert_eq!(seen, all);
}

#[test]
fn kstatus_says_what_is_written() {
    for (name, object, verdict) in cases() {
        assert_eq!(kstatus::verdict(&object), verdict.kstatus, "{name}");
    }
}

/// Why the definition gives a release a status before the controller does.
#[test]
fn without_its_first_status_a_release_would_be_taken_for_ready() {
    let mut object = fixtures().remove("not-seen-yet").unwrap();
    assert_eq!(object["status"]["observedGeneration"], -1);
    assert_eq!(kstatus::verdict(&object), kstatus::Status::InProgress);
    object.as_object_mut().unwrap().remove("status");
    assert_eq!(kstatus::verdict(&object), kstatus::Status::Current);
}

#[test]
fn flux_says_what_is_written() {
    let kustomization = yaml("flux/kustomization.yaml");
    let checks = kustomization["spec"]["healthCheckExprs"]
        .as_array()
        .unwrap();
    assert_eq!(checks.len(), 1);
    for (name, object, verdict) in cases() {
        for field in ["apiVersion", "kind"] {
            assert_eq!(checks[0][field], object[field], "{name}");
        }
        assert_eq!(cel::verdict(&checks[0], &object), verdict.flux, "{name}");
    }
}

/// Flux says the same of a release whether it is given the expressions or not.
#[test]
fn flux_with_and_without_its_expressions_agrees() {
    for (name, _, verdict) in cases() {
        let without = match verdict.kstatus {
            kstatus::Status::Current => "current",
            kstatus::Status::Failed => "failed",
            kstatus::Status::InProgress | kstatus::Status::Terminating => "inProgress",
        };
        assert_eq!(without, verdict.flux, "{name}");
    }
}

/// The ConfigMap holds the scripts as they are in their files.
#[test]
fn argo_cds_settings_hold_the_scripts() {
    let map = files::argo_cd();
    let file = files::path("argo-cd/argocd-cm.yaml");
    files::compare(&file, &map);
    let parsed: Value = serde_norway::from_str(&map).unwrap();
    let key = "resource.customizations.actions.bluegreen.dev_BlueGreenRelease";
    let actions = parsed["data"][key].as_str().unwrap();
    let actions: Value = serde_norway::from_str(actions).unwrap();
    assert_eq!(
        actions["discovery.lua"],
        text("argo-cd/actions/discovery.lua")
    );
    let named: BTreeMap<_, _> = actions["definitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["name"].as_str().unwrap(),
                one["action.lua"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(named.len(), files::ACTIONS.len());
    for (name, script) in named {
        assert_eq!(script, text(&format!("argo-cd/actions/{name}/action.lua")));
    }
}
