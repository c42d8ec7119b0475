//! An observation in which everything that a decision rests on is known.

use super::{Failure, Group, Health, Instance, InstanceState, Observation, Reading, TargetId};
use bluegreen_api::TargetStatus;

/// The fleet and all target groups, read in this pass.
#[derive(Debug, Clone)]
pub(super) struct World<'a> {
    pub(super) fleet: &'a [Instance],
    pub(super) groups: Vec<&'a Group>,
}

impl<'a> World<'a> {
    /// The world, or the first reading that failed.
    pub(super) fn of(observation: &'a Observation) -> Result<Self, &'a Failure> {
        let fleet = match &observation.fleet {
            Reading::Known(fleet) => fleet,
            Reading::Unknown(failure) => return Err(failure),
        };
        let mut groups = Vec::with_capacity(observation.groups.len());
        for group in &observation.groups {
            match group {
                Reading::Known(group) => groups.push(group),
                Reading::Unknown(failure) => return Err(failure),
            }
        }
        Ok(Self { fleet, groups })
    }

    /// The instance, where the fleet's selector finds it.
    pub(super) fn instance(&self, id: &str) -> Option<&'a Instance> {
        self.fleet.iter().find(|instance| instance.id == id)
    }

    /// The instances that run.
    pub(super) fn running(&self) -> impl Iterator<Item = &'a Instance> {
        self.fleet
            .iter()
            .filter(|instance| instance.state == InstanceState::Running)
    }

    /// Whether a target is in service everywhere: healthy in every group.
    pub(super) fn healthy(&self, target: &TargetStatus) -> bool {
        let id = id_of(target);
        self.groups
            .iter()
            .all(|group| group.listed(&id) == Some(Health::Healthy))
    }
}

impl Group {
    /// How the group lists a target; `None` where it is not registered.
    #[must_use]
    pub fn listed(&self, target: &TargetId) -> Option<Health> {
        match self.targets.get(target) {
            None | Some(Health::NotRegistered) => None,
            Some(health) => Some(*health),
        }
    }

    /// Whether the group lists a target as one that it may send to, or checks.
    #[must_use]
    pub fn registered(&self, target: &TargetId) -> bool {
        match self.listed(target) {
            None | Some(Health::Draining | Health::NotRegistered) => false,
            Some(
                Health::Initial
                | Health::Healthy
                | Health::Unhealthy
                | Health::NotInUse
                | Health::InvalidState
                | Health::Other,
            ) => true,
        }
    }
}

/// The target that a record is about.
pub(super) fn id_of(target: &TargetStatus) -> TargetId {
    TargetId {
        id: target.id.clone(),
        port: target.port,
    }
}
