//! A clock whose seconds may be shorter than real ones.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Virtual time: it starts at an anchor and runs `scale` times as fast as tokio's clock.
///
/// Two processes that are given the same anchor and scale agree about what time it is, because
/// the anchor is an instant of the wall clock. All durations that callers pass in or get back are
/// virtual unless a name says `real`.
#[derive(Debug, Clone)]
pub struct Clock {
    base: Timestamp,
    started: Instant,
    scale: f64,
}

impl Clock {
    /// A clock that runs `scale` times as fast as real time and showed the wall clock's time at
    /// `anchor`. A scale of 1 is the wall clock.
    #[must_use]
    pub fn scaled(anchor: Timestamp, scale: f64) -> Self {
        assert!(
            scale.is_finite() && scale > 0.0,
            "a clock's scale must be a positive number, not {scale}"
        );
        let since_anchor = Timestamp::now().duration_since(anchor).as_secs_f64() * scale;
        Self {
            base: anchor + SignedDuration::from_secs_f64(since_anchor),
            started: Instant::now(),
            scale,
        }
    }

    /// A clock for tests: it starts at a fixed instant and runs with tokio's clock, so that it
    /// stands still, and can be stepped, where that one is paused.
    #[must_use]
    pub fn stepped() -> Self {
        Self {
            base: Timestamp::constant(1_800_000_000, 0),
            started: Instant::now(),
            scale: 1.0,
        }
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let elapsed = self.started.elapsed().as_secs_f64() * self.scale;
        self.base + SignedDuration::from_secs_f64(elapsed)
    }

    /// How many virtual seconds pass in a real one.
    #[must_use]
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// The real time that a virtual duration takes.
    #[must_use]
    pub fn real(&self, duration: Duration) -> Duration {
        duration.div_f64(self.scale)
    }

    /// Sleeps for a virtual duration.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(self.real(duration)).await;
    }

    /// Sleeps until a virtual time; returns at once where it has passed.
    pub async fn sleep_until(&self, time: Timestamp) {
        let left = time.duration_since(self.now());
        if let Ok(left) = Duration::try_from(left) {
            self.sleep(left).await;
        }
    }

    /// Runs a future for at most a virtual duration.
    ///
    /// # Errors
    /// When the duration passed before the future ended.
    pub async fn timeout<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> Result<F::Output, tokio::time::error::Elapsed> {
        tokio::time::timeout(self.real(limit), future).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stepped_clock_moves_only_with_tokio_time() {
        let clock = Clock::stepped();
        let before = clock.now();
        clock.sleep(Duration::from_secs(300)).await;
        assert_eq!(clock.now().duration_since(before).as_secs(), 300);
    }

    #[tokio::test(start_paused = true)]
    async fn a_scaled_clock_sleeps_shorter_and_shows_the_full_time() {
        let clock = Clock::scaled(Timestamp::now(), 10.0);
        let real = Instant::now();
        let before = clock.now();
        clock.sleep(Duration::from_secs(100)).await;
        assert_eq!(real.elapsed(), Duration::from_secs(10));
        let passed = clock.now().duration_since(before).as_secs_f64();
        assert!((passed - 100.0).abs() < 0.1, "{passed}");
    }
}
