//! One owner for each target: which of two releases that name the same targets may change them.
//!
//! Two releases with the same target groups, instances and ports would each withdraw what the other
//! puts in service, without an end. So one of them comes first, and the other changes nothing until
//! the first is gone or names other targets.

use std::collections::BTreeMap;

use super::{
    Health, Step, TargetId,
    pass::Pass,
    preflight::Problem,
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
    /// still has.
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
        let mut worked: Vec<String> = living()
            .flat_map(|target| {
                let registered = target.registrations.iter();
                let registered = registered.filter(|r| r.requested_at.is_some());
                let withdrawn = target.drain.iter().map(|drain| &drain.group);
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

    /// Whether this release comes before the other one on a target group that both name: it has
    /// changed targets of it and the other has not, or else it is the older one. `own` is the
    /// controller's region.
    ///
    /// Of two releases exactly one comes first on a group, whoever asks.
    #[must_use]
    pub fn comes_before(&self, other: &Self, own: Option<&str>) -> bool {
        let region = |claim: &Self| claim.region.clone().or_else(|| own.map(str::to_owned));
        if self.uid == other.uid || region(self) != region(other) {
            return false;
        }
        let mut shared = self.groups.iter().filter(|g| other.groups.contains(g));
        shared.any(
            |group| match (self.worked.contains(group), other.worked.contains(group)) {
                (true, false) => true,
                (false, true) => false,
                (true, true) | (false, false) => {
                    (self.created, &self.uid) < (other.created, &other.uid)
                }
            },
        )
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
            // The instances of the narrower of two selectors are instances of the wider one.
            let tags = &selector(spec)?.tags;
            let within = |narrow: &BTreeMap<String, String>, wide: &BTreeMap<String, String>| {
                let mut wide = wide.iter();
                wide.all(|(key, value)| narrow.get(key) == Some(value))
            };
            let same = within(tags, &self.tags) || within(&self.tags, tags);
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
pub(super) fn claimed(pass: &Pass<'_>, world: &World<'_>) -> Option<Problem> {
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
            "target {target} of target group {} belongs to release {} too, which comes first; delete one of the two, or give this one other instances, ports or target groups: it changes nothing until then",
            group.map_or("", String::as_str),
            claim.release
        ),
    })
}

/// Whether a step puts back what lives where nobody serves: the one thing that is done to what
/// another release has.
pub(super) fn mends(world: &World<'_>, step: &Step) -> bool {
    match step {
        Step::Register { group, .. } => world.groups.get(*group).is_some_and(|group| {
            group
                .targets
                .values()
                .all(|health| *health != Health::Healthy)
        }),
        Step::Claim { .. }
        | Step::RemoveFinalizer
        | Step::Deregister { .. }
        | Step::Send(_)
        | Step::Terminate { .. } => false,
    }
}
