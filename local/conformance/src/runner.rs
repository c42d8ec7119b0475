//! Runs the cases on a server.

use std::{fmt, time::Duration};

use crate::{Case, Failure, Feature, Releases, Server, cases, stage};

/// The longest that a case may take. A server or a case that hangs must not hang the suite.
const LIMIT: Duration = Duration::from_secs(120);

/// What came of a case on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The server did what it must.
    Passed,
    /// It did not.
    Failed(Failure),
    /// It did not, as was expected: it lacks what the case needs.
    Lacking(Feature),
    /// It was not asked: it is of another release than the case.
    OtherRelease(Releases),
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => formatter.write_str("ok"),
            Self::Failed(failure) => write!(formatter, "FAILED: {failure}"),
            Self::Lacking(feature) => write!(formatter, "not on this server: needs {feature}"),
            Self::OtherRelease(releases) => {
                write!(formatter, "not of this release: holds for {releases}")
            }
        }
    }
}

/// What came of all cases on a server.
#[derive(Debug, Default)]
pub struct Report {
    /// Each case with its verdict.
    pub verdicts: Vec<(&'static Case, Verdict)>,
}

impl Report {
    /// How many passed.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.count(|verdict| *verdict == Verdict::Passed)
    }

    /// How many the server cannot hold.
    #[must_use]
    pub fn lacking(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::Lacking(_)))
    }

    /// How many failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::Failed(_)))
    }

    /// How many are about other releases of Kubernetes.
    #[must_use]
    pub fn other_release(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::OtherRelease(_)))
    }

    fn count(&self, counts: impl Fn(&Verdict) -> bool) -> usize {
        let verdicts = self.verdicts.iter();
        verdicts.filter(|(_, verdict)| counts(verdict)).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} passed, {} failed, {} not on this server, {} not of this release",
            self.passed(),
            self.failed(),
            self.lacking(),
            self.other_release()
        )
    }
}

/// Runs the chosen cases on a server, one after the other, and tells of each as it ends.
///
/// # Errors
/// When the server cannot even be prepared: it cannot be reached, or refuses the suite's kind.
pub async fn run(
    server: &Server,
    chosen: impl Fn(&Case) -> bool,
    mut tell: impl FnMut(&Case, &Verdict),
) -> Result<Report, Failure> {
    let minor = server.minor().await?;
    stage::define(server).await?;
    let mut report = Report::default();
    for case in cases().iter().filter(|case| chosen(case)) {
        let verdict = if case.releases.contain(minor) {
            let ended = tokio::time::timeout(LIMIT, run_one(server, case)).await;
            let late = |_| Err(Failure::new(format!("no end within {LIMIT:?}")));
            verdict(ended.unwrap_or_else(late), server.first_lacking(case.needs))
        } else {
            Verdict::OtherRelease(case.releases)
        };
        tell(case, &verdict);
        report.verdicts.push((case, verdict));
    }
    Ok(report)
}

/// A case that a server is said not to hold, and does, fails: it is to be tested from then on.
fn verdict(ended: Result<(), Failure>, lacks: Option<Feature>) -> Verdict {
    match (ended, lacks) {
        (Ok(()), None) => Verdict::Passed,
        (Err(failure), None) => Verdict::Failed(failure),
        (Err(_), Some(feature)) => Verdict::Lacking(feature),
        (Ok(()), Some(feature)) => Verdict::Failed(Failure::new(format!(
            "it holds, and is said to need {feature}, which this server is said to lack: take one \
             of the two back"
        ))),
    }
}

async fn run_one(server: &Server, case: &Case) -> Result<(), Failure> {
    let api = stage::enter(server).await?;
    let outcome = (case.run)(api.clone()).await;
    let left = stage::leave(&api).await;
    outcome.and(left)
}
