//! What the load asks for.

use std::time::Duration;

use rand::{RngExt, rngs::StdRng};

/// Some classes of requests with their shares.
#[derive(Debug, Clone, PartialEq)]
pub struct Mix {
    /// The classes; a request is of one of them, at random by share.
    pub classes: Vec<RequestClass>,
}

/// Requests that take about as long.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestClass {
    /// Its share, over the sum of all shares.
    pub share: f64,
    /// The shortest time that the application is asked to work.
    pub shortest: Duration,
    /// The longest time.
    pub longest: Duration,
}

impl Default for Mix {
    /// Mostly short requests; one in twenty takes tens of seconds, long enough to outlive a short
    /// deregistration delay.
    fn default() -> Self {
        Self {
            classes: vec![
                RequestClass::new(0.80, 20, 100),
                RequestClass::new(0.15, 500, 3_000),
                RequestClass::new(0.05, 10_000, 40_000),
            ],
        }
    }
}

impl RequestClass {
    /// A class with times in milliseconds.
    #[must_use]
    pub fn new(share: f64, shortest: u64, longest: u64) -> Self {
        Self {
            share,
            shortest: Duration::from_millis(shortest),
            longest: Duration::from_millis(longest),
        }
    }
}

impl Mix {
    /// Requests of one class only, with times in milliseconds.
    #[must_use]
    pub fn only(shortest: u64, longest: u64) -> Self {
        Self {
            classes: vec![RequestClass::new(1.0, shortest, longest)],
        }
    }

    /// Draws how long the next request works; nothing where there is no class.
    pub(super) fn draw(&self, rng: &mut StdRng) -> Duration {
        let sum: f64 = self.classes.iter().map(|class| class.share).sum();
        let mut left = rng.random::<f64>() * sum;
        let chosen = self.classes.iter().find(|class| {
            left -= class.share;
            left < 0.0
        });
        let Some(class) = chosen.or(self.classes.last()) else {
            return Duration::ZERO;
        };
        let longest = class.longest.max(class.shortest);
        let seconds = rng.random_range(class.shortest.as_secs_f64()..=longest.as_secs_f64());
        Duration::from_secs_f64(seconds)
    }
}
