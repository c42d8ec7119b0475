//! A process that a suite starts, with its log: it can be halted and continued, and its end is
//! waited for with a bound.

use std::{
    fs::{self, File},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

/// How long a server may take to be ready: it needs about three seconds on an idle machine.
pub(crate) const READY: Duration = Duration::from_secs(120);

/// How often to ask whether it is.
pub(crate) const AGAIN: Duration = Duration::from_millis(50);

/// How long a process may take to end once it was told to: none of them needs half of it.
const ENDED: Duration = Duration::from_secs(90);

/// A process and its log. Dropping it kills the process.
pub(crate) struct Process {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Process {
    pub(crate) fn start(name: &str, log: &Path, command: &mut Command) -> Self {
        let file = File::options().create(true).append(true).open(log).unwrap();
        let child = command
            .stdout(Stdio::from(file.try_clone().unwrap()))
            .stderr(Stdio::from(file))
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self {
            name: name.to_owned(),
            log: log.to_owned(),
            child,
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.child.id().expect("it was not waited for");
        let pid = Pid::from_raw(id.cast_signed()).expect("a process has an id");
        kill_process(pid, signal).expect("it is our child");
    }

    /// Sends a signal that ends it, and waits for that.
    pub(crate) async fn end(&mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.wait().await
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end in time.
    pub(crate) async fn wait(&mut self) -> ExitStatus {
        match timeout(ENDED, self.child.wait()).await {
            Ok(status) => status.unwrap(),
            Err(_) => panic!("it has not ended after {ENDED:?}; {}", self.last_words()),
        }
    }

    /// # Panics
    /// When it has ended by itself.
    pub(crate) fn still_runs(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("it ended with {status}; {}", self.last_words());
        }
    }

    /// Waits until it takes connections on this port of loopback.
    pub(crate) async fn listens(&mut self, port: u16) {
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .is_err()
        {
            self.still_runs();
            let words = || format!("not ready after {READY:?}; {}", self.last_words());
            assert!(began.elapsed() < READY, "{}", words());
            sleep(AGAIN).await;
        }
        // Somebody else may have had the port, and this one have ended for that.
        self.still_runs();
    }

    /// What it has written.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn last_words(&self) -> String {
        let text = self.log();
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(15);
        format!("{} said last:\n{}", self.name, lines[from..].join("\n"))
    }
}
