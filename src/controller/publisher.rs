//! Publishes Kubernetes Events, beside the loop: a pass never waits for one, and one that fails
//! is only counted.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Resource,
    runtime::events::{Event, EventType, Recorder},
};
use tokio::sync::mpsc;
use tracing::debug;

use super::{Metrics, Notice, Severity};

/// How many events may wait. A release makes some ten events in its whole life.
const WAITING: usize = 1000;

/// How long publishing one may take.
const TIMEOUT: Duration = Duration::from_secs(5);

struct Entry {
    about: ObjectReference,
    notice: Notice,
}

/// Where passes leave their notices.
#[derive(Clone)]
pub(super) struct Notebook {
    entries: mpsc::Sender<Entry>,
    metrics: Arc<Metrics>,
}

/// Where the publisher takes them from.
pub(super) struct Entries(mpsc::Receiver<Entry>);

/// A notebook and its other end.
pub(super) fn notebook(metrics: Arc<Metrics>) -> (Notebook, Entries) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (
        Notebook {
            entries: sender,
            metrics,
        },
        Entries(receiver),
    )
}

impl Notebook {
    /// Leaves notices about an object. Never waits; drops what does not fit.
    pub(super) fn note(&self, object: &impl Resource<DynamicType = ()>, notices: Vec<Notice>) {
        for notice in notices {
            let about = object.object_ref(&());
            if self.entries.try_send(Entry { about, notice }).is_err() {
                self.metrics.event_dropped();
            }
        }
    }
}

#[cfg(test)]
impl Entries {
    /// The next notice, if one was left.
    pub(super) fn next_now(&mut self) -> Option<Notice> {
        self.0.try_recv().ok().map(|entry| entry.notice)
    }
}

/// Publishes what is left in the notebook until all ends of it are gone.
pub(super) async fn publish(recorder: Recorder, mut entries: Entries, metrics: Arc<Metrics>) {
    while let Some(Entry { about, notice }) = entries.0.recv().await {
        let event = Event {
            type_: match notice.severity {
                Severity::Normal => EventType::Normal,
                Severity::Warning => EventType::Warning,
            },
            reason: notice.reason.to_owned(),
            note: Some(notice.note),
            action: notice.action,
            secondary: None,
        };
        match tokio::time::timeout(TIMEOUT, recorder.publish(&event, &about)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                metrics.event_dropped();
                debug!(reason = event.reason, %error, "an Event was not published");
            }
            Err(_) => {
                metrics.event_dropped();
                debug!(reason = event.reason, "an Event was not published in time");
            }
        }
    }
}
