//! Mounts the loop, the web server and the publisher, and ends them in order.

use std::{io, sync::Arc, time::Duration};

use futures::{StreamExt, pin_mut};
use kube::{
    Api, Client,
    runtime::{
        Config, Controller,
        controller::Error as ControllerError,
        events::{Recorder, Reporter},
        watcher,
    },
};
use prometheus_client::registry::Registry;
use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{debug, info, warn};

use super::{
    Ctx, Metrics, Options, Planner, Standing, StartError, World,
    cached::Cached,
    memory::Memory,
    publisher::{self, notebook},
    reconcile::{error_policy, reconcile},
    report::FIELD_MANAGER,
    standing::HEARTBEAT,
    startup,
};
use crate::web;

/// How long Events and scrapes that are under way at the end may still take.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How many releases a page of the list has. A page is in memory as text before it is read, and
/// the operating system does not get all of that back: with kube's 500 the first list would
/// decide what the process takes for good. A thousand releases are ten requests.
const PAGE: u32 = 100;

/// All that the controller is made of.
pub struct Parts<W> {
    /// The API server. Its client must not retry by itself; see [`client_config`](super::client_config).
    pub client: Client,
    /// The API server's address, for messages.
    pub server: String,
    /// The cloud, the clock and the probe.
    pub world: W,
    /// The planner.
    pub planner: Planner,
    /// How to run.
    pub options: Options,
    /// Where everything is counted. The cloud may count into it too.
    pub metrics: Arc<Metrics>,
    /// Where to serve health and metrics; nowhere, where none is given.
    pub listener: Option<TcpListener>,
}

/// Runs the controller until `shutdown` is cancelled.
///
/// Then no new pass begins, no pass in flight changes anything more, and those that have not
/// ended within [`Options::shutdown_within`] are abandoned. A release whose pass is abandoned
/// goes on from its status when a controller runs again.
///
/// # Errors
/// When it cannot start. A definition that is not installed is not an error: it is waited for.
pub async fn run<W: World>(parts: Parts<W>, shutdown: CancellationToken) -> Result<(), StartError> {
    let Parts {
        client,
        server,
        world,
        planner,
        options,
        metrics,
        listener,
    } = parts;
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let standing = Arc::new(Standing::default());

    let web_stop = CancellationToken::new();
    let state = web::State::new(registry, Arc::clone(&metrics), Arc::clone(&standing));
    let serving = serve(listener, state, web_stop.clone());
    let mut web = AbortOnDropHandle::new(tokio::spawn(serving));

    let reporter = Reporter {
        controller: FIELD_MANAGER.to_owned(),
        instance: options.instance.clone(),
    };
    let (notebook, entries) = notebook(Arc::clone(&metrics));
    let recorder = Recorder::new(client.clone(), reporter);
    let publishing = publisher::publish(recorder, entries, Arc::clone(&metrics));
    let publisher = AbortOnDropHandle::new(tokio::spawn(publishing));

    let ctx = Arc::new(Ctx {
        client,
        world,
        planner,
        notebook,
        metrics,
        memory: Memory::default(),
        shutdown,
    });
    let result = tokio::select! {
        result = work(ctx, &server, &options, &standing) => result,
        ended = &mut web => ended.map_err(io::Error::other).flatten().map_err(StartError::Web),
    };
    // The notebook's other ends are gone with the passes, so the publisher ends when it is empty.
    if timeout(LAST_WORDS, publisher).await.is_err() {
        debug!("some Events were not published before the end");
    }
    web_stop.cancel();
    if timeout(LAST_WORDS, web).await.is_err() {
        debug!("some connections to the web server were cut");
    }
    result
}

async fn serve(
    listener: Option<TcpListener>,
    state: web::State,
    stop: CancellationToken,
) -> io::Result<()> {
    match listener {
        Some(listener) => web::serve(listener, state, stop.cancelled_owned()).await,
        None => {
            stop.cancelled().await;
            Ok(())
        }
    }
}

/// The loop itself.
async fn work<W: World>(
    ctx: Arc<Ctx<W>>,
    server: &str,
    options: &Options,
    standing: &Standing,
) -> Result<(), StartError> {
    let (api, scope): (Api<Cached>, _) = match &options.namespace {
        Some(namespace) => (
            Api::namespaced(ctx.client.clone(), namespace),
            format!("in namespace {namespace}"),
        ),
        None => (Api::all(ctx.client.clone()), "in all namespaces".to_owned()),
    };
    let shutdown = ctx.shutdown.clone();
    tokio::select! {
        defined = startup::definition(&api, &scope, server, standing) => defined?,
        () = shutdown.cancelled() => return Ok(()),
    }
    info!(
        scope,
        concurrency = options.concurrency,
        "watching releases"
    );

    let config = Config::default().concurrency(options.concurrency.max(1));
    let controller = Controller::new(api, watcher::Config::default().page_size(PAGE))
        .with_config(config)
        .graceful_shutdown_on(shutdown.clone().cancelled_owned());
    let store = controller.store();
    standing.watches(store.clone());
    let passes = controller.run(reconcile, error_policy, Arc::clone(&ctx));
    pin_mut!(passes);
    let ready = store.wait_until_ready();
    pin_mut!(ready);
    let mut listed = false;
    let overdue = async {
        shutdown.cancelled().await;
        sleep(options.shutdown_within).await;
    };
    pin_mut!(overdue);
    loop {
        standing.beat();
        tokio::select! {
            ended = passes.next() => match ended {
                Some(Ok(_)) => {}
                Some(Err(error)) => passed_over(&ctx, &error),
                None if shutdown.is_cancelled() => return Ok(()),
                None => return Err(StartError::LoopEnded),
            },
            _ = &mut ready, if !listed => {
                listed = true;
                standing.listed();
                info!(releases = store.len(), "ready");
            }
            () = &mut overdue => {
                warn!("passes in flight were abandoned; they are made again from status");
                return Ok(());
            }
            () = sleep(HEARTBEAT) => {}
        }
    }
}

/// What the run stream says besides the end of passes.
fn passed_over<W>(ctx: &Ctx<W>, error: &ControllerError<super::error::Error, watcher::Error>) {
    match error {
        // Logged where it was handled, in the error policy.
        ControllerError::ReconcilerFailed(..) => {}
        // A timer for an object that is gone by now, as it should be.
        ControllerError::ObjectNotFound(reference) => {
            if let Some(uid) = &reference.extra.uid {
                ctx.memory.forget(uid);
            }
            debug!(%reference, "the release is gone");
        }
        ControllerError::QueueError(error) => warn!(%error, "the watch failed and is tried again"),
        ControllerError::RunnerError(error) => warn!(%error, "the runner failed"),
    }
}
