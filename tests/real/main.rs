//! The suites that need servers and tools which we did not write: etcd, a kube-apiserver, kubectl,
//! helm, Lua, aws-cli, moto. `tests/real/run` gets them, builds what is tested and runs this.
//!
//! Arguments are names of suites; without any, all are run. A suite that cannot run fails.
#![allow(
    clippy::unwrap_used,
    reason = "a case that panics has failed, and says where"
)]

mod aws;
mod conformance;
mod controller;
mod field;
mod gitops;
mod helm;
mod kubectl;
mod leaders;
mod process;
mod proxy;
mod rbac;
mod report;
mod servers;
mod tools;

use std::process::ExitCode;

use bluegreen_local::{
    lifeline,
    options::{CommandLine, Part},
};
use clap::Parser;
use report::{Report, Suite};
use tools::Tools;

/// What every suite is given.
struct Real {
    tools: Tools,
    folder: tools::Folder,
}

/// Every suite, in the order in which they run.
const SUITES: &[&str] = &[
    "servers",
    "aws",
    "conformance",
    "kubectl",
    "helm",
    "gitops",
    "controller",
    "rbac",
    "leaders",
];

async fn run(name: &str, real: &Real, suite: &mut Suite) {
    match name {
        "servers" => servers::suite(real, suite).await,
        "aws" => aws::suite(real, suite).await,
        "conformance" => conformance::suite(real, suite).await,
        "kubectl" => kubectl::suite(real, suite).await,
        "helm" => helm::suite(real, suite).await,
        "gitops" => gitops::suite(real, suite).await,
        "rbac" => rbac::suite(real, suite).await,
        "controller" => controller::suite(real, suite).await,
        "leaders" => leaders::suite(real, suite).await,
        _ => suite.real_failed(
            "its name",
            &format!("no suite is called {name}; there are {SUITES:?}"),
        ),
    }
}

fn main() -> ExitCode {
    // The hosts of a simulated cloud run this program as the application.
    match std::env::args().nth(1).as_deref() {
        Some("app" | "post") => match CommandLine::parse().part {
            Some(Part::App(arguments)) => lifeline::run_app(&arguments),
            Some(Part::Post(arguments)) => lifeline::post(&arguments),
            Some(Part::Stage(_)) | None => ExitCode::FAILURE,
        },
        Some(_) | None if aws::account::is_closed() => suites(),
        Some(_) | None => aws::account::close(),
    }
}

#[tokio::main(worker_threads = 2)]
async fn suites() -> ExitCode {
    // Whoever makes a TLS connection before this gets a provider by chance.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        eprintln!("a TLS provider is installed already");
        return ExitCode::FAILURE;
    }
    let real = match (Tools::find(), tools::Folder::new()) {
        (Ok(tools), Ok(folder)) => Real { tools, folder },
        (Err(missing), _) => {
            eprintln!("{missing}");
            return ExitCode::FAILURE;
        }
        (_, Err(error)) => {
            eprintln!("cannot make a temporary folder: {error}");
            return ExitCode::FAILURE;
        }
    };
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let mut names: Vec<&str> = asked.iter().map(String::as_str).collect();
    if names.is_empty() {
        names = SUITES.to_vec();
    }
    let mut report = Report::default();
    for name in names {
        let mut suite = report.suite(name);
        let ran = report::caught(run(name, &real, &mut suite)).await;
        if let Err(why) = ran {
            suite.real_failed("what is outside of its cases", &why);
        }
        report.ended(suite);
    }
    report.print();
    if report.failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
