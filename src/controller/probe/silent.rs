//! Hosts that do not answer: a firewall drops what is sent to them. Waiting for each of them again and
//! again would make every look at their release late.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How long such a host is left alone.
const LEFT_ALONE: Duration = Duration::from_secs(60);

/// How many are remembered.
const MOST: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Silent(Mutex<HashMap<IpAddr, Instant>>);

impl Silent {
    /// Whether a host did not answer a moment ago.
    pub(super) fn contains(&self, host: IpAddr) -> bool {
        let since = self.lock().get(&host).copied();
        since.is_some_and(|since| since.elapsed() < LEFT_ALONE)
    }

    /// A host did not answer.
    pub(super) fn insert(&self, host: IpAddr) {
        let mut hosts = self.lock();
        if hosts.len() >= MOST {
            hosts.retain(|_, since| since.elapsed() < LEFT_ALONE);
        }
        if hosts.len() < MOST {
            hosts.insert(host, Instant::now());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::{LEFT_ALONE, MOST, Silent};

    #[tokio::test(start_paused = true)]
    async fn a_silent_host_is_asked_again_after_a_minute_and_many_are_not_kept() {
        let silent = Silent::default();
        let host = |number: usize| {
            let [_, _, high, low] = u32::try_from(number).unwrap().to_be_bytes();
            IpAddr::V4(Ipv4Addr::new(10, 0, high, low))
        };
        (0..2 * MOST).for_each(|number| silent.insert(host(number)));
        assert!(silent.contains(host(0)));
        assert_eq!(silent.lock().len(), MOST);
        tokio::time::advance(LEFT_ALONE).await;
        assert!(!silent.contains(host(0)));
        silent.insert(host(MOST));
        assert!(silent.contains(host(MOST)));
        assert_eq!(silent.lock().len(), 1);
    }
}
