//! Why the demo could not go on.

use std::io;

/// Why the demo could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something of this machine failed.
    #[error("cannot {what}: {source}")]
    Machine {
        /// What was tried.
        what: String,
        /// What the operating system says.
        source: io::Error,
    },

    /// The simulated cloud refused to be built.
    #[error("the scene cannot be built: {0}; this is an error in the demo")]
    Scene(String),

    /// The application did not come into service before the release.
    #[error(
        "the application is not in service after {seconds} s of virtual time: {state}; on a busy machine a smaller --scale helps"
    )]
    NotInService {
        /// How long was waited, in virtual seconds.
        seconds: u64,
        /// Where the targets stand.
        state: String,
    },

    /// A call of a naive method failed, as it would fail a script.
    #[error("{method}: {call} failed: {message}")]
    Call {
        /// The method.
        method: &'static str,
        /// The call.
        call: &'static str,
        /// What AWS said.
        message: String,
    },

    /// A waiter of a naive method gave up, as it would in a script.
    #[error("{method}: waiter {waiter} gave up: {because}")]
    Waiter {
        /// The method.
        method: &'static str,
        /// The waiter.
        waiter: &'static str,
        /// Why.
        because: String,
    },

    /// The release did not come to its end.
    #[error("{method}: the release has not ended: {because}")]
    Unfinished {
        /// The method.
        method: &'static str,
        /// How far it came.
        because: String,
    },

    /// The embedded registry or a client of it failed.
    #[error("the embedded registry failed: {0}")]
    Registry(String),

    /// The manifest of the release cannot be used.
    #[error("the manifest cannot be used: {0}")]
    Manifest(String),

    /// The user ended the demo.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// Adds to an error of the operating system what was tried.
    pub fn machine(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Machine { what, source }
    }
}
