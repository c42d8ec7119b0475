//! How the demo knows, at the instant it happens, when an application's process lives.
//!
//! Each application holds a connection to the demo for as long as it lives and says on it when it
//! listens and when it is told to stop. The kernel closes the connection with the process, however
//! it ends, so SIGKILL is seen too, without asking anybody in turns. It works in the other
//! direction as well: an application whose demo is gone ends.
//!
//! It must never have a part in what the application does with requests.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use bluegreen_app::app;
use bluegreen_net::Clock;
use jiff::Timestamp;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt},
    net::UnixListener,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinSet,
};

/// How often an application looks whether it listens yet; real time.
const LOOK: Duration = Duration::from_millis(5);
/// How long a POST may take; real time. It is answered at once or not at all.
const POST_TIMEOUT: Duration = Duration::from_secs(5);

/// What an application's process did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    /// When, in virtual time.
    pub at: Timestamp,
    /// Where the application listens, or will.
    pub address: SocketAddr,
    /// Its version.
    pub version: String,
    /// What it did.
    pub kind: SignKind,
}

/// The kinds of [`Sign`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignKind {
    /// The process was started.
    Started,
    /// It accepts connections.
    Listening,
    /// It was told to stop.
    Signalled,
    /// It ended.
    Ended,
}

/// Takes the applications' connections until it is dropped.
pub async fn listen(listener: UnixListener, clock: Clock, signs: mpsc::UnboundedSender<Sign>) {
    let mut lines = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                lines.spawn(follow(stream, clock.clone(), signs.clone()));
            },
            Some(_) = lines.join_next(), if !lines.is_empty() => (),
        }
    }
}

/// Follows one application until it ends.
async fn follow(stream: tokio::net::UnixStream, clock: Clock, signs: mpsc::UnboundedSender<Sign>) {
    let mut lines = tokio::io::BufReader::new(stream).lines();
    let Ok(Some(hello)) = lines.next_line().await else {
        return;
    };
    let Some((address, version)) = parse_hello(&hello) else {
        tracing::error!(hello, "an application said something else than its address");
        return;
    };
    // The receiver is gone only when the world is, and then nobody wants to know.
    let tell = |kind| {
        let _ = signs.send(Sign {
            at: clock.now(),
            address,
            version: version.clone(),
            kind,
        });
    };
    tell(SignKind::Started);
    while let Ok(Some(line)) = lines.next_line().await {
        match line.as_str() {
            "listening" => tell(SignKind::Listening),
            "signalled" => tell(SignKind::Signalled),
            other => tracing::error!(other, "an application said something unknown"),
        }
    }
    tell(SignKind::Ended);
}

fn parse_hello(line: &str) -> Option<(SocketAddr, String)> {
    let (address, version) = line.split_once(' ')?;
    Some((address.parse().ok()?, version.to_owned()))
}

/// The sample application with its lifeline.
#[derive(Debug, Clone, clap::Args)]
pub struct AppArgs {
    /// The demo's socket.
    #[arg(long)]
    lifeline: PathBuf,
    #[command(flatten)]
    app: app::Args,
}

/// Runs the sample application until a signal, or the end of the demo, ends it.
#[must_use]
pub fn run_app(args: &AppArgs) -> ExitCode {
    let AppArgs {
        lifeline,
        app: settings,
    } = args;
    if let Err(error) = hold_on(lifeline, settings) {
        eprintln!(
            "error: the demo does not answer at {}: {error}; was it ended?",
            lifeline.display()
        );
        return ExitCode::FAILURE;
    }
    app::run(settings)
}

/// Connects, and leaves the rest to a thread that ends with the process.
fn hold_on(path: &Path, settings: &app::Args) -> std::io::Result<()> {
    let mut line = UnixStream::connect(path)?;
    let address = settings.address;
    writeln!(line, "{address} {}", settings.app_version)?;
    line.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::spawn(move || runtime.block_on(report(line, address)));
    Ok(())
}

/// Says what happens to this process, and ends it when nobody listens any more.
async fn report(line: UnixStream, address: SocketAddr) -> std::io::Result<()> {
    let (mut reader, mut writer) = tokio::net::UnixStream::from_std(line)?.into_split();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut nothing = [0];
    let mut listening = false;
    loop {
        tokio::select! {
            _ = terminate.recv() => writer.write_all(b"signalled\n").await?,
            _ = reader.read(&mut nothing) => std::process::exit(1),
            () = tokio::time::sleep(LOOK), if !listening => {
                // A connection on which nothing is said: the application has nothing to count.
                listening = tokio::net::TcpStream::connect(address).await.is_ok();
                if listening {
                    writer.write_all(b"listening\n").await?;
                }
            }
        }
    }
}

/// A POST without a body.
#[derive(Debug, Clone, clap::Args)]
pub struct PostArgs {
    /// Where the application listens.
    #[arg(long)]
    address: SocketAddr,
    /// The path.
    #[arg(long)]
    path: String,
}

/// Sends a POST without a body; fails when the answer is not 200.
#[must_use]
pub fn post(args: &PostArgs) -> ExitCode {
    match try_post(args) {
        Ok(status) if status.contains(" 200 ") => ExitCode::SUCCESS,
        Ok(status) => {
            eprintln!("error: {} answered {status}", args.address);
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {} does not answer: {error}", args.address);
            ExitCode::FAILURE
        }
    }
}

fn try_post(args: &PostArgs) -> std::io::Result<String> {
    let PostArgs { address, path } = args;
    let mut stream = TcpStream::connect_timeout(address, POST_TIMEOUT)?;
    stream.set_read_timeout(Some(POST_TIMEOUT))?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = BufReader::new(stream);
    let mut status = String::new();
    answer.read_line(&mut status)?;
    std::io::copy(&mut answer.take(64 * 1024), &mut std::io::sink())?;
    Ok(status.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_names_the_address_and_the_version() {
        let (address, version) = parse_hello("127.0.0.1:8080 1.7.3").unwrap();
        assert_eq!(address, SocketAddr::from(([127, 0, 0, 1], 8080)));
        assert_eq!(version, "1.7.3");
        assert_eq!(parse_hello("listening"), None);
    }
}
