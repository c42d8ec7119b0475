//! AWS and the hosts, as small as they can be.
//!
//! Everything that can happen at its own time is an event that the explorer may let happen or
//! not: a health check that passes, a command that reaches its host, a request that ends, a tick.

mod events;
mod others;
mod seen;

use bluegreen_api::{StepKind, Time};
use bluegreen_plan::{Step, TargetId};

use super::scenario::Scenario;

pub(super) use events::Event;
pub(super) use others::Deed;

/// The model's "now": time stands still, and everything else grows older.
pub(super) const NOW: Time = Time::from_millis(1_000_000_000);

/// The port of a fleet that has one.
const ONLY_PORT: u16 = 8080;

/// What a target group says of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Reg {
    Absent,
    Initial,
    Healthy,
    /// So many ticks are left of the delay.
    Draining(u8),
}

impl Reg {
    pub(super) fn registered(self) -> bool {
        matches!(self, Self::Initial | Self::Healthy)
    }
}

/// A port of a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    /// The number of the version that runs there.
    pub(super) process: Option<u8>,
    /// Whether a request may be in flight.
    pub(super) in_flight: bool,
    /// For so many ticks nodes may go on sending to it although it is deregistered.
    pub(super) lingering: u8,
    /// In so many ticks the load balancer cuts off what late nodes have sent.
    pub(super) tail: u8,
    /// In each target group.
    pub(super) regs: Vec<Reg>,
    /// The highest fence of a command that reached it.
    pub(super) fence: u64,
}

/// A command that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Sent {
    pub(super) operation: String,
    pub(super) stop: bool,
    pub(super) version: u8,
    pub(super) slot: usize,
    pub(super) done: bool,
    /// Sent since the last tick: a stale reading does not show it.
    pub(super) fresh: bool,
}

/// The world.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) slots: Vec<Slot>,
    pub(super) commands: Vec<Sent>,
    /// Instances that were terminated, where others create them.
    pub(super) terminated: Vec<bool>,
    /// Those whose end was asked for by a process that did not live to see the call return. It lands
    /// before the next tick.
    pub(super) ending: Vec<bool>,
    /// Instances that somebody took the tags off.
    pub(super) untagged: Vec<bool>,
    /// What a stale reading shows: the registrations before the last change within a tick.
    pub(super) before: Option<Vec<Vec<Reg>>>,
}

/// Something that must never happen, in the world's own eyes.
pub(super) type Harm = Option<String>;

impl World {
    /// Version 1 runs everywhere, registered and healthy.
    pub(super) fn begin(scenario: &Scenario) -> Self {
        let existing = scenario.spec.fleet.existing.is_some();
        let ports = scenario
            .spec
            .fleet
            .hosts
            .as_ref()
            .map_or(1, |hosts| hosts.ports.len());
        let instances = if existing {
            scenario.hosts * 3
        } else {
            scenario.hosts
        };
        let mut slots = Vec::new();
        for instance in 0..instances {
            for port in 0..ports {
                let live = port == 0 && (!existing || instance < scenario.hosts);
                let runs = if existing {
                    Some(u8::try_from(instance / scenario.hosts).expect("three versions") + 1)
                } else {
                    live.then_some(1)
                };
                let reg = if live { Reg::Healthy } else { Reg::Absent };
                slots.push(Slot {
                    process: runs,
                    in_flight: live,
                    lingering: 0,
                    tail: 0,
                    regs: vec![reg; scenario.groups],
                    fence: 0,
                });
            }
        }
        Self {
            slots,
            commands: Vec::new(),
            terminated: vec![false; instances],
            ending: vec![false; instances],
            untagged: vec![false; instances],
            before: None,
        }
    }

    fn ports(&self) -> usize {
        self.slots.len() / self.terminated.len()
    }

    pub(super) fn target(&self, slot: usize) -> TargetId {
        TargetId {
            id: format!("i-{}", slot / self.ports()),
            port: ONLY_PORT + u16::try_from(slot % self.ports()).expect("at most two ports"),
        }
    }

    pub(super) fn slot_of(&self, target: &TargetId) -> Option<usize> {
        (0..self.slots.len()).find(|slot| self.target(*slot) == *target)
    }

    pub(super) fn instance_of(&self, slot: usize) -> usize {
        slot / self.ports()
    }

    /// Whether a load balancer's node may send a request to it.
    pub(super) fn routed(&self, slot: usize) -> bool {
        let slot = &self.slots[slot];
        slot.lingering > 0 || slot.regs.contains(&Reg::Healthy)
    }

    /// In how many slots a group has a healthy target.
    pub(super) fn healthy_in(&self, group: usize) -> usize {
        self.slots
            .iter()
            .filter(|slot| slot.regs[group] == Reg::Healthy && slot.process.is_some())
            .count()
    }

    /// Executes an effect. Answers what harm it did.
    pub(super) fn execute(&mut self, scenario: &Scenario, step: &Step) -> Harm {
        match step {
            Step::Claim { .. } | Step::RemoveFinalizer => None,
            Step::Register { group, targets } => {
                self.remember();
                targets
                    .iter()
                    .find_map(|target| self.register(*group, target))
            }
            Step::Deregister { group, targets } => {
                self.remember();
                let before = self.healthy_in(*group);
                for target in targets {
                    self.deregister(scenario, *group, target);
                }
                let after = self.healthy_in(*group);
                (before > 0 && after == 0)
                    .then(|| format!("deregistering {targets:?} leaves no healthy target"))
            }
            Step::Send(command) => {
                for id in &command.instances {
                    let port = Self::port_of(command);
                    let target = TargetId {
                        id: id.clone(),
                        port,
                    };
                    let Some(slot) = self.slot_of(&target) else {
                        return Some(format!("a command is sent to {target}: no such port"));
                    };
                    let number = command.parameters.get("version");
                    self.commands.push(Sent {
                        operation: command.operation.clone(),
                        stop: command.kind == StepKind::Stop,
                        version: number.map_or(0, |v| v[1..].parse().unwrap_or(0)),
                        slot,
                        done: false,
                        fresh: true,
                    });
                }
                self.commands.sort();
                None
            }
            Step::Terminate { instances } => {
                let ending = self.instances(instances);
                ending.into_iter().find_map(|instance| self.end(instance))
            }
        }
    }

    /// The same, but that what takes a call for each instance is still under way.
    pub(super) fn ask_for(&mut self, scenario: &Scenario, step: &Step) -> Harm {
        let Step::Terminate { instances } = step else {
            return self.execute(scenario, step);
        };
        for instance in self.instances(instances) {
            self.ending[instance] = true;
        }
        None
    }

    fn instances(&self, ids: &[String]) -> Vec<usize> {
        let all = 0..self.terminated.len();
        all.filter(|instance| ids.contains(&format!("i-{instance}")))
            .collect()
    }

    fn end(&mut self, instance: usize) -> Harm {
        self.ending[instance] = false;
        self.terminated[instance] = true;
        let slots = 0..self.slots.len();
        let slots: Vec<usize> = slots
            .filter(|slot| self.instance_of(*slot) == instance)
            .collect();
        slots.into_iter().find_map(|slot| self.stop(slot))
    }

    /// The port is a parameter, or in the unit's name. A unit without one is the only one.
    fn port_of(command: &bluegreen_plan::SendCommand) -> u16 {
        let port = command
            .parameters
            .get("port")
            .or(command.parameters.get("unit"));
        port.and_then(|text| {
            text.rsplit('@')
                .next()?
                .trim_end_matches(".service")
                .parse()
                .ok()
        })
        .unwrap_or(ONLY_PORT)
    }

    fn remember(&mut self) {
        self.before = Some(self.slots.iter().map(|slot| slot.regs.clone()).collect());
    }

    fn register(&mut self, group: usize, target: &TargetId) -> Harm {
        let Some(slot) = self.slot_of(target) else {
            return Some(format!("{target} is registered: no such port"));
        };
        let reg = &mut self.slots[slot].regs[group];
        if !reg.registered() {
            *reg = Reg::Initial;
        }
        self.slots[slot]
            .process
            .is_none()
            .then(|| format!("{target} is registered while no process runs on it"))
    }

    fn deregister(&mut self, scenario: &Scenario, group: usize, target: &TargetId) {
        let Some(index) = self.slot_of(target) else {
            return;
        };
        let slot = &mut self.slots[index];
        let reg = slot.regs[group];
        if !reg.registered() {
            return;
        }
        slot.regs[group] = match scenario.delay {
            0 => Reg::Absent,
            delay => Reg::Draining(delay),
        };
        if reg == Reg::Healthy {
            slot.lingering = scenario.settle;
            slot.in_flight = true;
        }
    }

    fn stop(&mut self, slot: usize) -> Harm {
        let target = self.target(slot);
        let routed = self.routed(slot);
        let state = &mut self.slots[slot];
        let harm = if state.process.is_none() {
            None
        } else if state.regs.iter().any(|reg| reg.registered()) {
            Some(format!("{target} is stopped while it is registered"))
        } else if routed {
            Some(format!("{target} is stopped while nodes may send to it"))
        } else if state.in_flight {
            Some(format!("{target} is stopped with a request in flight"))
        } else {
            None
        };
        state.process = None;
        state.in_flight = false;
        harm
    }
}
