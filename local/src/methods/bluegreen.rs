//! The controller of this project, beside an embedded registry, as a user has it.
//!
//! This is the only place where the demo touches the controller: it applies a manifest and watches
//! the status, as kubectl would.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use bluegreen::{
    api::{self, BlueGreenRelease, Phase, Settle, crd},
    cloud::aws::Clouds,
    controller::{self, Authority, Cidrs, HttpProbes, Metrics, Options, Outside, Parts, Planner},
    plan::limits::SETTLE_APPLICATION,
};
use bluegreen_net::Clock;
use bluegreen_registry::{Registry, kubeconfig, serve};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, Config,
    api::{Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{Method, shown};
use crate::{
    error::Error,
    limit::{Rules, Withdrawal},
    progress::Progress,
    world::World,
};

/// The manifest that is applied.
pub const MANIFEST: &str = include_str!("../../../examples/snackgame-hosts.yaml");
/// Where it is, from the root of the repository.
pub const MANIFEST_PATH: &str = "examples/snackgame-hosts.yaml";

/// The access key with which the controller signs its calls when its cloud is in this process.
pub(super) const PRINCIPAL: &str = "in-memory";

const NAMESPACE: &str = "default";
/// How long a release may take, in virtual time: several times what it takes.
const RELEASED_WITHIN: Duration = Duration::from_secs(900);
/// How long it may ask for a person, in virtual time. A simulated cloud that is as forgetful as
/// the real one may cause that for a moment; a person would look twice too.
const STALLED_FOR: Duration = Duration::from_secs(90);
/// How often the demo looks at the status for its display, in real time.
const LOOK: Duration = Duration::from_millis(100);
/// How long the controller may take to end, in real time.
const ENDED_WITHIN: Duration = Duration::from_secs(3);

/// The manifest as the API's types.
fn manifest() -> Result<BlueGreenRelease, Error> {
    serde_norway::from_str(MANIFEST).map_err(|error| Error::Manifest(error.to_string()))
}

/// The version that the manifest asks for.
///
/// # Errors
/// When the manifest cannot be read.
pub fn new_version() -> Result<String, Error> {
    Ok(manifest()?.spec.version)
}

/// What the manifest says about waiting.
pub(super) fn rules() -> Result<Rules, Error> {
    let spec = manifest()?.spec;
    let settle = match spec.drain.settle {
        Settle::Auto => SETTLE_APPLICATION,
        Settle::For(time) => time,
    };
    let in_flight = spec.drain.in_flight.filter(|_| spec.drain.early_finish);
    Ok(Rules {
        withdrawal: Withdrawal::Proof {
            settle: settle.into(),
            quiet_for: in_flight.map(|in_flight| in_flight.quiet_for.into()),
        },
        stable_for: spec.health.stable_for.into(),
    })
}

/// The world's clock, as the controller wants it.
struct WorldClock(Clock);

impl controller::Clock for WorldClock {
    fn now(&self) -> api::Time {
        self.0.now().into()
    }

    fn real(&self, duration: api::Duration) -> Duration {
        self.0.real(duration.into())
    }
}

/// A registry and a controller at work in a world.
pub struct Mounted {
    /// The kubeconfig for kubectl.
    pub kubeconfig: PathBuf,
    client: Client,
    shutdown: CancellationToken,
    controller: AbortOnDropHandle<Result<(), controller::StartError>>,
    _registry: AbortOnDropHandle<()>,
}

impl Mounted {
    /// Starts both, with the definition of the resource installed.
    ///
    /// # Errors
    /// When the registry cannot be served or does not take the definition.
    pub async fn start(world: &World, token: &str) -> Result<Self, Error> {
        let failed = |error: &dyn std::fmt::Display| Error::Registry(error.to_string());
        let registry = Registry::builder(world.clock.clone()).token(token);
        let registry = registry.in_memory().map_err(|error| failed(&error))?;
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(Error::machine("listen for the registry"))?;
        let address = listener
            .local_addr()
            .map_err(Error::machine("listen for the registry"))?;
        let serving = tokio::spawn(async move {
            if let Err(error) = serve(listener, registry, std::future::pending()).await {
                tracing::error!(%error, "the registry ended");
            }
        });
        let server = format!("http://{address}");
        let text = kubeconfig(&server, token, NAMESPACE);
        let path = world.directory().join("kubeconfig");
        fs::write(&path, &text).map_err(Error::machine(format!("write {}", path.display())))?;
        let config = client_config(&text).await?;
        let client = Client::try_from(config).map_err(|error| failed(&error))?;
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        definitions
            .create(&PostParams::default(), &crd::definition())
            .await
            .map_err(|error| failed(&error))?;
        let shutdown = CancellationToken::new();
        let running = controller::run(parts(world, client.clone(), server), shutdown.clone());
        Ok(Self {
            kubeconfig: path,
            client,
            shutdown,
            controller: AbortOnDropHandle::new(tokio::spawn(running)),
            _registry: AbortOnDropHandle::new(serving),
        })
    }

    /// Applies the manifest and waits until its version is live and the old one has ended.
    pub(super) async fn release(&self, world: &World, progress: &Progress) -> Result<(), Error> {
        let failed = |error: &dyn std::fmt::Display| Error::Registry(error.to_string());
        let wanted = manifest()?;
        let name = wanted.metadata.name.clone();
        let name = name.ok_or_else(|| Error::Manifest("metadata.name is missing".to_owned()))?;
        let written: serde_json::Value =
            serde_norway::from_str(MANIFEST).map_err(|error| Error::Manifest(error.to_string()))?;
        let releases: Api<BlueGreenRelease> = Api::namespaced(self.client.clone(), NAMESPACE);
        releases
            .patch(&name, &PatchParams::apply("demo"), &Patch::Apply(&written))
            .await
            .map_err(|error| failed(&error))?;
        let unfinished = |because: String| Error::Unfinished {
            method: Method::Bluegreen.name(),
            because,
        };
        let ended = async {
            let mut stalled: Option<Timestamp> = None;
            loop {
                if self.controller.is_finished() {
                    return Err(unfinished("the controller has ended".to_owned()));
                }
                let release = releases.get(&name).await.map_err(|error| failed(&error))?;
                shown::show(&release, world, progress);
                let now = world.clock.now();
                match standing(&release) {
                    Standing::Released => return Ok(()),
                    Standing::Failed(because) => return Err(unfinished(because)),
                    Standing::Stalled(because) => {
                        let since = *stalled.get_or_insert(now);
                        let patience = SignedDuration::try_from(STALLED_FOR).unwrap_or_default();
                        if now >= since + patience {
                            return Err(unfinished(because));
                        }
                    }
                    Standing::OnItsWay => stalled = None,
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        match world.clock.timeout(RELEASED_WITHIN, ended).await {
            Ok(ended) => ended,
            Err(_) => Err(unfinished(progress.state().message)),
        }
    }

    /// Ends the controller in order, then the registry.
    pub async fn close(self) {
        self.shutdown.cancel();
        if tokio::time::timeout(ENDED_WITHIN, self.controller)
            .await
            .is_err()
        {
            tracing::warn!("the controller took too long to end");
        }
    }
}

/// Where a release stands, as far as the demo cares.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    OnItsWay,
    Released,
    Stalled(String),
    Failed(String),
}

fn standing(release: &BlueGreenRelease) -> Standing {
    let Some(status) = &release.status else {
        return Standing::OnItsWay;
    };
    // What is said of an earlier generation is not about this manifest.
    if status.observed_generation != release.metadata.generation {
        return Standing::OnItsWay;
    }
    match status.phase {
        Phase::Released => Standing::Released,
        Phase::RolledBack => Standing::Failed(status.message.clone()),
        Phase::Stalled => Standing::Stalled(status.message.clone()),
        Phase::Pending
        | Phase::Preflight
        | Phase::Starting
        | Phase::Registering
        | Phase::AwaitingPromotion
        | Phase::Draining
        | Phase::Retaining
        | Phase::Stopping
        | Phase::RollingBack
        | Phase::Paused
        | Phase::Deleting => Standing::OnItsWay,
    }
}

async fn client_config(text: &str) -> Result<Config, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Registry(error.to_string());
    let parsed = Kubeconfig::from_yaml(text).map_err(|error| failed(&error))?;
    let mut config = Config::from_custom_kubeconfig(parsed, &KubeConfigOptions::default())
        .await
        .map_err(|error| failed(&error))?;
    // The loop tries again by itself; see the controller's own configuration.
    config.default_retry = false;
    Ok(config)
}

type Around = Outside<Clouds, WorldClock, HttpProbes>;

fn parts(world: &World, client: Client, server: String) -> Parts<Around> {
    let metrics = Arc::new(Metrics::default());
    let cloud = world.cloud.clone();
    let service = move |request| {
        let cloud = cloud.clone();
        async move { cloud.handle(request).await.map_err(Into::into) }
    };
    let region = &world.cloud.config().region;
    Parts {
        client,
        server,
        world: Outside {
            // AWS's limits count by its own clock, which runs faster here.
            clouds: Clouds::in_memory(region, service, metrics.clone())
                .with_rate_factor(world.clock.scale()),
            clock: WorldClock(world.clock.clone()),
            probe: HttpProbes::new(Cidrs::loopback()),
        },
        planner: Planner::default(),
        options: Options {
            shutdown_within: ENDED_WITHIN,
            ..Options::default()
        },
        metrics,
        authority: Authority::alone(),
        listener: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_takes_its_waits_from_the_manifest() {
        let rules = rules().unwrap();
        let expected = Withdrawal::Proof {
            settle: Duration::from_secs(45),
            quiet_for: Some(Duration::from_secs(10)),
        };
        assert_eq!(rules.withdrawal, expected);
        assert_eq!(rules.stable_for, Duration::from_secs(10));
    }

    #[test]
    fn only_what_is_said_of_this_generation_ends_the_wait() {
        let mut release = manifest().unwrap();
        release.metadata.generation = Some(2);
        assert_eq!(standing(&release), Standing::OnItsWay);
        let mut status = api::BlueGreenReleaseStatus {
            observed_generation: Some(1),
            phase: Phase::Released,
            ..api::BlueGreenReleaseStatus::default()
        };
        release.status = Some(status.clone());
        assert_eq!(standing(&release), Standing::OnItsWay);
        status.observed_generation = Some(2);
        release.status = Some(status);
        assert_eq!(standing(&release), Standing::Released);
    }

    #[test]
    fn the_manifest_fits_the_scene() {
        let spec = manifest().unwrap().spec;
        assert_ne!(spec.version, crate::scenario::OLD_VERSION);
        assert_eq!(
            spec.adopt.map(|adopt| adopt.version).as_deref(),
            Some(crate::scenario::OLD_VERSION)
        );
        let hosts = spec.fleet.hosts.unwrap();
        assert_eq!(hosts.ports, [crate::scenario::PORT]);
        assert_eq!(
            hosts.selector.tags.get("app").map(String::as_str),
            Some(crate::scenario::NAME)
        );
    }
}
