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
pub(super) use others::{Deed, Kind};
pub(super) use seen::Look;

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
    /// The health check has found that nothing answers.
    Unhealthy,
    /// Its instance was terminated a moment ago.
    Invalid,
    /// So many ticks are left of the delay.
    Draining(u8),
}

impl Reg {
    pub(super) fn registered(self) -> bool {
        matches!(
            self,
            Self::Initial | Self::Healthy | Self::Unhealthy | Self::Invalid
        )
    }
}

/// A port of a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    /// The number of the version that runs there.
    pub(super) process: Option<u8>,
    /// The same of a process that has died by itself, until it is stopped or started.
    pub(super) died: Option<u8>,
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
    /// Its host ended before it, so that it was never delivered.
    pub(super) lost: bool,
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
    /// Instances that others took the tags off.
    pub(super) untagged: Vec<bool>,
    /// The version in the tag of each instance, where others create them.
    pub(super) tags: Vec<u8>,
    /// Whether another release that comes first has all targets.
    pub(super) claimed: bool,
    /// Whether others have done something after which an end need not be whole.
    pub(super) meddled: bool,
    /// What a stale reading shows: the registrations before the last change within a tick.
    pub(super) before: Option<Vec<Vec<Reg>>>,
    /// What a stale reading of the fleet shows: the instances before the last change within a tick.
    pub(super) fleet_before: Option<Box<Fleet>>,
}

/// The instances, as AWS lists them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Fleet {
    pub(super) terminated: Vec<bool>,
    pub(super) untagged: Vec<bool>,
    pub(super) tags: Vec<u8>,
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
                    died: None,
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
            claimed: false,
            tags: (0..instances)
                .filter(|_| existing)
                .map(|instance| {
                    u8::try_from(instance / scenario.hosts).expect("three versions") + 1
                })
                .collect(),
            meddled: false,
            before: None,
            fleet_before: None,
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
                (before > 0 && after == 0 && !self.unnoticed(*group))
                    .then(|| format!("deregistering {targets:?} leaves no healthy target"))
            }
            Step::Send(command) => {
                let mut stopped = Vec::new();
                for id in &command.instances {
                    let port = Self::port_of(command);
                    let target = TargetId {
                        id: id.clone(),
                        port,
                    };
                    let Some(slot) = self.slot_of(&target) else {
                        return Some(format!("a command is sent to {target}: no such port"));
                    };
                    stopped.push(slot);
                    let lost = self.terminated[self.instance_of(slot)];
                    let number = command.parameters.get("version");
                    self.commands.push(Sent {
                        operation: command.operation.clone(),
                        stop: command.kind == StepKind::Stop,
                        version: number.map_or(0, |v| v[1..].parse().unwrap_or(0)),
                        slot,
                        done: lost,
                        lost,
                        fresh: true,
                    });
                }
                self.commands.sort();
                let stops = command.kind == StepKind::Stop;
                let harm = stops.then(|| self.leaves_none(scenario, &stopped));
                harm.flatten()
            }
            Step::Terminate { instances } => {
                let ending = self.instances(instances);
                let slots = 0..self.slots.len();
                let slots = slots.filter(|slot| ending.contains(&self.instance_of(*slot)));
                let harm = self.leaves_none(scenario, &slots.collect::<Vec<_>>());
                self.remember_fleet(scenario);
                let ends = ending.into_iter().map(|instance| self.end(instance));
                ends.fold(harm, Harm::or)
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

    /// Whether a process of a healthy target of a group has died, and no health check has found that.
    fn unnoticed(&self, group: usize) -> bool {
        let mut slots = self.slots.iter();
        slots.any(|slot| slot.regs[group] == Reg::Healthy && slot.process.is_none())
    }

    /// Stopping processes that could serve, while no target of a group serves.
    fn leaves_none(&self, scenario: &Scenario, stopped: &[usize]) -> Harm {
        let could_serve = |slot: &&usize| {
            let process = self.slots[**slot].process;
            let asked = self.commands.iter().filter(|c| c.stop && c.slot == **slot);
            process.is_some_and(|version| !scenario.sick_versions.contains(&version))
                && asked.count() < 2
        };
        let slot = stopped.iter().find(could_serve)?;
        let groups = 0..scenario.groups;
        let group = groups
            .into_iter()
            .find(|group| self.healthy_in(*group) == 0 && !self.unnoticed(*group))?;
        Some(format!(
            "{} is stopped while no one serves in group {group}",
            self.target(*slot)
        ))
    }

    fn remember_fleet(&mut self, scenario: &Scenario) {
        if scenario.looks.contains(&Look::OldFleet) {
            self.fleet_before = Some(Box::new(Fleet {
                terminated: self.terminated.clone(),
                untagged: self.untagged.clone(),
                tags: self.tags.clone(),
            }));
        }
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
        let ended = self.terminated[self.instance_of(slot)];
        let slot = &self.slots[slot];
        (slot.process.is_none() && slot.died.is_none() && !ended)
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
        state.died = None;
        state.in_flight = false;
        harm
    }
}
