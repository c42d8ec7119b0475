//! An observation in which everything that a decision rests on is known.

use super::{
    Failure, Group, Health, Instance, InstanceState, LoadBalancerKind, Observation, Reading,
    TargetId,
};
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

    /// Whether a target serves: healthy in every group that lists it, and listed by one at least. One
    /// of before the release need not be in every group of the spec.
    pub(super) fn serves(&self, target: &TargetStatus) -> bool {
        let id = id_of(target);
        let mut listed = self.groups.iter().filter_map(|group| group.listed(&id));
        let first = listed.next();
        first
            .into_iter()
            .chain(listed)
            .all(|health| health == Health::Healthy)
            && first.is_some()
    }

    /// What the load balancer says of a target that is not healthy, as in
    /// `shop: Target.Timeout: Request timed out`.
    pub(super) fn reason(&self, target: &TargetStatus) -> Option<String> {
        let id = id_of(target);
        self.groups.iter().find_map(|group| {
            let health = group.listed(&id);
            match (group.reasons.get(&id), health) {
                (_, Some(Health::Healthy)) => None,
                (Some(reason), _) => Some(format!("{}: {reason}", group.name)),
                (None, None) => Some(format!("{}: it is not registered", group.name)),
                (None, Some(_)) => None,
            }
        })
    }

    /// Whether some group says of a target that it is still being registered.
    pub(super) fn registering(&self, target: &TargetStatus) -> bool {
        let id = id_of(target);
        let mut groups = self.groups.iter();
        groups.any(|group| {
            let reason = group.reasons.get(&id);
            reason.is_some_and(|reason| reason.starts_with("Elb.RegistrationInProgress"))
        })
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

    /// Whether the load balancer ends what is left of a connection when the delay is over.
    pub(super) fn ends_connections(&self) -> bool {
        match self.load_balancer {
            LoadBalancerKind::Application => true,
            LoadBalancerKind::Network | LoadBalancerKind::Gateway => {
                self.settings.connection_termination
            }
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
