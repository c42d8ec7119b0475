//! Conventions as tests: what a reader may rely on without looking.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bluegreen::api::Reason;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is in the repository") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).expect("a readable file")
}

/// The planner is plain functions on plain data. What would make it otherwise is named here.
#[test]
fn the_planner_touches_no_client_no_clock_no_async_and_no_log() {
    let forbidden = [
        "async ",
        ".await",
        "kube::",
        "aws_",
        "tokio",
        "futures",
        "tracing::",
        "println!",
        "eprintln!",
        "std::time",
        "SystemTime",
        "Instant",
        "Timestamp::now",
        "rand::",
        "std::env",
        "std::fs",
        "std::net::Tcp",
        "std::thread",
        "Mutex",
        "RefCell",
        "static mut",
        "crate::cloud",
        "crate::controller",
    ];
    let manifest = text(&root().join("src/plan/Cargo.toml"));
    let dependencies: Vec<&str> = manifest
        .split_once("[dependencies]\n")
        .and_then(|(_, rest)| rest.split("\n\n").next())
        .map(|section| section.lines().collect())
        .unwrap_or_default();
    assert_eq!(
        dependencies,
        ["bluegreen-api.workspace = true"],
        "what the planner depends on, it may call"
    );
    for path in rust_files(&root().join("src/plan")) {
        for (number, line) in text(&path).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let found = forbidden.iter().find(|word| code.contains(**word));
            assert!(
                found.is_none(),
                "{}:{}: the planner is pure, but this line has {found:?}",
                path.display(),
                number + 1
            );
        }
    }
}

/// AWS stops at its edge.
#[test]
fn only_the_edge_names_the_aws_sdk() {
    for path in rust_files(&root().join("src")) {
        if path.starts_with(root().join("src/cloud/aws")) {
            continue;
        }
        let named = text(&path)
            .lines()
            .any(|line| line.contains("aws_sdk") || line.contains("aws_smithy"));
        assert!(
            !named,
            "{} names the AWS SDK; that is for src/cloud/aws",
            path.display()
        );
    }
}

/// A file that one can hold in one's head.
#[test]
fn files_are_short() {
    for folder in ["src", "local", "tests"] {
        for path in rust_files(&root().join(folder)) {
            let lines = text(&path).lines().count();
            assert!(
                lines <= 600,
                "{} has {lines} lines; divide it",
                path.display()
            );
        }
    }
}

#[test]
fn every_reason_to_stall_has_an_entry_in_the_runbook() {
    let runbook = text(&root().join("docs/runbook.md"));
    for reason in Reason::ALL {
        let heading = format!("## {}\n", reason.as_str());
        assert_eq!(
            runbook.contains(&heading),
            reason.stalls(),
            "docs/runbook.md has an entry for each reason that stalls, and for no other: {}",
            reason.as_str()
        );
    }
}

#[test]
fn continuous_integration_runs_the_test_command_of_the_readme() {
    let command = "cargo test --workspace";
    let in_readme = text(&root().join("README.md"))
        .lines()
        .any(|line| line.trim() == command);
    let in_ci = text(&root().join(".ci/run"))
        .lines()
        .any(|line| line.trim() == command);
    assert!(
        in_readme && in_ci,
        "README.md and .ci/run both have the line `{command}`"
    );
}

/// What takes long comes after what fails soon, and none of it is left out.
#[test]
fn continuous_integration_runs_every_suite_on_real_servers() {
    let script = text(&root().join(".ci/run"));
    let (_, after) = script
        .split_once("\ncargo test --workspace\n")
        .expect(".ci/run has the test command of the README");
    let whole = after
        .lines()
        .any(|line| !line.starts_with('#') && line.ends_with(" tests/real/run"));
    assert!(
        whole,
        ".ci/run calls tests/real/run, without the name of a suite"
    );
}
