//! Watches a world from outside: what truly happens to its processes and targets, and when.
//!
//! Processes report themselves (see `lifeline`); the targets' states are taken from the simulated
//! control plane's truth, which no method can read.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bluegreen_cloud::{
    Cloud,
    events::{Event, EventKind},
    oracle::{Oracle, ProcessEnd},
    scene::Scene,
};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::{
    lifeline::{Sign, SignKind},
    limit::{Fact, FactKind},
    scenario::PORT,
};

/// How often the targets' states are looked at, in real time: seldom enough to cost nothing, and
/// at ten times the speed exact to a fifth of a second.
const LOOK: Duration = Duration::from_millis(20);

/// The comment of the command that kills the application.
pub const KILL: &str = "demo kill";
/// The comment of the command that tells the application to fail its health check.
pub const TELL: &str = "demo fail-health-check";

/// What is known of a world; clones are the same.
#[derive(Clone)]
pub struct Monitor {
    cloud: Cloud,
    oracle: Oracle,
    scene: Arc<Scene>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    facts: Vec<Fact>,
    hosts: Vec<HostState>,
}

/// What is true of a host at a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostState {
    /// Where its target stands: `healthy`, `draining`, ..., or `absent`.
    pub target: String,
    /// The processes that are alive.
    pub processes: Vec<Process>,
    /// The most processes that were alive at one time.
    pub most_processes: usize,
}

/// A process of the application that is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its version.
    pub version: String,
    /// Whether it was told to stop.
    pub stopping: bool,
}

impl Monitor {
    /// Watches nothing yet: run [`Monitor::watch`].
    #[must_use]
    pub fn new(cloud: Cloud, oracle: Oracle, scene: Arc<Scene>) -> Self {
        let hosts = vec![HostState::default(); scene.hosts.len()];
        let state = State {
            facts: Vec::new(),
            hosts,
        };
        Self {
            cloud,
            oracle,
            scene,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Watches until it is dropped.
    pub async fn watch(self, mut signs: mpsc::UnboundedReceiver<Sign>) {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                sign = signs.recv() => match sign {
                    Some(sign) => self.take(&sign),
                    None => return,
                },
                _ = looks.tick() => self.look(),
            }
        }
    }

    /// What is true of each host, in the order of the scene.
    #[must_use]
    pub fn hosts(&self) -> Vec<HostState> {
        self.lock().hosts.clone()
    }

    /// Everything that happened since the world was built.
    #[must_use]
    pub fn facts(&self) -> Vec<Fact> {
        let mut facts = self.lock().facts.clone();
        facts.extend(facts_of_events(&self.cloud.events(0), &self.scene));
        facts
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no code that holds this lock can panic")
    }

    fn take(&self, sign: &Sign) {
        let Some(host) = self.host_at(sign.address) else {
            return;
        };
        let id = &self.scene.hosts[host].id;
        let mut state = self.lock();
        let State { facts, hosts } = &mut *state;
        let processes = &mut hosts[host].processes;
        let index = processes.iter().position(|one| one.version == sign.version);
        match (sign.kind, index) {
            (SignKind::Started, _) => {
                processes.push(Process {
                    version: sign.version.clone(),
                    stopping: false,
                });
                hosts[host].most_processes =
                    hosts[host].most_processes.max(hosts[host].processes.len());
                self.oracle.process_started(id, PORT);
            }
            (SignKind::Listening, _) => facts.push(Fact {
                at: sign.at,
                host,
                kind: FactKind::Listening,
            }),
            (SignKind::Signalled, Some(index)) => {
                processes[index].stopping = true;
                self.oracle.process_signalled(id, PORT);
            }
            (SignKind::Ended, Some(index)) => {
                let process = processes.remove(index);
                let end = if process.stopping {
                    ProcessEnd::Terminated
                } else {
                    ProcessEnd::Killed
                };
                let last = self.oracle.target(id, PORT).last_ended;
                self.oracle.process_stopped(id, PORT, end);
                facts.extend(last.map(|at| Fact {
                    at: at.min(sign.at),
                    host,
                    kind: FactKind::LastRequest,
                }));
                facts.push(Fact {
                    at: sign.at,
                    host,
                    kind: FactKind::Ended,
                });
            }
            (SignKind::Signalled | SignKind::Ended, None) => {}
        }
    }

    fn host_at(&self, address: SocketAddr) -> Option<usize> {
        let mut hosts = self.scene.hosts.iter();
        hosts.position(|host| host.address == address.ip())
    }

    fn look(&self) {
        let truth = self.cloud.state();
        let now: Option<Timestamp> = truth["now"].as_str().and_then(|now| now.parse().ok());
        let Some(now) = now else { return };
        let mut state = self.lock();
        let State { facts, hosts } = &mut *state;
        for (index, host) in hosts.iter_mut().enumerate() {
            let target = target_state(&truth, &self.scene.hosts[index].id);
            if host.target == target {
                continue;
            }
            let kind = match (host.target == "healthy", target == "healthy") {
                (false, true) => Some(FactKind::Healthy),
                (true, false) => Some(FactKind::NotHealthy),
                (true, true) | (false, false) => None,
            };
            facts.extend(kind.map(|kind| Fact {
                at: now,
                host: index,
                kind,
            }));
            target.clone_into(&mut host.target);
        }
    }
}

/// Where a target stands in the first group, as the control plane truly has it.
fn target_state<'a>(truth: &'a Value, id: &str) -> &'a str {
    let targets = truth["targetGroups"][0]["targets"].as_array();
    let mut targets = targets.into_iter().flatten();
    let found = targets.find(|target| target["id"] == id);
    found
        .and_then(|target| target["state"].as_str())
        .unwrap_or("absent")
}

/// What the simulated cloud's own log says of targets and commands.
fn facts_of_events(events: &[Event], scene: &Scene) -> Vec<Fact> {
    let host_of = |id: &str| scene.hosts.iter().position(|host| host.id == id);
    let mut facts = Vec::new();
    for event in events {
        let last = event.subject.rsplit(' ').next().unwrap_or_default();
        let of_target = |kind| {
            let (id, _) = last.rsplit_once(':')?;
            Some((host_of(id)?, kind))
        };
        match event.kind {
            EventKind::TargetRegistered => {
                facts.extend(of_target(FactKind::Registered).map(at(event)))
            }
            EventKind::TargetDraining => facts.extend(of_target(FactKind::Draining).map(at(event))),
            EventKind::TargetGone => facts.extend(of_target(FactKind::Gone).map(at(event))),
            EventKind::CommandSent => {
                let Some((sent, done)) = purpose(&event.detail) else {
                    continue;
                };
                for (host, status, when) in invocations(events, &event.subject) {
                    let Some(host) = host_of(host) else { continue };
                    let fact = |at, kind| Fact { at, host, kind };
                    if !facts.contains(&fact(event.at, sent)) {
                        facts.push(fact(event.at, sent));
                    }
                    let done = done.filter(|_| status == "Success");
                    facts.extend(done.map(|done| fact(when, done)));
                }
            }
            EventKind::Created
            | EventKind::Modified
            | EventKind::Deleted
            | EventKind::TargetChecked
            | EventKind::InstanceState
            | EventKind::InvocationStatus
            | EventKind::FaultFired
            | EventKind::Switched
            | EventKind::StaleRead => {}
        }
    }
    facts
}

fn at(event: &Event) -> impl Fn((usize, FactKind)) -> Fact {
    let at = event.at;
    move |(host, kind)| Fact { at, host, kind }
}

/// What a command is for, and what its success means besides what the process itself shows.
fn purpose(document_and_comment: &str) -> Option<(FactKind, Option<FactKind>)> {
    let (document, comment) = document_and_comment.split_once(' ')?;
    match (document, comment) {
        ("BlueGreen-StartUnit", _) => Some((FactKind::StartSent, None)),
        ("BlueGreen-StopUnit", _) | (_, KILL) => Some((FactKind::StopSent, None)),
        (_, TELL) => Some((FactKind::TellSent, Some(FactKind::Told))),
        _ => None,
    }
}

/// Each change of each host's invocation of a command: host, status, time.
fn invocations<'a>(
    events: &'a [Event],
    command: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str, Timestamp)> {
    let changes = events
        .iter()
        .filter(|event| event.kind == EventKind::InvocationStatus);
    changes.filter_map(move |event| {
        let (id, host) = event.subject.split_once(' ')?;
        (id == command).then_some((host, event.detail.as_str(), event.at))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_apart_by_document_and_comment() {
        let start = Some((FactKind::StartSent, None));
        assert_eq!(purpose("BlueGreen-StartUnit 7/start"), start);
        let stop = Some((FactKind::StopSent, None));
        assert_eq!(purpose("BlueGreen-StopUnit "), stop);
        assert_eq!(purpose("AWS-RunShellScript demo kill"), stop);
        let tell = Some((FactKind::TellSent, Some(FactKind::Told)));
        assert_eq!(purpose("AWS-RunShellScript demo fail-health-check"), tell);
        assert_eq!(purpose("AWS-RunShellScript ls"), None);
    }
}
