//! One node of a load balancer: its state, and how it takes over a configuration.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bluegreen_net::{Clock, Net};
use http::HeaderMap;
use hyper::client::conn::http1::SendRequest;
use rand::{RngExt, rngs::StdRng};
use tokio::sync::{mpsc, watch};

use super::{
    IdleConnections, Knobs, Learned,
    config::{LateConfig, NodeConfig},
    front, health,
    pool::{Pool, Registration},
    relay::{Cut, Upload},
    route::{self, Opinion},
    sticky::{self, Stickiness},
    task::Task,
};
use crate::{
    oracle::Oracle,
    topology::{Action, HealthCheck, HealthReport, Target, TargetKey, TargetPhase},
};

/// What all tasks of a node share.
pub(super) struct Node {
    pub(super) address: IpAddr,
    pub(super) net: Net,
    pub(super) clock: Clock,
    pub(super) knobs: Knobs,
    pub(super) oracle: Oracle,
    pub(super) health: mpsc::Sender<HealthReport>,
    pub(super) pool: Pool,
    state: Mutex<State>,
}

struct State {
    config: Arc<NodeConfig>,
    /// By target group.
    targets: HashMap<String, HashMap<TargetKey, TargetState>>,
    /// How many requests each target group got.
    turns: HashMap<String, usize>,
    rng: StdRng,
}

struct TargetState {
    life: u64,
    opinion: Opinion,
    cut: watch::Sender<Cut>,
}

/// A registration, and which of its lives is checked.
type Checked = (Registration, u64);

/// What is to be done with a request.
pub(super) enum Decision {
    /// Answer at once.
    Fixed { status: u16, body: String },
    /// Nobody can take it.
    NoTarget,
    /// Send it on.
    Send(Destination),
}

/// Where a request goes.
pub(super) struct Destination {
    pub(super) registration: Registration,
    pub(super) address: SocketAddr,
    pub(super) fail_open: bool,
    pub(super) sticky: Stickiness,
    pub(super) cut: watch::Receiver<Cut>,
}

/// Runs a node until it is aborted.
pub(super) async fn run(node: Node, mut configs: LateConfig, mut phases: StdRng, learned: Learned) {
    let node = Arc::new(node);
    let mut listeners: HashMap<u16, Task> = HashMap::new();
    let mut checks: HashMap<Checked, Task> = HashMap::new();
    let _sweeper = Task::spawn(sweep(Arc::clone(&node)));
    while let Some(config) = configs.next().await {
        let version = config.version;
        let ports: Vec<u16> = config.listeners.iter().map(|one| one.port).collect();
        let checked = node.take_over(config);
        listeners.retain(|port, _| ports.contains(port));
        for port in ports {
            listeners
                .entry(port)
                .or_insert_with(|| Task::spawn(front::listen(Arc::clone(&node), port)));
        }
        checks.retain(|life, _| checked.iter().any(|(one, _)| one == life));
        for (life, interval) in checked {
            checks
                .entry(life)
                .or_insert_with_key(|(registration, life)| {
                    let phase = interval.mul_f64(phases.random());
                    let (node, registration) = (Arc::clone(&node), registration.clone());
                    Task::spawn(health::run(node, registration, *life, phase))
                });
        }
        learned.note(node.address, version);
    }
    // Nothing will change any more; what is configured stays.
    std::future::pending().await
}

async fn sweep(node: Arc<Node>) {
    loop {
        let idle_timeout = node.config().idle_timeout;
        let next = node.pool.sweep(node.clock.now(), idle_timeout);
        node.clock.sleep_until(next).await;
    }
}

impl Node {
    pub(super) fn new(
        address: IpAddr,
        (net, clock): (Net, Clock),
        knobs: Knobs,
        oracle: Oracle,
        health: mpsc::Sender<HealthReport>,
        rng: StdRng,
    ) -> Self {
        let config = NodeConfig {
            version: 0,
            listeners: Vec::new(),
            groups: BTreeMap::new(),
            // Until the first configuration is taken over, which happens before anything listens.
            idle_timeout: Duration::from_secs(60),
            client_keep_alive: Duration::from_secs(3_600),
        };
        Self {
            address,
            net,
            clock,
            knobs,
            oracle,
            health,
            pool: Pool::default(),
            state: Mutex::new(State {
                config: Arc::new(config),
                targets: HashMap::new(),
                turns: HashMap::new(),
                rng,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no code that holds this lock can panic")
    }

    pub(super) fn config(&self) -> Arc<NodeConfig> {
        Arc::clone(&self.state().config)
    }

    /// Takes over a configuration; returns what is to be checked, and how often.
    fn take_over(&self, config: NodeConfig) -> Vec<(Checked, Duration)> {
        let mut checked = Vec::new();
        let mut state = self.state();
        let mut earlier = std::mem::take(&mut state.targets);
        let used = config.used_groups();
        for group in config.groups.values() {
            let mut before = earlier.remove(&group.arn).unwrap_or_default();
            let mut targets = HashMap::new();
            for target in &group.targets {
                let registration = (group.arn.clone(), target.key.clone());
                let mut kept = before.remove(&target.key).unwrap_or_else(|| TargetState {
                    life: target.life,
                    opinion: Opinion::Unchecked,
                    cut: watch::Sender::new(Cut::Never),
                });
                if kept.life != target.life {
                    kept.life = target.life;
                    kept.opinion = Opinion::Unchecked;
                }
                kept.cut.send_replace(match target.phase {
                    TargetPhase::Registering | TargetPhase::Active => Cut::Never,
                    TargetPhase::Draining { until } => Cut::At(until),
                });
                let is_checked =
                    target.phase == TargetPhase::Active && used.contains(group.arn.as_str());
                if is_checked {
                    checked.push(((registration, target.life), group.health_check.interval));
                } else {
                    kept.opinion = Opinion::Unchecked;
                    self.retire(&registration);
                }
                targets.insert(target.key.clone(), kept);
            }
            self.retire_all(&group.arn, before);
            state.targets.insert(group.arn.clone(), targets);
        }
        for (group, gone) in earlier {
            self.retire_all(&group, gone);
        }
        drop(used);
        state.config = Arc::new(config);
        checked
    }

    /// Nothing new is sent to a target.
    fn retire(&self, registration: &Registration) {
        match self.knobs.idle_connections {
            IdleConnections::CloseAtOnce => self.pool.close(registration),
            IdleConnections::KeepUntilIdle => (),
        }
    }

    /// Targets are gone. Dropping their states cuts off what is in flight.
    fn retire_all(&self, group: &str, gone: HashMap<TargetKey, TargetState>) {
        for key in gone.into_keys() {
            self.retire(&(group.to_owned(), key));
        }
    }

    /// How a life of a target is checked; `None` when it is not to be checked any more.
    pub(super) fn check_of(
        &self,
        registration: &Registration,
        life: u64,
    ) -> Option<(HealthCheck, Target)> {
        let config = self.config();
        let group = config.groups.get(&registration.0)?;
        let mut targets = group.targets.iter();
        let target = targets.find(|one| one.key == registration.1 && one.life == life)?;
        Some((group.health_check.clone(), target.clone()))
    }

    pub(super) fn set_opinion(&self, registration: &Registration, life: u64, opinion: Opinion) {
        let mut state = self.state();
        let group = state.targets.get_mut(&registration.0);
        let target = group.and_then(|group| group.get_mut(&registration.1));
        // A check that was under way when the life ended may still come here.
        if let Some(target) = target.filter(|target| target.life == life) {
            target.opinion = opinion;
        }
    }

    /// Chooses what to do with a request.
    pub(super) fn decide(
        &self,
        port: u16,
        host: &str,
        path: &str,
        headers: &HeaderMap,
    ) -> Decision {
        let now = self.clock.now();
        let mut state = self.state();
        let config = Arc::clone(&state.config);
        let listener = config.listeners.iter().find(|one| one.port == port);
        let Some(rule) = listener.and_then(|one| route::matching_rule(one, host, path)) else {
            return Decision::NoTarget;
        };
        let groups = match &rule.action {
            Action::Forward(groups) => groups,
            Action::FixedResponse { status, body } => {
                return Decision::Fixed {
                    status: *status,
                    body: body.clone(),
                };
            }
        };
        let roll = state.rng.random();
        let known_group = rule
            .sticky
            .and_then(|_| sticky::group(headers, groups, now));
        let group = known_group.or_else(|| route::weighted_group(groups, roll));
        let group = group.and_then(|arn| config.groups.get(arn));
        let Some(group) = group else {
            return Decision::NoTarget;
        };
        let turn = state.turns.entry(group.arn.clone()).or_default();
        *turn = turn.wrapping_add(1);
        let turn = *turn;
        let Some(known) = state.targets.get(&group.arn) else {
            return Decision::NoTarget;
        };
        let opinion =
            |key: &TargetKey| known.get(key).map_or(Opinion::Unchecked, |one| one.opinion);
        let usable = route::usable(group, opinion, self.knobs.unchecked_in_fail_open);
        if usable.targets.is_empty() {
            return Decision::NoTarget;
        }
        let known_target = sticky::target(headers, group, &usable.targets, now);
        let target = known_target.unwrap_or(usable.targets[turn % usable.targets.len()]);
        let Some(target_state) = known.get(&target.key) else {
            return Decision::NoTarget;
        };
        Decision::Send(Destination {
            registration: (group.arn.clone(), target.key.clone()),
            address: target.address,
            fail_open: usable.fail_open,
            sticky: Stickiness {
                target: group.sticky,
                group: rule.sticky,
            },
            cut: target_state.cut.subscribe(),
        })
    }

    /// A connection is free again: it is kept, unless nothing new is sent to its target.
    pub(super) fn give_back(&self, registration: &Registration, sender: SendRequest<Upload>) {
        let in_use = {
            let state = self.state();
            let group = state.targets.get(&registration.0);
            let target = group.and_then(|group| group.get(&registration.1));
            target.is_some_and(|target| *target.cut.borrow() == Cut::Never)
        };
        let keep = match self.knobs.idle_connections {
            IdleConnections::CloseAtOnce => in_use,
            IdleConnections::KeepUntilIdle => true,
        };
        if keep {
            self.pool.put(registration, sender, self.clock.now());
        }
    }
}
