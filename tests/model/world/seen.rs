//! What a process reads of the world.

use std::collections::BTreeMap;

use bluegreen_api::StopHow;
use bluegreen_plan::{
    Claim, CommandState, Failure, FailureKind, Group, GroupSettings, Health, Instance,
    InstanceState, Invocation, LoadBalancerKind, Observation, Pace, ProbeReading, Reading,
    StopReport, TargetId,
};

use super::{Fleet, NOW, Reg, World};
use crate::scenario::{Scenario, TICK, group, version};

/// How a pass reads the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in super::super) enum Look {
    Fresh,
    /// The target groups and the commands are as they were before the last change within a tick.
    Stale,
    /// The fleet is as it was before the last change within a tick.
    OldFleet,
    /// The answer about a group is cut, and lists so many targets only.
    Cut(usize, usize),
    /// The reading of a group fails.
    NoGroup(usize),
    /// The reading of the fleet fails.
    NoFleet,
}

impl World {
    /// How a pass can misread the world now, where it can misread it so at all.
    pub(in super::super) fn misreadings(&self, scenario: &Scenario) -> Vec<Look> {
        let listed = |group: usize| {
            let slots = self.slots.iter();
            slots.filter(|slot| slot.regs[group] != Reg::Absent).count()
        };
        let groups = 0..scenario.groups;
        let looks = scenario.looks.iter().flat_map(|look| match look {
            Look::Fresh | Look::Stale => Vec::new(),
            Look::OldFleet => self.fleet_before.iter().map(|_| Look::OldFleet).collect(),
            Look::Cut(..) => groups
                .clone()
                .flat_map(|group| (0..listed(group)).map(move |count| Look::Cut(group, count)))
                .collect(),
            Look::NoGroup(_) => groups.clone().map(Look::NoGroup).collect(),
            Look::NoFleet => vec![Look::NoFleet],
        });
        looks.collect()
    }

    pub(in super::super) fn observe(
        &self,
        scenario: &Scenario,
        needs: &bluegreen_plan::Needs,
        look: Look,
    ) -> Observation {
        let current: Vec<Vec<Reg>> = self.slots.iter().map(|slot| slot.regs.clone()).collect();
        let stale = look == Look::Stale;
        let seen = match look {
            Look::Stale => self.before.as_ref().unwrap_or(&current),
            Look::Fresh | Look::OldFleet | Look::Cut(..) | Look::NoGroup(_) | Look::NoFleet => {
                &current
            }
        };
        let fleet = match look {
            Look::NoFleet => Reading::Unknown(failed()),
            Look::OldFleet => Reading::Known(self.fleet(scenario, self.fleet_before.as_deref())),
            Look::Fresh | Look::Stale | Look::Cut(..) | Look::NoGroup(_) => {
                Reading::Known(self.fleet(scenario, None))
            }
        };
        let group = |index| {
            let mut group = self.group(scenario, index, seen);
            match look {
                Look::NoGroup(unread) if unread == index => return Reading::Unknown(failed()),
                Look::Cut(cut, count) if cut == index => {
                    group.targets = group.targets.into_iter().take(count).collect();
                }
                Look::Fresh
                | Look::Stale
                | Look::OldFleet
                | Look::Cut(..)
                | Look::NoGroup(_)
                | Look::NoFleet => {}
            }
            Reading::Known(group)
        };
        Observation {
            began_at: NOW,
            fleet,
            groups: (0..scenario.groups).map(group).collect(),
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
            ports: BTreeMap::new(),
            agents: Reading::Unknown(not_asked()),
            documents: BTreeMap::new(),
            pace: Pace::default(),
            claims: self.claims(scenario),
            last_effect: None,
        }
    }

    /// What a release that comes first has: everything, where there is one.
    fn claims(&self, scenario: &Scenario) -> Vec<Claim> {
        let all = (0..self.slots.len()).map(|slot| self.target(slot));
        let claim = Claim {
            release: "others/first".to_owned(),
            uid: "first".to_owned(),
            created: NOW,
            region: None,
            groups: (0..scenario.groups).map(group).collect(),
            tags: BTreeMap::new(),
            ports: Vec::new(),
            targets: all.collect(),
            worked: (0..scenario.groups).map(group).collect(),
        };
        self.claimed.then_some(claim).into_iter().collect()
    }

    /// The fleet as it is, or as it was.
    fn fleet(&self, scenario: &Scenario, old: Option<&Fleet>) -> Vec<Instance> {
        let existing = scenario.spec.fleet.existing.is_some();
        let terminated = old.map_or(&self.terminated, |old| &old.terminated);
        let untagged = old.map_or(&self.untagged, |old| &old.untagged);
        let tags = old.map_or(&self.tags, |old| &old.tags);
        (0..terminated.len())
            .filter(|index| !untagged[*index])
            .map(|index| Instance {
                id: format!("i-{index}"),
                zone: "a".to_owned(),
                state: if terminated[index] {
                    InstanceState::Terminated
                } else {
                    InstanceState::Running
                },
                address: None,
                version: existing.then(|| version(tags[index])),
            })
            .collect()
    }

    fn group(&self, scenario: &Scenario, index: usize, seen: &[Vec<Reg>]) -> Group {
        let mut targets = BTreeMap::new();
        for (slot, regs) in seen.iter().enumerate() {
            let health = match regs[index] {
                Reg::Absent => continue,
                Reg::Initial => Health::Initial,
                Reg::Healthy => Health::Healthy,
                Reg::Unhealthy => Health::Unhealthy,
                Reg::Invalid => Health::InvalidState,
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
            let state = if sent.lost {
                Invocation::NotDelivered {
                    status: "Undeliverable".to_owned(),
                }
            } else if sent.done {
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

fn failed() -> Failure {
    Failure {
        kind: FailureKind::Unavailable,
        message: "no answer".to_owned(),
    }
}
