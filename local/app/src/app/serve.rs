//! From the start of the application to its exit.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bluegreen_net::{Clock, Listener, Net};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    behaviour::{Config, OnTerminate},
    connection,
    pages::{Door, Pages},
};

/// How often a stopping application looks whether requests are in flight, as Spring Boot does.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What a process is told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGKILL. Only applications that run within this process need it.
    Kill,
}

/// How an application ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// The code that a shell would see: 143 after SIGTERM, 137 after SIGKILL.
    pub code: u8,
    /// How many requests were broken off.
    pub broken_off: u64,
}

/// Why an application could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It cannot listen.
    #[error("the application cannot listen on {address}: {source}; is the port in use?")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the operating system says.
        source: std::io::Error,
    },
}

/// Runs an application until a signal ends it. Dropping the future ends it too, as SIGKILL does.
///
/// # Errors
/// When it cannot listen on `address`.
pub async fn serve(
    net: Net,
    clock: Clock,
    config: Config,
    address: SocketAddr,
    mut signals: mpsc::Receiver<Signal>,
) -> Result<Exit, ServeError> {
    if let Some(signal) = start_up(&clock, &config, &mut signals).await {
        return Ok(exit(signal, 0));
    }
    let listener = net
        .listen(address)
        .await
        .map_err(|source| ServeError::Listen { address, source })?;
    let management = config.management_port;
    let pages = Arc::new(Pages::new(clock.clone(), config));
    // It ends with this call, later than the application's port does.
    let _management = match management {
        Some(port) => Some(manage(&net, &pages, SocketAddr::new(address.ip(), port)).await?),
        None => None,
    };
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    // The listener is dropped with this call: new connections are refused from then on.
    let signal = accept(listener, &pages, &stopping, &mut connections, &mut signals).await;
    let ended_by = match (signal, pages.config.on_terminate) {
        (Signal::Kill, _) | (Signal::Terminate, OnTerminate::Immediate) => signal,
        (Signal::Terminate, OnTerminate::Graceful | OnTerminate::Ignore) => {
            stop.send_replace(true);
            tokio::select! {
                biased;
                () = killed(&mut signals) => Signal::Kill,
                () = until_quiet(&pages) => Signal::Terminate,
            }
        }
        (Signal::Terminate, OnTerminate::Hang) => {
            stop.send_replace(true);
            killed(&mut signals).await;
            Signal::Kill
        }
    };
    let broken_off = pages.gauge.active();
    connections.shutdown().await;
    Ok(exit(ended_by, broken_off))
}

fn exit(signal: Signal, broken_off: u64) -> Exit {
    let code = match signal {
        Signal::Terminate => 143,
        Signal::Kill => 137,
    };
    Exit { code, broken_off }
}

/// Serves the management port until what is returned is dropped.
async fn manage(
    net: &Net,
    pages: &Arc<Pages>,
    address: SocketAddr,
) -> Result<JoinSet<()>, ServeError> {
    let mut listener = net
        .listen(address)
        .await
        .map_err(|source| ServeError::Listen { address, source })?;
    let (pages, mut tasks) = (Arc::clone(pages), JoinSet::new());
    tasks.spawn(async move {
        // It does not stop when the application is told to: what goes on can be read to the end.
        let (_stop, stopping) = watch::channel(false);
        let mut connections = JoinSet::new();
        loop {
            let accepted = listener.accept().await;
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok(stream) => {
                    let (pages, door) = (Arc::clone(&pages), Door::Management);
                    connections.spawn(connection::serve(pages, door, stream, stopping.clone()));
                }
                Err(_) => pages.clock.sleep(LOOK_AGAIN).await,
            }
        }
    });
    Ok(tasks)
}

/// Waits until the application has started, or returns the signal that ended it before.
async fn start_up(
    clock: &Clock,
    config: &Config,
    signals: &mut mpsc::Receiver<Signal>,
) -> Option<Signal> {
    tokio::select! {
        biased;
        signal = ending_signal(config.on_terminate, signals) => Some(signal),
        () = clock.sleep(config.startup) => None,
    }
}

/// Accepts connections until a signal that the application heeds.
async fn accept(
    mut listener: Listener,
    pages: &Arc<Pages>,
    stopping: &watch::Receiver<bool>,
    connections: &mut JoinSet<()>,
    signals: &mut mpsc::Receiver<Signal>,
) -> Signal {
    let mut ending = std::pin::pin!(ending_signal(pages.config.on_terminate, signals));
    loop {
        tokio::select! {
            biased;
            signal = &mut ending => return signal,
            Some(_) = connections.join_next(), if !connections.is_empty() => (),
            accepted = listener.accept() => match accepted {
                Ok(stream) => {
                    let (pages, door) = (Arc::clone(pages), Door::Application);
                    connections.spawn(connection::serve(pages, door, stream, stopping.clone()));
                }
                // The connection was gone before it was accepted, or there are too many: a pause
                // keeps the latter from becoming a busy loop.
                Err(_) => pages.clock.sleep(LOOK_AGAIN).await,
            },
        }
    }
}

/// Waits for a signal that the application does not ignore.
async fn ending_signal(on_terminate: OnTerminate, signals: &mut mpsc::Receiver<Signal>) -> Signal {
    loop {
        match (signals.recv().await, on_terminate) {
            (Some(Signal::Kill), _) => return Signal::Kill,
            (Some(Signal::Terminate), OnTerminate::Ignore) => (),
            (
                Some(Signal::Terminate),
                OnTerminate::Graceful | OnTerminate::Immediate | OnTerminate::Hang,
            ) => return Signal::Terminate,
            // Nobody is left who could send one.
            (None, _) => std::future::pending().await,
        }
    }
}

async fn killed(signals: &mut mpsc::Receiver<Signal>) {
    // Once it is stopping, SIGTERM changes nothing, as with an application that ignores it.
    ending_signal(OnTerminate::Ignore, signals).await;
}

/// Waits until no request is in flight, at most for the shutdown timeout.
async fn until_quiet(pages: &Pages) {
    let quiet = async {
        while pages.gauge.active() > 0 {
            pages.clock.sleep(LOOK_AGAIN).await;
        }
    };
    // Past the timeout they are broken off, which the caller counts.
    let _ = pages
        .clock
        .timeout(pages.config.shutdown_timeout, quiet)
        .await;
}
