//! Idle connections to targets, kept for the next request.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use hyper::client::conn::http1::SendRequest;
use jiff::{SignedDuration, Timestamp};

use super::relay::Upload;
use crate::topology::TargetKey;

/// A target in a target group.
pub(super) type Registration = (String, TargetKey);

/// The idle connections of one node. Dropping a connection's sender closes it.
#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<HashMap<Registration, Vec<Idle>>>,
}

struct Idle {
    sender: SendRequest<Upload>,
    since: Timestamp,
}

impl Pool {
    fn idle(&self) -> MutexGuard<'_, HashMap<Registration, Vec<Idle>>> {
        self.idle
            .lock()
            .expect("no code that holds this lock can panic")
    }

    /// Takes the connection that was used last, if one is open and free. Closed ones are left to
    /// the next sweep.
    pub(super) fn take(&self, registration: &Registration) -> Option<SendRequest<Upload>> {
        let mut idle = self.idle();
        let connections = idle.get_mut(registration)?;
        let free = connections.iter().rposition(|one| one.sender.is_ready())?;
        Some(connections.remove(free).sender)
    }

    /// Keeps a connection whose answer has been read.
    pub(super) fn put(
        &self,
        registration: &Registration,
        sender: SendRequest<Upload>,
        now: Timestamp,
    ) {
        if sender.is_closed() {
            return;
        }
        let connection = Idle { sender, since: now };
        let mut idle = self.idle();
        match idle.get_mut(registration) {
            Some(connections) => connections.push(connection),
            None => {
                idle.insert(registration.clone(), vec![connection]);
            }
        }
    }

    /// Closes all idle connections of a target.
    pub(super) fn close(&self, registration: &Registration) {
        self.idle().remove(registration);
    }

    /// Closes what has been idle for `limit`, forgets what the targets closed, and says when the
    /// next look is needed.
    pub(super) fn sweep(&self, now: Timestamp, limit: Duration) -> Timestamp {
        let limit = SignedDuration::try_from(limit).unwrap_or(SignedDuration::from_hours(1));
        let mut next = now + limit;
        self.idle().retain(|_, connections| {
            connections.retain(|one| !one.sender.is_closed() && one.since + limit > now);
            for one in connections.iter() {
                next = next.min(one.since + limit);
            }
            !connections.is_empty()
        });
        next
    }
}
