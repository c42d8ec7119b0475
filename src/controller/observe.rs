//! Reads, and only reads. What fails becomes [`Reading::Unknown`]; it is the planner that decides
//! what can be done without it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
    time,
};

use futures::{
    future::{join, join_all, join4},
    stream::{self, StreamExt},
};
use kube::{Api, ResourceExt};
use tracing::Instrument;

use super::{
    CloudProvider, Ctx, Probe, World,
    context::Guarded,
    error::{Error, traced_call},
    memory::{Groups, Revisions},
    owners, revisions,
};
use crate::{
    api::{
        BlueGreenRelease, BlueGreenReleaseStatus, Direction, Duration, FINALIZER,
        REQUEST_ANNOTATION, TargetGroupRef, Time,
    },
    cloud::{self, Caller, Cloud, TargetGroupArn, Urgency},
    plan::{
        CommandState, Document, Failure, FailureKind, Group, Instance, InstanceState, Observation,
        Pace, ProbeReading, Reading, Release, TargetId,
    },
    telemetry,
};

/// How many probes are asked at the same time. They go to the application's own hosts.
pub(super) const PROBES_AT_ONCE: usize = 16;

/// How old the reading of the target groups may be that a pass confirms with one of the fleet.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(1);

/// What a pass saw, and what it needs to act on it.
pub(super) struct Seen<C> {
    /// The object, for the planner.
    pub(super) release: Release,
    /// Everything else, for the planner.
    pub(super) observation: Observation,
    /// The cloud that was read.
    pub(super) cloud: Result<Arc<C>, cloud::Error>,
    /// The target groups' ARNs, in the order of the spec, where they are known.
    pub(super) groups: Vec<Option<TargetGroupArn>>,
    /// Whether the target groups were not read in this pass, but a moment ago.
    pub(super) groups_are_old: bool,
    /// Whether the fleet may have been read up to a minute ago.
    pub(super) fleet_is_old: bool,
}

impl<C> Seen<C> {
    /// The reading of the target groups.
    pub(super) fn groups_read(&self) -> Groups {
        let groups = self.observation.groups.iter().cloned();
        Groups {
            began_at: self.observation.began_at,
            generation: self.release.generation,
            read: groups.zip(self.groups.iter().cloned()).collect(),
        }
    }
}

/// Reads the object from the API server: without a resourceVersion in the request, the answer is
/// the newest there is. The cache may be older than our own last write, and a decision made from
/// it would be made for a world that is gone.
pub(super) async fn object<W: World>(
    ctx: &Ctx<W>,
    namespace: &str,
    name: &str,
) -> Result<Option<Guarded>, Error> {
    let api: Api<Guarded> = Api::namespaced(ctx.client.clone(), namespace);
    traced_call("reading the release", api.get_opt(name)).await
}

/// Reads all that the planner needs, at the same time.
pub(super) async fn world<W: World>(
    ctx: &Ctx<W>,
    object: &BlueGreenRelease,
) -> Result<Seen<<W::Clouds as CloudProvider>::Cloud>, Error> {
    let mut release = release(object)?;
    let unwritten = BlueGreenReleaseStatus::default();
    let status = object.status.as_ref().unwrap_or(&unwritten);
    let region = release.spec.aws.region.as_deref();
    let cloud = ctx.world.clouds().cloud(region);
    let needs = (ctx.planner.needs)(&release.spec, status, ctx.now());
    release.revisions = kept(ctx, object, needs.revisions).await?;
    let began = ctx.now();
    let caller = caller(object, status);
    let confirms = ctx.memory.confirms(&release.uid);
    let may_be_old = match confirms {
        true => Some(CONFIRMED_WITHIN),
        false => needs.groups_may_be_old,
    };
    let recent = may_be_old.and_then(|old| {
        let groups = ctx.memory.groups(&release.uid, began.before(old), began)?;
        (groups.generation == release.generation).then_some(groups)
    });
    let groups_are_old = recent.is_some() && !confirms;
    let fleet_is_old = needs.fleet_may_be_old.is_some() && !confirms;
    let old = needs.descriptions_may_be_old.map(time::Duration::from);
    let fleet_old = needs.fleet_may_be_old.filter(|_| fleet_is_old);
    let fleet_old = fleet_old.map(time::Duration::from);
    let (fleet, groups, commands, documents) = join4(
        fleet(&cloud, &caller, &release, fleet_old),
        groups(&cloud, &caller, &release, old, recent, began),
        commands(&cloud, &caller, &needs.commands),
        documents(&cloud, &caller, &needs.documents),
    )
    .await;
    // The fleet says which instances have an agent, and where the applications are.
    let agents = agents(&cloud, &caller, needs.agents, &fleet).await;
    let (probes, ports) = join(
        probes(ctx, &release, &fleet, &needs.probes),
        ports(ctx, &release, &fleet, &needs.ports),
    )
    .await;
    let began_at = groups.began_at;
    let all_known = groups.read.iter().all(|(group, _)| group.known().is_some());
    let keep = needs.groups_may_be_old.filter(|_| all_known);
    ctx.memory
        .keep_groups(&release.uid, keep.map(|_| groups.clone()));
    let (groups, arns) = groups.read.into_iter().unzip();
    let last_effect = ctx.memory.last_effect(&release.uid);
    let observation = Observation {
        began_at,
        fleet,
        groups,
        commands,
        probes,
        ports,
        agents,
        documents,
        pace: cloud
            .as_ref()
            .map_or_else(|_| Pace::default(), |cloud| cloud.pace()),
        claims: owners::before(ctx, object),
        last_effect,
    };
    Ok(Seen {
        release,
        observation,
        cloud,
        groups: arns,
        groups_are_old,
        fleet_is_old,
    })
}

fn release(object: &BlueGreenRelease) -> Result<Release, Error> {
    let uid = object.uid().ok_or(Error::Incomplete("uid"))?;
    Ok(Release {
        generation: object
            .metadata
            .generation
            .ok_or(Error::Incomplete("generation"))?,
        spec: object.spec.clone(),
        finalizer: object.finalizers().iter().any(|name| name == FINALIZER),
        revisions: Revisions::new(),
        deleting: object.metadata.deletion_timestamp.is_some(),
        request: object.annotations().get(REQUEST_ANNOTATION).cloned(),
        uid,
    })
}

/// The revisions that are kept of a release. They are read once, and then remembered for as long
/// as they are needed. The finalizer comes before the first of them, so a release at rest without
/// it has none; and one at rest that is deleted begins nothing.
async fn kept<W: World>(
    ctx: &Ctx<W>,
    object: &BlueGreenRelease,
    needed: bool,
) -> Result<Revisions, Error> {
    let uid = object.uid().ok_or(Error::Incomplete("uid"))?;
    if !needed {
        ctx.memory.drop_revisions(&uid);
        return Ok(Revisions::new());
    }
    if let Some(known) = ctx.memory.revisions(&uid) {
        return Ok(known);
    }
    let claimed = object.finalizers().iter().any(|name| name == FINALIZER);
    let deleting = object.metadata.deletion_timestamp.is_some();
    let mut status = object.status.iter();
    let in_progress = status.any(|status| status.course.is_some());
    if !in_progress && (deleting || !claimed) {
        return Ok(Revisions::new());
    }
    let read = revisions::read(ctx, object).await?;
    ctx.memory.keep_revisions(&uid, read.clone());
    Ok(read)
}

/// Who asks AWS: a release that rolls back goes before one that goes forward, and both before one
/// that has ended or has not begun.
fn caller(object: &BlueGreenRelease, status: &BlueGreenReleaseStatus) -> Caller {
    let urgency = match status.course.as_ref().map(|course| course.direction) {
        Some(Direction::Back) => Urgency::First,
        Some(Direction::Forward) => Urgency::InProgress,
        None => Urgency::Idle,
    };
    Caller::new(&object.namespace().unwrap_or_default(), urgency)
}

async fn fleet<C: Cloud>(
    cloud: &Result<Arc<C>, cloud::Error>,
    caller: &Caller,
    release: &Release,
    may_be_old: Option<time::Duration>,
) -> Reading<Vec<Instance>> {
    let fleet = &release.spec.fleet;
    let (selector, version_tag) = match (&fleet.hosts, &fleet.existing) {
        (Some(hosts), _) => (&hosts.selector, None),
        (None, Some(existing)) => (&existing.selector, Some(existing.version_tag.as_str())),
        (None, None) => {
            return Reading::Unknown(Failure {
                kind: FailureKind::Rejected,
                message: "the release has no fleet; give spec.fleet.hosts or spec.fleet.existing"
                    .to_owned(),
            });
        }
    };
    let read = async {
        let cloud = cloud.as_ref().map_err(Clone::clone)?;
        cloud
            .instances(caller, selector, version_tag, may_be_old)
            .await
    };
    reading(read.await)
}

/// The target groups: as they were read a moment ago, where that is recent enough.
async fn groups<C: Cloud>(
    cloud: &Result<Arc<C>, cloud::Error>,
    caller: &Caller,
    release: &Release,
    may_be_old: Option<time::Duration>,
    recent: Option<Groups>,
    began_at: Time,
) -> Groups {
    if let Some(recent) = recent {
        return recent;
    }
    let references = &release.spec.traffic.registration.target_groups;
    let reads = references
        .iter()
        .map(|reference| group(cloud, caller, reference, may_be_old));
    Groups {
        began_at,
        generation: release.generation,
        read: join_all(reads).await,
    }
}

async fn group<C: Cloud>(
    cloud: &Result<Arc<C>, cloud::Error>,
    caller: &Caller,
    reference: &TargetGroupRef,
    may_be_old: Option<time::Duration>,
) -> (Reading<Group>, Option<TargetGroupArn>) {
    let mut arn = None;
    let read = async {
        let cloud = cloud.as_ref().map_err(Clone::clone)?;
        // The description and the targets at the same time: a proven drain waits for neither.
        let known = cloud.arn(reference);
        let targets = async {
            match &known {
                Some(known) => Some(cloud.target_health(caller, known).await),
                None => None,
            }
        };
        let (found, targets) =
            join(cloud.target_group(caller, reference, may_be_old), targets).await;
        let found = found?;
        arn = Some(found.arn.clone());
        let listed = match targets.filter(|_| known.as_ref() == Some(&found.arn)) {
            Some(listed) => listed?,
            None => cloud.target_health(caller, &found.arn).await?,
        };
        Ok(Group {
            name: found.name,
            load_balancer: found.load_balancer,
            instance_targets: found.instance_targets,
            in_use: found.in_use,
            delay: found.delay,
            settings: found.settings,
            targets: listed.targets,
            reasons: listed.reasons,
        })
    };
    let read: Result<Group, cloud::Error> = read.await;
    (reading(read), arn)
}

fn not_asked() -> Failure {
    Failure {
        kind: FailureKind::NotAsked,
        message: "it was not asked".to_owned(),
    }
}

/// The agents of those instances of the fleet that could have one online.
async fn agents<C: Cloud>(
    cloud: &Result<Arc<C>, cloud::Error>,
    caller: &Caller,
    needed: bool,
    fleet: &Reading<Vec<Instance>>,
) -> Reading<BTreeSet<String>> {
    let fleet = match fleet {
        _ if !needed => return Reading::Unknown(not_asked()),
        Reading::Unknown(failure) => return Reading::Unknown(failure.clone()),
        Reading::Known(fleet) => fleet,
    };
    let running = fleet
        .iter()
        .filter(|instance| instance.state == InstanceState::Running);
    let running: Vec<String> = running.map(|instance| instance.id.clone()).collect();
    let read = async {
        let cloud = cloud.as_ref().map_err(Clone::clone)?;
        cloud.agents(caller, &running).await
    };
    reading(read.await)
}

async fn documents<C: Cloud>(
    cloud: &Result<Arc<C>, cloud::Error>,
    caller: &Caller,
    names: &[String],
) -> BTreeMap<String, Reading<Document>> {
    let reads = names.iter().map(async |name| {
        let read = async {
            let cloud = cloud.as_ref().map_err(Clone::clone)?;
            cloud.document(caller, name).await
        };
        (name.clone(), reading(read.await))
    });
    join_all(reads).await.into_iter().collect()
}

async fn commands<C: Cloud>(
    cloud: &Result<Arc<C>, cloud::Error>,
    caller: &Caller,
    operations: &[(String, Time)],
) -> BTreeMap<String, Reading<CommandState>> {
    let reads = operations.iter().map(async |(operation, since)| {
        let read = async {
            let cloud = cloud.as_ref().map_err(Clone::clone)?;
            cloud.command(caller, operation, *since).await
        };
        (operation.clone(), reading(read.await))
    });
    join_all(reads).await.into_iter().collect()
}

async fn probes<W: World>(
    ctx: &Ctx<W>,
    release: &Release,
    fleet: &Reading<Vec<Instance>>,
    targets: &[TargetId],
) -> BTreeMap<TargetId, Reading<ProbeReading>> {
    let Some(in_flight) = release
        .spec
        .drain
        .in_flight
        .as_ref()
        .filter(|_| !targets.is_empty())
    else {
        return BTreeMap::new();
    };
    // Collected first: a stream that holds the closure is not known to be `Send`.
    let reads: Vec<_> = targets
        .iter()
        .map(async |target| {
            let read = async {
                let address = address(fleet, &target.id)?;
                let at = ctx.now();
                let probe = ctx.world.probe();
                // The span names the port that is asked; a port that cannot be is the probe's
                // failure.
                let application = release.spec.fleet.application_port(target.port);
                let http = in_flight.http.of_application(application);
                let port = http.port_of(target.port).unwrap_or(target.port);
                let span = telemetry::probe(SocketAddr::new(address, port));
                let asked = probe
                    .read(SocketAddr::new(address, target.port), &http)
                    .instrument(span.clone());
                let counts = asked.await.inspect_err(|failure| {
                    telemetry::failed(&span, failure.message.clone());
                })?;
                Ok(ProbeReading {
                    at,
                    in_flight: counts.in_flight,
                    served: counts.served,
                })
            };
            (target.clone(), reading::<_, Failure>(read.await))
        })
        .collect();
    stream::iter(reads)
        .buffer_unordered(PROBES_AT_ONCE)
        .collect()
        .await
}

/// Which of the ports accept connections, as far as that can be told.
async fn ports<W: World>(
    ctx: &Ctx<W>,
    release: &Release,
    fleet: &Reading<Vec<Instance>>,
    targets: &[TargetId],
) -> BTreeMap<TargetId, bool> {
    let asked: Vec<_> = targets
        .iter()
        .filter_map(|target| Some((target.clone(), socket(release, fleet, target)?)))
        .map(async |(target, socket)| {
            let listens = ctx.world.probe().listens(socket).await?;
            Some((target, listens))
        })
        .collect();
    stream::iter(asked)
        .buffer_unordered(PROBES_AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await
}

/// Where the application of a target listens.
pub(super) fn socket(
    release: &Release,
    fleet: &Reading<Vec<Instance>>,
    target: &TargetId,
) -> Option<SocketAddr> {
    let address = address(fleet, &target.id).ok()?;
    let port = release.spec.fleet.application_port(target.port);
    Some(SocketAddr::new(address, port))
}

fn address(fleet: &Reading<Vec<Instance>>, id: &str) -> Result<std::net::IpAddr, Failure> {
    let fleet = match fleet {
        Reading::Known(fleet) => fleet,
        Reading::Unknown(failure) => return Err(failure.clone()),
    };
    let instance = fleet.iter().find(|instance| instance.id == id);
    instance
        .and_then(|instance| instance.address)
        .ok_or_else(|| Failure {
            kind: FailureKind::NotFound,
            message: format!("instance {id} has no private address"),
        })
}

fn reading<T, E: Into<Failure>>(result: Result<T, E>) -> Reading<T> {
    match result {
        Ok(value) => Reading::Known(value),
        Err(error) => Reading::Unknown(error.into()),
    }
}
