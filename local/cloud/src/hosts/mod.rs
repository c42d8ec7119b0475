//! What runs on instances: real processes, or tasks of a test.

mod fence;
mod memory;
mod process;
mod sweep;
pub mod words;

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use futures::future::BoxFuture;

pub use memory::{MemoryHost, MemoryHosts};
pub use process::{ProcessHosts, Setup, Unit};

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its id.
    pub id: String,
    /// Its address.
    pub address: IpAddr,
    /// Its zone.
    pub zone: String,
    /// The image that it was launched from.
    pub image: String,
    /// Its tags when this was made.
    pub tags: BTreeMap<String, String>,
    /// Its user data as it was sent.
    pub user_data: Option<String>,
}

/// How an instance ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// It may be started again.
    Stopped,
    /// It is gone for good.
    Terminated,
}

/// A command as the agent on an instance is given it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The document's name.
    pub document: String,
    /// Every parameter, defaults filled in.
    pub parameters: BTreeMap<String, Vec<String>>,
    /// The document's script with the parameters filled in.
    pub script: String,
    /// Where the script runs; the instance's directory when empty.
    pub working_directory: String,
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommandOutput {
    /// The script's exit code.
    pub exit: i32,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// The instances' insides.
pub trait Hosts: Send + Sync + 'static {
    /// An instance has started to run.
    fn boot(&self, host: Host) -> BoxFuture<'static, ()>;

    /// An instance stops or is gone. Everything on it ends at once.
    fn halt(&self, host: Host, how: Halt) -> BoxFuture<'static, ()>;

    /// Runs a command. Dropping the future kills the command, not what it started as a unit.
    fn run(&self, host: Host, command: Command) -> BoxFuture<'static, CommandOutput>;

    /// Kills the processes of a unit, or of every unit, on an instance with SIGKILL, as the kernel
    /// does to one that takes too much memory.
    fn kill(&self, host: Host, unit: Option<String>) -> BoxFuture<'static, ()>;

    /// Ends everything on every instance at once.
    fn shutdown(&self);
}

/// The parameters of `BlueGreen-StartUnit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartUnit {
    /// The unit.
    pub unit: String,
    /// The version to run.
    pub version: String,
    /// The port to listen on.
    pub port: u16,
    /// The revision of the release.
    pub revision: String,
    /// How long the unit may take to be active.
    pub ready_timeout: Duration,
}

/// The parameters of `BlueGreen-StopUnit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopUnit {
    /// The unit.
    pub unit: String,
    /// The time between SIGTERM and SIGKILL.
    pub grace_period: Duration,
    /// The port that must not be listened on where the unit is down already.
    pub port: Option<u16>,
}
