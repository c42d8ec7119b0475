//! Controllers that run, die and are started again.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bluegreen::{
    api,
    cloud::aws::Clouds,
    controller::{self, Metrics, Options, Outside, Parts},
};
use bluegreen_cloud::{Cloud, oracle::Oracle};
use bluegreen_net::Clock;
use bluegreen_registry::Registry;
use kube::Client;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::task::AbortHandle;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tower::{ServiceExt, service_fn};

use super::{judge::Judge, probe::NetProbe};

/// The access key with which the controller signs its calls.
pub(crate) const PRINCIPAL: &str = "in-memory";

/// When a controller dies: at a call to AWS, counted from 0 over its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kill {
    pub(crate) call: usize,
    pub(crate) moment: Moment,
}

/// At which side of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The call never reaches the cloud.
    Before,
    /// The call is carried out, and its reply is lost.
    After,
    /// The call is still under way when the controller dies, and is carried out seconds later.
    Late,
}

/// How long a call that is under way at its caller's death may take: all but the operation
/// timeout.
const LATE_BY: Duration = Duration::from_millis(4_800);

/// What controllers are mounted on. Clones share it.
#[derive(Clone)]
pub(crate) struct Control(Arc<Inner>);

struct Inner {
    cloud: Cloud,
    registry: Registry,
    clock: Clock,
    oracle: Oracle,
    judge: Judge,
    probe: NetProbe,
    latency: (f64, f64),
    random: Mutex<StdRng>,
    running: Mutex<Option<Running>>,
    api_down: AtomicBool,
    starts: AtomicUsize,
}

struct Running {
    shutdown: CancellationToken,
    task: AbortOnDropHandle<()>,
}

/// One life of a controller. Nothing that it began goes on after it.
#[derive(Default)]
struct Life {
    dead: AtomicBool,
    calls: AtomicUsize,
    kill: Option<Kill>,
    task: OnceLock<AbortHandle>,
}

impl Life {
    /// Ends it here and now, as SIGKILL does.
    fn end(&self) {
        self.dead.store(true, Ordering::Relaxed);
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    /// Goes on only while it lives.
    async fn lives(&self) {
        if self.dead.load(Ordering::Relaxed) {
            std::future::pending::<Infallible>().await;
        }
    }

    fn dies(&self, call: usize, moment: Moment) -> bool {
        self.kill == Some(Kill { call, moment })
    }
}

type Around = Outside<Clouds, ControllerClock, NetProbe>;

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
        probe: NetProbe,
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
            starts: AtomicUsize::new(0),
        }))
    }

    /// Starts a controller, which may be doomed to die.
    pub(crate) fn start(&self, kill: Option<Kill>) {
        let life = Arc::new(Life {
            kill,
            ..Life::default()
        });
        let shutdown = CancellationToken::new();
        self.0.starts.fetch_add(1, Ordering::Relaxed);
        let run = controller::run(self.parts(&life), shutdown.clone());
        let task = tokio::spawn(async move {
            if let Err(error) = run.await {
                panic!("the controller ended: {error}");
            }
        });
        life.task.set(task.abort_handle()).unwrap();
        let task = AbortOnDropHandle::new(task);
        let running = Running { shutdown, task };
        *self.0.running.lock().unwrap() = Some(running);
    }

    /// Ends the controller in order.
    pub(crate) async fn stop(&self) {
        let running = self.0.running.lock().unwrap().take();
        if let Some(running) = running {
            running.shutdown.cancel();
            running.task.await.unwrap();
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
        self.0.starts.load(Ordering::Relaxed)
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

    fn parts(&self, life: &Arc<Life>) -> Parts<Around> {
        let metrics = Arc::new(Metrics::default());
        let region = self.0.cloud.config().region.clone();
        let (this, its) = (self.clone(), Arc::clone(life));
        let aws = move |request| {
            let (this, life) = (this.clone(), Arc::clone(&its));
            async move { this.ask_aws(&life, request).await }
        };
        let (this, its) = (self.clone(), Arc::clone(life));
        let kubernetes = service_fn(move |request: http::Request<kube::client::Body>| {
            let (this, life) = (this.clone(), Arc::clone(&its));
            async move { this.ask_kubernetes(&life, request).await }
        });
        Parts {
            client: Client::new(kubernetes, "default"),
            server: "the registry of the test".to_owned(),
            world: Outside {
                clouds: Clouds::in_memory(&region, aws, metrics.clone()),
                clock: ControllerClock(self.0.clock.clone()),
                probe: self.0.probe.clone(),
            },
            planner: self.0.judge.planner(),
            options: Options::default(),
            metrics,
            listener: None,
        }
    }

    async fn ask_aws(
        &self,
        life: &Life,
        request: http::Request<bytes::Bytes>,
    ) -> Result<http::Response<bytes::Bytes>, Box<dyn std::error::Error + Send + Sync>> {
        life.lives().await;
        let call = life.calls.fetch_add(1, Ordering::Relaxed);
        self.travel(1.0).await;
        life.lives().await;
        if life.dies(call, Moment::Before) {
            life.end();
        }
        if life.dies(call, Moment::Late) {
            let this = self.clone();
            tokio::spawn(async move {
                this.0.clock.sleep(LATE_BY).await;
                let _ = this.0.cloud.handle(request).await;
            });
            life.end();
            return std::future::pending().await;
        }
        life.lives().await;
        let answer = self.0.cloud.handle(request).await;
        self.0.judge.look(&self.0.cloud, &self.0.oracle);
        if life.dies(call, Moment::After) {
            life.end();
        }
        self.travel(1.0).await;
        life.lives().await;
        Ok(answer?)
    }

    async fn ask_kubernetes(
        &self,
        life: &Life,
        request: http::Request<kube::client::Body>,
    ) -> Result<http::Response<bluegreen_registry::Body>, Box<dyn std::error::Error + Send + Sync>>
    {
        life.lives().await;
        self.travel(0.2).await;
        life.lives().await;
        if self.0.api_down.load(Ordering::Relaxed) {
            return Err("connection refused".into());
        }
        let answer = self.0.registry.clone().oneshot(request).await;
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
