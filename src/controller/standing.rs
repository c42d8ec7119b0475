//! How the controller stands: alive, and ready. The web endpoints tell it.

use std::{
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use kube::runtime::reflector::Store;
use tokio::time::Instant;

use super::{Metrics, cached::Cached};

/// The loop's task shows that it is still polled this often.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(5);

/// After so long without a heartbeat the process is taken for stuck. Restarting costs a pass, so
/// this is generous: a machine that swaps may not answer for some seconds.
const STUCK: Duration = Duration::from_secs(60);

/// What is still waited for before the controller can work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pending {
    /// The API server does not know the resource yet.
    Definition,
    /// The first list of releases has not arrived.
    Watch,
}

impl Pending {
    /// What a person should read.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Definition => {
                "definition: the CustomResourceDefinition bluegreenreleases.bluegreen.dev is not installed; \
                 apply crds/ (bluegreen-controller crd | kubectl apply -f -)"
            }
            Self::Watch => "watch: the first list of releases has not arrived",
        }
    }
}

/// How the controller stands.
#[derive(Debug)]
pub struct Standing {
    heartbeat: Mutex<Instant>,
    defined: OnceLock<()>,
    listed: OnceLock<()>,
    releases: OnceLock<Store<Cached>>,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            heartbeat: Mutex::new(Instant::now()),
            defined: OnceLock::new(),
            listed: OnceLock::new(),
            releases: OnceLock::new(),
        }
    }
}

impl Standing {
    /// Whether the loop's task is still polled.
    #[must_use]
    pub fn alive(&self) -> bool {
        let last = *self
            .heartbeat
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        last.elapsed() < STUCK
    }

    /// What is still waited for; empty when the controller works.
    #[must_use]
    pub fn pending(&self) -> Vec<Pending> {
        let mut pending = Vec::new();
        if self.defined.get().is_none() {
            pending.push(Pending::Definition);
        }
        if self.listed.get().is_none() {
            pending.push(Pending::Watch);
        }
        pending
    }

    /// Counts the releases in the cache into the gauges.
    pub fn census(&self, metrics: &Metrics) {
        let Some(store) = self.releases.get() else {
            return;
        };
        let releases = store.state();
        metrics.census(releases.iter().filter_map(|release| release.counted()));
    }

    pub(super) fn beat(&self) {
        *self
            .heartbeat
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(super) fn defined(&self) {
        self.defined.get_or_init(|| ());
    }

    pub(super) fn listed(&self) {
        self.listed.get_or_init(|| ());
    }

    pub(super) fn watches(&self, store: Store<Cached>) {
        self.releases.get_or_init(|| store);
    }
}
