//! Argo CD's scripts, run by Lua 5.1 over the recorded objects.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{recorded, verdicts, word};
use crate::{
    Real,
    report::{Side, Suite},
    tools::{Said, command, run},
};

const ACTIONS: [&str; 5] = ["abort", "pause", "promote", "resume", "retry"];

pub(super) async fn suite(real: &Real, suite: &mut Suite) {
    suite
        .case(
            Side::Real,
            "a script has only what Argo CD gives it",
            libraries(real),
        )
        .await;
    suite
        .case(Side::Real, "Argo CD's health of every state", health(real))
        .await;
    suite
        .case(
            Side::Real,
            "Argo CD's actions in every state",
            discovery(real),
        )
        .await;
    suite
        .case(
            Side::Real,
            "an action changes one annotation and nothing else",
            actions(real),
        )
        .await;
}

/// Runs one of our scripts over an object; what it says, line by line.
async fn lua(real: &Real, which: &str, script: &str, object: &Value) -> Vec<String> {
    let said = harness(real, which, &argo_cd(real).join(script), object).await;
    said.good().lines().map(str::to_owned).collect()
}

/// Runs a script over an object.
async fn harness(real: &Real, which: &str, script: &Path, object: &Value) -> Said {
    let file = real.folder.path().join("object.lua");
    fs::write(&file, format!("return {}\n", literal(object))).unwrap();
    let harness = real.tools.project.join("tests/real/gitops/harness.lua");
    let mut lua = command(&real.tools.lua);
    lua.args([word(&harness), which, word(script), word(&file)]);
    run(&mut lua).await
}

fn argo_cd(real: &Real) -> PathBuf {
    real.tools.project.join("gitops/argo-cd")
}

/// JSON as Lua writes it. A null is an absent field.
fn literal(json: &Value) -> String {
    match json {
        Value::Null => "nil".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(literal).collect();
            format!("{{ {} }}", items.join(", "))
        }
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                format!("[{}] = {}", quoted(name), literal(value))
            };
            let fields: Vec<_> = fields.iter().map(field).collect();
            format!("{{ {} }}", fields.join(", "))
        }
    }
}

/// Every byte that is not plain as its number, which is the one escape that Lua 5.1 has for all.
fn quoted(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'"' | b'\\' | 0..=31 | 127.. => format!("\\{byte:03}"),
        _ => char::from(byte).to_string(),
    };
    format!("\"{}\"", text.bytes().map(byte).collect::<String>())
}

/// A script that works here alone would fail when somebody chooses its action in Argo CD.
async fn libraries(real: &Real) {
    let script = real.folder.path().join("script.lua");
    let said = async |message: &str| {
        let text = format!("return {{ status = 'Healthy', message = {message} }}\n");
        fs::write(&script, text).unwrap();
        harness(real, "health", &script, &json!({})).await
    };
    let plain = said("table.concat({ 'revision ', tostring(7) })").await;
    assert_eq!(plain.good(), "Healthy\nrevision 7\n");
    for (message, absent) in [
        ("string.format('%d', 7)", "global 'string'"),
        ("('seven'):upper()", "a string value"),
        ("math.floor(7.5)", "global 'math'"),
        ("io.read()", "global 'io'"),
        ("os.getenv('HOME')", "global 'os'"),
    ] {
        let words = said(message).await.bad();
        assert!(words.contains("attempt to index"), "{message}: {words}");
        assert!(words.contains(absent), "{message}: {words}");
    }
}

async fn health(real: &Real) {
    let mut seen = BTreeSet::new();
    for (name, verdict) in verdicts(real) {
        let object = recorded(real, &name);
        let said = lua(real, "health", "health.lua", &object).await;
        assert_eq!(said[0], verdict.argo_cd, "{name}");
        assert!(!said[1..].concat().trim().is_empty(), "{name}: no message");
        if verdict.argo_cd != "Progressing" {
            assert_eq!(said[1], object["status"]["message"], "{name}");
        }
        seen.insert(verdict.argo_cd);
    }
    let words = ["Degraded", "Healthy", "Progressing", "Suspended"];
    assert!(seen.iter().eq(words), "{seen:?}");
    let bare = json!({ "metadata": { "generation": 1 } });
    let said = lua(real, "health", "health.lua", &bare).await;
    assert_eq!(said[0], "Progressing", "without a status");
}

async fn discovery(real: &Real) {
    let mut seen = BTreeSet::new();
    for (name, verdict) in verdicts(real) {
        let said = lua(
            real,
            "discovery",
            "actions/discovery.lua",
            &recorded(real, &name),
        )
        .await;
        let expected = ACTIONS.map(|action| {
            let enabled = verdict.actions.iter().any(|one| one == action);
            format!("{action} {}", if enabled { "enabled" } else { "disabled" })
        });
        assert_eq!(said, expected, "{name}");
        seen.extend(verdict.actions);
    }
    assert!(seen.iter().eq(ACTIONS), "{seen:?}");
}

async fn actions(real: &Real) {
    for action in ACTIONS {
        let script = format!("actions/{action}/action.lua");
        assert!(argo_cd(real).join(&script).is_file());
        for (name, verdict) in verdicts(real) {
            if !verdict.actions.iter().any(|one| one == action) {
                continue;
            }
            let mut object = recorded(real, &name);
            let revision = object["status"]["revision"].as_u64().unwrap();
            let request = format!("{action} {revision}");
            for (answered, expected) in [
                (None, request.clone()),
                (Some(&request), format!("{request} again")),
                (Some(&format!("{request} again")), request.clone()),
            ] {
                object["status"]["lastRequest"] = json!({ "text": answered });
                object["metadata"]["annotations"] = json!({ "team": "a \"b\"\n" });
                let said = lua(real, "action", &script, &object).await;
                assert_eq!(said, [expected.as_str()], "{name}");
                let parsed = expected.parse::<bluegreen::api::Request>().unwrap();
                assert_eq!(parsed.verb.as_str(), action);
                assert_eq!(parsed.revision, revision);
            }
            object["metadata"]
                .as_object_mut()
                .unwrap()
                .remove("annotations");
            lua(real, "action", &script, &object).await;
        }
    }
}
