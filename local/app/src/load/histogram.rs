//! Latencies in buckets that grow by a twentieth, so that a percentile is at most 5 % too high.

use std::time::Duration;

/// How much wider each bucket is than the one before.
const GROWTH: f64 = 1.05;
/// The first bucket ends here.
const FIRST_SECONDS: f64 = 0.000_1;
/// Enough buckets for more than two hours.
const BUCKETS: usize = 380;

/// Counts latencies in fixed memory.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    longest: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
            longest: Duration::ZERO,
        }
    }
}

impl Histogram {
    pub(super) fn add(&mut self, latency: Duration) {
        let steps = (latency.as_secs_f64() / FIRST_SECONDS).max(1.0).ln() / GROWTH.ln();
        // A float that is too large saturates, which the minimum then takes back.
        let bucket = (steps.ceil() as usize).min(BUCKETS - 1);
        self.counts[bucket] += 1;
        self.total += 1;
        self.longest = self.longest.max(latency);
    }

    /// The latency in seconds that this share of the requests, 0 to 1, did not exceed; 0 where
    /// there are none.
    pub(super) fn percentile(&self, share: f64) -> f64 {
        let wanted = share * self.total as f64;
        let mut counted = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            counted += count;
            if *count > 0 && counted as f64 >= wanted {
                let bound = FIRST_SECONDS * GROWTH.powf(bucket as f64);
                return bound.min(self.longest.as_secs_f64());
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_twentieth() {
        let mut histogram = Histogram::default();
        for milliseconds in 1..=1_000 {
            histogram.add(Duration::from_millis(milliseconds));
        }
        for (share, exact) in [(0.5, 0.5), (0.9, 0.9), (0.99, 0.99), (1.0, 1.0)] {
            let found = histogram.percentile(share);
            assert!(
                (exact..=exact * GROWTH).contains(&found),
                "{share}: {found}"
            );
        }
    }

    #[test]
    fn nothing_has_no_latency_and_the_longest_bucket_takes_all_beyond() {
        let mut histogram = Histogram::default();
        assert!(histogram.percentile(0.5).abs() < f64::EPSILON);
        histogram.add(Duration::from_secs(100_000));
        assert!((histogram.percentile(0.5) - 0.000_1 * GROWTH.powi(379)).abs() < 1e-6);
    }
}
