//! A cloud whose one host runs real processes.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use bluegreen_cloud::{
    Cloud, Config, Hostility,
    hosts::{ProcessHosts, Setup, Unit},
    scene::{Plan, Scene},
};
use bluegreen_net::Clock;
use jiff::Timestamp;
use serde_json::{Value, json};

/// How often a condition is looked at before the test gives up: with the pause, half a minute.
pub(crate) const LOOKS: u32 = 600;
pub(crate) const PAUSE: Duration = Duration::from_millis(50);

/// The cloud, and what to ask it for.
pub(crate) struct Real {
    pub(crate) cloud: Cloud,
    pub(crate) scene: Scene,
    pub(crate) root: PathBuf,
}

impl Real {
    /// One host with some units, of which `good@9090` starts with the instance.
    pub(crate) fn new(name: &str, scale: f64) -> Self {
        let root =
            std::env::temp_dir().join(format!("bluegreen-test-{name}-{}", std::process::id()));
        let clock = Clock::scaled(Timestamp::now(), scale);
        let unit = |name: &str, command: &str| Unit {
            name: format!("{name}@.service"),
            command: command.to_owned(),
        };
        let setup = Setup {
            units: vec![
                unit("good", "sleep 1000"),
                unit(
                    "stubborn",
                    "sh -c 'trap \"\" TERM; while :; do /bin/sleep 0.1; done'",
                ),
                unit("broken", "sh -c 'echo no configuration; exit 3'"),
                unit(
                    "telling",
                    "sh -c 'echo {{address}} {{port}} {{version}} {{revision}} >told; exec sleep 1000'",
                ),
            ],
            start: vec![("good@9090.service".to_owned(), "0.9.0".to_owned(), 9090)],
        };
        let hosts = ProcessHosts::new(&root, &clock, BTreeMap::new(), setup).unwrap();
        let config = Config {
            hostility: Hostility::calm(),
            ..Config::default()
        };
        let cloud = Cloud::new(config, clock, Arc::new(hosts));
        let scene = cloud.build(&Plan::simple("games", 8080, 1)).unwrap();
        Self { cloud, scene, root }
    }

    /// Sends a command and returns its id.
    pub(crate) fn send(&self, document: &str, parameters: &Value) -> String {
        let host = &self.scene.hosts[0].id;
        let body =
            json!({"DocumentName": document, "InstanceIds": [host], "Parameters": parameters});
        let sent = self.cloud.arrange("SendCommand", &body).unwrap();
        sent["Command"]["CommandId"].as_str().unwrap().to_owned()
    }

    /// Waits for a command's end: exit code, output, error output.
    pub(crate) async fn ended(&self, command: &str) -> (i64, String, String) {
        let named = json!({"CommandId": command, "InstanceId": self.scene.hosts[0].id});
        for _ in 0..LOOKS {
            let now = self.cloud.arrange("GetCommandInvocation", &named).unwrap();
            if !matches!(
                now["Status"].as_str(),
                Some("Pending" | "InProgress" | "Cancelling")
            ) {
                let text = |name: &str| now[name].as_str().unwrap().to_owned();
                let code = now["ResponseCode"].as_i64().unwrap();
                return (
                    code,
                    text("StandardOutputContent"),
                    text("StandardErrorContent"),
                );
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("command {command} did not end");
    }

    /// Runs a command to its end: exit code, output, error output.
    pub(crate) async fn run(&self, document: &str, parameters: Value) -> (i64, String, String) {
        let command = self.send(document, &parameters);
        self.ended(&command).await
    }

    /// A file in the host's directory.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.root.join(&self.scene.hosts[0].id).join(path)
    }

    /// Waits until there is a file is on the host.
    pub(crate) async fn exists(&self, path: &str) {
        for _ in 0..LOOKS {
            if self.file(path).exists() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("there is no {path} on the host");
    }

    pub(crate) async fn start(&self, unit: &str, version: &str) -> (i64, String, String) {
        let parameters =
            json!({"unit": [unit], "version": [version], "port": ["8080"], "revision": ["7"]});
        self.run("BlueGreen-StartUnit", parameters).await
    }

    pub(crate) async fn stop(&self, unit: &str, grace: &str) -> (i64, String, String) {
        let parameters = json!({"unit": [unit], "gracePeriod": [grace]});
        self.run("BlueGreen-StopUnit", parameters).await
    }

    /// The processes that have this instance's directory in their environment or arguments.
    pub(crate) fn processes(&self) -> usize {
        let mark = self.root.to_string_lossy().into_owned();
        let proc = std::fs::read_dir("/proc").unwrap();
        let belongs = |entry: &std::fs::DirEntry| {
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            String::from_utf8_lossy(&environment).contains(&format!("BLUEGREEN_ROOT={mark}"))
        };
        proc.filter_map(Result::ok).filter(belongs).count()
    }

    /// The unit that starts with the instance runs.
    pub(crate) async fn booted(&self) {
        let host = self.root.join(&self.scene.hosts[0].id);
        let main = host.join("run/units/good@9090.service/main");
        for _ in 0..LOOKS {
            if std::fs::read_to_string(&main).is_ok_and(|text| !text.is_empty()) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("the unit of the image did not start");
    }

    pub(crate) async fn none_left(&self) {
        for _ in 0..LOOKS {
            if self.processes() == 0 {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("{} processes are left", self.processes());
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        self.cloud.shutdown();
        std::fs::remove_dir_all(&self.root).ok();
    }
}

/// The word after `how=` in the last line.
pub(crate) fn how(output: &str) -> &str {
    let last = output.lines().last().unwrap_or_default();
    last.split(' ')
        .find_map(|word| word.strip_prefix("how="))
        .unwrap_or_default()
}
