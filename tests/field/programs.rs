//! The programs that are tried, as processes, and what they leave behind.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

use crate::{
    process::{self, AGAIN, Process, READY},
    world::Setup,
};

/// The programs that are tried.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) demo: PathBuf,
    pub(crate) controller: PathBuf,
}

/// The addresses of the load balancer.
pub(crate) fn nodes(said: &Value) -> Vec<SocketAddr> {
    let port = said["stage"]["listenerPort"].as_u64();
    let port = port
        .and_then(|port| u16::try_from(port).ok())
        .unwrap_or_default();
    let nodes = said["stage"]["nodes"].as_array().into_iter().flatten();
    nodes
        .filter_map(|node| node.as_str()?.parse::<IpAddr>().ok())
        .map(|node| SocketAddr::new(node, port))
        .collect()
}

/// The addresses of a world: others for each world of each process that tries the suite. Those of
/// the demo's own worlds are below 127.128.
fn network(number: u8) -> String {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    format!("127.{}.{low}.0", 128 + high % 4 * 32 + number % 32)
}

/// Starts a stage; what it says of itself.
pub(crate) async fn stage(
    programs: &Programs,
    setup: &Setup,
    folder: &Path,
    number: u8,
) -> Result<(Process, Value), String> {
    let mut command = process::bound(&programs.demo);
    command
        .arg("stage")
        .args(["--hosts", &setup.hosts.to_string()])
        .args(["--delay", &setup.delay.to_string()])
        .args(["--check-interval", &setup.check_interval.to_string()])
        .args(["--seed", &setup.seed.to_string()])
        .args(["--network", &network(number)])
        .args(if setup.registered {
            None
        } else {
            Some("--unregistered")
        })
        .arg("--versions=1.7.3,1.8.0,1.9.0")
        .env("TMPDIR", folder.join("tmp"));
    let log = folder.join("stage.log");
    let mut stage = Process::start("the stage", &log, &mut command);
    let from = Instant::now();
    loop {
        let said = stage.log();
        let line = said.lines().find(|line| line.starts_with('{'));
        if let Some(said) = line.and_then(|line| serde_json::from_str(line).ok()) {
            return Ok((stage, said));
        }
        if stage.id().is_none() || from.elapsed() > READY {
            return Err(format!("the stage is not built; {}", stage.last_words()));
        }
        sleep(AGAIN).await;
    }
}

/// Starts a controller for it.
pub(crate) fn controller(
    programs: &Programs,
    folder: &Path,
    kubeconfig: &str,
    region: &str,
    endpoint: &str,
) -> Process {
    let mut command: Command = process::bound(&programs.controller);
    command
        .args([
            "--leader-election=false",
            "--listen=127.0.0.1:0",
            &format!("--region={region}"),
            &format!("--endpoint-url={endpoint}"),
        ])
        .env("KUBECONFIG", kubeconfig)
        .env("RUST_BACKTRACE", "0")
        .env("TMPDIR", folder.join("tmp"))
        .env("AWS_ACCESS_KEY_ID", "controller")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    let log = folder.join("controller.log");
    Process::start("the controller", &log, &mut command)
}

/// Files and processes of a world that has ended.
pub(crate) async fn left_behind(folder: &Path) -> Vec<String> {
    let from = Instant::now();
    loop {
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut left: Vec<String> = files
            .map(|entry| format!("left behind: {}", entry.path().display()))
            .collect();
        left.extend(processes_of(folder));
        // A process that was killed takes a moment to be gone.
        if left.is_empty() || from.elapsed() > Duration::from_secs(5) {
            return left;
        }
        sleep(AGAIN).await;
    }
}

/// The processes that were started with something of this folder.
fn processes_of(folder: &Path) -> Vec<String> {
    let wanted = folder.display().to_string();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
            let line = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
            let around = String::from_utf8_lossy(&read("environ")).replace('\0', " ");
            (line.contains(&wanted) || around.contains(&wanted))
                .then(|| format!("still runs: {line}"))
        })
        .collect()
}
