//! Hosts without processes: the documents' two verbs become calls of Rust code.
//!
//! As on a host with processes, one command at a time works on a unit, and one with a lower fence
//! than the unit has seen does nothing.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bluegreen_net::Clock;
use futures::future::{BoxFuture, FutureExt, ready};
use jiff::Timestamp;

use super::{
    Command, CommandOutput, Halt, Host, Hosts, StartUnit, StopUnit,
    fence::{Fences, Turn},
    words::{Refused, Started, Stopped},
};
use crate::ssm::{START_UNIT, STOP_UNIT};

/// What `BlueGreen-StopUnit` keeps of its execution timeout for itself, next to the grace period.
const STOP_RESERVE: Duration = Duration::from_secs(30);

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

    /// The processes of a unit, or of every unit, are killed with SIGKILL.
    fn kill(&self, host: Host, unit: Option<String>) -> BoxFuture<'static, ()> {
        drop((host, unit));
        ready(()).boxed()
    }

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
    fences: Fences,
}

impl MemoryHosts {
    /// Hosts that call `inside`. The clock measures how long it takes.
    pub fn new(clock: Clock, inside: Arc<dyn MemoryHost>) -> Self {
        Self {
            clock,
            inside,
            fences: Fences::default(),
        }
    }

    async fn start(
        self,
        host: Host,
        parameters: BTreeMap<String, Vec<String>>,
    ) -> Result<CommandOutput, Refused> {
        let unit = start_unit(&parameters);
        let _turn = self
            .turn(&host, &parameters, &unit.unit, unit.ready_timeout)
            .await?;
        let (version, began) = (unit.version.clone(), self.clock.now());
        let started = self.inside.start(host, unit).await;
        Ok(started.output(&version, self.since(began)))
    }

    async fn stop(
        self,
        host: Host,
        parameters: BTreeMap<String, Vec<String>>,
    ) -> Result<CommandOutput, Refused> {
        let unit = stop_unit(&parameters);
        let needed = unit.grace_period + STOP_RESERVE;
        let _turn = self.turn(&host, &parameters, &unit.unit, needed).await?;
        let began = self.clock.now();
        let stopped = self.inside.stop(host, unit).await;
        Ok(stopped.output(self.since(began)))
    }

    /// Waits until a command may work on the unit, as long as it will then still have the time
    /// that it may need.
    async fn turn(
        &self,
        host: &Host,
        parameters: &BTreeMap<String, Vec<String>>,
        unit: &str,
        needed: Duration,
    ) -> Result<Turn, Refused> {
        let fence = text(parameters, "fence").parse().unwrap_or(0);
        let patience = seconds(parameters, "executionTimeout").saturating_sub(needed);
        self.fences
            .enter(&self.clock, (&host.id, unit), fence, patience)
            .await
    }

    fn since(&self, began: Timestamp) -> Duration {
        Duration::try_from(self.clock.now().duration_since(began)).unwrap_or_default()
    }
}

impl Hosts for MemoryHosts {
    fn boot(&self, host: Host) -> BoxFuture<'static, ()> {
        self.inside.boot(host)
    }

    fn halt(&self, host: Host, how: Halt) -> BoxFuture<'static, ()> {
        self.fences.halt(&host.id, how);
        self.inside.halt(host, how)
    }

    fn run(&self, host: Host, command: Command) -> BoxFuture<'static, CommandOutput> {
        let this = self.clone();
        let parameters = command.parameters.clone();
        match command.document.as_str() {
            START_UNIT => this.start(host, parameters).map(said).boxed(),
            STOP_UNIT => this.stop(host, parameters).map(said).boxed(),
            _ => self.inside.other(host, command),
        }
    }

    fn kill(&self, host: Host, unit: Option<String>) -> BoxFuture<'static, ()> {
        self.inside.kill(host, unit)
    }

    fn shutdown(&self) {}
}

fn said(output: Result<CommandOutput, Refused>) -> CommandOutput {
    output.unwrap_or_else(|refused| refused.output())
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
        port: text(parameters, "port").parse().ok(),
    }
}
