//! The figures of each method, as a table and as JSON. They are measured, never typed in.

use std::time::Duration;

use bluegreen_app::load;
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    error::Error,
    limit::{self, Fact, FactKind},
    methods::Method,
    monitor::HostState,
};

/// All figures of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// How many virtual seconds passed in a real one.
    pub time_scale: f64,
    /// Each method, in the order of the table.
    pub methods: Vec<Figures>,
}

/// The figures of one method.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// The method's name.
    pub name: &'static str,
    /// Requests that clients sent.
    pub requests: u64,
    /// Requests that got no complete answer with a 2xx or 3xx status.
    pub failed: u64,
    /// The longest request, in virtual seconds.
    pub longest_request_seconds: f64,
    /// From the first act until the last process of the old version had ended, in virtual seconds.
    pub seconds: f64,
    /// How much of that is over the method's physical limit: see `limit`.
    pub over_limit_seconds: f64,
    /// Calls to AWS, whatever came of them, until the method was done.
    pub aws_calls: usize,
    /// The most processes of the application that were alive on one host at one time.
    pub max_processes_per_host: usize,
}

/// What was measured of a release before its load ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The method.
    pub method: Method,
    /// Just before its first act.
    pub began: Timestamp,
    /// Everything that truly happened.
    pub facts: Vec<Fact>,
    /// Calls to AWS.
    pub aws_calls: usize,
    /// The hosts when it was done.
    pub hosts: Vec<HostState>,
}

impl Measured {
    /// The figures, with what the load counted.
    ///
    /// # Errors
    /// When an old process did not end.
    pub fn figures(&self, totals: &load::Totals) -> Result<Figures, Error> {
        let unfinished = |because: &str| Error::Unfinished {
            method: self.method.name(),
            because: because.to_owned(),
        };
        let ends = self.first_ends();
        if ends.len() < self.hosts.len() {
            return Err(unfinished("a process of the old version is still alive"));
        }
        let ended = ends.into_iter().max();
        let ended = ended.ok_or_else(|| unfinished("there are no hosts"))?;
        let rules = self.method.rules()?;
        let limit = limit::physical_limit(&self.facts, rules, self.began, ended);
        for (from, until) in limit::idle(&self.facts, rules, self.began, ended) {
            let since = |at: Timestamp| at.duration_since(self.began).as_secs_f64();
            let (from, until) = (since(from), since(until));
            tracing::debug!(method = self.method.name(), from, until, "over the limit");
        }
        let took = Duration::try_from(ended.duration_since(self.began)).unwrap_or_default();
        Ok(Figures {
            name: self.method.name(),
            requests: totals.sent,
            // One that was given up got no answer either.
            failed: totals.failed + totals.unfinished,
            longest_request_seconds: tenths(totals.longest_seconds),
            seconds: tenths(took.as_secs_f64()),
            over_limit_seconds: tenths(took.saturating_sub(limit).as_secs_f64()),
            aws_calls: self.aws_calls,
            max_processes_per_host: self
                .hosts
                .iter()
                .map(|host| host.most_processes)
                .max()
                .unwrap_or_default(),
        })
    }

    /// When the old process of each host ended: the first end on it since the release began.
    fn first_ends(&self) -> Vec<Timestamp> {
        let ends = |host| {
            let facts = self.facts.iter();
            facts
                .filter(|fact| fact.kind == FactKind::Ended && fact.host == host)
                .map(|fact| fact.at)
                .filter(|at| *at >= self.began)
                .min()
        };
        (0..self.hosts.len()).filter_map(ends).collect()
    }
}

fn tenths(seconds: f64) -> f64 {
    (seconds * 10.0).round() / 10.0
}

impl Report {
    /// The report as JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let mut text =
            serde_json::to_string_pretty(self).expect("numbers and names can be written as JSON");
        text.push('\n');
        text
    }

    /// The table with its footnotes.
    #[must_use]
    pub fn table(&self) -> String {
        let heads = [
            "method",
            "requests",
            "failed",
            "longest",
            "seconds",
            "over limit",
            "AWS calls",
            "processes/host",
        ];
        let rows = self.methods.iter().map(|figures| {
            let Figures {
                name,
                requests,
                failed,
                longest_request_seconds,
                seconds,
                over_limit_seconds,
                aws_calls,
                max_processes_per_host,
            } = figures;
            [
                (*name).to_owned(),
                requests.to_string(),
                failed.to_string(),
                format!("{longest_request_seconds:.1} s"),
                format!("{seconds:.1}"),
                format!("{over_limit_seconds:.1}"),
                aws_calls.to_string(),
                max_processes_per_host.to_string(),
            ]
        });
        let rows: Vec<[String; 8]> = rows.collect();
        let mut widths = heads.map(str::len);
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.len());
            }
        }
        let line = |cells: Vec<&str>| {
            let cells = cells.iter().zip(widths).enumerate();
            let cells = cells.map(|(column, (cell, width))| match column {
                0 => format!("{cell:width$}"),
                _ => format!("{cell:>width$}"),
            });
            cells.collect::<Vec<_>>().join("  ") + "\n"
        };
        let mut text = line(heads.to_vec());
        text += &line(
            widths
                .map(|width| "-".repeat(width))
                .iter()
                .map(String::as_str)
                .collect(),
        );
        for row in &rows {
            text += &line(row.iter().map(String::as_str).collect());
        }
        text + &self.footnotes()
    }

    fn footnotes(&self) -> String {
        format!(
            "\n\
             All times are seconds of the scenario, which ran {} times as fast as the wall clock;\n\
             the same seed ({}), load and application for each method.\n\
             failed: no complete answer with a 2xx or 3xx status. Nothing is retried.\n\
             seconds: from the method's first act until the last process of the old version ended.\n\
             over limit: how much of that is more than its steps take when every change is known at\n\
             the instant it happens, with its configured delays, settle and quiet times as given.\n\
             Every method pays here for the speed: a millisecond of this machine, of a call or of\n\
             the controller, counts {} times.\n\
             processes/host: the most processes of the application at one time; memory, in effect.\n",
            self.time_scale, self.seed, self.time_scale
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::constant(1_800_000_000 + second, 0)
    }

    fn measured() -> Measured {
        let fact = |second, host, kind| Fact {
            at: at(second),
            host,
            kind,
        };
        let host = |most_processes| HostState {
            most_processes,
            ..HostState::default()
        };
        Measured {
            method: Method::DeregisterWait,
            began: at(0),
            facts: vec![
                fact(1, 0, FactKind::Draining),
                fact(61, 0, FactKind::Gone),
                fact(75, 0, FactKind::StopSent),
                fact(80, 0, FactKind::Ended),
                fact(90, 1, FactKind::Ended),
                // The new process, which somebody ended later.
                fact(500, 0, FactKind::Ended),
            ],
            aws_calls: 12,
            hosts: vec![host(1), host(2)],
        }
    }

    #[test]
    fn figures_end_with_the_last_old_process() {
        let totals = load::Totals {
            sent: 100,
            failed: 3,
            unfinished: 1,
            longest_seconds: 39.96,
            ..load::Totals::default()
        };
        let figures = measured().figures(&totals).unwrap();
        let expected = Figures {
            name: "deregister-wait",
            requests: 100,
            failed: 4,
            longest_request_seconds: 40.0,
            seconds: 90.0,
            over_limit_seconds: 25.0,
            aws_calls: 12,
            max_processes_per_host: 2,
        };
        assert_eq!(figures, expected);
    }

    #[test]
    fn an_old_process_that_lives_is_an_error() {
        let mut measured = measured();
        measured.facts.retain(|fact| fact.host == 0);
        measured.figures(&load::Totals::default()).unwrap_err();
    }

    #[test]
    fn the_report_has_the_promised_fields() {
        let report = Report {
            seed: 7,
            time_scale: 10.0,
            methods: vec![measured().figures(&load::Totals::default()).unwrap()],
        };
        let value: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(value["seed"], json!(7));
        assert_eq!(value["timeScale"], json!(10.0));
        for field in [
            "name",
            "requests",
            "failed",
            "seconds",
            "overLimitSeconds",
            "awsCalls",
            "maxProcessesPerHost",
        ] {
            assert!(!value["methods"][0][field].is_null(), "{field}");
        }
    }

    #[test]
    fn the_table_has_a_line_for_each_method_in_columns() {
        let report = Report {
            seed: 7,
            time_scale: 10.0,
            methods: vec![measured().figures(&load::Totals::default()).unwrap()],
        };
        let table = report.table();
        let lines: Vec<&str> = table.lines().take(3).collect();
        assert_eq!(lines[0].len(), lines[1].len());
        assert_eq!(lines[0].len(), lines[2].len());
        assert!(lines[2].starts_with("deregister-wait  "), "{table}");
        assert!(table.contains("counts 10 times"), "{table}");
    }
}
