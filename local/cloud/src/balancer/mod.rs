//! The data plane of an Application Load Balancer, for HTTP/1.1.
//!
//! Each node of each load balancer is a server of its own: it learns a change of the configuration
//! after a delay of its own, checks the targets by itself, keeps its own connections to them, and
//! routes by what it knows. From this come the failures that a careless release causes, at the
//! same places where the real ones come from.
//!
//! It must never help: no request is retried, no late knowledge is corrected by the truth, and
//! nothing but the published topology is read.

mod answer;
mod config;
mod front;
mod headers;
mod health;
mod node;
mod pool;
mod proxy;
mod relay;
mod route;
mod sticky;
mod task;
#[cfg(test)]
mod tests;
mod tunnel;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bluegreen_net::{Clock, Net};
use rand::{SeedableRng, rngs::StdRng};
use tokio::sync::{mpsc, watch};

pub use config::Propagation;

use self::{config::LateConfig, node::Node, task::Task};
use crate::{
    oracle::Oracle,
    topology::{HealthReport, Topology},
};

/// What is not documented of a real load balancer, or worth trying otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Knobs {
    /// How long a node takes to learn a change.
    pub propagation: Propagation,
    /// What happens to idle connections to a target that is deregistered.
    pub idle_connections: IdleConnections,
    /// How long a connection to a target may take: 10 s.
    pub connect_timeout: Duration,
    /// Whether a node in fail-open also sends to targets that no check has decided on yet.
    pub unchecked_in_fail_open: bool,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            propagation: Propagation::default(),
            idle_connections: IdleConnections::CloseAtOnce,
            connect_timeout: Duration::from_secs(10),
            unchecked_in_fail_open: true,
        }
    }
}

/// What happens to idle connections to a target when a node learns that it is deregistered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdleConnections {
    /// They are closed.
    CloseAtOnce,
    /// They stay, unused, until the idle timeout.
    KeepUntilIdle,
}

/// All nodes of all load balancers. Dropping it stops them and closes their connections.
#[derive(Debug)]
pub struct Balancer {
    learned: Learned,
    _nodes: Task,
    _oracle: Task,
}

/// Which version of the topology each node works from.
#[derive(Debug, Clone, Default)]
struct Learned(Arc<Mutex<BTreeMap<IpAddr, u64>>>);

impl Learned {
    fn note(&self, node: IpAddr, version: u64) {
        self.versions().insert(node, version);
    }

    fn versions(&self) -> std::sync::MutexGuard<'_, BTreeMap<IpAddr, u64>> {
        self.0
            .lock()
            .expect("no code that holds this lock can panic")
    }
}

impl Balancer {
    /// Starts the nodes of every load balancer in the topology, and of those that come later.
    ///
    /// `seed` decides all delays, phases and weighted choices. Reports of the health checks go to
    /// `health`; where that channel is full, the check that has something to say waits.
    #[must_use]
    pub fn spawn(
        net: Net,
        clock: Clock,
        seed: u64,
        knobs: Knobs,
        topology: watch::Receiver<Arc<Topology>>,
        health: mpsc::Sender<HealthReport>,
        oracle: Oracle,
    ) -> Self {
        let learned = Learned::default();
        let follow = Task::spawn(oracle.clone().follow());
        let world = World {
            net,
            clock,
            seed,
            knobs,
            topology,
            health,
            oracle,
            learned: learned.clone(),
        };
        Self {
            learned,
            _nodes: Task::spawn(world.run()),
            _oracle: follow,
        }
    }

    /// The version of the topology that each node works from at this moment. A version that
    /// changed nothing for a node is not counted.
    #[must_use]
    pub fn learned(&self) -> BTreeMap<IpAddr, u64> {
        self.learned.versions().clone()
    }
}

/// What a node is made from.
struct World {
    net: Net,
    clock: Clock,
    seed: u64,
    knobs: Knobs,
    topology: watch::Receiver<Arc<Topology>>,
    health: mpsc::Sender<HealthReport>,
    oracle: Oracle,
    learned: Learned,
}

impl World {
    /// Keeps one task for each node.
    async fn run(mut self) {
        let mut nodes: BTreeMap<(String, IpAddr), Task> = BTreeMap::new();
        loop {
            let topology = Arc::clone(&self.topology.borrow_and_update());
            let wanted: Vec<(String, IpAddr)> = topology
                .load_balancers
                .iter()
                .flat_map(|one| one.nodes.iter().map(|node| (one.arn.clone(), node.address)))
                .collect();
            nodes.retain(|node, _| wanted.contains(node));
            self.learned
                .versions()
                .retain(|address, _| wanted.iter().any(|(_, wanted)| wanted == address));
            for (load_balancer, address) in wanted {
                nodes
                    .entry((load_balancer.clone(), address))
                    .or_insert_with(|| self.start(load_balancer, address));
            }
            if self.topology.changed().await.is_err() {
                // The control plane is gone; the nodes go on with what they know.
                std::future::pending::<()>().await;
            }
        }
    }

    fn start(&self, load_balancer: String, address: IpAddr) -> Task {
        let configs = LateConfig::new(
            self.topology.clone(),
            load_balancer,
            self.clock.clone(),
            self.knobs.propagation,
            self.rng(address, 0),
        );
        let node = Node::new(
            address,
            (self.net.clone(), self.clock.clone()),
            self.knobs.clone(),
            self.oracle.clone(),
            self.health.clone(),
            self.rng(address, 1),
        );
        let phases = self.rng(address, 2);
        Task::spawn(node::run(node, configs, phases, self.learned.clone()))
    }

    /// A random stream of its own for each node and use, so that the number of requests does not
    /// change the delays and the phases.
    fn rng(&self, address: IpAddr, stream: u64) -> StdRng {
        let bits = match address {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            IpAddr::V6(address) => {
                let octets = address.octets();
                octets.iter().fold(0, |bits: u64, octet| {
                    bits.rotate_left(7) ^ u64::from(*octet)
                })
            }
        };
        StdRng::seed_from_u64(self.seed ^ bits.rotate_left(16) ^ (stream << 56))
    }
}
