//! What others do to the fleet and to its target groups: people, other tools, and what dies by itself.

use super::{Reg, World};
use crate::scenario::Scenario;

/// What others do, or what befalls the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Deed {
    /// Takes the tags off an instance.
    Untag(usize),
    /// Puts them back.
    Retag(usize),
    /// Registers a slot on which something runs in a group.
    Register(usize, usize),
    /// Deregisters a live target from a group.
    Deregister(usize, usize),
    /// A process dies.
    Kill(usize),
    /// What supervises it starts it again.
    Revive(usize),
    /// An instance is terminated.
    Vanish(usize),
    /// The version in the tag of an instance becomes another one.
    TagVersion(usize, u8),
    /// Another release that comes first names the same targets.
    Claim,
    /// It is gone.
    LetGo,
}

/// A kind of deed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Kind {
    /// `Untag`, `Retag`.
    Tags,
    /// `Register`.
    Registers,
    /// `Deregister`.
    Deregisters,
    /// `Kill`, `Revive`.
    Deaths,
    /// `Vanish`.
    Terminations,
    /// `TagVersion`.
    Versions,
    /// `Claim`, `LetGo`.
    Claims,
}

impl Deed {
    /// Whether it repairs something that others have done. That happens in the end, for nothing.
    pub(in super::super) fn repairs(self) -> bool {
        match self {
            Self::Retag(_) | Self::Revive(_) | Self::LetGo => true,
            Self::Untag(_)
            | Self::Register(..)
            | Self::Deregister(..)
            | Self::Kill(_)
            | Self::Vanish(_)
            | Self::TagVersion(..)
            | Self::Claim => false,
        }
    }
}

impl World {
    /// Everything that others can do now.
    pub(in super::super) fn deeds(&self, scenario: &Scenario) -> Vec<Deed> {
        let mut deeds: Vec<Deed> = Vec::new();
        for kind in scenario.deeds {
            match kind {
                Kind::Tags => {
                    deeds.extend(self.untagged.iter().enumerate().map(|(index, untagged)| {
                        match untagged {
                            true => Deed::Retag(index),
                            false => Deed::Untag(index),
                        }
                    }))
                }
                Kind::Registers => self.each_slot(&mut deeds, |slot, reg| {
                    let runs = self.slots[slot].process.is_some();
                    !reg.registered() && runs && !self.ending(slot)
                }),
                Kind::Deregisters => {
                    let mut others = Vec::new();
                    self.each_slot(&mut others, |slot, reg| {
                        reg.registered() && self.slots[slot].process.is_some()
                    });
                    deeds.extend(others.into_iter().map(|deed| match deed {
                        Deed::Register(slot, group) => Deed::Deregister(slot, group),
                        other => other,
                    }));
                }
                Kind::Deaths => {
                    for (index, slot) in self.slots.iter().enumerate() {
                        if slot.process.is_some() {
                            deeds.push(Deed::Kill(index));
                        } else if slot.died.is_some() {
                            deeds.push(Deed::Revive(index));
                        }
                    }
                }
                Kind::Terminations => {
                    let alive = (0..self.terminated.len()).filter(|i| !self.terminated[*i]);
                    deeds.extend(alive.map(Deed::Vanish));
                }
                Kind::Claims => deeds.push(if self.claimed {
                    Deed::LetGo
                } else {
                    Deed::Claim
                }),
                Kind::Versions => {
                    let tagged = self.tags.iter().enumerate();
                    let tagged = tagged.filter(|(index, _)| !self.terminated[*index]);
                    deeds.extend(tagged.flat_map(|(index, tag)| {
                        let others = (1..=3).filter(move |version| version != tag);
                        others.map(move |version| Deed::TagVersion(index, version))
                    }));
                }
            }
        }
        deeds
    }

    /// Adds a registration of each slot in each group that is asked for.
    fn each_slot(&self, deeds: &mut Vec<Deed>, wanted: impl Fn(usize, Reg) -> bool) {
        for (index, slot) in self.slots.iter().enumerate() {
            let groups = slot.regs.iter().enumerate();
            let found = groups.filter(|(_, reg)| wanted(index, **reg));
            deeds.extend(found.map(|(group, _)| Deed::Register(index, group)));
        }
    }

    /// Whether a stop is on its way to a slot: what is registered meanwhile is lost.
    fn ending(&self, slot: usize) -> bool {
        let mut sent = self.commands.iter();
        sent.any(|c| !c.done && c.stop && c.slot == slot)
    }

    /// Lets others do something.
    pub(in super::super) fn meddle(&mut self, scenario: &Scenario, deed: Deed) {
        self.meddled |= scenario.deeds != [Kind::Tags, Kind::Registers];
        match deed {
            Deed::Untag(instance) => {
                self.remember_fleet(scenario);
                self.untagged[instance] = true;
            }
            Deed::Retag(instance) => {
                self.remember_fleet(scenario);
                self.untagged[instance] = false;
            }
            Deed::Register(slot, group) => {
                self.remember();
                self.slots[slot].regs[group] = Reg::Initial;
            }
            Deed::Deregister(slot, group) => {
                self.remember();
                let target = self.target(slot);
                self.deregister(scenario, group, &target);
            }
            Deed::Kill(slot) => {
                let slot = &mut self.slots[slot];
                slot.died = slot.process.take();
                slot.in_flight = false;
            }
            Deed::Revive(slot) => {
                let slot = &mut self.slots[slot];
                slot.process = slot.died.take();
            }
            Deed::Vanish(instance) => {
                self.remember_fleet(scenario);
                self.vanish(instance);
            }
            Deed::Claim => self.claimed = true,
            Deed::LetGo => self.claimed = false,
            Deed::TagVersion(instance, version) => {
                self.remember_fleet(scenario);
                self.tags[instance] = version;
            }
        }
    }

    /// An instance ends. ELB takes its targets off the groups within a tick.
    fn vanish(&mut self, instance: usize) {
        self.ending[instance] = false;
        self.terminated[instance] = true;
        let ports = self.slots.len() / self.terminated.len();
        for slot in &mut self.slots[instance * ports..(instance + 1) * ports] {
            slot.process = None;
            slot.died = None;
            slot.in_flight = false;
            for reg in &mut slot.regs {
                if *reg != Reg::Absent {
                    *reg = Reg::Invalid;
                }
            }
        }
    }
}
