//! What every pass is given.

use std::{sync::Arc, time::Duration};

use kube::{Api, Client, core::DeserializeGuard, runtime::reflector::Store};
use tokio_util::sync::CancellationToken;

use super::{
    Authority, Clock, LeaseOptions, Metrics, World, cached::Cached, memory::Memory,
    publisher::Notebook,
};
use crate::{
    api::{BlueGreenRelease, BlueGreenReleaseSpec, BlueGreenReleaseStatus, Time},
    plan::{self, Decision, Observation, Release},
};

/// The planner's decision.
pub type Decide = fn(&Release, &BlueGreenReleaseStatus, &Observation, Time) -> Decision;

/// What the planner has to be shown.
pub type Needs = fn(&BlueGreenReleaseSpec, &BlueGreenReleaseStatus, Time) -> plan::Needs;

/// The planner, as two functions. Only tests give others than the default.
#[derive(Debug, Clone, Copy)]
pub struct Planner {
    /// Decides.
    pub decide: Decide,
    /// Says what to read first.
    pub needs: Needs,
}

impl Default for Planner {
    fn default() -> Self {
        Self {
            decide: plan::decide,
            needs: plan::needs,
        }
    }
}

/// How the controller runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// The namespace whose releases it works on; all of them, where none is given.
    pub namespace: Option<String>,
    /// How many releases are worked on at the same time, at least 1.
    pub concurrency: u16,
    /// How long passes in flight may go on after the shutdown was asked for.
    pub shutdown_within: Duration,
    /// The name of this instance in Kubernetes Events: the pod's.
    pub instance: Option<String>,
    /// The lease that decides which of several controllers works; none, where this is the only
    /// one.
    pub lease: Option<LeaseOptions>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            namespace: None,
            // A pass waits for AWS nearly all of its time. With 50 ms a pass this is 480 passes
            // a second, far above what AWS's own request limits admit. What passes at the same
            // time take of memory, the process keeps: more of them is more of that for good.
            concurrency: 24,
            // Below the 30 s that Kubernetes gives a pod; above the timeout of one call.
            shutdown_within: Duration::from_secs(20),
            instance: None,
            lease: None,
        }
    }
}

/// An object that may or may not be a release that can be understood. One that cannot be must
/// not keep the others from being listed.
pub(super) type Guarded = DeserializeGuard<BlueGreenRelease>;

/// What every pass is given.
pub(super) struct Ctx<W> {
    pub(super) client: Client,
    /// What the watch shows of all releases.
    pub(super) releases: Store<Cached>,
    pub(super) world: Arc<W>,
    pub(super) planner: Planner,
    pub(super) notebook: Notebook,
    pub(super) metrics: Arc<Metrics>,
    pub(super) memory: Memory,
    pub(super) authority: Authority,
    /// Cancelled at the end of the process and of its term of office.
    pub(super) stop: CancellationToken,
}

impl<W: World> Ctx<W> {
    pub(super) fn now(&self) -> Time {
        self.world.clock().now()
    }

    pub(super) fn api(&self, namespace: &str) -> Api<BlueGreenRelease> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Whether nothing more may be changed, neither in Kubernetes nor in AWS.
    pub(super) fn stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// How long to sleep until a time; nothing, where it has passed.
    pub(super) fn until(&self, time: Time) -> Duration {
        let clock = self.world.clock();
        clock.real(time.since(clock.now()))
    }
}
