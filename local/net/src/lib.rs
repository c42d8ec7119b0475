//! Time and network as the simulated world sees them.
//!
//! Everything under `local/` takes its time from a [`Clock`] and its connections from a [`Net`].
//! The demo gives them real sockets and time that runs faster than the wall; tests give them an
//! in-memory switchboard under tokio's paused clock, so that a release of ten minutes takes
//! milliseconds and is the same on every machine.
//!
//! Nothing here knows of AWS, of Kubernetes or of the application.

mod clock;
mod net;

pub use clock::Clock;
pub use net::{Listener, Net, Stream, Switchboard};
