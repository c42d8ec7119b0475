//! What a node works from: its own copy of the configuration, which is late.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use bluegreen_net::Clock;
use jiff::{SignedDuration, Timestamp};
use rand::{RngExt, rngs::StdRng};
use tokio::sync::watch;

use crate::topology::{Action, Listener, LoadBalancer, TargetGroup, Topology};

/// How long a node takes to learn a change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Propagation {
    /// The shortest usual delay.
    pub shortest: Duration,
    /// The longest usual delay.
    pub longest: Duration,
    /// How likely a delay is unusual: longer than `longest`, up to `tail`. 0 to 1.
    pub tail_probability: f64,
    /// The longest delay of all.
    pub tail: Duration,
}

impl Propagation {
    /// Nodes learn a change at once.
    pub const IMMEDIATE: Self = Self {
        shortest: Duration::ZERO,
        longest: Duration::ZERO,
        tail_probability: 0.0,
        tail: Duration::ZERO,
    };

    /// Every change takes exactly this long.
    #[must_use]
    pub fn exactly(delay: Duration) -> Self {
        Self {
            shortest: delay,
            longest: delay,
            tail_probability: 0.0,
            tail: delay,
        }
    }

    fn draw(&self, rng: &mut StdRng) -> Duration {
        let (from, to) = if rng.random_bool(self.tail_probability.clamp(0.0, 1.0)) {
            (self.longest, self.tail.max(self.longest))
        } else {
            (self.shortest, self.longest.max(self.shortest))
        };
        Duration::from_secs_f64(rng.random_range(from.as_secs_f64()..=to.as_secs_f64()))
    }
}

impl Default for Propagation {
    /// What people measured of Application Load Balancers: seconds, rarely up to forty.
    fn default() -> Self {
        Self {
            shortest: Duration::from_secs(1),
            longest: Duration::from_secs(15),
            tail_probability: 0.05,
            tail: Duration::from_secs(40),
        }
    }
}

/// The part of a topology that one load balancer's nodes use.
#[derive(Debug, Clone)]
pub(super) struct NodeConfig {
    /// The topology's version that it was taken from.
    pub(super) version: u64,
    /// The listeners.
    pub(super) listeners: Vec<Listener>,
    /// The target groups that a rule names, or named before: what is in flight to the targets of
    /// a group goes on when the group is taken out of a rule, and is still cut off at its time.
    /// Sorted, as chance must not depend on the order of a hash.
    pub(super) groups: BTreeMap<String, Arc<TargetGroup>>,
    /// How long either side may be silent.
    pub(super) idle_timeout: Duration,
    /// How long a client's connection may live.
    pub(super) client_keep_alive: Duration,
}

impl NodeConfig {
    /// The part for a load balancer and the groups in `known`, which grows by those that a rule
    /// names. `None` where the topology has no such load balancer.
    fn of(topology: &Topology, load_balancer: &str, known: &mut HashSet<String>) -> Option<Self> {
        let LoadBalancer {
            arn: _,
            nodes: _,
            listeners,
            idle_timeout,
            client_keep_alive,
        } = topology
            .load_balancers
            .iter()
            .find(|one| one.arn == load_balancer)?;
        known.extend(named_groups(listeners).map(str::to_owned));
        Some(Self {
            version: topology.version,
            listeners: listeners.clone(),
            groups: topology
                .target_groups
                .iter()
                .filter(|group| known.contains(&group.arn))
                .map(|group| (group.arn.clone(), Arc::clone(group)))
                .collect(),
            idle_timeout: *idle_timeout,
            client_keep_alive: *client_keep_alive,
        })
    }

    /// The groups that a rule names now: only these are checked and sent to.
    pub(super) fn used_groups(&self) -> HashSet<&str> {
        named_groups(&self.listeners).collect()
    }

    /// Whether a node would behave the same under both.
    fn same_as(&self, other: &Self) -> bool {
        let Self {
            version: _,
            listeners,
            groups,
            idle_timeout,
            client_keep_alive,
        } = self;
        *listeners == other.listeners
            && *groups == other.groups
            && *idle_timeout == other.idle_timeout
            && *client_keep_alive == other.client_keep_alive
    }
}

fn named_groups(listeners: &[Listener]) -> impl Iterator<Item = &str> {
    listeners
        .iter()
        .flat_map(|listener| &listener.rules)
        .flat_map(|rule| match &rule.action {
            Action::Forward(groups) => groups.as_slice(),
            Action::FixedResponse { .. } => &[],
        })
        .map(|group| group.target_group.as_str())
}

/// A node's view of the published topologies: each change comes out after a delay of its own, in
/// the order of publication. The first one comes out at once, as a node starts with what is
/// configured when it starts.
pub(super) struct LateConfig {
    source: watch::Receiver<Arc<Topology>>,
    load_balancer: String,
    known_groups: HashSet<String>,
    clock: Clock,
    propagation: Propagation,
    rng: StdRng,
    last: Option<NodeConfig>,
    /// In the order of publication: a change waits for those before it, however short its delay.
    underway: VecDeque<(Timestamp, NodeConfig)>,
    source_open: bool,
}

impl LateConfig {
    pub(super) fn new(
        source: watch::Receiver<Arc<Topology>>,
        load_balancer: String,
        clock: Clock,
        propagation: Propagation,
        rng: StdRng,
    ) -> Self {
        Self {
            source,
            load_balancer,
            known_groups: HashSet::new(),
            clock,
            propagation,
            rng,
            last: None,
            underway: VecDeque::new(),
            source_open: true,
        }
    }

    /// Waits for the next configuration to take over. `None` when there will be no other.
    pub(super) async fn next(&mut self) -> Option<NodeConfig> {
        if self.last.is_none() {
            let config = self.published()?;
            self.last = Some(config.clone());
            return Some(config);
        }
        loop {
            let due = self.underway.front().map(|(due, _)| *due);
            if due.is_none() && !self.source_open {
                return None;
            }
            tokio::select! {
                biased;
                changed = self.source.changed(), if self.source_open => match changed {
                    Ok(()) => self.enqueue(),
                    Err(_) => self.source_open = false,
                },
                () = self.clock.sleep_until(due.unwrap_or_default()), if due.is_some() => {
                    return self.underway.pop_front().map(|(_, config)| config);
                }
            }
        }
    }

    fn published(&mut self) -> Option<NodeConfig> {
        let topology = Arc::clone(&self.source.borrow_and_update());
        NodeConfig::of(&topology, &self.load_balancer, &mut self.known_groups)
    }

    /// Takes a change on its way. Changes that do not concern this load balancer are left out:
    /// else the rare long delay of one of them would hold up those that do.
    fn enqueue(&mut self) {
        let Some(config) = self.published() else {
            return;
        };
        if self.last.as_ref().is_some_and(|last| last.same_as(&config)) {
            return;
        }
        let delay = self.propagation.draw(&mut self.rng);
        let due = self.clock.now()
            + SignedDuration::try_from(delay).unwrap_or(SignedDuration::from_hours(1));
        self.last = Some(config.clone());
        self.underway.push_back((due, config));
    }
}
