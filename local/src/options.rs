//! The command line of the demo.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{lifeline, methods::Method, stage};

/// How many virtual seconds pass in a real one. The six releases with their preparations take about
/// 37 minutes of virtual time; at twelve times the speed that is a good three minutes.
const SCALE: f64 = 12.0;
/// The same with `--short`, whose scenario is also smaller.
const SCALE_SHORT: f64 = 24.0;
/// At more than this, the machine's own milliseconds are seconds of the scenario.
const SCALE_MOST: f64 = 100.0;

/// Replaces the version of an application behind a load balancer in several ways, with real
/// processes and real requests on this machine, and compares what became of the requests.
#[derive(Debug, Parser)]
#[command(name = "demo", version, args_conflicts_with_subcommands = true)]
pub struct CommandLine {
    /// A part of the demo that is a process of its own.
    #[command(subcommand)]
    pub part: Option<Part>,
    /// How the demo runs.
    #[command(flatten)]
    pub options: Options,
}

/// A part of the demo that is a process of its own.
#[derive(Debug, Subcommand)]
pub enum Part {
    /// The sample application, as the hosts run it.
    #[command(hide = true)]
    App(lifeline::AppArgs),
    /// Sends a POST without a body to a path of an application, as its operator would with curl.
    #[command(hide = true)]
    Post(lifeline::PostArgs),
    /// Builds the simulated AWS with hosts that run the old version, and the embedded registry, for
    /// a controller of your own; says how to reach them as one line of JSON, and keeps them until
    /// SIGTERM or Ctrl-C.
    Stage(stage::StageArgs),
}

/// How the demo runs.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Decides everything that is left to chance: delays, faults and what the clients ask for.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// How many times faster than the wall clock the scenario runs, 1 to 100. Default: 12, and 24
    /// with --short.
    #[arg(long, value_parser = scale)]
    pub scale: Option<f64>,

    /// Which methods to compare, separated by commas. Default: all; with --short the four that
    /// take the least time.
    #[arg(long, value_delimiter = ',', value_enum)]
    pub methods: Vec<Method>,

    /// A smaller scenario that ends within a minute, for continuous integration.
    #[arg(long)]
    pub short: bool,

    /// Leave the last release's world running, with everything in it, until Ctrl-C, and say how
    /// to reach it with kubectl and aws-cli.
    #[arg(long)]
    pub keep: bool,

    /// Write the figures to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,

    /// Write one line for each change instead of redrawing the screen. This is what happens by
    /// itself where standard output is not a terminal.
    #[arg(long)]
    pub plain: bool,
}

impl Options {
    /// How many virtual seconds pass in a real one.
    #[must_use]
    pub fn time_scale(&self) -> f64 {
        let usual = if self.short { SCALE_SHORT } else { SCALE };
        self.scale.unwrap_or(usual)
    }

    /// What to compare, in the order of the table, each method once.
    #[must_use]
    pub fn chosen_methods(&self) -> Vec<Method> {
        let chosen = |method: &Method| {
            if self.methods.is_empty() {
                !self.short || method.is_quick()
            } else {
                self.methods.contains(method)
            }
        };
        Method::ALL.into_iter().filter(chosen).collect()
    }
}

fn scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(scale) if (1.0..=SCALE_MOST).contains(&scale) => Ok(scale),
        Ok(_) | Err(_) => Err(format!("a scale is a number from 1 to {SCALE_MOST}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(words: &[&str]) -> Options {
        let words = ["demo"].iter().chain(words);
        CommandLine::try_parse_from(words).unwrap().options
    }

    #[test]
    fn all_six_methods_are_compared_in_the_order_of_the_table() {
        assert_eq!(options(&[]).chosen_methods(), Method::ALL);
        let some = options(&["--methods", "bluegreen,kill,kill"]);
        assert_eq!(some.chosen_methods(), [Method::Kill, Method::Bluegreen]);
    }

    #[test]
    fn the_short_demo_has_a_method_of_each_kind_and_the_controller() {
        let short = options(&["--short"]);
        assert!(short.chosen_methods().contains(&Method::Bluegreen));
        assert!(short.chosen_methods().contains(&Method::DeregisterSleep));
        assert!(short.time_scale() > options(&[]).time_scale());
    }

    #[test]
    fn a_scale_out_of_range_is_refused() {
        for scale in ["0", "0.5", "1000", "NaN", "fast"] {
            CommandLine::try_parse_from(["demo", "--scale", scale]).unwrap_err();
        }
    }
}
