//! Starts a simulated AWS on loopback: one load balancer in two zones, one target group, hosts that
//! run a small web server.
//!
//! ```text
//! cargo run -p bluegreen-cloud --example cloud -- [--listen 127.0.0.1:4566] [--hosts 2]
//!     [--scale 1] [--seed 1] [--calm] [--command 'exec my-app {{address}}:{{port}} {{version}}']
//! ```
//!
//! It prints what it built as one line of JSON and runs until it is interrupted, gets SIGTERM, or
//! its standard input ends. Then everything that it started ends, and its directory is removed.

use std::{
    collections::BTreeMap, error::Error, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration,
};

use bluegreen_cloud::{
    Cloud, Config, Hostility,
    balancer::{Balancer, Knobs},
    hosts::{ProcessHosts, Setup, Unit},
    oracle::Oracle,
    scene::Plan,
    serve,
};
use bluegreen_net::{Clock, Net};
use jiff::Timestamp;
use tokio::{
    io::AsyncReadExt,
    signal::unix::{SignalKind, signal},
};

/// How often the directory is tried to be removed: a process that was killed may be about to leave.
const REMOVALS: u32 = 50;
/// What passes between two such tries.
const REMOVAL_PAUSE: Duration = Duration::from_millis(20);

/// The directory of the hosts, which goes with this program however it ends by itself.
struct Root(PathBuf);

impl Drop for Root {
    fn drop(&mut self) {
        for _ in 0..REMOVALS {
            if std::fs::remove_dir_all(&self.0).is_ok() || !self.0.exists() {
                return;
            }
            std::thread::sleep(REMOVAL_PAUSE);
        }
        eprintln!("warning: {} could not be removed", self.0.display());
    }
}

struct Options {
    listen: SocketAddr,
    hosts: usize,
    scale: f64,
    seed: u64,
    calm: bool,
    command: String,
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        listen: SocketAddr::from(([127, 0, 0, 1], 4566)),
        hosts: 2,
        scale: 1.0,
        seed: 1,
        calm: false,
        command: "python3 -m http.server --bind {{address}} {{port}}".to_owned(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--calm" {
            options.calm = true;
            continue;
        }
        let value = words.next().ok_or("every option but --calm has a value")?;
        match word.as_str() {
            "--listen" => options.listen = value.parse()?,
            "--hosts" => options.hosts = value.parse()?,
            "--scale" => options.scale = value.parse()?,
            "--seed" => options.seed = value.parse()?,
            "--command" => options.command = value,
            other => return Err(format!("there is no option {other}").into()),
        }
    }
    Ok(options)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    // From here on a signal does not end the program before it has cleaned up.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let clock = Clock::scaled(Timestamp::now(), options.scale);
    let config = Config {
        seed: options.seed,
        hostility: if options.calm {
            Hostility::calm()
        } else {
            Hostility::realistic()
        },
        ..Config::default()
    };
    let root = std::env::temp_dir().join(format!("bluegreen-cloud-{}", std::process::id()));
    let root = Root(root);
    let setup = Setup {
        units: vec![Unit {
            name: "app@.service".to_owned(),
            command: options.command,
        }],
        start: Vec::new(),
    };
    let hosts = Arc::new(ProcessHosts::new(&root.0, &clock, BTreeMap::new(), setup)?);
    let cloud = Cloud::new(config, clock.clone(), hosts);
    let mut plan = Plan::simple("games", 8080, options.hosts);
    plan.listener_port = 8000;
    plan.groups[0].check_interval = Duration::from_secs(5);
    plan.groups[0].deregistration_delay = Duration::from_secs(20);
    let scene = cloud.build(&plan)?;
    let listener = Net::Tcp.listen(options.listen).await?;
    let at = listener.local_addr()?;
    let _balancer = Balancer::spawn(
        Net::Tcp,
        clock.clone(),
        options.seed,
        Knobs::default(),
        cloud.topology(),
        cloud.health_reports(),
        Oracle::new(clock, cloud.topology()),
    );
    let instances: Vec<&str> = scene.hosts.iter().map(|host| host.id.as_str()).collect();
    let built = serde_json::json!({
        "endpoint": format!("http://{at}"),
        "vpc": scene.vpc,
        "subnets": scene.subnets,
        "loadBalancer": scene.load_balancer,
        "nodes": scene.nodes,
        "listener": scene.listener,
        "targetGroups": scene.groups,
        "instances": instances,
        "root": root.0,
    });
    println!("{built}");
    let end = async {
        let mut input = Vec::new();
        let closed = tokio::io::stdin();
        tokio::pin!(closed);
        tokio::select! {
            _ = closed.read_to_end(&mut input) => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    serve(listener, cloud.clone(), end).await;
    cloud.shutdown();
    drop(root);
    Ok(())
}
