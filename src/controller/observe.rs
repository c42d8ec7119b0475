//! Reads, and only reads. What fails becomes [`Reading::Unknown`]; it is the planner that decides
//! what can be done without it.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use futures::{
    future::{join, join_all, join3},
    stream::{self, StreamExt},
};
use kube::{Api, ResourceExt};
use tracing::Instrument;

use super::{
    CloudProvider, Ctx, Probe, World,
    context::Guarded,
    error::{Error, traced_call},
};
use crate::{
    api::{
        BlueGreenRelease, BlueGreenReleaseStatus, COMMANDS_ANNOTATION, FINALIZER, NotedCommands,
        REQUEST_ANNOTATION, TargetGroupRef, Time,
    },
    cloud::{self, Cloud, TargetGroupArn},
    plan::{
        CommandState, Failure, FailureKind, Group, Instance, Observation, Pace, ProbeReading,
        Reading, Release, TargetId, Witness,
    },
    telemetry,
};

/// How many probes are asked at the same time. They go to the application's own hosts.
const PROBES_AT_ONCE: usize = 16;

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
    let release = release(object)?;
    let unwritten = BlueGreenReleaseStatus::default();
    let status = object.status.as_ref().unwrap_or(&unwritten);
    let region = release.spec.aws.region.as_deref();
    let cloud = ctx.world.clouds().cloud(region);
    let mut needs = (ctx.planner.needs)(&release.spec, status, ctx.now());
    // At rest nothing is brought back into service, so nobody needs to know.
    let stops = ctx.memory.stops(&release, ctx.now());
    let stops = stops.into_iter().filter(|_| status.course.is_some());
    for (operation, sent_at) in stops {
        let known = needs.commands.iter_mut().find(|(id, _)| *id == operation);
        match known {
            // It is looked for from then on, and status may say anything.
            Some((_, since)) => *since = (*since).min(sent_at),
            None => needs.commands.push((operation, sent_at)),
        }
    }
    let began_at = ctx.now();
    let (fleet, groups, commands) = join3(
        fleet(&cloud, &release),
        join_all(
            release
                .spec
                .traffic
                .registration
                .target_groups
                .iter()
                .map(|reference| group(&cloud, reference)),
        ),
        commands(&cloud, &needs.commands),
    )
    .await;
    // The fleet says where the applications are.
    let probes = probes(ctx, &release, &fleet, &needs.probes).await;
    let (groups, arns) = groups.into_iter().unzip();
    let last_effect = ctx.memory.last_effect(&release.uid);
    let mut observation = Observation {
        began_at,
        fleet,
        groups,
        commands,
        probes,
        agents: Reading::Unknown(not_asked()),
        documents: BTreeMap::new(),
        pace: Pace::default(),
        last_effect,
        witness: Witness::default(),
    };
    observation.witness = ctx.memory.look(&release, &observation, ctx.now());
    Ok(Seen {
        release,
        observation,
        cloud,
        groups: arns,
    })
}

fn release(object: &BlueGreenRelease) -> Result<Release, Error> {
    let uid = object.uid().ok_or(Error::Incomplete("uid"))?;
    let annotation = |name: &str| object.annotations().get(name).map(String::as_str);
    let noted = NotedCommands::of(&uid, annotation(COMMANDS_ANNOTATION));
    Ok(Release {
        generation: object
            .metadata
            .generation
            .ok_or(Error::Incomplete("generation"))?,
        spec: object.spec.clone(),
        finalizer: object.finalizers().iter().any(|name| name == FINALIZER),
        commands: noted.revisions,
        stops: noted.stops,
        deleting: object.metadata.deletion_timestamp.is_some(),
        request: annotation(REQUEST_ANNOTATION).map(ToOwned::to_owned),
        uid,
    })
}

async fn fleet<C: Cloud>(
    cloud: &Result<Arc<C>, cloud::Error>,
    release: &Release,
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
        cloud.instances(selector, version_tag).await
    };
    reading(read.await)
}

async fn group<C: Cloud>(
    cloud: &Result<Arc<C>, cloud::Error>,
    reference: &TargetGroupRef,
) -> (Reading<Group>, Option<TargetGroupArn>) {
    let mut arn = None;
    let read = async {
        let cloud = cloud.as_ref().map_err(Clone::clone)?;
        // The description and the targets at the same time: a proven drain waits for neither.
        let known = cloud.arn(reference);
        let targets = async {
            match &known {
                Some(known) => Some(cloud.target_health(known).await),
                None => None,
            }
        };
        let (found, targets) = join(cloud.target_group(reference), targets).await;
        let found = found?;
        arn = Some(found.arn.clone());
        let targets = match targets.filter(|_| known.as_ref() == Some(&found.arn)) {
            Some(targets) => targets?,
            None => cloud.target_health(&found.arn).await?,
        };
        Ok(Group {
            name: found.name,
            load_balancer: found.load_balancer,
            instance_targets: found.instance_targets,
            in_use: found.in_use,
            delay: found.delay,
            settings: found.settings,
            targets,
            reasons: BTreeMap::new(),
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

async fn commands<C: Cloud>(
    cloud: &Result<Arc<C>, cloud::Error>,
    operations: &[(String, Time)],
) -> BTreeMap<String, Reading<CommandState>> {
    let reads = operations.iter().map(async |(operation, since)| {
        let read = async {
            let cloud = cloud.as_ref().map_err(Clone::clone)?;
            cloud.command(operation, *since).await
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
                let port = in_flight.http.port_of(target.port).unwrap_or(target.port);
                let span = telemetry::probe(SocketAddr::new(address, port));
                let asked = probe
                    .read(SocketAddr::new(address, target.port), &in_flight.http)
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
