//! What the cases of a suite said, a line each, and the table at the end.

use std::{
    any::Any,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use futures::{FutureExt, StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};

/// No case takes longer than this; one that does has failed. Most take less than a second.
const BOUND: Duration = Duration::from_secs(15 * 60);

/// A case that is run together with others.
pub(crate) type Case<'a> = LocalBoxFuture<'a, ()>;

/// Runs something to its end; a panic is an error, in its words.
pub(crate) async fn caught<T>(running: impl Future<Output = T>) -> Result<T, String> {
    let ended = AssertUnwindSafe(running).catch_unwind().await;
    ended.map_err(|panic| words(panic.as_ref()).to_owned())
}

/// The same, and the end of its time is an error too.
pub(crate) async fn bounded<T>(case: impl Future<Output = T>) -> Result<T, String> {
    tokio::time::timeout(BOUND, caught(case))
        .await
        .unwrap_or_else(|_| Err(format!("it took longer than {BOUND:?}")))
}

/// On what a case ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The embedded registry.
    Registry,
    /// Servers and tools that we did not write.
    Real,
}

impl Side {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Real => "real",
        }
    }
}

/// Whether a server lacks a feature.
pub(crate) enum Lacks {
    Still,
    /// It does not, and this was seen.
    NoMore(String),
}

impl Lacks {
    /// It lacks the feature exactly when this was seen.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "every caller makes both values for this alone"
    )]
    pub(crate) fn when<T: std::fmt::Debug + PartialEq>(seen: T, lacking: T) -> Self {
        if seen == lacking {
            Self::Still
        } else {
            Self::NoMore(format!("{seen:?}"))
        }
    }
}

/// One suite's results.
pub(crate) struct Suite {
    name: String,
    started: Instant,
    registry: usize,
    real: usize,
    /// Cases that the real server is too old for, or has wrong.
    lacking: usize,
    failed: Vec<String>,
}

impl Suite {
    /// Runs a case; a panic or the end of its time is its failure.
    pub(crate) async fn case<F: Future<Output = ()>>(&mut self, side: Side, name: &str, case: F) {
        let started = Instant::now();
        let ended = bounded(case).await;
        self.ended(side, name, ended, started.elapsed());
    }

    /// Runs cases at the same time, which mostly wait.
    pub(crate) async fn together(&mut self, side: Side, cases: Vec<(&str, Case<'_>)>) {
        let mut running: FuturesUnordered<_> = cases
            .into_iter()
            .map(|(name, case)| async move {
                let started = Instant::now();
                (name, bounded(case).await, started.elapsed())
            })
            .collect();
        while let Some((name, ended, took)) = running.next().await {
            self.ended(side, name, ended, took);
        }
    }

    fn ended(&mut self, side: Side, name: &str, ended: Result<(), String>, took: Duration) {
        match ended {
            Ok(()) => self.passed(side, name, took),
            Err(why) => self.failed(side, name, &why),
        }
    }

    /// A case held.
    pub(crate) fn passed(&mut self, side: Side, name: &str, took: Duration) {
        match side {
            Side::Registry => self.registry += 1,
            Side::Real => self.real += 1,
        }
        let took = took.as_secs_f64();
        println!(
            "{}: ok on {}: {name} ({took:.1} s)",
            self.name,
            side.as_str()
        );
    }

    /// A case did not hold.
    pub(crate) fn failed(&mut self, side: Side, name: &str, why: &str) {
        println!("{}: FAILED on {}: {name}: {why}", self.name, side.as_str());
        self.failed
            .push(format!("{} on {}: {name}", self.name, side.as_str()));
    }

    /// A case did not hold on the real servers.
    pub(crate) fn real_failed(&mut self, name: &str, why: &str) {
        self.failed(Side::Real, name, why);
    }

    /// Runs a case that the real server cannot hold, because it lacks a feature. The case says
    /// whether it does: one that has learned it fails, so that it is tested from then on.
    pub(crate) async fn case_lacking<F: Future<Output = Lacks>>(
        &mut self,
        name: &str,
        feature: &str,
        case: F,
    ) {
        match bounded(case).await {
            Ok(Lacks::Still) => self.lacks(name, feature),
            Ok(Lacks::NoMore(seen)) => self.real_failed(
                name,
                &format!("it has {feature} now ({seen}): take it off the list and test it"),
            ),
            Err(why) => self.real_failed(name, &why),
        }
    }

    /// A case asks for something that the real server is too old for. Whoever calls this has seen
    /// that it is.
    pub(crate) fn lacks(&mut self, name: &str, feature: &str) {
        self.lacking += 1;
        println!("{}: not on real: {name}: it has no {feature}", self.name);
    }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("it panicked without words")
}

/// The results of all suites.
#[derive(Default)]
pub(crate) struct Report {
    suites: Vec<(Suite, Duration)>,
}

impl Report {
    /// Begins a suite.
    pub(crate) fn suite(&self, name: &str) -> Suite {
        println!("\n-- {name}");
        Suite {
            name: name.to_owned(),
            started: Instant::now(),
            registry: 0,
            real: 0,
            lacking: 0,
            failed: Vec::new(),
        }
    }

    /// Takes a suite that has ended. One in which nothing ran has failed.
    pub(crate) fn ended(&mut self, mut suite: Suite) {
        if suite.registry + suite.real == 0 && suite.failed.is_empty() {
            suite.real_failed("all of it", "no case ran");
        }
        let took = suite.started.elapsed();
        self.suites.push((suite, took));
    }

    /// Whether anything failed.
    pub(crate) fn failed(&self) -> bool {
        self.suites
            .iter()
            .any(|(suite, _)| !suite.failed.is_empty())
    }

    /// The table, and what failed.
    pub(crate) fn print(&self) {
        println!(
            "\n{:<14} {:>9} {:>6} {:>12} {:>7} {:>9}",
            "suite", "registry", "real", "not on real", "failed", "seconds"
        );
        for (suite, took) in &self.suites {
            println!(
                "{:<14} {:>9} {:>6} {:>12} {:>7} {:>9.1}",
                suite.name,
                suite.registry,
                suite.real,
                suite.lacking,
                suite.failed.len(),
                took.as_secs_f64()
            );
        }
        for (suite, _) in &self.suites {
            for failed in &suite.failed {
                println!("failed: {failed}");
            }
        }
    }
}
