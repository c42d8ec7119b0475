//! Where the programs are that the suites run, and a folder for what they write.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use bluegreen_local::world;
use tokio::{process::Command, time::timeout};

/// No single command takes longer than this.
const COMMAND: Duration = Duration::from_secs(300);

/// The programs. Those that we did not write are found on PATH, where `tests/real/run` puts them.
pub(crate) struct Tools {
    pub(crate) etcd: PathBuf,
    pub(crate) apiserver: PathBuf,
    pub(crate) kubectl: PathBuf,
    pub(crate) helm: PathBuf,
    pub(crate) lua: PathBuf,
    pub(crate) promtool: PathBuf,
    pub(crate) aws: PathBuf,
    pub(crate) moto: PathBuf,
    /// The controller as it is shipped; `BLUEGREEN_CONTROLLER` names it.
    pub(crate) controller: PathBuf,
    /// The checkout.
    pub(crate) project: PathBuf,
}

impl Tools {
    /// Finds all of them.
    ///
    /// # Errors
    /// A text that names each one that is missing.
    pub(crate) fn find() -> Result<Self, String> {
        let mut missing = Vec::new();
        let mut find = |name: &str| {
            on_path(name).unwrap_or_else(|| {
                missing.push(format!("{name} is not on PATH"));
                PathBuf::new()
            })
        };
        let etcd = find("etcd");
        let apiserver = find("kube-apiserver");
        let kubectl = find("kubectl");
        let helm = find("helm");
        let lua = find("lua5.1");
        let promtool = find("promtool");
        let aws = find("aws");
        let moto = find("moto_server");
        let controller = env::var_os("BLUEGREEN_CONTROLLER").map_or_else(
            || {
                missing.push("BLUEGREEN_CONTROLLER does not name the controller".to_owned());
                PathBuf::new()
            },
            PathBuf::from,
        );
        if !missing.is_empty() {
            return Err(format!(
                "{}; tests/real/run gets and builds them",
                missing.join("; ")
            ));
        }
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        Ok(Self {
            etcd,
            apiserver,
            kubectl,
            helm,
            lua,
            promtool,
            aws,
            moto,
            controller,
            project: project.canonicalize().map_err(|error| error.to_string())?,
        })
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// A file's place as an argument.
pub(crate) fn word(path: &Path) -> &str {
    path.to_str().expect("test folders have plain names")
}

/// A command that ends with this process, whatever ends it. Nothing is on its standard input.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// What a command said when it ended.
pub(crate) struct Said {
    pub(crate) ok: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    /// Standard output of a command that succeeded.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub(crate) fn good(self) -> String {
        assert!(self.ok, "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Standard error of a command that failed.
    ///
    /// # Panics
    /// When it succeeded.
    #[track_caller]
    pub(crate) fn bad(self) -> String {
        assert!(!self.ok, "it succeeded: {}", self.stdout);
        self.stderr
    }
}

/// Runs a command to its end.
///
/// # Panics
/// When it cannot be started, or does not end in time.
pub(crate) async fn run(command: &mut Command) -> Said {
    let output = timeout(COMMAND, command.output())
        .await
        .unwrap_or_else(|_| panic!("{command:?} took longer than {COMMAND:?}"));
    let Output {
        status,
        stdout,
        stderr,
    } = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Said {
        ok: status.success(),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// A folder that is removed at the end.
pub(crate) struct Folder(PathBuf);

/// What the names of these folders begin with, before the id of the process.
const FOLDER: &str = "bluegreen-real-";

impl Folder {
    /// Makes it, and removes those of runs that were killed, with the worlds that they built.
    pub(crate) fn new() -> io::Result<Self> {
        world::remove_leftovers();
        world::remove_leftovers_of(FOLDER);
        let path = Self::place();
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// Where the folder of this process is, or will be.
    pub(crate) fn place() -> PathBuf {
        env::temp_dir().join(format!("{FOLDER}{}", std::process::id()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{} is left behind: {error}", self.0.display());
        }
    }
}
