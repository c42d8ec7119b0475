//! One event is one line of the log, whatever is in its words.
//!
//! A message holds words of users, of hosts and of AWS. A line break among them would let its author
//! write lines of the log that the controller never wrote, and an escape sequence would let the
//! author change what a terminal shows of it.

use std::io::{self, Write};

/// Writes one event in one line: control characters within it are escaped. It has to be given whole
/// events, as the layers of `tracing_subscriber::fmt` write them.
#[derive(Debug)]
pub struct OneLine<W> {
    to: W,
    /// Whether the layer colours what it writes. A colour is then the one escape sequence that is
    /// left.
    coloured: bool,
}

impl<W> OneLine<W> {
    /// Lines that are written there.
    pub fn new(to: W, coloured: bool) -> Self {
        Self { to, coloured }
    }

    fn escaped(&self, event: &str) -> String {
        let mut line = String::with_capacity(event.len() + 1);
        for (at, character) in event.char_indices() {
            match character {
                '\u{1b}' if self.coloured && is_colour(&event[at..]) => line.push(character),
                // Some viewers take the last two for line breaks as well.
                character if character.is_control() || "\u{2028}\u{2029}".contains(character) => {
                    line.extend(character.escape_default());
                }
                character => line.push(character),
            }
        }
        line
    }
}

/// Whether a text begins with an escape sequence that sets a colour: `ESC [ 31 m`.
fn is_colour(text: &str) -> bool {
    let Some(sequence) = text.strip_prefix("\u{1b}[") else {
        return false;
    };
    let number = |character: char| character.is_ascii_digit() || character == ';';
    sequence.trim_start_matches(number).starts_with('m')
}

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let event = String::from_utf8_lossy(bytes);
        let line = match event.strip_suffix('\n') {
            Some(event) => self.escaped(event) + "\n",
            None => self.escaped(&event),
        };
        self.to.write_all(line.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use tracing::{info, info_span, subscriber::with_default};

    use super::super::tests::written::Written;
    use super::*;

    /// What a text log says of an event with these words in it.
    fn said(words: &str, coloured: bool) -> String {
        let written = Written::new();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(coloured)
            .with_writer(move || OneLine::new(writer.clone(), coloured))
            .finish();
        with_default(subscriber, || {
            info_span!("pass", release = words).in_scope(|| {
                info!(events = words, "{words}");
                info!(words = %words, "the next");
            });
        });
        written.text()
    }

    #[test]
    fn words_of_users_make_no_line_of_their_own() {
        let forged = "abort 1 \n2026-11-30T00:00:00Z ERROR forged: the lease was lost";
        let said = said(forged, false);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 2, "{said}");
        assert!(lines.iter().all(|line| line.contains(" INFO ")), "{said}");
        assert!(lines[0].contains("abort 1 \\n2026-11-30"), "{said}");
    }

    #[test]
    fn no_control_character_is_left() {
        let odd = "a\r\n\u{8}\u{b}\u{c}\u{7f}\u{85}\u{9b}2J\u{1b}[2J\u{2028}\u{2029}z";
        for coloured in [false, true] {
            let said = said(odd, coloured);
            let colours = |one: &char| coloured && *one == '\u{1b}';
            let left: Vec<char> = said
                .chars()
                .filter(|one| one.is_control() || "\u{2028}\u{2029}".contains(*one))
                .filter(|one| !colours(one))
                .collect();
            assert_eq!(left, ['\n', '\n'], "{said:?}");
            assert!(!said.contains("\u{1b}[2J"), "{said:?}");
        }
    }

    #[test]
    fn other_words_are_left_as_they_are() {
        let plain = "version 1.8.0 is live: ü, 漢, 'quoted' and \\ as well";
        let said = said(plain, false);
        assert!(
            said.lines().next().unwrap().ends_with(&format!(
                "{plain} events=\"version 1.8.0 is live: ü, 漢, 'quoted' and \\\\ as well\""
            )),
            "{said}"
        );
    }
}
