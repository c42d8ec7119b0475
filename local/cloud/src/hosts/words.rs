//! The last output line and the exit code of the documents that start and stop a unit.
//!
//! The documents themselves are shell; these are the same words for hosts that have no shell.
//! Exit codes that both documents have are in [`Refused`].

use std::time::Duration;

use super::CommandOutput;

/// The exit code of both documents where there is no such unit.
const NOT_FOUND: i32 = 12;

/// What both documents say then; the real ones name the unit.
const NO_SUCH_UNIT: &str = "the unit does not exist on this host (LoadState=not-found)";

/// What came of starting a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// It was started and is active.
    Started,
    /// It ran with this version already.
    AlreadyRunning,
    /// It runs with another version, or with one that is not known.
    OtherVersion {
        /// The version, where it is known.
        running: Option<String>,
    },
    /// It ended instead of becoming active.
    Failed {
        /// Its last log lines.
        log: String,
    },
    /// It was not active in time.
    TimedOut,
    /// There is no such unit on the host.
    NotFound,
}

impl Started {
    /// The exit code of `BlueGreen-StartUnit`.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Started | Self::AlreadyRunning => 0,
            Self::NotFound => NOT_FOUND,
            Self::OtherVersion { .. } => 20,
            Self::Failed { .. } => 21,
            Self::TimedOut => 22,
        }
    }

    /// What `BlueGreen-StartUnit` prints for a wanted version.
    #[must_use]
    pub fn output(&self, version: &str, took: Duration) -> CommandOutput {
        let (how, stderr) = match self {
            Self::Started => ("started", String::new()),
            Self::AlreadyRunning => ("already-running", String::new()),
            Self::OtherVersion { running } => {
                let running = running.as_deref().unwrap_or("unknown");
                (
                    "other-version",
                    format!("the unit runs with version {running}\n"),
                )
            }
            Self::Failed { log } => ("failed", log.clone()),
            Self::TimedOut => ("timed-out", String::new()),
            Self::NotFound => (
                "not-found",
                format!("{NO_SUCH_UNIT}; nothing was started\n"),
            ),
        };
        CommandOutput {
            exit: self.exit_code(),
            stdout: format!(
                "started how={how} seconds={:.1} version={version}\n",
                took.as_secs_f64()
            ),
            stderr,
        }
    }
}

/// What came of stopping a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// It did not run.
    Already,
    /// It ended within the grace period.
    Graceful {
        /// Its exit code; 128 and the signal when a signal ended it.
        exit: i32,
    },
    /// It had to be killed.
    Killed {
        /// Its exit code, 137 as a rule.
        exit: i32,
    },
    /// It could not even be killed.
    Stuck,
    /// There is no such unit on the host.
    NotFound,
    /// It did not run, and its port is listened on all the same.
    StillListening {
        /// The port.
        port: u16,
    },
}

impl Stopped {
    /// The exit code of `BlueGreen-StopUnit`.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Already | Self::Graceful { .. } | Self::Killed { .. } => 0,
            Self::Stuck => 11,
            Self::NotFound => NOT_FOUND,
            Self::StillListening { .. } => 13,
        }
    }

    /// What `BlueGreen-StopUnit` prints.
    #[must_use]
    pub fn output(&self, took: Duration) -> CommandOutput {
        let (how, exit, stderr) = match self {
            Self::Already => ("already-stopped", 0, String::new()),
            Self::Graceful { exit } => ("graceful", *exit, String::new()),
            Self::Killed { exit } => ("killed", *exit, String::new()),
            Self::Stuck => ("stuck", -1, String::new()),
            Self::NotFound => (
                "not-found",
                -1,
                format!("{NO_SUCH_UNIT}; nothing was stopped\n"),
            ),
            Self::StillListening { port } => (
                "still-listening",
                -1,
                format!(
                    "the unit is down, but port {port} is still listened on; nothing was stopped\n"
                ),
            ),
        };
        CommandOutput {
            exit: self.exit_code(),
            stdout: format!(
                "stopped how={how} seconds={:.1} exit={exit}\n",
                took.as_secs_f64()
            ),
            stderr,
        }
    }
}

/// Why a command did nothing. Both documents end with these words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// A command with a higher fence has worked on the unit.
    Superseded {
        /// The command's fence.
        fence: u64,
        /// The highest that the unit has seen.
        stored: u64,
    },
    /// Another command worked on the unit all the time.
    Unlocked {
        /// The command's fence.
        fence: u64,
    },
}

impl Refused {
    /// The exit code of either document.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Superseded { .. } => 30,
            Self::Unlocked { .. } => 31,
        }
    }

    /// What either document prints.
    #[must_use]
    pub fn output(&self) -> CommandOutput {
        let (stdout, stderr) = match self {
            Self::Superseded { fence, stored } => (
                format!("superseded fence={fence} stored={stored}\n"),
                String::new(),
            ),
            Self::Unlocked { fence } => (
                format!("unlocked fence={fence}\n"),
                "another command works on the unit; nothing was done\n".to_owned(),
            ),
        };
        CommandOutput {
            exit: self.exit_code(),
            stdout,
            stderr,
        }
    }
}
