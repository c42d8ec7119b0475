//! The sample application as a program.

use std::process::ExitCode;

use bluegreen_app::app::{Args, run};
use clap::Parser;

/// The sample application: an HTTP server that stops as Spring Boot on Tomcat does.
#[derive(Debug, Parser)]
#[command(name = "bluegreen-sample-app", version)]
struct Command {
    #[command(flatten)]
    args: Args,
}

fn main() -> ExitCode {
    run(&Command::parse().args)
}
