//! What happens by itself.

use super::{Harm, Reg, Sent, World};
use crate::scenario::Scenario;

/// Something that happens by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Event {
    Tick,
    /// A health check passes in a group.
    Healthy(usize, usize),
    /// The n-th command reaches its host.
    Reach(usize),
    /// A health check finds that nothing answers.
    Sick(usize, usize),
    /// The last request on a slot ends.
    Quiet(usize),
    /// The end of an instance lands, which was asked for a moment ago.
    End(usize),
}

impl World {
    /// Everything that can happen now.
    pub(in super::super) fn events(&self, scenario: &Scenario) -> Vec<Event> {
        let ending = self.ending.iter().enumerate();
        let ending = ending.filter(|(_, ending)| **ending);
        let mut events: Vec<Event> = ending.map(|(instance, _)| Event::End(instance)).collect();
        if events.is_empty() {
            events.push(Event::Tick);
        }
        for (index, slot) in self.slots.iter().enumerate() {
            let sick = |number: u8| scenario.sick_versions.contains(&number);
            let can = slot.process.is_some_and(|number| !sick(number));
            for (group, reg) in slot.regs.iter().enumerate() {
                match reg {
                    Reg::Initial | Reg::Unhealthy if can => {
                        events.push(Event::Healthy(index, group));
                    }
                    Reg::Initial | Reg::Healthy if slot.process.is_none() => {
                        events.push(Event::Sick(index, group));
                    }
                    Reg::Absent
                    | Reg::Initial
                    | Reg::Healthy
                    | Reg::Unhealthy
                    | Reg::Invalid
                    | Reg::Draining(_) => {}
                }
            }
            if slot.in_flight && !self.routed(index) {
                events.push(Event::Quiet(index));
            }
        }
        for (index, sent) in self.commands.iter().enumerate() {
            if !sent.done {
                events.push(Event::Reach(index));
            }
        }
        events
    }

    /// Lets something happen. Answers what harm it did.
    pub(in super::super) fn happen(&mut self, scenario: &Scenario, event: Event) -> Harm {
        match event {
            Event::Tick => {
                self.tick(scenario);
                None
            }
            Event::Healthy(slot, group) => {
                self.slots[slot].regs[group] = Reg::Healthy;
                self.slots[slot].in_flight = true;
                None
            }
            Event::Sick(slot, group) => {
                self.slots[slot].regs[group] = Reg::Unhealthy;
                None
            }
            Event::Quiet(slot) => {
                self.slots[slot].in_flight = false;
                None
            }
            Event::End(instance) => self.end(instance),
            Event::Reach(index) => {
                let sent = self.commands[index].clone();
                let lost = self.terminated[self.instance_of(sent.slot)];
                self.commands[index].done = true;
                self.commands[index].lost = lost;
                self.commands.sort();
                if lost { None } else { self.reach(&sent) }
            }
        }
    }

    /// A command on its host. It is idempotent, and a fence that is not new is refused.
    fn reach(&mut self, sent: &Sent) -> Harm {
        let fence: u64 = sent
            .operation
            .rsplit('-')
            .next()
            .and_then(|number| number.parse().ok())
            .expect("an operation id ends with its fence");
        if fence < self.slots[sent.slot].fence {
            return None;
        }
        self.slots[sent.slot].fence = fence;
        if sent.stop {
            return self.stop(sent.slot);
        }
        let slot = &mut self.slots[sent.slot];
        match slot.process {
            Some(running) if running != sent.version => Some(format!(
                "version {} is started on {} while version {running} runs there",
                sent.version,
                self.target(sent.slot),
            )),
            Some(_) | None => {
                slot.process = Some(sent.version);
                slot.died = None;
                None
            }
        }
    }

    fn tick(&mut self, scenario: &Scenario) {
        self.before = None;
        self.fleet_before = None;
        for sent in &mut self.commands {
            sent.fresh = false;
        }
        for slot in &mut self.slots {
            let lingered = slot.lingering > 0;
            slot.lingering = slot.lingering.saturating_sub(1);
            let tailed = slot.tail > 0;
            slot.tail = slot.tail.saturating_sub(1);
            let draining = |regs: &[Reg]| regs.iter().any(|reg| matches!(reg, Reg::Draining(_)));
            let before = draining(&slot.regs);
            for reg in &mut slot.regs {
                *reg = match *reg {
                    Reg::Draining(0 | 1) | Reg::Invalid => Reg::Absent,
                    Reg::Draining(left) => Reg::Draining(left - 1),
                    other => other,
                };
            }
            let over = !draining(&slot.regs) && slot.lingering == 0;
            // What is in flight when the last delay ends, the load balancer cuts off. What a late
            // node sent after that has a delay of its own.
            if over && lingered && !before {
                slot.tail = scenario.delay;
            }
            if over && slot.tail == 0 && (before || tailed) {
                slot.in_flight = false;
            }
        }
    }
}
