//! One owner for each target: which of two releases that name the same targets may change them.
//!
//! Two releases with the same target groups, instances and ports would each withdraw what the other
//! puts in service, without an end. So one of them comes first, and the other changes nothing until
//! the first is gone or names other targets.

use std::collections::BTreeMap;

use super::{
    Group, Health, Step, TargetId,
    pass::Pass,
    preflight::Problem,
    roles::serving,
    world::{World, id_of},
};
use bluegreen_api::{BlueGreenReleaseSpec, BlueGreenReleaseStatus, InstanceSelector, Reason, Time};

/// What a release names, as far as others may name it too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The release, as in `shop/web`: namespace and name.
    pub release: String,
    /// Its UID.
    pub uid: String,
    /// When it was created.
    pub created: Time,
    /// `spec.aws.region`. `None` is the controller's own region.
    pub region: Option<String>,
    /// The names of its target groups.
    pub groups: Vec<String>,
    /// The tags of its instances.
    pub tags: BTreeMap<String, String>,
    /// The ports of its targets.
    pub ports: Vec<u16>,
    /// The targets of its record that have not ended.
    pub targets: Vec<TargetId>,
    /// The names of those target groups in which it has registered or withdrawn targets that it
    /// still has, or that it replaces.
    pub worked: Vec<String>,
}

impl Claim {
    /// What a release names. `release`, `uid` and `created` are those of the object.
    #[must_use]
    pub fn of(
        release: String,
        uid: String,
        created: Time,
        spec: &BlueGreenReleaseSpec,
        status: &BlueGreenReleaseStatus,
    ) -> Self {
        let groups = spec.traffic.registration.target_groups.iter();
        let living = || {
            let targets = status.targets.iter();
            targets.filter(|target| target.steps.terminated.is_none())
        };
        // What a release in progress has stopped is its work, until the release has ended.
        let in_progress = status.course.is_some();
        let its_own = status
            .targets
            .iter()
            .filter(|target| in_progress || target.steps.terminated.is_none());
        let mut worked: Vec<String> = its_own
            .flat_map(|target| {
                let registered = target.registrations.iter();
                let registered = registered.filter(|r| r.requested_at.is_some());
                let withdrawn = target.drain.iter().filter(|d| d.requested_at.is_some());
                let withdrawn = withdrawn.map(|drain| &drain.group);
                registered.map(|r| &r.group).chain(withdrawn).cloned()
            })
            .collect();
        worked.sort_unstable();
        worked.dedup();
        Self {
            release,
            uid,
            created,
            region: spec.aws.region.clone(),
            groups: groups.map(|group| group.name().to_owned()).collect(),
            tags: selector(spec).map_or_else(BTreeMap::new, |selector| selector.tags.clone()),
            ports: ports(spec).to_vec(),
            targets: living().map(id_of).collect(),
            worked,
        }
    }

    /// Whether this release comes before the other one, where both name a target group: it has changed
    /// targets in such a group and the other has not, or else it is the older one. `own` is the
    /// controller's region.
    ///
    /// Of two releases with a group in common exactly one comes first, whichever of them is asked.
    #[must_use]
    pub fn comes_before(&self, other: &Self, own: Option<&str>) -> bool {
        let region = |claim: &Self| claim.region.clone().or_else(|| own.map(str::to_owned));
        let shared = || self.groups.iter().filter(|g| other.groups.contains(g));
        if self.uid == other.uid || region(self) != region(other) || shared().next().is_none() {
            return false;
        }
        let worked = |claim: &Self| shared().any(|group| claim.worked.contains(group));
        match (worked(self), worked(other)) {
            (true, false) => true,
            (false, true) => false,
            (true, true) | (false, false) => {
                (self.created, &self.uid) < (other.created, &other.uid)
            }
        }
    }

    /// A target that both have, or would have, of all those that a release sees.
    fn shares(&self, spec: &BlueGreenReleaseSpec, world: &World<'_>) -> Option<TargetId> {
        let ports = ports(spec);
        let ours = || {
            world.fleet.iter().flat_map(|instance| {
                ports.iter().map(|port| TargetId {
                    id: instance.id.clone(),
                    port: *port,
                })
            })
        };
        let recorded = ours().find(|target| self.targets.contains(target));
        recorded.or_else(|| {
            // Where its tags ask for no more than ours do, our instances are its instances. Where they
            // ask for more, its record says which of ours it has.
            let tags = &selector(spec)?.tags;
            let same = self
                .tags
                .iter()
                .all(|(key, value)| tags.get(key) == Some(value));
            ours().find(|target| same && self.ports.contains(&target.port))
        })
    }
}

fn selector(spec: &BlueGreenReleaseSpec) -> Option<&InstanceSelector> {
    let hosts = spec.fleet.hosts.as_ref().map(|hosts| &hosts.selector);
    hosts.or_else(|| spec.fleet.existing.as_ref().map(|fleet| &fleet.selector))
}

/// The ports of the targets that a spec names.
pub(super) fn ports(spec: &BlueGreenReleaseSpec) -> &[u16] {
    match (&spec.fleet.hosts, &spec.fleet.existing) {
        (Some(hosts), _) => &hosts.ports,
        (None, Some(existing)) => std::slice::from_ref(&existing.port),
        (None, None) => &[],
    }
}

/// The release that comes before this one on some target, if there is one.
pub(super) fn claimed(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
) -> Option<Problem> {
    let claims = pass.observation.claims.iter();
    let mut shared = claims.filter_map(|claim| Some((claim, claim.shares(pass.spec(), world)?)));
    let (claim, target) = shared.next()?;
    let group = claim.groups.iter().find(|group| {
        let mut groups = world.groups.iter();
        groups.any(|ours| ours.name == **group)
    });
    Some(Problem {
        reason: Reason::ClaimedByAnother,
        message: format!(
            "target {target} of target group {} belongs to release {} too, which comes first, so this one changes nothing{}; delete one of the two, or create this one anew with other instances, ports or target groups",
            group.map_or("", String::as_str),
            claim.release,
            withdrawn(status)
        ),
    })
}

/// What a release has withdrawn and not stopped, in words.
fn withdrawn(status: &BlueGreenReleaseStatus) -> String {
    let targets = status.targets.iter();
    let out: Vec<String> = targets
        .filter(|target| !target.drain.is_empty() && serving(target))
        .map(|target| id_of(target).to_string())
        .collect();
    match out.as_slice() {
        [] => String::new(),
        out => format!(" (it has withdrawn {})", out.join(", ")),
    }
}

/// Whether a step may be made while another release comes first: it puts back what this one has
/// withdrawn and the other does not have, or it registers where no target is healthy.
pub(super) fn mends(
    pass: &Pass<'_>,
    world: &World<'_>,
    before: &BlueGreenReleaseStatus,
    step: &Step,
) -> bool {
    match step {
        Step::Register { group, targets } => {
            let claims = &pass.observation.claims;
            let others = |target: &TargetId| claims.iter().any(|c| c.targets.contains(target));
            let healthy = |group: &&Group| {
                let mut targets = group.targets.values();
                targets.any(|health| *health == Health::Healthy)
            };
            let none_healthy = !world.groups.get(*group).is_some_and(healthy);
            let withdrawn = |target: &TargetId| {
                let mut records = before.targets.iter().filter(|t| id_of(t) == *target);
                records.any(|record| !record.drain.is_empty())
            };
            none_healthy || targets.iter().all(|t| withdrawn(t) && !others(t))
        }
        Step::Claim { .. }
        | Step::RemoveFinalizer
        | Step::Deregister { .. }
        | Step::Send(_)
        | Step::Terminate { .. } => false,
    }
}
