//! A world: everything together, and what a test does with it.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bluegreen::api::{BlueGreenRelease, BlueGreenReleaseStatus, crd};
use bluegreen_app::load::{Load, Report};
use bluegreen_cloud::{
    Cloud, Config,
    balancer::Balancer,
    change::Change,
    hosts::{Host, MemoryHosts},
    oracle::Oracle,
    scene,
};
use bluegreen_net::{Clock, Net};
use bluegreen_registry::Registry;
use jiff::Timestamp;
use k8s_openapi::{
    api::events::v1::Event,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use super::{
    apps::{Apps, ProcessChange, ProcessEvent},
    ask::Drained,
    controller::Control,
    front,
    judge::{self, Judge},
    life::Kill,
    manifest::Manifest,
    probe,
    scene::{Fleet, NAME, OLD, Scene},
    story,
};

/// How often the judge looks at the truth besides after every call.
const JUDGE: Duration = Duration::from_secs(1);
/// How long the requests in flight at the end may take.
const PATIENCE: Duration = Duration::from_secs(150);

/// A world in which the old version serves under load.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) scene: Scene,
    pub(crate) built: scene::Scene,
    pub(crate) clock: Clock,
    pub(crate) cloud: Cloud,
    pub(crate) oracle: Oracle,
    pub(crate) apps: Apps,
    pub(crate) judge: Judge,
    pub(crate) control: Control,
    pub(crate) registry: Registry,
    pub(crate) net: Net,
    pub(crate) releases: Api<BlueGreenRelease>,
    pub(crate) client: Client,
    pub(super) began: Timestamp,
    pub(super) told: Mutex<Vec<String>>,
    pub(super) drained: Mutex<BTreeSet<Drained>>,
    probed: probe::Ports,
    load: Vec<Load>,
    _fronts: Vec<AbortOnDropHandle<()>>,
    _judging: AbortOnDropHandle<()>,
    _balancer: Balancer,
}

/// The seed of a world: a test's own, unless one is to be run again.
fn seed_of(test: u64) -> u64 {
    let again = std::env::var("BLUEGREEN_SEED");
    again.map_or(test, |seed| {
        seed.parse().expect("BLUEGREEN_SEED is a whole number")
    })
}

impl World {
    /// Builds a world, without a controller.
    pub(crate) async fn new(scene: Scene, seed: u64) -> Self {
        let seed = seed_of(seed);
        println!("BLUEGREEN_SEED={seed}");
        let clock = Clock::stepped();
        let net = Net::memory();
        let judge = Judge::new(clock.clone());
        let by_tag = (scene.fleet == Fleet::Existing)
            .then(|| (super::scene::VERSION_TAG.to_owned(), scene.ports[0]));
        let apps = Apps::new(
            net.clone(),
            clock.clone(),
            judge.clone(),
            scene.behaviours.clone(),
            scene.fronts(),
            by_tag,
        );
        let hosts = MemoryHosts::new(clock.clone(), Arc::new(apps.clone()));
        let config = Config {
            region: "eu-west-1".to_owned(),
            seed,
            hostility: scene.hostility.clone(),
            ..Config::default()
        };
        let cloud = Cloud::new(config, clock.clone(), Arc::new(hosts));
        let oracle = Oracle::new(clock.clone(), cloud.topology());
        apps.report_to(oracle.clone());
        let built = cloud.build(&scene.plan()).unwrap();
        further_listeners(&cloud, &built);
        let balancer = Balancer::spawn(
            net.clone(),
            clock.clone(),
            seed,
            scene.knobs.clone(),
            cloud.topology(),
            cloud.health_reports(),
            oracle.clone(),
        );
        let builder = Registry::builder(clock.clone()).seed(seed);
        let registry = builder.in_memory().unwrap();
        let client = Client::new(registry.clone(), "default");
        let probed = probe::Ports::default();
        let asked = probed.clone();
        let probe = probe::probes(net.clone(), clock.clone(), asked, scene.reachable);
        let control = Control::new(
            cloud.clone(),
            registry.clone(),
            oracle.clone(),
            judge.clone(),
            probe,
            (scene.latency, seed),
        );
        let judging = {
            let (clock, cloud, oracle, judge) =
                (clock.clone(), cloud.clone(), oracle.clone(), judge.clone());
            AbortOnDropHandle::new(tokio::spawn(async move {
                loop {
                    clock.sleep(JUDGE).await;
                    judge.look(&cloud, &oracle);
                }
            }))
        };
        let fronts = fronts(&net, &scene, &built).await;
        let mut world = Self {
            seed,
            began: clock.now(),
            releases: Api::default_namespaced(client.clone()),
            client,
            built,
            scene,
            clock,
            cloud,
            oracle,
            apps,
            judge,
            control,
            registry,
            net: net.clone(),
            told: Mutex::default(),
            drained: Mutex::default(),
            probed,
            load: Vec::new(),
            _fronts: fronts,
            _judging: judging,
            _balancer: balancer,
        };
        world.come_into_service(&net).await;
        world
    }

    /// The old version serves on every host, and the load begins.
    async fn come_into_service(&mut self, net: &Net) {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        let definition = crd::definition();
        let params = PostParams::default();
        definitions.create(&params, &definition).await.unwrap();
        let port = self.scene.ports[0];
        let olds = &self.built.hosts[..self.scene.hosts];
        if self.scene.fleet == Fleet::Hosts {
            let listens = self.scene.application_port(port);
            for host in olds {
                self.apps
                    .launch(&inside(host), &unit(listens), OLD, listens);
            }
        }
        self.clock.sleep(Duration::from_secs(6)).await;
        for group in &self.built.groups {
            let targets: Vec<_> = olds.iter().map(|host| (host.id.as_str(), port)).collect();
            self.cloud.register(group, &targets).unwrap();
        }
        self.until_true("every old target is healthy", 200, |world| {
            let groups = &world.built.groups;
            groups
                .iter()
                .all(|group| world.healthy(group).len() == world.scene.hosts)
        })
        .await;
        // What a node does not know yet it answers with 503.
        self.clock.sleep(self.scene.knobs.propagation.tail).await;
        self.clock.sleep(Duration::from_secs(30)).await;
        self.judge.hold(&self.built.groups, self.scene.floor());
        for index in 0..self.built.groups.len() {
            let port = self.built.listener_port + u16::try_from(index).unwrap();
            let nodes = self.built.nodes.iter();
            let addresses = nodes.map(|node| SocketAddr::new(*node, port)).collect();
            let config = self.scene.load(addresses, self.seed + index as u64);
            let load = Load::start(net.clone(), self.clock.clone(), config);
            self.load.push(load);
        }
        self.clock.sleep(Duration::from_secs(3)).await;
        self.began = self.clock.now();
    }

    /// A client of the registry, as a person has it.
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Starts a controller.
    pub(crate) fn start(&self) {
        self.control.start(None);
    }

    /// Starts a controller that dies, and another a little later.
    pub(crate) fn start_doomed(&self, kill: Kill, back_after: Duration) -> AbortOnDropHandle<()> {
        self.control.start(Some(kill));
        self.control.revive(back_after)
    }

    /// Applies a manifest, as kubectl does.
    pub(crate) async fn apply(&self, manifest: &Manifest) {
        let params = PatchParams::apply("kubectl").force();
        let patch = Patch::Apply(&manifest.0);
        self.releases.patch(NAME, &params, &patch).await.unwrap();
    }

    /// Asks for the deletion of the release.
    pub(crate) async fn delete(&self) {
        let params = DeleteParams::default();
        self.releases.delete(NAME, &params).await.unwrap();
    }

    /// The release as it stands, if it is there.
    pub(crate) async fn release(&self) -> Option<BlueGreenRelease> {
        self.releases.get_opt(NAME).await.unwrap()
    }

    /// The status as it stands.
    pub(crate) async fn status(&self) -> BlueGreenReleaseStatus {
        let release = self.release().await;
        release
            .and_then(|release| release.status)
            .unwrap_or_default()
    }

    /// The healthy targets of a group, in truth.
    pub(crate) fn healthy(&self, group: &str) -> Vec<String> {
        judge::healthy(&self.cloud.state(), group)
    }

    /// Each target of a group with its state, in truth.
    pub(crate) fn targets(&self, group: &str) -> Vec<(String, String)> {
        let state = self.cloud.state();
        let groups = state["targetGroups"].as_array().into_iter().flatten();
        let targets = groups
            .filter(|one| one["arn"] == group)
            .filter_map(|one| one["targets"].as_array())
            .flatten();
        let shown = targets.map(|target| {
            let id = target["id"].as_str().unwrap_or_default();
            let health = target["state"].as_str().unwrap_or_default();
            (format!("{id}:{}", target["port"]), health.to_owned())
        });
        shown.collect()
    }

    /// Makes a listener that forwards to a target group.
    pub(crate) fn listen_on(&self, port: u16, group: &str) {
        listener(&self.cloud, &self.built, port, group);
    }

    /// The state of an instance, in truth.
    pub(crate) fn instance_state(&self, id: &str) -> String {
        let state = self.cloud.state();
        let mut instances = state["instances"].as_array().into_iter().flatten();
        let found = instances.find(|instance| instance["id"] == id);
        found.unwrap()["state"].as_str().unwrap().to_owned()
    }

    /// The changes that the controller made in AWS.
    pub(crate) fn mutations(&self) -> Vec<Change> {
        story::mutations(&self.cloud)
    }

    /// Every Event about the release, as reason and note.
    pub(crate) async fn events(&self) -> Vec<(String, String)> {
        let events: Api<Event> = Api::default_namespaced(self.client.clone());
        let events = events.list(&ListParams::default()).await.unwrap();
        let said = |event: Event| {
            let reason = event.reason.unwrap_or_default();
            (reason, event.note.unwrap_or_default())
        };
        events.items.into_iter().map(said).collect()
    }

    /// How often each process was started and told to stop: `id:port version`.
    pub(crate) fn processes(&self, change: ProcessChange) -> Vec<String> {
        let events = self.apps.events();
        let of_kind = events.iter().filter(|event| event.what == change);
        of_kind
            .map(|event| format!("{}:{} {}", event.host, event.port, event.version))
            .collect()
    }

    /// Processes that were told to stop before a status said that they are drained.
    pub(crate) fn stopped_without_proof(&self) -> Vec<ProcessEvent> {
        let drained = self.drained.lock().unwrap();
        let proven = |stopped: &ProcessEvent| {
            drained.iter().any(|drained| {
                drained.host == stopped.host
                    && drained.port == stopped.port
                    && drained.version == stopped.version
                    && drained.at <= stopped.at
            })
        };
        let mut events = self.apps.events();
        events.retain(|event| event.what == ProcessChange::Signalled && !proven(event));
        events
    }

    /// The ports that the probe has asked so far.
    pub(crate) fn probed(&self) -> Vec<u16> {
        self.probed.lock().unwrap().iter().copied().collect()
    }

    /// How many requests were not served so far.
    pub(crate) fn failed(&self) -> u64 {
        self.load.iter().map(|load| load.totals().failed).sum()
    }

    /// Ends the world; every request that was sent must have been served.
    pub(crate) async fn end(mut self) -> Report {
        let mut reports = self.end_load().await;
        let status = self.status().await;
        self.control.stop().await;
        self.judged_at_rest().await;
        self.judged(&status);
        self.all_served(&reports, &status);
        reports.swap_remove(0)
    }

    /// Ends the load a little later; what is in flight then is given its time.
    pub(super) async fn end_load(&mut self) -> Vec<Report> {
        self.clock.sleep(Duration::from_secs(5)).await;
        let mut reports = Vec::new();
        for load in std::mem::take(&mut self.load) {
            reports.push(load.stop(PATIENCE).await);
        }
        reports
    }

    /// Every request was served, and there were some.
    pub(super) fn all_served(&self, reports: &[Report], status: &BlueGreenReleaseStatus) {
        for report in reports {
            let totals = &report.totals;
            let bad = totals.failed + totals.unfinished + totals.not_sent;
            if bad > 0 || totals.served == 0 {
                self.fail(&format!("{totals:?}"), status);
            }
        }
    }
}

/// On every host, the program in front of each port of the application.
async fn fronts(net: &Net, scene: &Scene, built: &scene::Scene) -> Vec<AbortOnDropHandle<()>> {
    let mut fronts = Vec::new();
    for host in &built.hosts {
        for (application, registered) in scene.fronts() {
            let at = |port| SocketAddr::new(host.address, port);
            let front = front::start(net, at(registered), at(application)).await;
            fronts.push(front);
        }
    }
    fronts
}

/// A listener of its own for every group but the first.
fn further_listeners(cloud: &Cloud, built: &scene::Scene) {
    for (index, group) in built.groups.iter().enumerate().skip(1) {
        let port = built.listener_port + u16::try_from(index).unwrap();
        listener(cloud, built, port, group);
    }
}

fn listener(cloud: &Cloud, built: &scene::Scene, port: u16, group: &str) {
    let listener: Value = json!({
        "LoadBalancerArn": built.load_balancer,
        "Protocol": "HTTP",
        "Port": port,
        "DefaultActions": [{"Type": "forward", "TargetGroupArn": group}],
    });
    cloud.arrange("CreateListener", &listener).unwrap();
}

/// The unit that runs the application.
fn unit(port: u16) -> String {
    format!("{NAME}@{port}.service")
}

fn inside(host: &scene::SceneHost) -> Host {
    Host {
        id: host.id.clone(),
        address: host.address,
        zone: host.zone.clone(),
        image: String::new(),
        tags: std::collections::BTreeMap::new(),
        user_data: None,
    }
}
