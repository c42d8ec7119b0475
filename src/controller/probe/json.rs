//! A number in a JSON body, by JSON Pointer (RFC 6901).
//!
//! The body is read once, and only the way to the number is looked at: no tree of it is built,
//! which would take fifty times the memory of the body.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{
    fault::{Fault, Kind, cut, excerpt},
    number::Number,
};

/// How deep an answer may be nested.
const DEPTH: usize = 64;

/// How many steps a pointer may have.
const STEPS: usize = 16;

/// How a doubled name is recognised among the errors of the parser.
const TWICE: &str = "the answer has this name twice";

/// The number that the pointer names.
pub(super) fn read(body: &[u8], pointer: &str) -> Result<u64, Fault> {
    let name = format!("with pointer \"{}\"", cut(pointer));
    look(body, pointer).map_err(|fault| fault.of_name(&name))
}

fn look(body: &[u8], pointer: &str) -> Result<u64, Fault> {
    let steps = steps(pointer).ok_or_else(|| {
        let fix = "write it as /inFlight or /measurements/0/value";
        Fault::new(Kind::NotAsked, "is not a JSON Pointer", fix)
    })?;
    if depth(body) > DEPTH {
        let what = format!("has an answer nested deeper than {DEPTH}");
        return Err(Fault::new(Kind::Format, what, "give it a simpler shape"));
    }
    let mut parser = serde_json::Deserializer::from_slice(body);
    let found = At(&steps)
        .deserialize(&mut parser)
        .and_then(|found| parser.end().map(|()| found))
        .map_err(|error| {
            if error.to_string().starts_with(TWICE) {
                let what = "is ambiguous: the answer has a name on its way twice";
                return Fault::new(Kind::Format, what, "make the application write it once");
            }
            let what = format!(
                "has an answer that is not whole JSON, beginning {}",
                excerpt(body)
            );
            Fault::new(
                Kind::Format,
                what,
                "name a path that answers with JSON, or use sample for Prometheus' format",
            )
        })?;
    let missing = |what: &str| {
        let what = format!("{what} in the answer, beginning {}", excerpt(body));
        Fault::new(Kind::Missing, what, "correct the pointer")
    };
    match found {
        Found::Number(number, shown) => number.whole(&shown),
        Found::Other(other) => Err(missing(&format!("names {other}, not a number,"))),
        Found::Nothing => Err(missing("names nothing")),
    }
}

/// The steps of a pointer.
fn steps(pointer: &str) -> Option<Vec<String>> {
    if pointer.is_empty() {
        return Some(Vec::new());
    }
    let steps = pointer.strip_prefix('/')?.split('/');
    let steps: Vec<String> = steps.map(step).collect::<Option<_>>()?;
    (steps.len() <= STEPS).then_some(steps)
}

fn step(text: &str) -> Option<String> {
    let mut parts = text.split('~');
    let mut step = parts.next()?.to_owned();
    for part in parts {
        let (escaped, rest) = match part.as_bytes().first()? {
            b'0' => ('~', &part[1..]),
            b'1' => ('/', &part[1..]),
            _ => return None,
        };
        step.push(escaped);
        step.push_str(rest);
    }
    Some(step)
}

/// How deep the brackets outside of strings are nested.
fn depth(body: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// What is at the end of a pointer.
enum Found {
    Number(Number, String),
    Other(&'static str),
    Nothing,
}

/// Goes along the steps that are left.
struct At<'s>(&'s [String]);

impl At<'_> {
    fn number(&self, number: Number, shown: &dyn fmt::Display) -> Found {
        if self.0.is_empty() {
            Found::Number(number, shown.to_string())
        } else {
            Found::Nothing
        }
    }

    fn other(&self, what: &'static str) -> Found {
        if self.0.is_empty() {
            Found::Other(what)
        } else {
            Found::Nothing
        }
    }
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = Found;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Found, E> {
        Ok(self.number(Number::Unsigned(number), &number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Found, E> {
        let read = u64::try_from(number).map_or(Number::Negative, Number::Unsigned);
        Ok(self.number(read, &number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Found, E> {
        let read = Number::Float(number);
        // Without an exponent, 1e300 is 300 digits.
        Ok(if number.abs() < 1e16 {
            self.number(read, &number)
        } else {
            self.number(read, &format_args!("{number:e}"))
        })
    }

    fn visit_str<E>(self, _: &str) -> Result<Found, E> {
        Ok(self.other("a string"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found, E> {
        Ok(self.other("a boolean"))
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        Ok(self.other("null"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Found, A::Error> {
        let mut found = self.other("a list");
        let wanted = self.0.split_first().and_then(|(step, rest)| {
            // RFC 6901 knows no leading zeros, and `-` is the item after the last.
            let index: usize = step.parse().ok()?;
            (index.to_string() == *step).then_some((index, rest))
        });
        for position in 0_usize.. {
            match wanted {
                Some((index, rest)) if index == position => {
                    let Some(item) = items.next_element_seed(At(rest))? else {
                        break;
                    };
                    found = item;
                }
                _ => {
                    if items.next_element::<IgnoredAny>()?.is_none() {
                        break;
                    }
                }
            }
        }
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Found, A::Error> {
        let mut found = self.other("an object");
        let wanted = self.0.split_first();
        let mut met = false;
        while let Some(name) = fields.next_key::<Cow<'de, str>>()? {
            match wanted {
                Some((step, rest)) if *step == name => {
                    if met {
                        return Err(A::Error::custom(TWICE));
                    }
                    met = true;
                    found = fields.next_value_seed(At(rest))?;
                }
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}
