//! What became of each registration and of each process, so that a routing can be judged.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;
use serde::Serialize;

use super::record::{ProcessEnd, Truth};
use crate::topology::{TargetKey, TargetPhase, Topology};

/// How many ended registrations are remembered. A node that still routes to one learns of its end
/// within a minute, so only the latest matter.
const GONE_REMEMBERED: usize = 1_024;

/// A registration: a target in a target group.
type Registration = (String, TargetKey);

/// The registrations as the control plane published them, with the times of their changes.
#[derive(Debug, Default)]
pub(super) struct Registrations {
    seen: Option<Arc<Topology>>,
    present: BTreeMap<Registration, Present>,
    gone: VecDeque<(Registration, Timestamp)>,
}

#[derive(Debug, Clone, Copy)]
enum Present {
    Registering,
    Registered,
    Draining { since: Timestamp },
}

impl Registrations {
    /// Takes over what is published now; cheap where it is what was seen last.
    pub(super) fn observe(&mut self, topology: &Arc<Topology>, now: Timestamp) {
        if self
            .seen
            .as_ref()
            .is_some_and(|seen| Arc::ptr_eq(seen, topology))
        {
            return;
        }
        self.seen = Some(Arc::clone(topology));
        let mut earlier = std::mem::take(&mut self.present);
        for group in &topology.target_groups {
            for target in &group.targets {
                let registration = (group.arn.clone(), target.key.clone());
                let before = earlier.remove(&registration);
                let present = match (target.phase, before) {
                    (TargetPhase::Registering, _) => Present::Registering,
                    (TargetPhase::Active, _) => Present::Registered,
                    (TargetPhase::Draining { .. }, Some(draining @ Present::Draining { .. })) => {
                        draining
                    }
                    (TargetPhase::Draining { .. }, _) => Present::Draining { since: now },
                };
                self.present.insert(registration, present);
            }
        }
        for (registration, before) in earlier {
            let since = match before {
                Present::Draining { since } => since,
                Present::Registering | Present::Registered => now,
            };
            self.gone.push_back((registration, since));
        }
        while self.gone.len() > GONE_REMEMBERED {
            self.gone.pop_front();
        }
    }

    /// Whether a target is registered in any group, or being registered.
    pub(super) fn is_registered(&self, instance: &str, port: u16) -> bool {
        self.present
            .iter()
            .any(|((_, target), present)| match present {
                Present::Registering | Present::Registered => {
                    target.id == instance && target.port == port
                }
                Present::Draining { .. } => false,
            })
    }

    /// Where a target stands in a group.
    pub(super) fn truth(&self, group: &str, target: &TargetKey, now: Timestamp) -> Truth {
        let registration = (group.to_owned(), target.clone());
        let seconds = |since: Timestamp| now.duration_since(since).as_secs_f64();
        match self.present.get(&registration) {
            Some(Present::Registering) => Truth::Registering,
            Some(Present::Registered) => Truth::Registered,
            Some(Present::Draining { since }) => Truth::Draining {
                seconds: seconds(*since),
            },
            None => {
                let ended = self
                    .gone
                    .iter()
                    .rev()
                    .find(|(gone, _)| *gone == registration);
                Truth::Gone {
                    seconds: ended.map_or(0.0, |(_, since)| seconds(*since)),
                }
            }
        }
    }
}

/// What happened to one port of an instance. All its registrations are counted together.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetHistory {
    /// Requests that were sent to it.
    pub requests: u64,
    /// Those of them that failed, by the balancer or with a 5xx of the target.
    pub failed: u64,
    /// Requests that it has at this moment.
    pub in_flight: u64,
    /// Requests that were sent to it while it was deregistered.
    pub routed_while_withdrawn: u64,
    /// When a request was last sent to it.
    pub last_routed: Option<Timestamp>,
    /// When a request to it last ended.
    pub last_ended: Option<Timestamp>,
    /// What is known of its process.
    pub process: ProcessState,
}

/// What the hosts said of a target's process last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum ProcessState {
    /// Nothing was said.
    #[default]
    Unknown,
    /// It runs.
    Running {
        /// When it was started.
        since: Timestamp,
    },
    /// It was sent SIGTERM.
    Terminating {
        /// When the signal was sent.
        since: Timestamp,
    },
    /// It ended.
    Stopped {
        /// When it ended.
        since: Timestamp,
        /// How it ended.
        end: ProcessEnd,
    },
}
