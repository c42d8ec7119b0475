//! The controller's clock, which a simulation may run faster than the wall's.

use crate::api::{Duration, Time};

/// What time it is, and how long to sleep for a length of that time.
///
/// Timeouts of calls are not taken from here: they guard real sockets.
pub trait Clock: Send + Sync + 'static {
    /// The time that everything in status is written in.
    fn now(&self) -> Time;

    /// How long to sleep, by the process's own timer, until `duration` has passed on this clock.
    fn real(&self, duration: Duration) -> std::time::Duration;
}

/// The wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        jiff::Timestamp::now().into()
    }

    fn real(&self, duration: Duration) -> std::time::Duration {
        duration.into()
    }
}
