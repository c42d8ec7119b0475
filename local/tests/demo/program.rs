//! A short run of the program, over real sockets and with real processes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// No run of this test takes longer; more than ten times what it takes on two cores.
const LIMIT: Duration = Duration::from_secs(120);

/// A directory that goes with the test. The demo's own directories are made in it too.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let name = format!("demo-test-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn worlds(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.is_dir()).collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The demo; it is killed when the test ends early.
struct Demo(Child);

impl Demo {
    fn start(directory: &Directory, arguments: &[&str]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_demo"))
            .args(["--plain", "--short", "--scale", "25", "--seed", "3"])
            .args(arguments)
            .env("TMPDIR", &directory.0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn exit_code(&mut self) -> i32 {
        let status = wait_for("the demo ends", || self.0.try_wait().unwrap());
        status.code().unwrap()
    }

    fn interrupt(&self) {
        kill_process(Pid::from_child(&self.0), Signal::INT).unwrap();
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < LIMIT, "waited in vain: {what}");
        // Between two looks, not instead of one: the demo has work to do.
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The processes that were started with something of this directory in their command line.
fn processes_of(directory: &Path) -> Vec<String> {
    let wanted = directory.to_str().unwrap();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.contains(wanted)).collect()
}

#[test]
fn killing_loses_requests_which_the_report_says_and_nothing_is_left_behind() {
    let directory = Directory::new("kill");
    let report = directory.0.join("report.json");
    let report_argument = report.to_str().unwrap();
    let mut demo = Demo::start(
        &directory,
        &["--methods", "kill", "--report", report_argument],
    );
    assert_eq!(demo.exit_code(), 0);
    let report: Value = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();
    assert_eq!(report["seed"], 3);
    let figures = &report["methods"][0];
    assert_eq!(figures["name"], "kill");
    assert!(figures["failed"].as_u64().unwrap() > 0, "{report}");
    assert!(
        figures["requests"].as_u64() > figures["failed"].as_u64(),
        "{report}"
    );
    assert!(
        figures["overLimitSeconds"].as_f64() < figures["seconds"].as_f64(),
        "{report}"
    );
    // Two SendCommand and at least three looks of waiters for each of two hosts.
    assert!(figures["awsCalls"].as_u64().unwrap() >= 10, "{report}");
    assert_eq!(figures["maxProcessesPerHost"], 1);
    assert_eq!(directory.worlds(), Vec::<PathBuf>::new());
    assert_eq!(processes_of(&directory.0), Vec::<String>::new());
}

#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    let directory = Directory::new("interrupt");
    let mut demo = Demo::start(&directory, &["--methods", "bluegreen"]);
    wait_for("applications run", || {
        let worlds = directory.worlds();
        let applications = worlds.iter().flat_map(|world| processes_of(world));
        (applications.count() >= 2).then_some(())
    });
    demo.interrupt();
    assert_eq!(demo.exit_code(), 130);
    assert_eq!(directory.worlds(), Vec::<PathBuf>::new());
    wait_for("no process is left", || {
        processes_of(&directory.0).is_empty().then_some(())
    });
}
