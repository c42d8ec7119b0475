//! What a release says of itself while it goes on, for people who watch.
//!
//! Nothing here is measured: figures come from what truly happened.

use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;

/// The progress of one release; clones are the same.
#[derive(Debug, Clone)]
pub struct Progress(Arc<Mutex<State>>);

/// What is known at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// What the release as a whole does or waits for.
    pub message: String,
    /// What is done on each host, in the order of the scene.
    pub hosts: Vec<HostProgress>,
}

/// What is done on one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostProgress {
    /// What is going on.
    pub doing: String,
    /// When that is over, where it is known.
    pub until: Option<Timestamp>,
    /// The steps that are done.
    pub done: Vec<String>,
}

impl Progress {
    /// Nothing has happened on so many hosts.
    #[must_use]
    pub fn new(hosts: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            message: String::new(),
            hosts: vec![HostProgress::default(); hosts],
        })))
    }

    /// What is known now.
    #[must_use]
    pub fn state(&self) -> State {
        self.lock().clone()
    }

    /// Says what the release as a whole does.
    pub fn say(&self, message: impl Into<String>) {
        self.lock().message = message.into();
    }

    /// Says what is going on on a host, and until when.
    pub fn doing(&self, host: usize, what: impl Into<String>, until: Option<Timestamp>) {
        if let Some(host) = self.lock().hosts.get_mut(host) {
            host.doing = what.into();
            host.until = until;
        }
    }

    /// Says that a step is done on a host.
    pub fn done(&self, host: usize, step: &str) {
        if let Some(host) = self.lock().hosts.get_mut(host) {
            host.done.push(step.to_owned());
        }
    }

    /// Replaces all that is known of a host.
    pub fn host(&self, host: usize, progress: HostProgress) {
        if let Some(host) = self.lock().hosts.get_mut(host) {
            *host = progress;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0
            .lock()
            .expect("no code that holds this lock can panic")
    }
}
