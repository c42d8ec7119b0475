//! Watches all the time for what must never happen, and keeps it until somebody asks.

use std::sync::{Arc, Mutex};

use bluegreen_cloud::{Cloud, oracle::Oracle};
use bluegreen_net::Clock;
use serde_json::Value;

/// What must never happen, and did. Clones share it.
#[derive(Clone)]
pub(crate) struct Judge(Arc<Inner>);

struct Inner {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// So many targets stay healthy in every group that has begun to serve.
    floor: usize,
    /// The targets that this counts for, by group. Empty: not yet.
    groups: Vec<String>,
    violations: Vec<String>,
    lowest: Option<usize>,
}

impl Judge {
    pub(crate) fn new(clock: Clock) -> Self {
        Self(Arc::new(Inner {
            clock,
            state: Mutex::default(),
        }))
    }

    /// From now on so many targets have to be healthy in each of these groups.
    pub(crate) fn hold(&self, groups: &[String], floor: usize) {
        let mut state = self.0.state.lock().unwrap();
        state.groups = groups.to_vec();
        state.floor = floor;
    }

    /// What has gone wrong so far.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.0.state.lock().unwrap().violations.clone()
    }

    /// The fewest healthy targets that any group had.
    pub(crate) fn lowest(&self) -> Option<usize> {
        self.0.state.lock().unwrap().lowest
    }

    /// A process is about to be sent SIGTERM.
    pub(crate) fn signalled(&self, host: &str, port: u16, oracle: &Oracle) {
        let in_flight = oracle.in_flight(host, port);
        if in_flight > 0 {
            self.report(&format!(
                "{host}:{port} is told to stop with {in_flight} requests in flight"
            ));
        }
    }

    /// Looks at the truth.
    pub(crate) fn look(&self, cloud: &Cloud, oracle: &Oracle) {
        let (groups, floor) = {
            let state = self.0.state.lock().unwrap();
            (state.groups.clone(), state.floor)
        };
        let wrong = oracle.counters().signalled_while_registered;
        if wrong > 0 {
            self.report(&format!(
                "{wrong} processes were told to stop while registered"
            ));
        }
        if groups.is_empty() {
            return;
        }
        let truth = cloud.state();
        for group in &groups {
            let count = healthy(&truth, group).len();
            let mut state = self.0.state.lock().unwrap();
            state.lowest = Some(state.lowest.map_or(count, |lowest| lowest.min(count)));
            drop(state);
            if count < floor {
                self.report(&format!(
                    "{count} targets are healthy in {group}, and never should be less than {floor}"
                ));
            }
        }
    }

    fn report(&self, what: &str) {
        let at = self.0.clock.now();
        let violations = &mut self.0.state.lock().unwrap().violations;
        if !violations.iter().any(|known| known.ends_with(what)) {
            violations.push(format!("{at}: {what}"));
        }
    }
}

/// The targets of a group that are healthy in truth, as `id:port`.
pub(crate) fn healthy(truth: &Value, group: &str) -> Vec<String> {
    targets(truth, group)
        .into_iter()
        .filter(|(_, state)| state == "healthy")
        .map(|(target, _)| target)
        .collect()
}

/// Each target of a group with its state in truth.
pub(crate) fn targets(truth: &Value, group: &str) -> Vec<(String, String)> {
    let groups = truth["targetGroups"].as_array();
    let found = groups
        .into_iter()
        .flatten()
        .filter(|one| one["arn"] == group);
    found
        .filter_map(|one| one["targets"].as_array())
        .flatten()
        .map(|target| {
            let id = target["id"].as_str().unwrap_or_default();
            let state = target["state"].as_str().unwrap_or_default();
            (format!("{id}:{}", target["port"]), state.to_owned())
        })
        .collect()
}
