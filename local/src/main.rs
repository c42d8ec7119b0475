//! The demo as a program; see [`bluegreen_local::demo`].

use std::process::ExitCode;

use bluegreen_local::{
    demo, lifeline,
    options::{CommandLine, Part},
    stage,
};
use clap::Parser;

fn main() -> ExitCode {
    let CommandLine { part, options } = CommandLine::parse();
    match part {
        Some(Part::App(args)) => lifeline::run_app(&args),
        Some(Part::Post(args)) => lifeline::post(&args),
        Some(Part::Stage(args)) => stage::main(&args),
        None => demo::main(&options),
    }
}
