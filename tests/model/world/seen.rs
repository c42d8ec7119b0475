//! What a process reads of the world.

use std::collections::BTreeMap;

use bluegreen_api::StopHow;
use bluegreen_plan::{
    CommandState, Failure, FailureKind, Group, GroupSettings, Health, Instance, InstanceState,
    Invocation, LoadBalancerKind, Observation, Pace, ProbeReading, Reading, StopReport, TargetId,
};

use super::{NOW, Reg, World};
use crate::scenario::{Scenario, TICK, group, version};

impl World {
    pub(in super::super) fn observe(
        &self,
        scenario: &Scenario,
        needs: &bluegreen_plan::Needs,
        stale: bool,
    ) -> Observation {
        let current: Vec<Vec<Reg>> = self.slots.iter().map(|slot| slot.regs.clone()).collect();
        let seen = if stale {
            self.before.as_ref().unwrap_or(&current)
        } else {
            &current
        };
        Observation {
            began_at: NOW,
            fleet: Reading::Known(self.fleet(scenario)),
            groups: (0..scenario.groups)
                .map(|index| Reading::Known(self.group(scenario, index, seen)))
                .collect(),
            commands: needs
                .commands
                .iter()
                .map(|(id, _)| (id.clone(), Reading::Known(self.command(id, stale))))
                .collect(),
            probes: needs
                .probes
                .iter()
                .filter_map(|target| Some((target.clone(), self.probe(target)?)))
                .collect(),
            agents: Reading::Unknown(not_asked()),
            documents: BTreeMap::new(),
            pace: Pace::default(),
            last_effect: None,
        }
    }

    fn fleet(&self, scenario: &Scenario) -> Vec<Instance> {
        let existing = scenario.spec.fleet.existing.is_some();
        (0..self.terminated.len())
            .filter(|index| !self.untagged[*index])
            .map(|index| Instance {
                id: format!("i-{index}"),
                zone: "a".to_owned(),
                state: if self.terminated[index] {
                    InstanceState::Terminated
                } else {
                    InstanceState::Running
                },
                address: None,
                version: existing
                    .then(|| self.slots[index].process)
                    .flatten()
                    .map(version),
            })
            .collect()
    }

    fn group(&self, scenario: &Scenario, index: usize, seen: &[Vec<Reg>]) -> Group {
        let mut targets = BTreeMap::new();
        for (slot, regs) in seen.iter().enumerate() {
            let health = match regs[index] {
                Reg::Absent => continue,
                Reg::Initial => Health::Initial,
                Reg::Healthy if self.slots[slot].process.is_none() => Health::Unhealthy,
                Reg::Healthy => Health::Healthy,
                Reg::Draining(_) => Health::Draining,
            };
            targets.insert(self.target(slot), health);
        }
        Group {
            name: group(index),
            load_balancer: LoadBalancerKind::Application,
            instance_targets: true,
            in_use: true,
            delay: TICK.times(u64::from(scenario.delay)),
            settings: GroupSettings::default(),
            targets,
            reasons: BTreeMap::new(),
        }
    }

    fn command(&self, operation: &str, stale: bool) -> CommandState {
        let mut invocations = BTreeMap::new();
        for sent in &self.commands {
            if sent.operation != operation || (stale && sent.fresh) {
                continue;
            }
            let stopped = sent.stop.then_some(StopReport {
                how: StopHow::Graceful,
                took: Some(TICK),
                exit: Some(143),
            });
            let state = if sent.done {
                Invocation::Succeeded { stopped }
            } else {
                Invocation::Running
            };
            let id = self.target(sent.slot).id;
            // Where a command was sent twice, the first that ended counts.
            let known = invocations.get(&id);
            if known.is_none() || known == Some(&Invocation::Running) {
                invocations.insert(id, state);
            }
        }
        if invocations.is_empty() {
            CommandState::Absent
        } else {
            CommandState::Sent(invocations)
        }
    }

    fn probe(&self, target: &TargetId) -> Option<Reading<ProbeReading>> {
        let slot = &self.slots[self.slot_of(target)?];
        slot.process?;
        Some(Reading::Known(ProbeReading {
            at: NOW,
            in_flight: u64::from(slot.in_flight),
            served: 0,
        }))
    }
}

fn not_asked() -> Failure {
    Failure {
        kind: FailureKind::NotAsked,
        message: "it was not asked".to_owned(),
    }
}
