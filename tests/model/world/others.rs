//! What others do to the fleet and to its target groups.

use super::{Reg, World};

/// What somebody else does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Deed {
    /// Takes the tags off an instance.
    Untag(usize),
    /// Puts them back.
    Retag(usize),
    /// Registers a slot on which something runs in a group.
    Register(usize, usize),
}

impl World {
    /// Everything that others can do now.
    pub(in super::super) fn deeds(&self) -> Vec<Deed> {
        let tags = self.untagged.iter().enumerate();
        let mut deeds: Vec<Deed> = tags
            .map(|(index, untagged)| match untagged {
                true => Deed::Retag(index),
                false => Deed::Untag(index),
            })
            .collect();
        for (index, slot) in self.slots.iter().enumerate() {
            let groups = slot.regs.iter().enumerate();
            // What is registered while its stop is on its way is lost, whoever is careful.
            let ending = self
                .commands
                .iter()
                .any(|c| !c.done && c.stop && c.slot == index);
            let missing =
                groups.filter(|(_, reg)| !reg.registered() && slot.process.is_some() && !ending);
            deeds.extend(missing.map(|(group, _)| Deed::Register(index, group)));
        }
        deeds
    }

    /// Lets others do something.
    pub(in super::super) fn meddle(&mut self, deed: Deed) {
        match deed {
            Deed::Untag(instance) => self.untagged[instance] = true,
            Deed::Retag(instance) => self.untagged[instance] = false,
            Deed::Register(slot, group) => {
                self.remember();
                self.slots[slot].regs[group] = Reg::Initial;
            }
        }
    }
}
