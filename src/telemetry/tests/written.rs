//! What a subscriber writes, for tests to read.

use std::{
    io::{self, Write},
    sync::{Arc, LazyLock, Mutex},
};

use serde_json::Value;
use tracing::{Dispatch, subscriber::NoSubscriber};

/// A second subscriber in this process. Where there is one only, tracing asks the thread that comes
/// first to a span whether anybody wants it; that may be one of another test, which has none, and
/// its answer would count for all.
static ANOTHER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::new()));

/// Lines, of JSON unless a test wants them as text. Clones are the same.
#[derive(Clone)]
pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    /// Nothing yet. Whoever makes one makes a subscriber next.
    pub(crate) fn new() -> Self {
        LazyLock::force(&ANOTHER);
        Self(Arc::default())
    }

    /// The text since the last time.
    pub(crate) fn text(&self) -> String {
        let written = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8(written).unwrap()
    }

    /// The lines since the last time.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let lines = self.text();
        let lines = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
