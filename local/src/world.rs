//! A world for one release: a simulated cloud, hosts with real processes, a load balancer with
//! real sockets, and a load. Everything in it ends when it is closed or dropped.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bluegreen_app::load::{self, Load};
use bluegreen_cloud::{
    Cloud, Config,
    balancer::Balancer,
    hosts::{ProcessHosts, Setup, Unit},
    oracle::Oracle,
    scene::{Plan, Scene},
    serve,
};
use bluegreen_net::{Clock, Net};
use jiff::Timestamp;
use tokio::{net::UnixListener, sync::mpsc};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    error::Error,
    lifeline,
    monitor::Monitor,
    scenario::{LISTENER_PORT, NAME, OLD_VERSION, PORT, Scenario, UNIT},
};

/// How long the application may take to be in service at first, in virtual time: start,
/// registration, the nodes' rare long delay and health checks come to less than two minutes.
const IN_SERVICE_WITHIN: Duration = Duration::from_secs(300);
/// How often that is looked at, in virtual time.
const LOOK: Duration = Duration::from_millis(500);
/// How long a client waits for an answer. Longer than any request takes.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
/// How often the directory of a world is tried to be removed: a process that was killed may be
/// about to leave it.
const REMOVALS: u32 = 50;
/// What passes between two such tries, in real time.
const REMOVAL_PAUSE: Duration = Duration::from_millis(20);

/// What the names of the worlds' directories begin with.
const DIRECTORY: &str = "bluegreen-demo-";

/// Removes the directories of demos that were killed and could not do it themselves.
pub fn remove_leftovers() {
    remove_leftovers_of(DIRECTORY);
}

/// The same for directories of others in the temporary directory, which are called so and then by
/// the id of the process that they are of.
pub fn remove_leftovers_of(prefix: &str) {
    let entries = fs::read_dir(std::env::temp_dir()).into_iter().flatten();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| process_of(name, prefix));
        if process.is_some_and(|process| !PathBuf::from("/proc").join(process).exists()) {
            // Another program may be removing it too, or it belongs to another user.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The process that a directory is of: the prefix, its id, and perhaps more after a dash.
fn process_of<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let process = name.strip_prefix(prefix)?.split('-').next()?;
    let digits = !process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit());
    digits.then_some(process)
}

/// A world. The order of its fields is the order in which they end.
pub struct World {
    /// What truly happens.
    pub monitor: Monitor,
    /// The world's time.
    pub clock: Clock,
    /// What was built.
    pub scene: Arc<Scene>,
    /// The simulated cloud.
    pub cloud: Cloud,
    /// The judge of requests.
    pub oracle: Oracle,
    /// The URL of the simulated AWS.
    pub endpoint: String,
    /// The program that runs as the application.
    pub program: PathBuf,
    load: Load,
    _tasks: [AbortOnDropHandle<()>; 3],
    _balancer: Balancer,
    _running: Running,
    root: Root,
}

/// Ends the cloud and its processes.
pub(crate) struct Running(pub(crate) Cloud);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.shutdown();
    }
}

/// The directory of a world, which goes with it.
pub(crate) struct Root(PathBuf);

impl Root {
    /// Makes one. `number` tells the worlds of this process apart.
    pub(crate) fn new(number: u8) -> Result<Self, Error> {
        let name = format!("{DIRECTORY}{}-{number}", std::process::id());
        let root = std::env::temp_dir().join(name);
        fs::create_dir_all(&root).map_err(Error::machine(format!("create {}", root.display())))?;
        Ok(Self(root))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        for _ in 0..REMOVALS {
            match fs::remove_dir_all(&self.0) {
                Ok(()) => return,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
                Err(_) => std::thread::sleep(REMOVAL_PAUSE),
            }
        }
        eprintln!("warning: {} could not be removed", self.0.display());
    }
}

impl World {
    /// Builds a world in which the old version serves and the load has begun.
    ///
    /// `number` tells the worlds of this process apart.
    ///
    /// # Errors
    /// When the machine refuses something, or the application does not come into service.
    pub async fn build(
        scenario: &Scenario,
        seed: u64,
        scale: f64,
        number: u8,
    ) -> Result<Self, Error> {
        let anchor = Timestamp::now();
        let clock = Clock::scaled(anchor, scale);
        let root = Root::new(number)?;
        let program = std::env::current_exe().map_err(Error::machine("find this program"))?;
        let socket = root.0.join("lifeline");
        let lifelines = UnixListener::bind(&socket)
            .map_err(Error::machine(format!("listen on {}", socket.display())))?;
        let command = format!(
            "'{}' app --lifeline '{}' --address {{{{address}}}}:{{{{port}}}} \
             --app-version {{{{version}}}} --startup {}s --keep-alive 75s \
             --shutdown-timeout {}s --clock-anchor {anchor} --clock-scale {scale}",
            program.display(),
            socket.display(),
            scenario.startup.as_secs(),
            scenario.shutdown_timeout.as_secs(),
        );
        let setup = Setup {
            units: vec![Unit {
                name: format!("{NAME}@.service"),
                command,
            }],
            start: vec![(UNIT.to_owned(), OLD_VERSION.to_owned(), PORT)],
        };
        let hosts = ProcessHosts::new(&root.0.join("hosts"), &clock, BTreeMap::new(), setup)
            .map_err(Error::machine("set up the hosts"))?;
        let cloud = Cloud::new(
            config(scenario, seed, number),
            clock.clone(),
            Arc::new(hosts),
        );
        let running = Running(cloud.clone());
        let scene = cloud.build(&plan(scenario)).map_err(Error::Scene)?;
        let scene = Arc::new(scene);
        let oracle = Oracle::new(clock.clone(), cloud.topology());
        let monitor = Monitor::new(cloud.clone(), oracle.clone(), Arc::clone(&scene));
        let (signs, received) = mpsc::unbounded_channel();
        let following = tokio::spawn(lifeline::listen(lifelines, clock.clone(), signs));
        let watching = tokio::spawn(monitor.clone().watch(received));
        let balancer = Balancer::spawn(
            Net::Tcp,
            clock.clone(),
            seed,
            scenario.knobs.clone(),
            cloud.topology(),
            cloud.health_reports(),
            oracle.clone(),
        );
        let listener = Net::Tcp
            .listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .await
            .map_err(Error::machine("listen for calls to AWS"))?;
        let endpoint = listener
            .local_addr()
            .map_err(Error::machine("listen for calls to AWS"))?;
        let serving = tokio::spawn(serve(listener, cloud.clone(), std::future::pending()));
        let tasks = [following, watching, serving].map(AbortOnDropHandle::new);
        let targets: Vec<(&str, u16)> = scene
            .hosts
            .iter()
            .map(|host| (host.id.as_str(), PORT))
            .collect();
        cloud
            .register(&scene.groups[0], &targets)
            .map_err(Error::Scene)?;
        in_service(&monitor, &clock).await?;
        let load = Load::start(
            Net::Tcp,
            clock.clone(),
            load_config(scenario, &scene.nodes, seed),
        );
        let world = Self {
            monitor,
            clock,
            scene,
            cloud,
            oracle,
            endpoint: format!("http://{endpoint}"),
            program,
            load,
            _tasks: tasks,
            _balancer: balancer,
            _running: running,
            root,
        };
        Ok(world)
    }

    /// The counts of the load so far.
    #[must_use]
    pub fn totals(&self) -> load::Totals {
        self.load.totals()
    }

    /// Where the load balancer listens.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        let nodes = self.scene.nodes.iter();
        nodes
            .map(|node| format!("http://{node}:{LISTENER_PORT}/"))
            .collect()
    }

    /// A directory that ends with the world.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.root.0
    }

    /// How many calls a principal made to AWS.
    #[must_use]
    pub fn calls_of(&self, principal: &str) -> usize {
        let calls = self.cloud.ledger(0);
        calls
            .iter()
            .filter(|call| call.principal == principal)
            .count()
    }

    /// Sends no new requests, waits for those in flight, and ends the world.
    pub async fn close(self) -> load::Report {
        let Self { load, .. } = self;
        load.stop(REQUEST_TIMEOUT).await
    }
}

/// Waits until every target is healthy.
async fn in_service(monitor: &Monitor, clock: &Clock) -> Result<(), Error> {
    let healthy = async {
        while monitor.hosts().iter().any(|host| host.target != "healthy") {
            clock.sleep(LOOK).await;
        }
    };
    clock
        .timeout(IN_SERVICE_WITHIN, healthy)
        .await
        .map_err(|_| Error::NotInService {
            seconds: IN_SERVICE_WITHIN.as_secs(),
            state: format!("{:?}", monitor.hosts()),
        })
}

fn config(scenario: &Scenario, seed: u64, number: u8) -> Config {
    let [second, third] = octets(std::process::id(), number);
    Config {
        seed,
        hostility: scenario.hostility.clone(),
        instance_addresses: Ipv4Addr::new(127, second, third, 0),
        node_addresses: Ipv4Addr::new(127, second, third, 128),
        ..Config::default()
    }
}

/// Where the addresses of a world begin: others for each world of each process, so that neither
/// two demos at a time nor a world that is just ending are in the way.
fn octets(process: u32, number: u8) -> [u8; 2] {
    let [_, _, high, low] = process.to_be_bytes();
    // Twelve times eight blocks, from 127.32 to 127.127.
    [32 + high % 12 * 8 + number % 8, low]
}

fn plan(scenario: &Scenario) -> Plan {
    let mut plan = Plan::simple(NAME, PORT, scenario.hosts);
    plan.listener_port = LISTENER_PORT;
    for group in &mut plan.groups {
        "/health".clone_into(&mut group.check_path);
        group.check_interval = scenario.check_interval;
        group.deregistration_delay = scenario.deregistration_delay;
    }
    plan
}

fn load_config(scenario: &Scenario, nodes: &[IpAddr], seed: u64) -> load::Config {
    let address = |node: &IpAddr| SocketAddr::new(*node, LISTENER_PORT);
    load::Config {
        keep_alive_workers: scenario.keep_alive_clients,
        new_connection_workers: scenario.new_connection_clients,
        arrivals_per_second: scenario.arrivals_per_second,
        mix: scenario.mix.clone(),
        request_timeout: REQUEST_TIMEOUT,
        // It ends with the release, or with the user's patience.
        duration: Duration::from_secs(24 * 3_600),
        max_requests: u64::MAX,
        seed,
        ..load::Config::against(nodes.iter().map(address).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn only_directories_that_name_a_process_are_taken_for_its_own() {
        for (name, process) in [
            ("bluegreen-demo-12-3", Some("12")),
            ("bluegreen-demo-12", Some("12")),
            ("bluegreen-demo-", None),
            ("bluegreen-demo-../12", None),
            ("bluegreen-demo-x12-3", None),
            ("bluegreen-real-12", None),
        ] {
            assert_eq!(process_of(name, DIRECTORY), process, "{name}");
        }
    }

    #[test]
    fn worlds_that_may_live_at_the_same_time_have_different_addresses() {
        let processes = 1_000..2_000;
        let worlds = processes.flat_map(|process| (1..=6).map(move |n| octets(process, n)));
        let all: Vec<[u8; 2]> = worlds.collect();
        let different: HashSet<&[u8; 2]> = all.iter().collect();
        assert_eq!(different.len(), all.len());
        assert!(all.iter().all(|[second, _]| (32..128).contains(second)));
    }
}
