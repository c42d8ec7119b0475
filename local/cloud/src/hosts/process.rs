//! Hosts as directories and process groups of this machine.
//!
//! Each instance has a directory, which is its root for the documents, and a loopback address.
//! Commands run in `/bin/sh` with stand-ins for `systemctl` and `journalctl` first in the path. A
//! unit is a process group of its own, so that it outlives the command that started it, gets real
//! signals, and is found again when the host goes down. Nothing is written outside the directory
//! that is given, and nothing survives this process: a watchdog notices when it is gone.
//!
//! One thing is weaker than systemd's control groups: a process of a unit that leaves the unit's
//! process group, as a daemon does with `setsid`, is neither seen nor signalled when the unit is
//! stopped. It ends with the host, since it still has the host's directory in its environment; only
//! one that clears its environment as well outlives it. Commands of units must stay in the
//! foreground.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use bluegreen_net::Clock;
use futures::future::{BoxFuture, FutureExt, ready};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::{Command, CommandOutput, Halt, Host, Hosts, sweep};

/// The stand-ins that every host has.
const TOOLS: [(&str, &str); 4] = [
    ("systemctl", include_str!("../../host/bin/systemctl")),
    ("unit-run", include_str!("../../host/bin/unit-run")),
    ("journalctl", include_str!("../../host/bin/journalctl")),
    ("ss", include_str!("../../host/bin/ss")),
];

/// The stand-ins for time that does not run as the wall's does.
const TIME_TOOLS: [(&str, &str); 2] = [
    ("sleep", include_str!("../../host/bin/sleep")),
    ("date", include_str!("../../host/bin/date")),
];

const WATCHDOG: &str = include_str!("../../host/watchdog");

/// What an image has on it.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// The units that can be started.
    pub units: Vec<Unit>,
    /// Units that start when the instance does, with their version and port.
    pub start: Vec<(String, String, u16)>,
}

/// A unit.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Its name, `snackgame@.service` for a template.
    pub name: String,
    /// The command, for `/bin/sh`. It stays in the foreground and in its process group; what
    /// leaves the group is not stopped with the unit. `{{address}}` is the instance's address; `{{port}}`,
    /// `{{version}}` and `{{revision}}` are what the unit was started with.
    pub command: String,
}

/// Instances that are directories and process groups.
pub struct ProcessHosts {
    inner: Arc<Inner>,
}

struct Inner {
    root: PathBuf,
    environment: Vec<(String, String)>,
    images: BTreeMap<String, Setup>,
    otherwise: Setup,
    commands: AtomicU64,
    watchdog: Mutex<Option<Child>>,
}

impl ProcessHosts {
    /// Hosts below `root`, which must be theirs alone. An instance of an image that is not in
    /// `images` is set up as `otherwise` says.
    ///
    /// # Errors
    /// When the directory cannot be written or the watchdog cannot be started.
    pub fn new(
        root: &Path,
        clock: &Clock,
        images: BTreeMap<String, Setup>,
        otherwise: Setup,
    ) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let root = root.canonicalize()?;
        let tools = root.join(".bin");
        fs::create_dir_all(&tools)?;
        for (name, text) in TOOLS {
            install(&tools.join(name), text)?;
        }
        let scaled = (clock.scale() - 1.0).abs() > f64::EPSILON;
        for (name, text) in TIME_TOOLS.into_iter().filter(|_| scaled) {
            install(&tools.join(name), text)?;
        }
        install(&tools.join("watchdog"), WATCHDOG)?;
        let watchdog = std::process::Command::new("/bin/sh")
            .arg(tools.join("watchdog"))
            .arg(&root)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A signal to this process's group, as from a terminal, must leave it its work.
            .process_group(0)
            .spawn()?;
        let real = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_err(io::Error::other)?;
        let base = clock.now().as_millisecond();
        let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned());
        let environment = [
            ("PATH", format!("{}:{path}", tools.display())),
            ("BLUEGREEN_TIME_SCALE", clock.scale().to_string()),
            ("BLUEGREEN_TIME_REAL", real.as_secs_f64().to_string()),
            (
                "BLUEGREEN_TIME_BASE",
                format!("{}.{:03}", base / 1000, base % 1000),
            ),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value));
        let inner = Inner {
            root,
            environment: environment.into(),
            images,
            otherwise,
            commands: AtomicU64::new(0),
            watchdog: Mutex::new(Some(watchdog)),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The directory of an instance.
    #[must_use]
    pub fn directory(&self, id: &str) -> PathBuf {
        self.inner.directory(id)
    }
}

impl Inner {
    fn directory(&self, id: &str) -> PathBuf {
        self.root.join(id)
    }

    /// Writes what the image has on it.
    fn prepare(&self, host: &Host) -> io::Result<()> {
        let directory = self.directory(&host.id);
        for part in [
            "run/commands",
            "run/units",
            "etc/systemd/system",
            "etc/bluegreen",
        ] {
            fs::create_dir_all(directory.join(part))?;
        }
        for Unit { name, command } in &self.setup(host).units {
            let command = command
                .replace("{{address}}", &host.address.to_string())
                .replace("{{port}}", "${BLUEGREEN_PORT}")
                .replace("{{version}}", "${BLUEGREEN_VERSION}")
                .replace("{{revision}}", "${BLUEGREEN_REVISION}");
            let text =
                format!("[Service]\nEnvironmentFile=/etc/bluegreen/%n.env\nExecStart={command}\n");
            fs::write(directory.join("etc/systemd/system").join(name), text)?;
        }
        Ok(())
    }

    fn setup(&self, host: &Host) -> &Setup {
        self.images.get(&host.image).unwrap_or(&self.otherwise)
    }

    fn shell(&self, host: &Host) -> tokio::process::Command {
        let directory = self.directory(&host.id);
        let mut shell = tokio::process::Command::new("/bin/sh");
        shell
            .current_dir(&directory)
            .env(sweep::ROOT, &directory)
            .env("BLUEGREEN_ADDRESS", host.address.to_string())
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .process_group(0);
        shell
    }

    /// Starts what the image starts with the instance.
    async fn autostart(&self, host: &Host) -> io::Result<()> {
        for (unit, version, port) in &self.setup(host).start {
            let directory = self.directory(&host.id).join("etc/bluegreen");
            let settings = format!(
                "BLUEGREEN_VERSION={version}\nBLUEGREEN_PORT={port}\nBLUEGREEN_REVISION=0\n"
            );
            fs::write(directory.join(format!("{unit}.env")), settings)?;
            let mut systemctl = self.shell(host);
            systemctl.args(["-c", "exec systemctl start \"$1\"", "sh", unit]);
            systemctl.status().await?;
        }
        Ok(())
    }

    async fn run(&self, host: &Host, command: &Command) -> io::Result<CommandOutput> {
        self.prepare(host)?;
        let number = self.commands.fetch_add(1, Ordering::Relaxed);
        let directory = self.directory(&host.id);
        let script = directory.join(format!("run/commands/{number}.sh"));
        fs::write(&script, &command.script)?;
        let mut shell = self.shell(host);
        if !command.working_directory.is_empty() {
            shell.current_dir(directory.join(&command.working_directory));
        }
        // A host that goes down at this moment has left its mark: see `unit-run`.
        let begin = "[ -e \"$BLUEGREEN_ROOT/run/down\" ] && exit 137; exec /bin/sh \"$1\"";
        let child = shell
            .args(["-c", begin, "sh"])
            .arg(&script)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let group = Group::of(child.id());
        let output = child.wait_with_output().await?;
        group.disarm();
        fs::remove_file(&script).ok();
        let status = output.status;
        let signal = std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or(0);
        Ok(CommandOutput {
            exit: status.code().unwrap_or(128 + signal),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Ends everything on a host.
    fn end(&self, id: &str) {
        let directory = self.directory(id);
        // The mark comes first: what starts from now on sees it and ends by itself.
        fs::write(directory.join("run/down"), "").ok();
        sweep::sweep(&directory);
    }
}

impl Hosts for ProcessHosts {
    fn boot(&self, host: Host) -> BoxFuture<'static, ()> {
        let inner = Arc::clone(&self.inner);
        async move {
            fs::remove_file(inner.directory(&host.id).join("run/down")).ok();
            let booted = match inner.prepare(&host) {
                Ok(()) => inner.autostart(&host).await,
                Err(err) => Err(err),
            };
            if let Err(err) = booted {
                tracing::error!(instance = host.id, error = %err, "instance could not be set up");
            }
        }
        .boxed()
    }

    fn halt(&self, host: Host, how: Halt) -> BoxFuture<'static, ()> {
        self.inner.end(&host.id);
        let units = self.inner.directory(&host.id).join("run/units");
        if how == Halt::Terminated {
            fs::remove_dir_all(self.inner.directory(&host.id)).ok();
        } else {
            // What was known of the units is not true any more after a start.
            fs::remove_dir_all(units).ok();
        }
        ready(()).boxed()
    }

    fn run(&self, host: Host, command: Command) -> BoxFuture<'static, CommandOutput> {
        let inner = Arc::clone(&self.inner);
        async move {
            let output = inner.run(&host, &command).await;
            output.unwrap_or_else(|err| CommandOutput {
                exit: 127,
                stdout: String::new(),
                stderr: format!("the command could not be started: {err}\n"),
            })
        }
        .boxed()
    }

    fn kill(&self, host: Host, unit: Option<String>) -> BoxFuture<'static, ()> {
        let directory = self.inner.directory(&host.id);
        let units = match unit {
            Some(unit) => vec![directory.join("run/units").join(unit)],
            None => entries(&directory.join("run/units")),
        };
        for unit in units {
            let noted = fs::read_to_string(unit.join("main")).unwrap_or_default();
            if let Some(main) = noted.trim().parse().ok().and_then(Pid::from_raw)
                && sweep::is_of(&directory, main)
            {
                // The unit's shell notes how its main process ended, and ends the rest of it.
                kill_process(main, Signal::KILL).ok();
            }
        }
        ready(()).boxed()
    }

    fn shutdown(&self) {
        self.inner.shutdown();
    }
}

impl Inner {
    fn shutdown(&self) {
        for host in entries(&self.root) {
            if let Some(id) = host.file_name().and_then(|name| name.to_str())
                && id != ".bin"
            {
                self.end(id);
            }
        }
        let watchdog = self.watchdog.lock().map(|mut watchdog| watchdog.take());
        if let Ok(Some(mut watchdog)) = watchdog {
            // The end of its input is its sign; it sweeps once more and ends.
            drop(watchdog.stdin.take());
            watchdog.wait().ok();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// A process group that is killed when this is dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(leader: Option<u32>) -> Self {
        let leader = leader.and_then(|id| i32::try_from(id).ok());
        Self(leader.and_then(Pid::from_raw))
    }

    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(directory).into_iter().flatten();
    listed
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}

fn install(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}
