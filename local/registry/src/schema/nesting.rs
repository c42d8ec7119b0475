//! How deeply a rule in CEL is nested, found without parsing it.
//!
//! The parser calls itself many times for each level, so a text that is nested deeply enough ends
//! the process before any other limit is looked at.

/// The most levels of a rule. Rules that people write have fewer than ten.
pub(super) const MOST: usize = 24;

/// The levels of a rule: brackets that are open at once, and conditional expressions inside each
/// other, since `a ? b : c ? d : e` nests too. What is inside of strings does not count.
pub(super) fn levels(rule: &str) -> usize {
    let mut scanner = Scanner {
        rest: rule.as_bytes(),
    };
    // The conditional expressions of each open bracket.
    let mut open: Vec<usize> = vec![0];
    let mut most = 0;
    while let Some(byte) = scanner.next() {
        match byte {
            b'(' | b'[' | b'{' => open.push(0),
            b')' | b']' | b'}' if open.len() > 1 => drop(open.pop()),
            b'?' => *open.last_mut().expect("the outermost is never popped") += 1,
            _ => {}
        }
        most = most.max(open.len() - 1 + open.iter().sum::<usize>());
        if most > MOST {
            break;
        }
    }
    most
}

/// Gives the bytes of a rule that are outside of strings.
struct Scanner<'a> {
    rest: &'a [u8],
}

impl Scanner<'_> {
    fn next(&mut self) -> Option<u8> {
        let [byte, rest @ ..] = self.rest else {
            return None;
        };
        let is_raw = matches!(byte, b'r' | b'R');
        let quote = if is_raw { rest.first() } else { Some(byte) };
        if let Some(quote @ (b'"' | b'\'')) = quote {
            let text = if is_raw { &rest[1..] } else { rest };
            self.rest = after_string(text, *quote, is_raw);
            return Some(b' ');
        }
        self.rest = rest;
        Some(*byte)
    }
}

/// What follows a string whose first quote is left out already.
fn after_string(text: &[u8], quote: u8, is_raw: bool) -> &[u8] {
    let triple = [quote; 3];
    let end: &[u8] = if text.starts_with(&triple[..2]) {
        &triple
    } else {
        &triple[..1]
    };
    let mut rest = &text[end.len() - 1..];
    while !rest.is_empty() && !rest.starts_with(end) {
        let escaped = rest[0] == b'\\' && !is_raw;
        rest = rest.get(if escaped { 2 } else { 1 }..).unwrap_or_default();
    }
    rest.get(end.len()..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_and_conditional_expressions_count() {
        for (rule, wanted) in [
            ("self.size() <= 63", 1),
            ("((1))", 2),
            ("[{'a': f(1)}]", 3),
            ("a ? b : c ? d : e", 2),
            ("(a ? b : c) && (d ? e : f)", 2),
            (")))", 0),
        ] {
            assert_eq!(levels(rule), wanted, "{rule}");
        }
    }

    #[test]
    fn strings_do_not_count() {
        for rule in [
            r#"'(((' + "[[[" + ''"#,
            r"'\'((('",
            r"r'\' + r'((('",
            "'''((' ('''",
            "\"\"\"a\"((\"\"\"",
            "''",
            "'unclosed (((",
        ] {
            assert_eq!(levels(rule), 0, "{rule}");
        }
        // A string cannot close what is open.
        assert_eq!(levels("((( ')))' + ((1))"), 5);
    }

    #[test]
    fn a_deep_rule_is_left_early() {
        assert_eq!(levels(&"(".repeat(1_000_000)), MOST + 1);
    }
}
