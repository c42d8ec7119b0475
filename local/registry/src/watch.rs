//! Watches: every change after a resource version, in order, none left out.
//!
//! A watch keeps a position in the store's history and reads on from there, so nothing can slip
//! between a list and the watch that follows it. Where the position is no longer in the history
//! the watch says 410 and ends.
//!
//! Timeouts and bookmarks run on tokio's clock and not on the virtual one: they are agreements
//! with a client, who lives in real time.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{Stream, stream};
use serde_json::{Value, json};
use tokio::{sync::watch, time::Instant};

use crate::{
    Effect, Registry,
    catalog::Resource,
    handlers::{self, Call, too_old},
    request::Form,
    selector::Selector,
    status::ApiError,
    store::{Change, Object},
    table::{metadata_of, table},
};

/// How often a client that wants bookmarks gets one: as often as from API servers.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);

/// How long a watch lasts where the client does not say. Servers choose 30 to 60 minutes.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(45 * 60);

/// The longest that a watch lasts, however long a client asks for. Further ahead than any client
/// means, and near enough for a clock to count.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// Says in a bookmark that all objects which were there at the start have been sent.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// Where a watch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// With the objects that are there, as if they were added.
    Now,
    /// The same, and a bookmark that says when they are all told.
    InitialEvents,
    /// With the first change after this version.
    After(u64),
}

/// One watch.
pub(crate) struct Watcher {
    registry: Registry,
    resource: Arc<Resource>,
    namespace: String,
    selector: Selector,
    form: Form,
    bookmarks: bool,
    position: u64,
    written: watch::Receiver<u64>,
    changes: VecDeque<Change>,
    lines: VecDeque<Line>,
    header_sent: bool,
    ends_at: Instant,
    next_bookmark: Instant,
    ended: bool,
}

/// What the stream is to do next.
enum Line {
    Send(Bytes),
    Wait(Duration),
    End,
}

impl Watcher {
    pub(crate) fn new(
        registry: Registry,
        call: &Call,
        selector: Selector,
        start: Start,
        timeout_seconds: Option<u64>,
    ) -> Self {
        let now = Instant::now();
        let state = registry.lock();
        let written = state.store.subscribe();
        let (position, initial) = match start {
            Start::After(version) => (version, Vec::new()),
            Start::Now | Start::InitialEvents => handlers::snapshot(&state.store, call),
        };
        drop(state);
        let timeout = timeout_seconds.map_or(DEFAULT_TIMEOUT, Duration::from_secs);
        let timeout = timeout.min(LONGEST_TIMEOUT);
        let mut watcher = Self {
            resource: Arc::clone(&call.resource),
            namespace: call.target.namespace.clone(),
            selector,
            form: call.form,
            bookmarks: call.query.flag("allowWatchBookmarks"),
            position,
            written,
            changes: VecDeque::new(),
            lines: VecDeque::new(),
            header_sent: false,
            ends_at: now + timeout,
            next_bookmark: now + BOOKMARK_INTERVAL,
            ended: false,
            registry,
        };
        for object in initial {
            if watcher.selector.matches(&object) {
                watcher.push("ADDED", &object);
            }
        }
        if start == Start::InitialEvents && watcher.bookmarks {
            watcher.push_bookmark(true);
        }
        watcher
    }

    /// The events as lines of JSON.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Bytes> + Send {
        stream::unfold(self, |mut watcher| async move {
            let line = watcher.next().await?;
            Some((line, watcher))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.lines.pop_front() {
                Some(Line::Send(line)) => return Some(line),
                Some(Line::Wait(delay)) => {
                    tokio::time::sleep(delay).await;
                    continue;
                }
                Some(Line::End) => return None,
                None if self.ended => return None,
                None => {}
            }
            if let Some(change) = self.changes.pop_front() {
                self.take(&change);
                continue;
            }
            // Marked as seen before the history is read, so that a later write wakes the wait.
            self.written.borrow_and_update();
            self.read_on();
            if !self.lines.is_empty() || !self.changes.is_empty() {
                continue;
            }
            let wake_at = if self.bookmarks {
                self.ends_at.min(self.next_bookmark)
            } else {
                self.ends_at
            };
            tokio::select! {
                biased;
                changed = self.written.changed() => changed.ok()?,
                () = tokio::time::sleep_until(wake_at) => self.on_time(),
            }
        }
    }

    /// Fetches what happened since; where that is not known any more, the watch ends.
    fn read_on(&mut self) {
        let state = self.registry.lock();
        let current = state.store.version();
        let changes =
            state
                .store
                .changes_after(&self.resource.storage, &self.namespace, self.position);
        drop(state);
        match changes {
            Ok(changes) => {
                if changes.is_empty() {
                    self.position = current;
                }
                self.changes = changes.into();
            }
            Err(lost) => {
                let error = too_old(self.position, &lost);
                self.lines
                    .push_back(Line::Send(Bytes::from(error_event(&error))));
                self.ended = true;
            }
        }
    }

    fn take(&mut self, change: &Change) {
        let faults = self.registry.faults();
        let effect = faults.for_event(&self.resource.plural, &change.key.name);
        match effect {
            Some(Effect::DropEvent) => {
                self.position = change.version;
                return;
            }
            Some(Effect::DelayEvent(delay)) => self.lines.push_back(Line::Wait(delay)),
            Some(Effect::CloseWatch) => {
                self.lines.push_back(Line::End);
                self.ended = true;
                return;
            }
            Some(Effect::DuplicateEvent) => self.push_change(change),
            _ => {}
        }
        self.push_change(change);
        self.position = change.version;
    }

    fn push_change(&mut self, change: &Change) {
        let selected = |object: &Option<Object>| {
            object
                .as_ref()
                .filter(|object| self.selector.matches(object))
                .cloned()
        };
        match (selected(&change.before), selected(&change.after)) {
            (None, Some(after)) => self.push("ADDED", &after),
            (Some(_), Some(after)) => self.push("MODIFIED", &after),
            (Some(before), None) => {
                let mut last = Value::clone(&before);
                last["metadata"]["resourceVersion"] = Value::from(change.version.to_string());
                self.push("DELETED", &last);
            }
            (None, None) => {}
        }
    }

    fn push(&mut self, kind: &str, stored: &Value) {
        let object = handlers::served(&self.resource, stored);
        let object = match self.form {
            Form::Object => object,
            Form::Metadata => metadata_of(&object),
            Form::Table(include) => {
                let version = object["metadata"]["resourceVersion"].clone();
                let now = self.registry.now();
                let with_header = !self.header_sent;
                self.header_sent = true;
                let rows = [(stored, object)];
                let columns = &self.resource.columns;
                let mut table = table(columns, &rows, include, with_header, now);
                table["metadata"]["resourceVersion"] = version;
                table
            }
        };
        self.push_event(kind, &object);
    }

    fn push_bookmark(&mut self, ends_initial_events: bool) {
        let resource = &self.resource;
        let version = self.position.to_string();
        let mut metadata = json!({"resourceVersion": version, "creationTimestamp": null});
        if ends_initial_events {
            metadata["annotations"] = json!({INITIAL_EVENTS_END: "true"});
        }
        let object = match self.form {
            Form::Object => json!({"kind": resource.kind, "apiVersion": resource.api_version(),
                                   "metadata": metadata}),
            Form::Metadata => json!({"kind": "PartialObjectMetadata",
                                     "apiVersion": "meta.k8s.io/v1", "metadata": metadata}),
            Form::Table(_) => json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1",
                "metadata": {"resourceVersion": version}, "columnDefinitions": [],
                "rows": [{"cells": [], "object": {"kind": "PartialObjectMetadata",
                    "apiVersion": "meta.k8s.io/v1", "metadata": metadata}}]}),
        };
        self.push_event("BOOKMARK", &object);
    }

    fn push_event(&mut self, kind: &str, object: &Value) {
        let line = event(kind, object);
        self.lines.push_back(Line::Send(Bytes::from(line)));
    }

    fn on_time(&mut self) {
        let now = Instant::now();
        if self.bookmarks {
            self.push_bookmark(false);
            self.next_bookmark = now + BOOKMARK_INTERVAL;
        }
        self.ended = now >= self.ends_at;
    }
}

fn event(kind: &str, object: &Value) -> String {
    format!("{}\n", json!({"type": kind, "object": object}))
}

/// A watch event that says why the watch ends.
pub(crate) fn error_event(error: &ApiError) -> String {
    event("ERROR", &error.to_json())
}
