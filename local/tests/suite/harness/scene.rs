//! What a world is like, in a few words.

use std::{collections::BTreeMap, time::Duration};

use bluegreen_app::load::{self, Mix, RequestClass};
use bluegreen_cloud::{
    Hostility,
    balancer::{Knobs, Propagation},
    scene::{GroupPlan, HostPlan, Plan},
};

use super::apps::Behaviour;

/// The version that is live at first.
pub(crate) const OLD: &str = "1.7.3";
/// The version that is released.
pub(crate) const NEW: &str = "1.8.0";
/// Yet another version.
pub(crate) const THIRD: &str = "1.9.0";
/// The name of everything.
pub(crate) const NAME: &str = "snackgame";
/// The tag that says which version an instance runs, where others create the instances.
pub(crate) const VERSION_TAG: &str = "Version";

/// Where the targets come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fleet {
    /// Hosts whose process is replaced.
    Hosts,
    /// Instances that others create: as many again for the new version.
    Existing,
}

/// What a world is like. All durations are virtual.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    pub(crate) hosts: usize,
    /// Hosts besides that carry the tag and run nothing.
    pub(crate) spare: usize,
    pub(crate) ports: Vec<u16>,
    /// Where the application listens behind a program on `ports`, one for each; none: on `ports`.
    pub(crate) application_ports: Vec<u16>,
    pub(crate) groups: usize,
    pub(crate) fleet: Fleet,
    pub(crate) delay: Duration,
    pub(crate) check_interval: Duration,
    pub(crate) hostility: Hostility,
    pub(crate) knobs: Knobs,
    /// One way between the controller and AWS, in seconds; to the API server it is a fifth.
    pub(crate) latency: (f64, f64),
    pub(crate) behaviours: BTreeMap<String, Behaviour>,
    /// Clients that keep a connection, clients that do not, and the pause between requests.
    pub(crate) clients: (usize, usize, Duration),
    pub(crate) mix: Mix,
    /// Whether the controller may ask the hosts.
    pub(crate) reachable: bool,
}

impl Scene {
    /// Three hosts, one port, everything as it is in the field.
    pub(crate) fn in_place() -> Self {
        let behaviour = Behaviour {
            startup: Duration::from_secs(5),
            keep_alive: Duration::from_secs(75),
            ..Behaviour::default()
        };
        let behaviours = [OLD, NEW, THIRD].map(|version| (version.to_owned(), behaviour.clone()));
        Self {
            hosts: 3,
            spare: 0,
            ports: vec![8080],
            application_ports: Vec::new(),
            groups: 1,
            fleet: Fleet::Hosts,
            delay: Duration::from_secs(60),
            check_interval: Duration::from_secs(5),
            hostility: Hostility::realistic(),
            knobs: Knobs::default(),
            latency: (0.005, 0.06),
            behaviours: behaviours.into(),
            clients: (3, 2, Duration::from_millis(700)),
            mix: Mix {
                classes: vec![
                    RequestClass::new(0.80, 20, 100),
                    RequestClass::new(0.15, 500, 3_000),
                    RequestClass::new(0.05, 5_000, 15_000),
                ],
            },
            reachable: true,
        }
    }

    /// The same with two ports.
    pub(crate) fn side_by_side() -> Self {
        Self {
            ports: vec![8080, 8081],
            ..Self::in_place()
        }
    }

    /// The same with a program, such as nginx, on port 80 in front of the application on 8080.
    pub(crate) fn behind_a_front() -> Self {
        Self {
            ports: vec![80],
            application_ports: vec![8080],
            ..Self::in_place()
        }
    }

    /// For each port of the application that a front hands requests to, the front's own.
    pub(crate) fn fronts(&self) -> BTreeMap<u16, u16> {
        let pairs = self.application_ports.iter().zip(&self.ports);
        pairs
            .map(|(application, registered)| (*application, *registered))
            .collect()
    }

    /// The port on which the application of a target listens.
    pub(crate) fn application_port(&self, registered: u16) -> u16 {
        let mut pairs = self.ports.iter().zip(&self.application_ports);
        let found = pairs.find(|(port, _)| **port == registered);
        found.map_or(registered, |(_, application)| *application)
    }

    /// The same with instances that others create.
    pub(crate) fn existing() -> Self {
        Self {
            fleet: Fleet::Existing,
            ..Self::in_place()
        }
    }

    /// As small and short as a release can be, for tests that make many: nodes learn within
    /// twelve seconds, and `settle` is 15 s.
    pub(crate) fn short(self) -> Self {
        Self {
            hosts: 2,
            delay: Duration::from_secs(15),
            knobs: Knobs {
                propagation: Propagation {
                    longest: Duration::from_secs(8),
                    tail: Duration::from_secs(12),
                    ..Propagation::default()
                },
                ..Knobs::default()
            },
            clients: (1, 1, Duration::from_secs(2)),
            mix: Mix::only(20, 4_000),
            ..self
        }
    }

    /// Nothing lags by itself but what takes its time in the field too.
    pub(crate) fn calm(self) -> Self {
        Self {
            hostility: Hostility {
                stale_probability: 0.0,
                throttling: false,
                ..Hostility::realistic()
            },
            latency: (0.02, 0.02),
            ..self
        }
    }

    /// Changes how a version behaves.
    pub(crate) fn behaving(
        mut self,
        version: &str,
        change: impl FnOnce(Behaviour) -> Behaviour,
    ) -> Self {
        let behaviour = self.behaviours.remove(version).unwrap_or_default();
        self.behaviours
            .insert(version.to_owned(), change(behaviour));
        self
    }

    /// The names of the target groups.
    pub(crate) fn group_names(&self) -> Vec<String> {
        let names = (0..self.groups).map(|index| match index {
            0 => NAME.to_owned(),
            _ => format!("{NAME}-{index}"),
        });
        names.collect()
    }

    /// What the cloud is to build.
    pub(crate) fn plan(&self) -> Plan {
        let mut plan = Plan::simple(NAME, self.ports[0], self.hosts + self.spare);
        plan.groups = self
            .group_names()
            .iter()
            .map(|name| GroupPlan {
                check_path: "/health".to_owned(),
                check_interval: self.check_interval,
                deregistration_delay: self.delay,
                ..GroupPlan::new(name, self.ports[0])
            })
            .collect();
        if self.fleet == Fleet::Existing {
            let tagged = |version: &str, host: &HostPlan| {
                let mut host = host.clone();
                host.tags.insert(VERSION_TAG.to_owned(), version.to_owned());
                host
            };
            let old = plan.hosts.iter().map(|host| tagged(OLD, host));
            let new = plan.hosts.iter().map(|host| tagged(NEW, host));
            plan.hosts = old.chain(new).collect();
        }
        plan
    }

    /// How many targets stay healthy in every group while it is released.
    pub(crate) fn floor(&self) -> usize {
        match (self.fleet, self.ports.len()) {
            (Fleet::Hosts, 1) => self.hosts - 1,
            (Fleet::Hosts | Fleet::Existing, _) => self.hosts,
        }
    }

    /// The load on these addresses.
    pub(crate) fn load(&self, addresses: Vec<std::net::SocketAddr>, seed: u64) -> load::Config {
        let (kept, new, pause) = self.clients;
        load::Config {
            keep_alive_workers: kept,
            new_connection_workers: new,
            arrivals_per_second: 0.0,
            pause,
            mix: self.mix.clone(),
            duration: Duration::from_secs(24 * 3_600),
            max_requests: u64::MAX,
            seed,
            ..load::Config::against(addresses)
        }
    }
}
