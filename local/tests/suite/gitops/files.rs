//! The files under `gitops/`, and how they are compared.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;

use super::kstatus;

/// What is expected of an object.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Verdict {
    pub(super) kstatus: kstatus::Status,
    pub(super) flux: String,
    /// Asked by `tests/real/gitops.rs`.
    #[serde(rename = "argoCd")]
    _argo_cd: String,
    /// That the scripts say so is asked there too; that it is so, where the object is recorded.
    pub(super) actions: BTreeSet<String>,
}

/// Argo CD's actions, in the order in which its settings name them.
pub(super) const ACTIONS: [&str; 5] = ["promote", "abort", "retry", "pause", "resume"];

pub(super) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../gitops")
        .join(name)
}

pub(super) fn text(name: &str) -> String {
    let path = path(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(super) fn yaml(name: &str) -> Value {
    serde_norway::from_str(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(super) fn verdicts() -> BTreeMap<String, Verdict> {
    serde_norway::from_str(&text("verdicts.yaml")).unwrap()
}

/// The recorded objects by their names.
pub(super) fn fixtures() -> BTreeMap<String, Value> {
    let files = fs::read_dir(path("statuses")).unwrap();
    let named = files.map(|file| {
        let name = file.unwrap().file_name().into_string().unwrap();
        let object = yaml(&format!("statuses/{name}"));
        (name.strip_suffix(".yaml").unwrap().to_owned(), object)
    });
    named.collect()
}

/// Compares a file with what it should hold, or writes it with `BLUEGREEN_BLESS=1`.
pub(super) fn compare(file: &Path, expected: &str) {
    if env::var_os("BLUEGREEN_BLESS").is_some() {
        fs::write(file, expected).unwrap();
        return;
    }
    let found = fs::read_to_string(file).unwrap_or_default();
    assert!(
        found == expected,
        "{} should hold:\n{expected}\nbut holds:\n{found}\nWhere the change is meant, run\n  \
         BLUEGREEN_BLESS=1 cargo test -p bluegreen-local --test suite gitops\n\
         and read the difference",
        file.display()
    );
}

/// The settings of Argo CD, made of the scripts.
pub(super) fn argo_cd() -> String {
    let mut map = String::from(
        "# For Argo CD's settings: kubectl patch configmap argocd-cm -n argocd --patch-file THIS-FILE\n\
         # Made of the scripts beside it; docs/gitops.md says how and why.\n\
         apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: argocd-cm\n  namespace: argocd\ndata:\n",
    );
    let kind = "bluegreen.dev_BlueGreenRelease";
    writeln!(map, "  resource.customizations.health.{kind}: |").unwrap();
    indented(&mut map, 4, &text("argo-cd/health.lua"));
    writeln!(map, "  resource.customizations.actions.{kind}: |").unwrap();
    map.push_str("    discovery.lua: |\n");
    indented(&mut map, 6, &text("argo-cd/actions/discovery.lua"));
    map.push_str("    definitions:\n");
    for name in ACTIONS {
        write!(map, "      - name: {name}\n        action.lua: |\n").unwrap();
        let script = text(&format!("argo-cd/actions/{name}/action.lua"));
        indented(&mut map, 10, &script);
    }
    map
}

fn indented(out: &mut String, by: usize, text: &str) {
    for line in text.lines() {
        let indent = if line.is_empty() { 0 } else { by };
        writeln!(out, "{:indent$}{line}", "").unwrap();
    }
}
