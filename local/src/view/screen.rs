//! Where snapshots are shown: a part of a terminal that is drawn again and again, or lines.

use std::io::{self, IsTerminal, Write};

use super::{Snapshot, changes, frame};

/// Frames are cut to this where the terminal does not say how wide it is.
const WIDTH: usize = 100;

/// Where snapshots are shown.
#[derive(Debug)]
pub struct Screen {
    drawing: bool,
    width: usize,
    /// How many lines of the last frame stand above the cursor.
    lines: usize,
    last: Snapshot,
}

impl Screen {
    /// Draws on the terminal, unless lines are asked for or standard output is none.
    #[must_use]
    pub fn new(plain: bool) -> Self {
        let columns = std::env::var("COLUMNS").ok();
        Self {
            drawing: !plain && io::stdout().is_terminal(),
            width: columns.and_then(|c| c.parse().ok()).unwrap_or(WIDTH),
            lines: 0,
            last: Snapshot::default(),
        }
    }

    /// Shows a snapshot.
    pub fn show(&mut self, snapshot: &Snapshot) {
        if self.drawing {
            let lines = frame(snapshot, self.width);
            // Without wrapping, so that a line is a line in a narrow terminal too.
            let mut text = self.home() + "\x1b[?7l";
            for line in &lines {
                text += line;
                text += "\x1b[K\n";
            }
            text += "\x1b[?7h";
            self.lines = lines.len();
            put(&text);
        } else {
            let lines = changes(&self.last, snapshot);
            self.last = snapshot.clone();
            put(&lines
                .into_iter()
                .map(|line| line + "\n")
                .collect::<String>());
        }
    }

    /// Takes the last frame away and writes something that stays.
    pub fn say(&mut self, text: &str) {
        let text = format!("{}{text}\n", self.home());
        self.lines = 0;
        self.last = Snapshot::default();
        put(&text);
    }

    /// Goes back to where the last frame began, and clears from there.
    fn home(&self) -> String {
        if self.lines == 0 {
            String::new()
        } else {
            format!("\x1b[{}A\x1b[J", self.lines)
        }
    }
}

/// Nobody is told where standard output is closed: the release goes on all the same.
fn put(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}
