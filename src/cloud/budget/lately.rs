//! How many there were in the last half minute.

use tokio::time::Instant;

/// Counts by the second.
#[derive(Debug)]
pub(super) struct Lately {
    began: Instant,
    /// The second of the newest count.
    newest: u64,
    counts: [u32; Self::LENGTH as usize],
}

impl Lately {
    const LENGTH: u64 = 30;

    /// How long it remembers.
    pub(super) const SECONDS: f64 = Self::LENGTH as f64;

    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: now,
            newest: 0,
            counts: [0; Self::LENGTH as usize],
        }
    }

    /// One more.
    pub(super) fn note(&mut self, now: Instant) {
        self.advance(now);
        let count = &mut self.counts[slot(self.newest)];
        *count = count.saturating_add(1);
    }

    /// How many.
    pub(super) fn count(&mut self, now: Instant) -> u32 {
        self.advance(now);
        self.counts
            .iter()
            .fold(0, |sum, one| sum.saturating_add(*one))
    }

    fn advance(&mut self, now: Instant) {
        let second = now.saturating_duration_since(self.began).as_secs();
        let passed = second.saturating_sub(self.newest).min(Self::LENGTH);
        for number in 1..=passed {
            self.counts[slot(self.newest + number)] = 0;
        }
        if passed == Self::LENGTH {
            self.counts = [0; Self::LENGTH as usize];
        }
        self.newest = self.newest.max(second);
    }
}

fn slot(second: u64) -> usize {
    usize::try_from(second % Lately::LENGTH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_the_last_half_minute_counts() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut lately = Lately::new(begin);
        lately.note(at(0));
        lately.note(at(10));
        lately.note(at(10));
        assert_eq!(lately.count(at(29)), 3);
        assert_eq!(lately.count(at(30)), 2);
        assert_eq!(lately.count(at(40)), 0);
        lately.note(at(1000));
        assert_eq!(lately.count(at(1029)), 1);
        assert_eq!(lately.count(at(5000)), 0);
    }
}
