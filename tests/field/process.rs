//! A process that the suite starts, with its log. It ends with the suite, whatever ends that.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

/// How long a process may take to be ready: it needs a second on an idle machine.
pub(crate) const READY: Duration = Duration::from_secs(60);

/// How often to ask whether it is.
pub(crate) const AGAIN: Duration = Duration::from_millis(50);

/// How long a process may take to end after SIGTERM: none needs half of it.
const ENDED: Duration = Duration::from_secs(60);

/// How much of a log is shown.
const LAST_LINES: usize = 25;

/// A process and its log. Dropping it kills the process.
pub(crate) struct Process {
    name: String,
    log: PathBuf,
    child: Child,
}

/// A command that ends with this process, whatever ends it. Nothing is on its standard input.
pub(crate) fn bound(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

impl Process {
    pub(crate) fn start(name: &str, log: &Path, command: &mut Command) -> Self {
        let file = File::create(log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let errors = file.try_clone().expect("an open file can be shared");
        let child = command
            .stdout(Stdio::from(file))
            .stderr(Stdio::from(errors))
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self {
            name: name.to_owned(),
            log: log.to_owned(),
            child,
        }
    }

    /// Its id, while it runs.
    pub(crate) fn id(&mut self) -> Option<u32> {
        match self.child.try_wait() {
            Ok(None) => self.child.id(),
            Ok(Some(_)) | Err(_) => None,
        }
    }

    /// Sends a signal that ends it, and waits for that.
    pub(crate) async fn finish(&mut self, signal: Signal) -> Result<(), String> {
        let Some(id) = self.id() else {
            return Err(format!("it ended by itself; {}", self.last_words()));
        };
        let pid = Pid::from_raw(id.cast_signed()).ok_or("a process has an id")?;
        kill_process(pid, signal).map_err(|error| error.to_string())?;
        match timeout(ENDED, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(format!("it ended with {status}; {}", self.last_words())),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => {
                // It must not be left behind either.
                let _ = self.child.kill().await;
                Err(format!(
                    "it has not ended after {ENDED:?}; {}",
                    self.last_words()
                ))
            }
        }
    }

    /// What it has written.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn last_words(&self) -> String {
        let text = self.log();
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(LAST_LINES);
        format!("{} said last:\n{}", self.name, lines[from..].join("\n"))
    }
}
