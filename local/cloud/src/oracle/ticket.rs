//! The balancer's handle on one request.

use super::{
    Oracle,
    record::{Failure, Routing},
};
use crate::topology::TargetKey;

/// A request in flight. Dropping it without an end says that the client gave up: only then, or
/// when it is itself taken down, does the balancer let go of a request that it has not finished.
#[derive(Debug)]
pub(crate) struct Ticket {
    oracle: Oracle,
    number: u64,
    open: bool,
}

impl Ticket {
    pub(super) fn new(oracle: Oracle, number: u64) -> Self {
        Self {
            oracle,
            number,
            open: true,
        }
    }

    /// The request's number.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// A target was chosen.
    pub(crate) fn routed(&mut self, group: &str, target: &TargetKey, fail_open: bool) {
        let now = self.oracle.clock.now();
        let mut state = self.oracle.state();
        let truth = state.registrations.truth(group, target, now);
        if let Some(seconds) = truth.withdrawn_for() {
            let withdrawn = &mut state.counters.routed_to_withdrawn;
            withdrawn.requests += 1;
            withdrawn.longest_seconds = withdrawn.longest_seconds.max(seconds);
        }
        state.counters.in_fail_open += u64::from(fail_open);
        let history = state.target(&target.id, target.port);
        history.requests += 1;
        history.in_flight += 1;
        history.last_routed = Some(now);
        history.routed_while_withdrawn += u64::from(truth.withdrawn_for().is_some());
        if let Some(record) = state.in_flight.get_mut(&self.number) {
            record.routing = Some(Routing {
                target_group: group.to_owned(),
                target: target.clone(),
                at: now,
                truth,
                fail_open,
                reused_connection: false,
            });
        }
    }

    /// A pooled connection is used for it.
    pub(crate) fn on_reused_connection(&mut self) {
        let mut state = self.oracle.state();
        state.counters.on_reused_connections += 1;
        if let Some(record) = state.in_flight.get_mut(&self.number)
            && let Some(routing) = &mut record.routing
        {
            routing.reused_connection = true;
        }
    }

    /// The client gets this status.
    pub(crate) fn answered(&mut self, status: u16) {
        if let Some(record) = self.oracle.state().in_flight.get_mut(&self.number) {
            record.status = Some(status);
        }
    }

    /// It is over: the last byte was handed over.
    pub(crate) fn finished(mut self) {
        self.end(None);
    }

    /// It is over: it failed.
    pub(crate) fn failed(mut self, failure: Failure) {
        self.end(Some(failure));
    }

    fn end(&mut self, failure: Option<Failure>) {
        if std::mem::take(&mut self.open) {
            let now = self.oracle.clock.now();
            self.oracle.state().end(self.number, failure, now);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.end(Some(Failure::ClientGone));
    }
}
