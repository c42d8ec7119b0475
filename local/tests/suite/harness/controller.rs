//! Controllers that run, die and are started again.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bluegreen::{
    api,
    cloud::aws::{ATTEMPT_TIMEOUT, Clouds},
    controller::{self, Authority, LeaseOptions, Metrics, Options, Outside, Parts},
};
use bluegreen_cloud::{Cloud, oracle::Oracle};
use bluegreen_net::Clock;
use bluegreen_registry::Registry;
use kube::Client;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tower::{ServiceExt, service_fn};

use super::{
    judge::Judge,
    life::{Asked, Doom, Kill, Life, Moment, Point, Stroke, action, written},
    probe::NetProbes,
};

/// The access key with which the controller signs its calls.
pub(crate) const PRINCIPAL: &str = "in-memory";

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long a request that is under way at its sender's death may take: all but the operation
/// timeout, and longer than the next controller takes to come.
const LATE_BY: Duration = Duration::from_millis(4_800);

/// How long a controller that is told to end may take, in virtual time.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// Tells a controller to end, and waits for that.
pub(super) async fn end_in_order(shutdown: &CancellationToken, task: AbortOnDropHandle<()>) {
    shutdown.cancel();
    let ended = tokio::time::timeout(ENDS_WITHIN, task).await;
    ended
        .expect("a controller that is told to end ends within a minute")
        .unwrap();
}

/// What controllers are mounted on. Clones share it.
#[derive(Clone)]
pub(crate) struct Control(Arc<Inner>);

struct Inner {
    cloud: Cloud,
    registry: Registry,
    clock: Clock,
    oracle: Oracle,
    judge: Judge,
    probe: NetProbes,
    latency: (f64, f64),
    random: Mutex<StdRng>,
    running: Mutex<Option<Running>>,
    api_down: AtomicBool,
    lives: Mutex<Vec<Arc<Life>>>,
}

struct Running {
    shutdown: CancellationToken,
    task: AbortOnDropHandle<()>,
}

type Around = Outside<Clouds, ControllerClock, NetProbes>;

/// The clock of the test as the controller wants it.
#[derive(Clone)]
pub(crate) struct ControllerClock(pub(crate) Clock);

impl controller::Clock for ControllerClock {
    fn now(&self) -> api::Time {
        self.0.now().into()
    }

    fn real(&self, duration: api::Duration) -> Duration {
        self.0.real(duration.into())
    }
}

impl Control {
    pub(crate) fn new(
        cloud: Cloud,
        registry: Registry,
        oracle: Oracle,
        judge: Judge,
        probe: NetProbes,
        (latency, seed): ((f64, f64), u64),
    ) -> Self {
        Self(Arc::new(Inner {
            clock: cloud.clock().clone(),
            cloud,
            registry,
            oracle,
            judge,
            probe,
            latency,
            random: Mutex::new(StdRng::seed_from_u64(seed)),
            running: Mutex::default(),
            api_down: AtomicBool::new(false),
            lives: Mutex::default(),
        }))
    }

    /// Starts a controller, which may be doomed to die.
    pub(crate) fn start(&self, kill: Option<Kill>) {
        let life = Arc::new(Life::until(kill.map(Doom::Killed)));
        let shutdown = CancellationToken::new();
        let parts = self.parts(&life, Authority::alone(), None);
        let run = controller::run(parts, shutdown.clone());
        let task = tokio::spawn(async move {
            if let Err(error) = run.await {
                panic!("the controller ended: {error}");
            }
        });
        life.is_of(task.abort_handle());
        let task = AbortOnDropHandle::new(task);
        let running = Running { shutdown, task };
        *self.0.running.lock().unwrap() = Some(running);
    }

    /// Ends the controller in order.
    pub(crate) async fn stop(&self) {
        let running = self.0.running.lock().unwrap().take();
        if let Some(running) = running {
            end_in_order(&running.shutdown, running.task).await;
        }
    }

    /// Whether a controller runs.
    pub(crate) fn is_running(&self) -> bool {
        let running = self.0.running.lock().unwrap();
        running
            .as_ref()
            .is_some_and(|running| !running.task.is_finished())
    }

    /// How many controllers were started.
    pub(crate) fn starts(&self) -> usize {
        self.0.lives.lock().unwrap().len()
    }

    /// Everything that the first controller has asked for, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        let lives = self.0.lives.lock().unwrap();
        lives.first().map(|life| life.asked()).unwrap_or_default()
    }

    /// Makes the API server unreachable for controllers, or reachable again.
    pub(crate) fn api_down(&self, down: bool) {
        self.0.api_down.store(down, Ordering::Relaxed);
    }

    /// Waits until the controller has died of what it was doomed to, then starts another.
    pub(crate) fn revive(&self, after: Duration) -> AbortOnDropHandle<()> {
        let this = self.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            while this.is_running() {
                this.0.clock.sleep(Duration::from_millis(100)).await;
            }
            this.0.clock.sleep(after).await;
            this.start(None);
        }))
    }

    /// What a controller is made of that lives this life.
    pub(super) fn parts(
        &self,
        life: &Arc<Life>,
        authority: Authority,
        lease: Option<LeaseOptions>,
    ) -> Parts<Around> {
        self.0.lives.lock().unwrap().push(Arc::clone(life));
        let metrics = Arc::new(Metrics::default());
        let region = self.0.cloud.config().region.clone();
        let (this, its) = (self.clone(), Arc::clone(life));
        let aws = move |request| {
            let (this, life) = (this.clone(), Arc::clone(&its));
            let asked = Arc::clone(&its);
            under_way(life, async move { this.ask_aws(&asked, request).await })
        };
        let (this, its) = (self.clone(), Arc::clone(life));
        let kubernetes = service_fn(move |request: http::Request<kube::client::Body>| {
            let (this, life) = (this.clone(), Arc::clone(&its));
            let asked = Arc::clone(&its);
            under_way(
                life,
                async move { this.ask_kubernetes(&asked, request).await },
            )
        });
        let fence = authority.clone();
        Parts {
            client: Client::new(kubernetes, "default"),
            server: "the registry of the test".to_owned(),
            world: Outside {
                clouds: Clouds::in_memory(&region, aws, metrics.clone())
                    .with_fence(move || fence.outlasts(ATTEMPT_TIMEOUT)),
                clock: ControllerClock(self.0.clock.clone()),
                probe: self.0.probe.clone(),
            },
            planner: self.0.judge.planner(),
            options: Options {
                lease,
                ..Options::default()
            },
            metrics,
            authority,
            listener: None,
        }
    }

    async fn ask_aws(
        &self,
        life: &Life,
        request: http::Request<bytes::Bytes>,
    ) -> Result<http::Response<bytes::Bytes>, BoxError> {
        life.lives().await;
        let now = self.0.clock.now();
        let stroke = life.asks(now, Point::Call, action(&request));
        self.travel(1.0).await;
        life.lives().await;
        if stroke == Some(Stroke::Killed(Moment::Before)) {
            life.end();
        }
        if stroke == Some(Stroke::Killed(Moment::Late)) {
            let this = self.clone();
            tokio::spawn(async move {
                this.0.clock.sleep(LATE_BY).await;
                // Nobody is there to hear the answer.
                let _ = this.0.cloud.handle(request).await;
            });
            life.end();
            return std::future::pending().await;
        }
        life.lives().await;
        let answer = self.0.cloud.handle(request).await;
        self.0.judge.look(&self.0.cloud, &self.0.oracle);
        match stroke {
            Some(Stroke::Killed(Moment::After)) => life.end(),
            Some(Stroke::Halted) => life.halt(true),
            Some(Stroke::Killed(Moment::Before | Moment::Late)) | None => {}
        }
        self.travel(1.0).await;
        life.lives().await;
        Ok(answer?)
    }

    async fn ask_kubernetes(
        &self,
        life: &Life,
        request: http::Request<kube::client::Body>,
    ) -> Result<http::Response<bluegreen_registry::Body>, BoxError> {
        life.lives().await;
        let now = self.0.clock.now();
        let stroke = if request.method() == http::Method::GET {
            None
        } else {
            let (point, what) = written(&request);
            life.asks(now, point, what)
        };
        self.travel(0.2).await;
        life.lives().await;
        if self.0.api_down.load(Ordering::Relaxed) {
            return Err("connection refused".into());
        }
        if stroke == Some(Stroke::Killed(Moment::Before)) {
            life.end();
        }
        if stroke == Some(Stroke::Killed(Moment::Late)) {
            let this = self.clone();
            tokio::spawn(async move {
                this.0.clock.sleep(LATE_BY).await;
                // Nobody is there to hear the answer.
                let _ = this.0.registry.clone().oneshot(request).await;
            });
            life.end();
            return std::future::pending().await;
        }
        life.lives().await;
        let answer = self.0.registry.clone().oneshot(request).await;
        match stroke {
            Some(Stroke::Killed(Moment::After)) => life.end(),
            Some(Stroke::Halted) => life.halt(true),
            Some(Stroke::Killed(Moment::Before | Moment::Late)) | None => {}
        }
        life.lives().await;
        Ok(answer?)
    }

    /// The time on the wire, one way.
    async fn travel(&self, share: f64) {
        let (from, to) = self.0.latency;
        if to > 0.0 {
            let drawn: f64 = self.0.random.lock().unwrap().random();
            let seconds = (from + (to - from) * drawn) * share;
            self.0.clock.sleep(Duration::from_secs_f64(seconds)).await;
        }
    }
}

/// A request that goes on while its sender is halted, and not when it gives up. One that is halted
/// neither sends nor hears anything.
async fn under_way<T: Send + 'static>(
    life: Arc<Life>,
    asked: impl Future<Output = Result<T, BoxError>> + Send + 'static,
) -> Result<T, BoxError> {
    life.goes_on().await;
    let answer = AbortOnDropHandle::new(tokio::spawn(asked)).await;
    life.goes_on().await;
    answer?
}
