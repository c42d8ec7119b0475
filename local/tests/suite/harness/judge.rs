//! Watches all the time for what must never happen, and keeps it until somebody asks.
//!
//! It watches from three places: the truth of the cloud, where no target may be missing that ought
//! to serve; the processes, of which none may be told to stop with work to do or without a proof
//! in status; and every pass of the controller, of which the project's invariants must hold, as
//! the planner saw the world and as the world was. Where status is torn by others, only the truth of
//! the cloud is asked: see [`Judge::expect_torn_statuses`].

mod awaited;

use std::{
    any::Any,
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex},
};

use bluegreen::{
    api::{BlueGreenReleaseStatus, Time},
    controller::Planner,
    plan::{
        self, Decision, Health, Observation, Reading, Release, TargetId,
        invariants::{self, AtRest, Decided, TruePort},
    },
};
use bluegreen_cloud::{Cloud, oracle::Oracle};
use bluegreen_net::Clock;
use serde_json::Value;

use super::world::World;

/// The invariants that must hold of the truth too, and not only of what was seen of it: what they
/// forbid does harm however good the reason was.
const IN_TRUTH: [&str; 3] = ["S1", "S2", "S14"];

thread_local! {
    /// The judge of the world that lives on this thread. The controller takes its planner as two
    /// plain functions, which can bring nothing along; a test has a thread to itself, and one
    /// world at a time.
    static SITTING: RefCell<Option<Judge>> = const { RefCell::new(None) };
}

/// The planner as it is shipped, under the eyes of the judge.
fn decide(
    release: &Release,
    before: &BlueGreenReleaseStatus,
    seen: &Observation,
    now: Time,
) -> Decision {
    let judge = SITTING.with_borrow(Clone::clone);
    let judge = judge.expect("whoever gave out this planner sits");
    let torn = judge.0.state.lock().unwrap().torn;
    let decided = catch_unwind(AssertUnwindSafe(|| {
        if torn {
            // A debug build asserts more than holds of a status that no controller has written.
            plan::decide_unchecked(release, before, seen, now)
        } else {
            plan::decide(release, before, seen, now)
        }
    }));
    match decided {
        Ok(decision) => {
            judge.decided(release, before, seen, &decision);
            decision
        }
        // The controller survives it and tries again, so that nobody else would notice.
        Err(panic) => {
            judge.report(&format!("the planner panicked: {}", words(&*panic)));
            resume_unwind(panic)
        }
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a word")
}

/// What must never happen, and did. Clones share it.
#[derive(Clone)]
pub(crate) struct Judge(Arc<Inner>);

struct Inner {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether others tear the status.
    torn: bool,
    /// So many targets stay healthy in every group that has begun to serve.
    floor: usize,
    /// The targets that this counts for, by group. Empty: not yet.
    groups: Vec<String>,
    violations: Vec<String>,
    lowest: Option<usize>,
    /// What was true at the last look.
    truth: Option<Arc<Value>>,
    /// The status that was decided last; none, as long as no controller has decided anything.
    decided: Option<BlueGreenReleaseStatus>,
    /// The release as that pass read it, and what it saw.
    seen: Option<(Release, Observation)>,
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

    /// From now on others tear the status. The invariants of decisions, the proofs in status and the
    /// number of targets that a release leaves in service all rest on the record, so they are not
    /// asked any more. These are asked whatever status holds: the planner does not panic, no process
    /// is told to stop and no instance terminated that a group has in service, and every group has
    /// one healthy target.
    pub(crate) fn expect_torn_statuses(&self) {
        let mut state = self.0.state.lock().unwrap();
        state.torn = true;
        state.floor = 1;
    }

    /// What has gone wrong so far.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.0.state.lock().unwrap().violations.clone()
    }

    /// The fewest healthy targets that any group had.
    pub(crate) fn lowest(&self) -> Option<usize> {
        self.0.state.lock().unwrap().lowest
    }

    /// The release as the last pass read it, and what that pass saw.
    pub(crate) fn seen(&self) -> Option<(Release, Observation)> {
        self.0.state.lock().unwrap().seen.clone()
    }

    /// The planner for a controller of this judge's world. The last judge that was asked is the
    /// one that sits on this thread.
    pub(crate) fn planner(&self) -> Planner {
        SITTING.set(Some(self.clone()));
        Planner {
            decide,
            needs: plan::needs,
        }
    }

    /// A pass has come to a decision.
    fn decided(
        &self,
        release: &Release,
        before: &BlueGreenReleaseStatus,
        seen: &Observation,
        decision: &Decision,
    ) {
        let (torn, truth) = {
            let state = self.0.state.lock().unwrap();
            (state.torn, state.truth.clone())
        };
        if torn {
            return;
        }
        let truth = truth.map(|truth| in_truth(seen, &truth));
        let decided = |observation| Decided {
            spec: &release.spec,
            before,
            observation,
            decision,
        };
        for invariant in &invariants::ALL {
            if let Some(broken) = invariant.of(&decided(seen)) {
                self.report(&format!("{broken}, as the planner saw it"));
            }
            if IN_TRUTH.contains(&invariant.code)
                && let Some(truth) = &truth
                && let Some(broken) = invariant.of(&decided(truth))
            {
                self.report(&format!("{broken}, as it was in truth"));
            }
        }
        if let Some(astray) = awaited::astray(release, &decision.status) {
            self.report(&format!("whoever waits by kstatus is misled: {astray}"));
        }
        let mut state = self.0.state.lock().unwrap();
        state.decided = Some(decision.status.clone());
        state.seen = Some((release.clone(), seen.clone()));
    }

    /// A release rests, and this is true of the ports of its fleet.
    fn rests(&self, at_rest: &AtRest<'_>) {
        let broken = invariants::ALL
            .iter()
            .filter_map(|one| one.of_rest(at_rest));
        broken.for_each(|broken| self.report(&format!("{broken}, at rest")));
    }

    /// An instance is about to be terminated, with a process that runs.
    pub(crate) fn terminated(&self, host: &str, port: u16, oracle: &Oracle) {
        let in_flight = oracle.in_flight(host, port);
        if in_flight > 0 && !self.0.state.lock().unwrap().torn {
            self.report(&format!(
                "{host} is terminated with {in_flight} requests in flight on {port}"
            ));
        }
    }

    /// A process is about to be sent SIGTERM.
    pub(crate) fn signalled(&self, host: &str, port: u16, oracle: &Oracle) {
        if !self.may_stop(host, port) {
            self.report(&format!(
                "{host}:{port} is told to stop without a proof of its drain in status"
            ));
        }
        let in_flight = oracle.in_flight(host, port);
        if in_flight > 0 && !self.0.state.lock().unwrap().torn {
            self.report(&format!(
                "{host}:{port} is told to stop with {in_flight} requests in flight"
            ));
        }
    }

    /// Whether status says that a target is drained, or that a person gave the proof up. It is not
    /// asked before a controller has decided anything, nor where status is torn.
    fn may_stop(&self, host: &str, port: u16) -> bool {
        let state = self.0.state.lock().unwrap();
        if state.torn {
            return true;
        }
        state.decided.as_ref().is_none_or(|status| {
            let mut targets = status.targets.iter();
            targets.any(|target| {
                let proven = target.steps.drained.is_some() || target.steps.unproven.is_some();
                (target.id.as_str(), target.port) == (host, port) && proven
            })
        })
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
        for target in terminated_in_service(&truth) {
            self.report(&format!(
                "the instance of {target} is terminated, and a group has it registered"
            ));
        }
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
        self.0.state.lock().unwrap().truth = Some(Arc::new(truth));
    }

    fn report(&self, what: &str) {
        let at = self.0.clock.now();
        let violations = &mut self.0.state.lock().unwrap().violations;
        if !violations.iter().any(|known| known.ends_with(what)) {
            violations.push(format!("{at}: {what}"));
        }
    }
}

impl World {
    /// Has judged what is true of the fleet, where a release rests.
    pub(super) async fn judged_at_rest(&self) {
        let Some(release) = self.release().await else {
            return;
        };
        let status = release.status.unwrap_or_default();
        if status.course.is_some() {
            return;
        }
        let (state, running) = (self.cloud.state(), self.apps.running());
        let listed = health(&state, "");
        let hosts = self.built.hosts.iter();
        let ports = hosts.flat_map(|host| self.scene.ports.iter().map(|port| (&host.id, *port)));
        let truth: Vec<TruePort> = ports
            .map(|(id, port)| {
                let runs = running.iter().find(|one| (&one.0, one.1) == (id, port));
                let target = TargetId {
                    id: id.clone(),
                    port,
                };
                let health = listed.get(&target);
                TruePort {
                    runs: runs.map(|one| one.2.clone()),
                    registered: health.is_some_and(|health| *health != Health::Draining),
                    target,
                }
            })
            .collect();
        self.judge.rests(&AtRest {
            spec: &release.spec,
            status: &status,
            truth: &truth,
        });
    }
}

/// What was seen, with the health that every target had in truth. A reading that failed stays one.
fn in_truth(seen: &Observation, truth: &Value) -> Observation {
    let mut observation = seen.clone();
    for group in &mut observation.groups {
        if let Reading::Known(group) = group {
            let within = format!(":targetgroup/{}/", group.name);
            group.targets = health(truth, &within);
        }
    }
    observation
}

/// The targets of the groups whose ARN has this text, as `DescribeTargetHealth` would list them if
/// nothing lagged.
fn health(truth: &Value, within: &str) -> BTreeMap<TargetId, Health> {
    let groups = truth["targetGroups"].as_array().into_iter().flatten();
    let found = groups.filter(|one| text(&one["arn"]).contains(within));
    let targets = found.filter_map(|one| one["targets"].as_array()).flatten();
    targets
        .map(|target| {
            let port = target["port"]
                .as_u64()
                .and_then(|port| port.try_into().ok());
            let id = TargetId {
                id: text(&target["id"]).to_owned(),
                port: port.expect("the cloud writes ports as numbers"),
            };
            let health = match (text(&target["state"]), text(&target["reason"])) {
                ("initial", _) => Health::Initial,
                ("healthy", _) => Health::Healthy,
                ("unhealthy", _) => Health::Unhealthy,
                ("draining", _) => Health::Draining,
                ("unused", "Target.NotInUse") => Health::NotInUse,
                ("unused", "Target.InvalidState") => Health::InvalidState,
                _ => Health::Other,
            };
            (id, health)
        })
        .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The targets of a group that are healthy in truth, as `id:port`.
pub(crate) fn healthy(truth: &Value, group: &str) -> Vec<String> {
    let groups = truth["targetGroups"].as_array().into_iter().flatten();
    let found = groups.filter(|one| one["arn"] == group);
    let targets = found.filter_map(|one| one["targets"].as_array()).flatten();
    targets
        .filter(|target| target["state"] == "healthy")
        .map(|target| format!("{}:{}", text(&target["id"]), target["port"]))
        .collect()
}

/// The targets, as `id:port`, whose instance is terminated or about to be, and that nobody has
/// deregistered.
fn terminated_in_service(truth: &Value) -> Vec<String> {
    let instances = truth["instances"].as_array().into_iter().flatten();
    let ended: BTreeSet<&str> = instances
        .filter(|instance| ["shutting-down", "terminated"].contains(&text(&instance["state"])))
        .map(|instance| text(&instance["id"]))
        .collect();
    let groups = truth["targetGroups"].as_array().into_iter().flatten();
    let targets = groups.filter_map(|one| one["targets"].as_array()).flatten();
    targets
        .filter(|target| target["drainingUntil"].is_null() && ended.contains(text(&target["id"])))
        .map(|target| format!("{}:{}", text(&target["id"]), target["port"]))
        .collect()
}

#[cfg(test)]
mod tests;
