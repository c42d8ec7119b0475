//! Hosts without processes: the documents' two verbs become calls of Rust code.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bluegreen_net::Clock;
use futures::future::{BoxFuture, FutureExt, ready};

use super::{
    Command, CommandOutput, Halt, Host, Hosts, StartUnit, StopUnit,
    words::{Started, Stopped},
};
use crate::ssm::{START_UNIT, STOP_UNIT};

/// What a test runs on instances.
pub trait MemoryHost: Send + Sync + 'static {
    /// An instance has started to run.
    fn boot(&self, host: Host) -> BoxFuture<'static, ()> {
        drop(host);
        ready(()).boxed()
    }

    /// `BlueGreen-StartUnit` was sent. Dropping the future is the agent killing its script: the
    /// unit, once started, goes on.
    fn start(&self, host: Host, unit: StartUnit) -> BoxFuture<'static, Started>;

    /// `BlueGreen-StopUnit` was sent: SIGTERM, the grace period, SIGKILL.
    fn stop(&self, host: Host, unit: StopUnit) -> BoxFuture<'static, Stopped>;

    /// Some other document was sent.
    fn other(&self, host: Host, command: Command) -> BoxFuture<'static, CommandOutput> {
        let stderr = format!("{}: no shell on {}\n", command.document, host.id);
        let output = CommandOutput {
            exit: 127,
            stdout: String::new(),
            stderr,
        };
        ready(output).boxed()
    }

    /// The instance stops or is gone; whatever runs on it must end at once.
    fn halt(&self, host: Host, how: Halt) -> BoxFuture<'static, ()>;
}

/// Instances that call a [`MemoryHost`].
#[derive(Clone)]
pub struct MemoryHosts {
    clock: Clock,
    inside: Arc<dyn MemoryHost>,
}

impl MemoryHosts {
    /// Hosts that call `inside`. The clock measures how long it takes.
    pub fn new(clock: Clock, inside: Arc<dyn MemoryHost>) -> Self {
        Self { clock, inside }
    }
}

impl Hosts for MemoryHosts {
    fn boot(&self, host: Host) -> BoxFuture<'static, ()> {
        self.inside.boot(host)
    }

    fn halt(&self, host: Host, how: Halt) -> BoxFuture<'static, ()> {
        self.inside.halt(host, how)
    }

    fn run(&self, host: Host, command: Command) -> BoxFuture<'static, CommandOutput> {
        let clock = self.clock.clone();
        let began = clock.now();
        let took = move |clock: &Clock| {
            Duration::try_from(clock.now().duration_since(began)).unwrap_or_default()
        };
        match command.document.as_str() {
            START_UNIT => {
                let unit = start_unit(&command.parameters);
                let version = unit.version.clone();
                let started = self.inside.start(host, unit);
                async move { started.await.output(&version, took(&clock)) }.boxed()
            }
            STOP_UNIT => {
                let stopped = self.inside.stop(host, stop_unit(&command.parameters));
                async move { stopped.await.output(took(&clock)) }.boxed()
            }
            _ => self.inside.other(host, command),
        }
    }

    fn shutdown(&self) {}
}

/// Parameters were checked against the document's patterns before a host sees them.
fn text(parameters: &BTreeMap<String, Vec<String>>, name: &str) -> String {
    parameters
        .get(name)
        .map(|values| values.concat())
        .unwrap_or_default()
}

fn seconds(parameters: &BTreeMap<String, Vec<String>>, name: &str) -> Duration {
    Duration::from_secs(text(parameters, name).parse().unwrap_or(0))
}

fn start_unit(parameters: &BTreeMap<String, Vec<String>>) -> StartUnit {
    StartUnit {
        unit: text(parameters, "unit"),
        version: text(parameters, "version"),
        port: text(parameters, "port").parse().unwrap_or(0),
        revision: text(parameters, "revision"),
        ready_timeout: seconds(parameters, "readyTimeout"),
    }
}

fn stop_unit(parameters: &BTreeMap<String, Vec<String>>) -> StopUnit {
    StopUnit {
        unit: text(parameters, "unit"),
        grace_period: seconds(parameters, "gracePeriod"),
    }
}
