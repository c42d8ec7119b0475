//! What happened in the simulated world, with virtual timestamps.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::Serialize;

/// How many events are kept; the oldest go first.
const KEPT: usize = 100_000;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Counts events from 1.
    pub sequence: u64,
    /// When, in virtual time.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// To which resource: an ARN, an instance id, a command id, or a target as `ARN id:port`.
    pub subject: String,
    /// Particulars for people.
    pub detail: String,
}

/// The kinds of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum EventKind {
    /// A resource was created.
    Created,
    /// A resource's settings, actions or tags were changed.
    Modified,
    /// A resource was deleted.
    Deleted,
    /// A target was registered, or a draining one registered again.
    TargetRegistered,
    /// A target began to drain.
    TargetDraining,
    /// A target was forgotten.
    TargetGone,
    /// A node's health checks changed their mind about a target.
    TargetChecked,
    /// An instance changed its state.
    InstanceState,
    /// A command was sent.
    CommandSent,
    /// A command's invocation changed its status.
    InvocationStatus,
    /// A fault did its work.
    FaultFired,
    /// A switch was thrown by a test or a person.
    Switched,
    /// A read was answered with what was before the last change.
    StaleRead,
}

/// The events in their order.
#[derive(Debug, Default)]
pub(crate) struct EventLog {
    events: VecDeque<Event>,
    count: u64,
}

impl EventLog {
    pub(crate) fn record(
        &mut self,
        at: Timestamp,
        kind: EventKind,
        subject: impl Into<String>,
        detail: impl Into<String>,
    ) {
        self.count += 1;
        if self.events.len() == KEPT {
            self.events.pop_front();
        }
        let event = Event {
            sequence: self.count,
            at,
            kind,
            subject: subject.into(),
            detail: detail.into(),
        };
        tracing::debug!(kind = ?event.kind, subject = %event.subject, detail = %event.detail, "cloud");
        self.events.push_back(event);
    }

    pub(crate) fn since(&self, sequence: u64) -> Vec<Event> {
        let new = self.events.iter();
        new.filter(|event| event.sequence > sequence)
            .cloned()
            .collect()
    }
}
