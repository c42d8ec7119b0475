//! How long to wait after so many failures in a row.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

/// The first wait. Most failures are a conflict or a dropped connection, gone by then.
const FIRST: Duration = Duration::from_millis(100);

/// The longest wait. A drain may end at any time, and a person who has mended something watches.
const LONGEST: Duration = Duration::from_secs(30);

/// The wait after the given number of failures in a row: it doubles from [`FIRST`] up to
/// [`LONGEST`], and is up to a quarter shorter, by a share that depends on the object, so that
/// many objects that failed together do not come back together.
pub(super) fn backoff(uid: &str, failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let full = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    let mut hasher = DefaultHasher::new();
    (uid, failures).hash(&mut hasher);
    let thousandths = u32::try_from(hasher.finish() % 250).unwrap_or(0);
    full - full * thousandths / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_the_longest_and_never_falls_below_three_quarters() {
        let mut expected = FIRST;
        for failures in 1..40 {
            let wait = backoff("uid", failures);
            assert!(wait <= expected, "{failures}: {wait:?}");
            assert!(wait >= expected * 3 / 4, "{failures}: {wait:?}");
            expected = (expected * 2).min(LONGEST);
        }
    }

    #[test]
    fn objects_that_failed_together_come_back_apart() {
        let waits: std::collections::HashSet<_> =
            (0..20).map(|n| backoff(&format!("uid-{n}"), 8)).collect();
        assert!(waits.len() > 10, "{waits:?}");
    }
}
