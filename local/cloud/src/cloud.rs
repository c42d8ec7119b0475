//! The simulated cloud as one service: a request in, a response out.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
    time::Duration,
};

use bluegreen_net::Clock;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use crate::{
    answer::Ending,
    config::{Config, Span},
    ec2, elb,
    events::Event,
    faults::{Fault, Standing},
    hosts::Hosts,
    ledger::Entry,
    sim, ssm,
    switches::{self, Switch},
    topology::{HealthReport, Topology},
    wire::{ApiError, Params},
    world::{Ctx, Effect, World},
};

/// How many health reports wait for the control plane before a node's checks wait too.
const REPORTS_WAITING: usize = 1024;

/// The caller is given no reply: the connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the simulated cloud dropped the connection, as a fault told it to")]
pub struct ConnectionDropped;

/// A simulated cloud. Clones are the same cloud; when the last one is dropped, everything that
/// runs in it ends.
#[derive(Clone)]
pub struct Cloud {
    pub(crate) inner: Arc<Inner>,
    _end: Arc<End>,
}

/// Ends what runs in the cloud when the last handle is gone.
struct End(Arc<Inner>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.shutdown();
    }
}

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) hosts: Arc<dyn Hosts>,
    world: Mutex<World>,
    tasks: Mutex<JoinSet<()>>,
    topology: watch::Sender<Arc<Topology>>,
    /// Changes whenever something may have changed that a task waits for.
    pub(crate) pulse: watch::Sender<()>,
}

impl Cloud {
    /// A cloud with nothing in it. Must be called within a tokio runtime.
    #[must_use]
    pub fn new(config: Config, clock: Clock, hosts: Arc<dyn Hosts>) -> Self {
        let inner = Arc::new(Inner {
            world: Mutex::new(World::new(config.seed)),
            config,
            clock,
            hosts,
            tasks: Mutex::default(),
            topology: watch::Sender::default(),
            pulse: watch::Sender::default(),
        });
        let ticking = Arc::clone(&inner);
        inner.tasks().spawn(async move { ticking.tick().await });
        Self {
            _end: Arc::new(End(Arc::clone(&inner))),
            inner,
        }
    }

    /// Answers a request of one of the services, or of `/_sim/`.
    ///
    /// # Errors
    /// When a fault drops the connection.
    pub async fn handle(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, ConnectionDropped> {
        if request.uri().path().starts_with("/_sim/") {
            return Ok(sim::handle(self, &request));
        }
        let (reply, ending) = self.inner.answer(&request);
        self.inner.settle();
        match ending {
            Ending::Reply => {}
            Ending::Late(by) => self.inner.clock.sleep(by).await,
            Ending::Drop => return Err(ConnectionDropped),
            Ending::Hang => std::future::pending().await,
        }
        Ok(reply)
    }

    /// Ends everything that runs in the cloud now, however many handles there are. Nothing happens
    /// by itself afterwards.
    pub fn shutdown(&self) {
        self.inner.shutdown();
    }

    /// What the data plane is told. The version grows with every change.
    #[must_use]
    pub fn topology(&self) -> watch::Receiver<Arc<Topology>> {
        self.inner.topology.subscribe()
    }

    /// Where the data plane's health reports go.
    #[must_use]
    pub fn health_reports(&self) -> mpsc::Sender<HealthReport> {
        let (sender, mut receiver) = mpsc::channel(REPORTS_WAITING);
        let inner = Arc::clone(&self.inner);
        self.inner.tasks().spawn(async move {
            while let Some(report) = receiver.recv().await {
                let now = inner.clock.now();
                elb::report(&mut inner.world(), report, now);
            }
        });
        sender
    }

    /// The cloud's clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// The cloud's settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The calls after this sequence number; 0 is all.
    #[must_use]
    pub fn ledger(&self, since: u64) -> Vec<Entry> {
        self.inner.world().ledger.since(since)
    }

    /// The events after this sequence number; 0 is all.
    #[must_use]
    pub fn events(&self, since: u64) -> Vec<Event> {
        self.inner.world().events.since(since)
    }

    /// Sets a fault; returns its number.
    pub fn set_fault(&self, fault: Fault) -> u64 {
        let now = self.inner.clock.now();
        self.inner.world().faults.set(fault, now)
    }

    /// Clears one fault, or all.
    pub fn clear_faults(&self, id: Option<u64>) {
        self.inner.world().faults.clear(id);
    }

    /// The faults that stand.
    #[must_use]
    pub fn faults(&self) -> Vec<Standing> {
        self.inner.world().faults.standing().to_vec()
    }

    /// Throws a switch.
    ///
    /// # Errors
    /// When it names something that does not exist; the text says what.
    pub fn switch(&self, switch: &Switch) -> Result<(), String> {
        self.inner.arrange(|ctx| switches::throw(ctx, switch))
    }

    /// What is true now, for tests and people: instances, target groups, commands.
    #[must_use]
    pub fn state(&self) -> Value {
        self.inner.settle();
        sim::state(&self.inner.world(), self.inner.clock.now())
    }

    /// Carries out an action as the scenery's builder, past the ledger, the faults and the
    /// throttles. Parameters have the names of the wire, without numbers:
    /// `{"TargetGroupArn": "...", "Targets": [{"Id": "i-1"}]}`.
    ///
    /// # Errors
    /// The error's code and message.
    pub fn arrange(&self, action: &str, parameters: &Value) -> Result<Value, String> {
        self.inner.arrange(|ctx| {
            let form = Params::from_json_of_form(parameters);
            let json = Params::Json(parameters.clone());
            let unknown = |err: &ApiError| err.message.contains("not valid for this simulated");
            match elb::call(ctx, action, &form) {
                Err(err) if unknown(&err) => {}
                result => return result,
            }
            match ec2::call(ctx, action, &form) {
                Err(err) if unknown(&err) => ssm::call(ctx, action, &json),
                result => result,
            }
        })
    }
}

impl Inner {
    fn shutdown(&self) {
        self.tasks().abort_all();
        self.hosts.shutdown();
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        // A handler that panics is a bug that the tests are to show at its own place.
        self.world
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks
            .lock()
            .expect("no code that holds this lock can panic")
    }

    pub(crate) fn draw(&self, span: Span) -> Duration {
        span.draw(&mut self.world().random)
    }

    /// Lets things happen when they are due.
    async fn tick(self: Arc<Self>) {
        let mut pulse = self.pulse.subscribe();
        loop {
            let due = self.world().next_due(self.clock.now(), &self.config);
            tokio::select! {
                _ = pulse.changed() => {}
                () = async {
                    match due {
                        Some(due) => self.clock.sleep_until(due).await,
                        None => std::future::pending().await,
                    }
                } => self.settle(),
            }
        }
    }

    /// Lets happen what is due, tells the data plane, and starts what has to be done outside.
    pub(crate) fn settle(self: &Arc<Self>) {
        let now = self.clock.now();
        let mut world = self.world();
        world.advance(now, &self.config);
        let effects = std::mem::take(&mut world.effects);
        let mut topology = elb::topology(&world.live, now);
        // Still under the lock: otherwise an older truth might be told after a newer one.
        self.topology.send_if_modified(|current| {
            topology.version = current.version;
            let changed = topology != **current;
            if changed {
                topology.version += 1;
                *current = Arc::new(std::mem::take(&mut topology));
            }
            changed
        });
        drop(world);
        for effect in effects {
            self.perform(effect);
        }
        self.pulse.send_replace(());
    }

    fn perform(self: &Arc<Self>, effect: Effect) {
        let mut tasks = self.tasks();
        while tasks.try_join_next().is_some() {}
        match effect {
            Effect::Boot(host) => tasks.spawn(self.hosts.boot(host)),
            Effect::Halt(host, how) => tasks.spawn(self.hosts.halt(host, how)),
            Effect::Kill(host, unit) => tasks.spawn(self.hosts.kill(host, unit)),
            Effect::Send(id) => tasks.spawn(ssm::carry_out(Arc::clone(self), id)),
        };
    }

    /// Does something to the world as its builder.
    pub(crate) fn arrange<R>(
        self: &Arc<Self>,
        run: impl FnOnce(&mut Ctx<'_>) -> Result<R, ApiError>,
    ) -> Result<R, String> {
        let result = {
            let mut world = self.world();
            let now = self.clock.now();
            world.advance(now, &self.config);
            let result = run(&mut Ctx::new(&mut world, &self.config, now, "builder"));
            world.forget_stale();
            result
        };
        self.settle();
        result.map_err(|err| err.to_string())
    }
}

impl<B> tower::Service<Request<B>> for Cloud
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Send,
{
    type Response = Response<http_body_util::Full<Bytes>>;
    type Error = ConnectionDropped;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let cloud = self.clone();
        let answer = async move {
            let (head, body) = request.into_parts();
            // A caller that breaks off in the middle of its request gets no answer.
            let body = body
                .collect()
                .await
                .map_err(|_| ConnectionDropped)?
                .to_bytes();
            let response = cloud.handle(Request::from_parts(head, body)).await?;
            Ok(response.map(http_body_util::Full::new))
        };
        Box::pin(answer)
    }
}
