//! Mounts the loop, the web server and the publisher, and ends them in order.

use std::{io, pin::pin, sync::Arc, time::Duration};

use futures::StreamExt;
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
    Authority, Ctx, Metrics, Options, Planner, Stage, Standing, StartError, World,
    cached::Cached,
    election::{Election, Ended},
    memory::Memory,
    publisher::{self, Notebook, notebook},
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
/// decide what the process takes for good. A thousand releases are forty requests.
const PAGE: u32 = 25;

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
    /// The right to change things: [`Authority::elected`] where the options name a lease, else
    /// [`Authority::alone`]. The cloud must have been given the same one.
    pub authority: Authority,
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
        authority,
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

    let shell = Shell {
        client,
        server,
        world: Arc::new(world),
        planner,
        options,
        metrics,
        authority,
        notebook,
        standing,
        shutdown,
    };
    let result = tokio::select! {
        result = shell.run() => result,
        ended = &mut web => ended.map_err(io::Error::other).flatten().map_err(StartError::Web),
    };
    // The notebook's other ends go with the shell, so the publisher ends when it is empty.
    drop(shell);
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

/// What outlives a term of office.
struct Shell<W> {
    client: Client,
    server: String,
    world: Arc<W>,
    planner: Planner,
    options: Options,
    metrics: Arc<Metrics>,
    authority: Authority,
    notebook: Notebook,
    standing: Arc<Standing>,
    shutdown: CancellationToken,
}

impl<W: World> Shell<W> {
    /// Waits for what has to be there, is elected where there are others, and works.
    async fn run(&self) -> Result<(), StartError> {
        let running = async {
            let (api, scope) = self.releases();
            tokio::select! {
                () = startup::definition(&api, &scope, &self.server, &self.standing) => {}
                () = self.shutdown.cancelled() => return Ok(()),
            }
            match &self.options.lease {
                None => {
                    self.metrics.leads(true);
                    self.work(self.shutdown.clone()).await.map(|_| ())
                }
                Some(lease) => {
                    self.standing.enters(Stage::Electing);
                    let election = Election {
                        client: self.client.clone(),
                        options: lease,
                        authority: &self.authority,
                        standing: &self.standing,
                        metrics: &self.metrics,
                        shutdown: self.shutdown.clone(),
                    };
                    election.run(|stop| self.work(stop)).await
                }
            }
        };
        let mut running = pin!(running);
        loop {
            self.standing.beat();
            tokio::select! {
                ended = &mut running => return ended,
                () = sleep(HEARTBEAT) => {}
            }
        }
    }

    fn releases(&self) -> (Api<Cached>, String) {
        match &self.options.namespace {
            Some(namespace) => (
                Api::namespaced(self.client.clone(), namespace),
                format!("in namespace {namespace}"),
            ),
            None => (
                Api::all(self.client.clone()),
                "in all namespaces".to_owned(),
            ),
        }
    }

    /// The loop itself, until `stop` is cancelled. Nothing that was remembered of the releases in
    /// an earlier term is known to it.
    async fn work(&self, stop: CancellationToken) -> Result<Ended, StartError> {
        let (api, scope) = self.releases();
        let concurrency = self.options.concurrency.max(1);
        let controller = Controller::new(api, watcher::Config::default().page_size(PAGE))
            .with_config(Config::default().concurrency(concurrency))
            .graceful_shutdown_on(stop.clone().cancelled_owned());
        let store = controller.store();
        let ctx = Arc::new(Ctx {
            client: self.client.clone(),
            releases: store.clone(),
            world: Arc::clone(&self.world),
            planner: self.planner,
            notebook: self.notebook.clone(),
            metrics: Arc::clone(&self.metrics),
            memory: Memory::default(),
            authority: self.authority.clone(),
            stop: stop.clone(),
        });
        info!(scope, concurrency, "watching releases");
        self.standing.enters(Stage::Listing);
        self.standing.watches(Some(store.clone()));
        let mut passes = pin!(controller.run(reconcile, error_policy, Arc::clone(&ctx)));
        let mut ready = pin!(store.wait_until_ready());
        let mut listed = false;
        let mut overdue = pin!(async {
            stop.cancelled().await;
            sleep(self.options.shutdown_within).await;
        });
        let ended = loop {
            tokio::select! {
                ended = passes.next() => match ended {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => passed_over(&ctx, &scope, &error),
                    None if stop.is_cancelled() => break Ok(Ended::Complete),
                    None => break Err(StartError::LoopEnded),
                },
                _ = &mut ready, if !listed => {
                    listed = true;
                    self.standing.enters(Stage::Working);
                    info!(releases = store.len(), "ready");
                }
                () = &mut overdue => {
                    warn!("passes in flight were abandoned; they are made again from status");
                    break Ok(Ended::Abandoned);
                }
            }
        };
        self.standing.watches(None);
        ended
    }
}

/// What the run stream says besides the end of passes.
fn passed_over<W>(
    ctx: &Ctx<W>,
    scope: &str,
    error: &ControllerError<super::error::Error, watcher::Error>,
) {
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
        // Whatever it cannot see of the releases, it goes on with those that it knows.
        ControllerError::QueueError(error) => warn!(
            "the watch failed and is tried again: {}",
            startup::unwatched(error, scope)
        ),
        ControllerError::RunnerError(error) => warn!(%error, "the runner failed"),
    }
}
