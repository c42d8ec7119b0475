//! A number in a body of Prometheus' text format: the sum of the samples with a name and labels.
//!
//! Lines of other names are skipped unread. A line of the name itself must be understood whole: a
//! sample that is left out by mistake could be the request that is still in flight.

use std::{borrow::Cow, collections::BTreeMap};

use super::{
    fault::{Fault, Kind, cut, excerpt},
    number::{self, Number},
};
use crate::api::Sample;

/// How many lines an answer may have.
const LINES: usize = 100_000;

/// How many samples of the name it may have.
const SAMPLES: usize = 10_000;

/// How many labels a sample may have.
const LABELS: usize = 64;

/// The sum of the samples that the spec names.
pub(super) fn read(body: &[u8], sample: &Sample, own: u16) -> Result<u64, Fault> {
    let name = format!("with sample {}", cut(&sample.name));
    add_up(body, sample, own).map_err(|fault| fault.of_name(&name))
}

fn add_up(body: &[u8], sample: &Sample, own: u16) -> Result<u64, Fault> {
    let beginning = || format!("in the answer, beginning {}", excerpt(body));
    let Some(body) = body.strip_suffix(b"\n") else {
        return Err(Fault::new(
            Kind::Format,
            format!("finds no end of line at the end {}", beginning()),
            "name a path that answers in Prometheus' text format, or use pointer for JSON",
        ));
    };
    let wanted = sample.labels_of(own);
    let (mut named, mut labelled, mut sum) = (0, 0, 0);
    for (number, line) in body.split(|byte| *byte == b'\n').enumerate() {
        if number >= LINES {
            return Err(too_many("lines", LINES));
        }
        let Some(rest) = of_name(line, &sample.name) else {
            continue;
        };
        named += 1;
        if named > SAMPLES {
            return Err(too_many("samples of that name", SAMPLES));
        }
        let malformed = || {
            Fault::new(
                Kind::Format,
                format!("has a line that is not understood: {}", excerpt(line)),
                "make the application write Prometheus' text format",
            )
        };
        let rest = std::str::from_utf8(rest).map_err(|_| malformed())?;
        let (labels, rest) = labels(rest).ok_or_else(malformed)?;
        let value = value(rest).ok_or_else(malformed)?;
        let is = |name: &str| labels.get(name).map_or("", AsRef::as_ref);
        if !wanted.iter().all(|(name, value)| is(name) == value) {
            continue;
        }
        labelled += 1;
        let left_out =
            |(name, values): (&String, &Vec<String>)| values.iter().any(|value| value == is(name));
        if sample.except.iter().any(left_out) {
            continue;
        }
        let number = Number::parse(value).ok_or_else(malformed)?;
        sum = number::sum(sum, number.whole(&cut(value))?)?;
    }
    if named == 0 {
        return Err(Fault::new(
            Kind::Missing,
            format!("finds no sample of that name {}", beginning()),
            "correct the name, or make the application report it from its start",
        ));
    }
    if labelled == 0 {
        return Err(Fault::new(
            Kind::Missing,
            format!(
                "finds {named} samples of that name and none with {}",
                shown(&wanted)
            ),
            "correct the labels",
        ));
    }
    Ok(sum)
}

fn too_many(what: &str, limit: usize) -> Fault {
    Fault::new(
        Kind::Unusable,
        format!("has an answer of more than {limit} {what}"),
        "name a smaller endpoint, as with Prometheus' ?name[]=",
    )
}

fn shown(labels: &BTreeMap<&str, Cow<'_, str>>) -> String {
    let labels: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    format!("{{{}}}", cut(&labels.join(",")))
}

/// The line behind the name.
fn of_name<'b>(line: &'b [u8], name: &str) -> Option<&'b [u8]> {
    let rest = line.trim_ascii_start().strip_prefix(name.as_bytes())?;
    matches!(rest.first(), Some(b'{' | b' ' | b'\t')).then_some(rest)
}

fn space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

/// The labels of a sample, by name.
type Labels<'a> = BTreeMap<Cow<'a, str>, Cow<'a, str>>;

/// The labels, and the rest of the line.
fn labels(text: &str) -> Option<(Labels<'_>, &str)> {
    let mut labels = BTreeMap::new();
    let Some(mut rest) = space(text).strip_prefix('{') else {
        return Some((labels, text));
    };
    loop {
        rest = space(rest);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, behind) = if rest.starts_with('"') {
            quoted(rest)?
        } else {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
            (Cow::Borrowed(rest.get(..end)?), rest.get(end..)?)
        };
        let behind = space(space(behind).strip_prefix('=')?);
        let (value, behind) = quoted(behind)?;
        if name.is_empty() || labels.len() >= LABELS || labels.insert(name, value).is_some() {
            return None;
        }
        rest = space(behind);
        match rest.strip_prefix(',') {
            Some(behind) => rest = behind,
            None if rest.starts_with('}') => {}
            None => return None,
        }
    }
}

/// A text in quotes, and what is behind it.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let text = text.strip_prefix('"')?;
    let end = text.find(['"', '\\'])?;
    if text[end..].starts_with('"') {
        return Some((Cow::Borrowed(&text[..end]), &text[end + 1..]));
    }
    let mut value = String::new();
    let mut characters = text.char_indices();
    loop {
        match characters.next()?.1 {
            '"' => return Some((Cow::Owned(value), characters.as_str())),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                escaped @ ('"' | '\\') => value.push(escaped),
                _ => return None,
            },
            character => value.push(character),
        }
    }
}

/// The value. Behind it there may be a timestamp, and an exemplar of OpenMetrics.
fn value(rest: &str) -> Option<&str> {
    let rest = rest.strip_suffix('\r').unwrap_or(rest);
    let mut words = rest.split([' ', '\t']).filter(|word| !word.is_empty());
    let value = words.next()?;
    match words.next() {
        None => Some(value),
        Some(word) if word.starts_with('#') => Some(value),
        Some(word) => {
            word.parse::<f64>().ok()?;
            match words.next() {
                None => Some(value),
                Some(word) => word.starts_with('#').then_some(value),
            }
        }
    }
}
