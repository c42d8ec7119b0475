//! An open watch.

use bytes::BytesMut;
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::Value;

use crate::{Failure, answer::text, api::within};

/// A watch whose events are read one after the other.
#[derive(Debug)]
pub(crate) struct Watching {
    path: String,
    body: Body,
    read: BytesMut,
}

impl Watching {
    pub(crate) fn new(path: String, body: Body) -> Self {
        Self {
            path,
            body,
            read: BytesMut::new(),
        }
    }

    /// The next event; `None` where the watch has ended.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>, Failure> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line = self.read.split_to(end + 1);
                return serde_json::from_slice(&line)
                    .map(Some)
                    .map_err(|error| self.broken(&error.to_string()));
            }
            let what = format!("the next event of {}", self.path);
            let body = &mut self.body;
            let frame = within(&what, async { Ok(body.frame().await) }).await?;
            match frame {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.read.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(self.broken(&error.to_string())),
                None => return Ok(None),
            }
        }
    }

    /// The next event, which must come.
    pub(crate) async fn event(&mut self) -> Result<Value, Failure> {
        match self.next().await? {
            Some(event) => Ok(event),
            None => Err(self.broken("it ended")),
        }
    }

    /// The next event as its type and the object's name.
    pub(crate) async fn short(&mut self) -> Result<(String, String), Failure> {
        let event = self.event().await?;
        let text = |pointer| text(&event, pointer).to_owned();
        Ok((text("/type"), text("/object/metadata/name")))
    }

    /// All events until the watch ends.
    pub(crate) async fn rest(&mut self) -> Result<Vec<Value>, Failure> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await? {
            events.push(event);
        }
        Ok(events)
    }

    fn broken(&self, why: &str) -> Failure {
        Failure::new(format!("the watch {}: {why}", self.path))
    }
}

/// An event as its type and the object's name.
pub(crate) fn event(kind: &str, name: &str) -> (String, String) {
    (kind.to_owned(), name.to_owned())
}
