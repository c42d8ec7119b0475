//! The sample application as a real process with real sockets and a real SIGTERM.

#![allow(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

use std::{
    io::{ErrorKind, Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU8, Ordering},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// No wait of this test takes longer.
const LIMIT: Duration = Duration::from_secs(20);

/// A running application that is killed when the test ends early.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        // An address of its own for each process. The port is none that the kernel gives to clients:
        // one of those could connect to itself while nothing listens there yet.
        static LAST: AtomicU8 = AtomicU8::new(77);
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let own = LAST.fetch_add(1, Ordering::Relaxed);
        let loopback = IpAddr::from([127, 64 + (high & 0x3f), low, own]);
        let address = SocketAddr::new(loopback, 8080);
        let child = Command::new(env!("CARGO_BIN_EXE_bluegreen-sample-app"))
            .arg(format!("--address={address}"))
            .args(["--clock-scale=10", "--startup=1s", "--app-version=3.1.4"])
            .args(arguments)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, address }
    }

    fn connect(&self) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(LIMIT))?;
        Ok(stream)
    }

    fn terminate(&self) {
        let id = Pid::from_child(&self.child);
        kill_process(id, Signal::TERM).unwrap();
    }

    fn exit_code(&mut self) -> Option<i32> {
        let mut code = None;
        wait_until("the process ends", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        code.and_then(|status| status.code())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already where the test has succeeded.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < LIMIT, "waited in vain: {what}");
        // Between two looks, not instead of one: the machine has other work.
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn ask(stream: &mut TcpStream, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: app\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
}

/// Reads until the answer has ended, which all of these do with a line feed.
fn answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    while !(text.contains("\r\n\r\n") && !text.ends_with("\r\n\r\n") && text.ends_with('\n')) {
        let mut buffer = [0; 1024];
        let count = stream.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    text
}

#[test]
fn sigterm_ends_it_as_it_ends_tomcat() {
    let mut process = Process::start(&[]);
    wait_until("it listens", || process.connect().is_ok());
    let mut idle = process.connect().unwrap();
    ask(&mut idle, "/");
    let page = answer(&mut idle);
    assert!(page.contains("x-app-version: 3.1.4"), "{page}");
    let pid = format!("x-app-pid: {}\r\n", process.child.id());
    assert!(page.contains(&pid), "{page}");
    let mut in_flight = process.connect().unwrap();
    ask(&mut in_flight, "/work?ms=10000");
    let mut watcher = process.connect().unwrap();
    wait_until("the request is in flight", || {
        ask(&mut watcher, "/metrics");
        answer(&mut watcher).contains("\napp_requests_in_flight 1\n")
    });

    process.terminate();

    wait_until(
        "connections are refused",
        || matches!(process.connect(), Err(error) if error.kind() == ErrorKind::ConnectionRefused),
    );
    ask(&mut idle, "/");
    assert_eq!(answer(&mut idle), "", "closed without a byte");
    let completed = answer(&mut in_flight);
    assert!(completed.starts_with("HTTP/1.1 200 OK"), "{completed}");
    assert!(!completed.contains("connection: close"), "{completed}");
    assert_eq!(process.exit_code(), Some(143));
}

#[test]
fn it_can_ignore_sigterm() {
    let process = Process::start(&["--on-terminate=ignore"]);
    wait_until("it listens", || process.connect().is_ok());
    process.terminate();
    let mut stream = process.connect().unwrap();
    ask(&mut stream, "/work?ms=1000");
    assert!(answer(&mut stream).starts_with("HTTP/1.1 200 OK"));
}
