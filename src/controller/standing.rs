//! How the controller stands: alive, and ready. The web endpoints tell it.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::runtime::reflector::Store;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Metrics, cached::Cached};

/// The loop's task shows that it is still polled this often.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(5);

/// After so long without a heartbeat the process is taken for stuck. Restarting costs a pass, so
/// this is generous: a machine that swaps may not answer for some seconds.
const STUCK: Duration = Duration::from_secs(60);

/// How the definition comes to be there, for messages.
pub(super) const INSTALL: &str = "install the chart bluegreen-crds, or apply crds/ \
     (bluegreen-controller crd | kubectl apply -f -)";

/// What the controller is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Stage {
    /// It asks the API server whether it knows the resource.
    #[default]
    Starting,
    /// The API server does not know the resource.
    Undefined,
    /// It asks who leads.
    Electing,
    /// Another leads; this one takes over when that one ends.
    StandingBy {
        /// The other one's identity.
        leader: String,
    },
    /// It leads, and has not begun to work.
    Elected,
    /// The first list of releases has not arrived.
    Listing,
    /// It works.
    Working,
}

impl Stage {
    /// Whether there is nothing to wait for before it can do its part.
    #[must_use]
    pub const fn ready(&self) -> bool {
        match self {
            Self::Working | Self::StandingBy { .. } => true,
            Self::Starting | Self::Undefined | Self::Electing | Self::Elected | Self::Listing => {
                false
            }
        }
    }

    /// What a person should read.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Starting => "waiting for the API server's first answer".to_owned(),
            Self::Undefined => format!(
                "waiting for the CustomResourceDefinition bluegreenreleases.bluegreen.dev, which \
                 is not installed; {INSTALL}"
            ),
            Self::Electing => "waiting for the first sight of the lease".to_owned(),
            Self::StandingBy { leader } => format!("ok, standing by; {leader} leads"),
            Self::Elected => "leading; waiting for the end of the time of a leader whose lease \
                 may have been deleted"
                .to_owned(),
            Self::Listing => "waiting for the first list of releases".to_owned(),
            Self::Working => "ok".to_owned(),
        }
    }
}

/// How the controller stands.
#[derive(Debug)]
pub struct Standing {
    heartbeat: Mutex<Instant>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stage: Stage,
    /// What is wrong, in the words that were logged.
    trouble: Option<String>,
    releases: Option<Store<Cached>>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("stage", &self.stage)
            .field("trouble", &self.trouble)
            .finish_non_exhaustive()
    }
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            heartbeat: Mutex::new(Instant::now()),
            state: Mutex::default(),
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

    /// Whether the controller can do its part, and what a person should read about it.
    #[must_use]
    pub fn ready(&self) -> (bool, String) {
        let state = self.lock();
        match &state.trouble {
            // A leader's trouble is that of its releases; there is nothing to be ready for.
            Some(trouble) if state.stage != Stage::Working => {
                (false, format!("{}\n{trouble}", state.stage.text()))
            }
            Some(_) | None => (state.stage.ready(), state.stage.text()),
        }
    }

    /// Counts the releases in the cache into the gauges.
    pub fn census(&self, metrics: &Metrics) {
        let releases = self.lock().releases.clone();
        let releases = releases.map(|store| store.state()).unwrap_or_default();
        metrics.census(releases.iter().map(|release| release.counted()));
    }

    pub(super) fn beat(&self) {
        *self
            .heartbeat
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether the stage is another one now.
    pub(super) fn enters(&self, stage: Stage) -> bool {
        let mut state = self.lock();
        let new = state.stage != stage;
        state.stage = stage;
        new
    }

    /// Something is wrong that time or a person may mend. It is logged when it is said in other
    /// words than the last time, not each time that it is found again.
    pub(super) fn trouble(&self, text: &str) {
        let mut state = self.lock();
        if state.trouble.as_deref() != Some(text) {
            warn!("{text}");
            state.trouble = Some(text.to_owned());
        }
    }

    /// It is mended.
    pub(super) fn no_trouble(&self) {
        if let Some(trouble) = self.lock().trouble.take() {
            info!("over: {trouble}");
        }
    }

    /// The cache of the releases; none, when the controller does not work.
    pub(super) fn watches(&self, store: Option<Store<Cached>>) {
        self.lock().releases = store;
    }

    /// The state is whole at every point, so a panic elsewhere spoils nothing.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
