//! What a command's invocation on one host came to.
//!
//! Systems Manager has a status, a finer status and, for each step of the document, an exit code
//! and the end of the output. What counts here is whether the document was run:
//!
//! | status                                                      | outcome                 |
//! |-------------------------------------------------------------|-------------------------|
//! | Pending, InProgress, Delayed, Cancelling, unknown           | running                 |
//! | Success                                                     | succeeded               |
//! | Failed, ExecutionTimedOut                                   | failed                  |
//! | Undeliverable, DeliveryTimedOut, Terminated, InvalidPlatform, AccessDenied | not delivered |
//! | Cancelled, TimedOut                                         | failed where a step had begun, else not delivered |
//!
//! A document that was cut off may have done any part of its work, so it is never "not delivered".

use aws_sdk_ssm::types::{CommandInvocation, CommandPlugin, CommandPluginStatus};

use crate::{
    api::{Duration, StopHow},
    plan::{Invocation, StopReport},
};

/// The exit code where Systems Manager knows none: its own word for "none".
const NO_CODE: i32 = -1;

/// How much of the output is kept for people.
const OUTPUT_KEPT: usize = 300;

/// What Systems Manager puts between standard output and standard error.
const ERROR_MARK: &str = "----------ERROR-------";

/// The longest stop that is believed, in seconds: a week, beyond what a grace period can be.
const LONGEST_STOP: f64 = 7.0 * 24.0 * 3600.0;

/// An invocation and when it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) invocation: Invocation,
    /// Milliseconds since 1970, by AWS's clock; where that is not told, when it was asked for.
    pub(super) ended: i64,
}

impl Outcome {
    /// A command that was sent, but of whose fate on this host nothing is listed yet.
    pub(super) fn not_listed_yet() -> Self {
        Self {
            invocation: Invocation::Running,
            ended: i64::MAX,
        }
    }

    pub(super) fn of(invocation: &CommandInvocation) -> Self {
        let steps = invocation.command_plugins();
        let millis = |time: &aws_smithy_types::DateTime| time.to_millis().ok();
        let finished = steps
            .iter()
            .filter_map(|step| step.response_finish_date_time())
            .filter_map(millis)
            .max();
        let requested = invocation.requested_date_time().and_then(millis);
        Self {
            invocation: read(invocation),
            ended: finished.or(requested).unwrap_or(i64::MAX),
        }
    }

    /// Of two commands on one host, the outcome that counts: what was run counts for more than
    /// what still runs, that for more than what never ran or was refused; then the one that ended
    /// first.
    pub(super) fn or(self, other: Self) -> Self {
        if other.rank() < self.rank() {
            other
        } else {
            self
        }
    }

    fn rank(&self) -> (u8, i64) {
        let kind = match self.invocation {
            _ if self.invocation.did_nothing() => 2,
            Invocation::Running => 1,
            Invocation::Succeeded { .. }
            | Invocation::Failed { .. }
            | Invocation::NotDelivered { .. } => 0,
        };
        (kind, self.ended)
    }
}

fn read(invocation: &CommandInvocation) -> Invocation {
    let steps = invocation.command_plugins();
    // The finer status, where there is one. The documentation writes it with and without spaces.
    let status: String = invocation
        .status_details()
        .filter(|details| !details.is_empty())
        .or_else(|| invocation.status().map(|status| status.as_str()))
        .unwrap_or_default()
        .replace(' ', "");
    match status.as_str() {
        "Success" => Invocation::Succeeded {
            stopped: stop_report_of(steps),
        },
        "Failed" | "ExecutionTimedOut" => failed(&status, steps),
        "Cancelled" | "Canceled" | "TimedOut" if steps.iter().any(begun) => failed(&status, steps),
        "Cancelled" | "Canceled" | "TimedOut" | "Undeliverable" | "DeliveryTimedOut"
        | "Terminated" | "InvalidPlatform" | "AccessDenied" => Invocation::NotDelivered { status },
        _ => Invocation::Running,
    }
}

fn failed(status: &str, steps: &[CommandPlugin]) -> Invocation {
    let broken = steps
        .iter()
        .find(|step| step.status() == Some(&CommandPluginStatus::Failed))
        .or_else(|| steps.iter().find(|step| step.response_code() != 0));
    let end = broken
        .and_then(|step| step.output())
        .map(end_of)
        .unwrap_or_default();
    Invocation::Failed {
        code: broken.map_or(NO_CODE, |step| step.response_code()),
        stopped: stop_report_of(steps),
        output: if end.is_empty() {
            status.to_owned()
        } else {
            end
        },
    }
}

/// A step that never began has a start in the year 1, or none.
fn begun(step: &CommandPlugin) -> bool {
    step.response_start_date_time()
        .is_some_and(|start| start.secs() > 0)
}

/// The report of the last step that has one.
fn stop_report_of(steps: &[CommandPlugin]) -> Option<StopReport> {
    steps.iter().rev().find_map(|step| {
        let (standard, _) = split(step.output()?);
        parse_stop_report(standard.trim_end().lines().next_back()?)
    })
}

/// The end of what a person would look at: standard error where there is any, else standard
/// output, from the last lines that fit.
fn end_of(output: &str) -> String {
    let (standard, error) = split(output);
    let text = [error.trim(), standard.trim()]
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or_default();
    let count = text.chars().count();
    let end: String = text
        .chars()
        .skip(count.saturating_sub(OUTPUT_KEPT))
        .collect();
    match end.split_once('\n') {
        // The first line is a part of one.
        Some((_, whole)) if count > OUTPUT_KEPT => whole.to_owned(),
        Some(_) | None => end,
    }
}

fn split(output: &str) -> (&str, &str) {
    output.split_once(ERROR_MARK).unwrap_or((output, ""))
}

/// Reads the line with which a stop document reports of a process, as in
/// `stopped how=graceful seconds=3.2 exit=143`.
///
/// `how` is `graceful`, `killed` or `already-stopped`. `seconds` run from SIGTERM to the end. They
/// and `exit` may be missing, or a word, where the host does not know them. Words that are not
/// known here are passed over. A line that is something else, or that has no `how`, is `None`.
#[must_use]
pub fn parse_stop_report(line: &str) -> Option<StopReport> {
    let mut words = line.split_ascii_whitespace();
    if words.next() != Some("stopped") {
        return None;
    }
    let (mut how, mut took, mut exit) = (None, None, None);
    for word in words {
        match word.split_once('=')? {
            ("how", "graceful") => how = Some(StopHow::Graceful),
            ("how", "killed") => how = Some(StopHow::Killed),
            ("how", "already-stopped") => how = Some(StopHow::NotRunning),
            ("how", _) => return None,
            ("seconds", seconds) => took = parse_seconds(seconds),
            ("exit", code) => exit = code.parse().ok(),
            _ => {}
        }
    }
    Some(StopReport {
        how: how?,
        took,
        exit,
    })
}

fn parse_seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    (0.0..=LONGEST_STOP)
        .contains(&seconds)
        .then(|| std::time::Duration::from_secs_f64(seconds).into())
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn a_stop_report_is_read() {
        let report = parse_stop_report("stopped how=graceful seconds=3.2 exit=143").unwrap();
        assert_eq!(report.took, Some(Duration::from_millis(3200)));
        assert_eq!(report.how, StopHow::Graceful);
        assert_eq!(report.exit, Some(143));
        let report = parse_stop_report("stopped seconds=45 how=killed note=late").unwrap();
        assert_eq!(report.took, Some(Duration::from_secs(45)));
        assert_eq!(report.how, StopHow::Killed);
        assert_eq!(report.exit, None);
        let report =
            parse_stop_report("stopped how=already-stopped seconds=0 exit=unknown").unwrap();
        assert_eq!(report.took, Some(Duration::ZERO));
        assert_eq!(report.how, StopHow::NotRunning);
        assert_eq!(report.exit, None);
    }

    #[test]
    fn what_is_not_a_stop_report_is_none() {
        for line in [
            "",
            "stopped",
            "stopped after 3s",
            "stopped seconds=3",
            "stopped how=somehow seconds=3",
            "Stopped how=graceful seconds=3",
        ] {
            assert_eq!(parse_stop_report(line), None, "{line}");
        }
        for seconds in ["-1", "NaN", "inf", "1e300"] {
            let line = format!("stopped how=graceful seconds={seconds}");
            assert_eq!(parse_stop_report(&line).unwrap().took, None, "{line}");
        }
    }

    #[test]
    fn the_end_of_an_output_prefers_standard_error_and_whole_lines() {
        assert_eq!(end_of("starting\nfailed\n"), "starting\nfailed");
        assert_eq!(
            end_of("out\n----------ERROR-------\nno such unit\n"),
            "no such unit"
        );
        let long = format!("{}\nthe last line", "x".repeat(1000));
        assert_eq!(end_of(&long), "the last line");
        assert_eq!(end_of(&"ä".repeat(1000)).chars().count(), OUTPUT_KEPT);
    }

    fn outcome(invocation: Invocation, ended: i64) -> Outcome {
        Outcome { invocation, ended }
    }

    #[test]
    fn of_two_commands_the_first_that_ended_counts_and_what_never_ran_counts_least() {
        let succeeded = outcome(Invocation::Succeeded { stopped: None }, 20);
        let failed = Invocation::Failed {
            code: 1,
            stopped: None,
            output: String::new(),
        };
        let failed = outcome(failed, 10);
        let running = Outcome::not_listed_yet();
        let lost = Invocation::NotDelivered {
            status: "Undeliverable".to_owned(),
        };
        let lost = outcome(lost, 1);
        let refused = Invocation::Failed {
            code: 31,
            stopped: None,
            output: String::new(),
        };
        let refused = outcome(refused, 2);
        for (one, other, counts) in [
            (&succeeded, &failed, &failed),
            (&succeeded, &running, &succeeded),
            (&running, &lost, &running),
            (&running, &refused, &running),
            (&refused, &succeeded, &succeeded),
            (&lost, &succeeded, &succeeded),
        ] {
            assert_eq!(&one.clone().or(other.clone()), counts);
            assert_eq!(&other.clone().or(one.clone()), counts);
        }
    }
}
