//! Whether an answer is whole and is an answer to the question, before the SDK reads it.
//!
//! The SDK reads a list until the document ends: half of an XML document is a shorter list to it,
//! and an empty body is an empty list. A target that is missing in such a list would count as gone.
//! So every answer is checked first, on the bytes as they came.

use serde::de::IgnoredAny;

/// The longest answer that is read. A page of 1,000 instances with all their tags is some 10 MB.
pub(super) const LONGEST_ANSWER: usize = 16 << 20;

/// Why an answer cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("is empty")]
    Empty,
    #[error("is cut off before its end")]
    Cut,
    #[error("is not an answer of AWS to this request")]
    Foreign,
    #[error("is longer than 16 MiB")]
    TooLong,
    #[error("broke off while it was read")]
    BrokenOff,
}

/// An answer that cannot be used, whatever its status says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer, of status {status}, {fault}")]
pub(super) struct Unusable {
    pub(super) status: u16,
    pub(super) fault: Fault,
}

/// The form in which a request is asked and answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Elastic Load Balancing and EC2: a form is answered with an XML document, whose root names
    /// the operation.
    Query { operation: String },
    /// Systems Manager: one JSON object, which does not say what it answers.
    Json,
}

impl Protocol {
    /// The protocol of a request.
    pub(super) fn of(target: Option<&str>, body: &[u8]) -> Self {
        if target.is_some() {
            return Self::Json;
        }
        let action = body
            .split(|byte| *byte == b'&')
            .find_map(|field| field.strip_prefix(b"Action="))
            .unwrap_or_default();
        Self::Query {
            operation: String::from_utf8_lossy(action).into_owned(),
        }
    }

    /// Checks an answer of this status.
    pub(super) fn check(&self, status: u16, body: &[u8]) -> Result<(), Fault> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err(Fault::Empty);
        }
        match self {
            Self::Json => object(body),
            Self::Query { operation } => {
                let root = root(body)?;
                let expected = if (200..300).contains(&status) {
                    root.strip_suffix("Response") == Some(operation)
                } else {
                    // Elastic Load Balancing has the first, EC2 the second.
                    matches!(root, "ErrorResponse" | "Response")
                };
                expected.then_some(()).ok_or(Fault::Foreign)
            }
        }
    }
}

/// Name of the header that tells the operation of a JSON protocol.
pub(super) const TARGET: &str = "x-amz-target";

/// One JSON object and nothing after it.
fn object(body: &[u8]) -> Result<(), Fault> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Fault::Foreign);
    }
    match serde_json::from_slice::<IgnoredAny>(body) {
        Ok(_) => Ok(()),
        Err(error) if error.is_eof() => Err(Fault::Cut),
        Err(_) => Err(Fault::Foreign),
    }
}

/// The name of the root element of a document in which every element is closed, and after which
/// nothing comes.
fn root(body: &[u8]) -> Result<&str, Fault> {
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        // Without a length, the text ends within a character.
        Err(error) if error.error_len().is_none() => return Err(Fault::Cut),
        Err(_) => return Err(Fault::Foreign),
    };
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut root = None;
    let mut open: Vec<&str> = Vec::new();
    while let Some((between, tag)) = rest.split_once('<') {
        if open.is_empty() && !between.trim().is_empty() {
            return Err(Fault::Foreign);
        }
        rest = if let Some(comment) = tag.strip_prefix("!--") {
            after(comment, "-->")?
        } else if let Some(characters) = tag.strip_prefix("![CDATA[") {
            after(characters, "]]>")?
        } else if let Some(instruction) = tag.strip_prefix('?') {
            after(instruction, "?>")?
        } else if tag.starts_with('!') {
            // AWS declares no document type.
            return Err(Fault::Foreign);
        } else if let Some(closing) = tag.strip_prefix('/') {
            let (name, rest) = closing.split_once('>').ok_or(Fault::Cut)?;
            if open.pop() != Some(name.trim_end()) {
                return Err(Fault::Foreign);
            }
            rest
        } else {
            let end = end_of_tag(tag).ok_or(Fault::Cut)?;
            let inside = &tag[..end];
            let name = inside
                .split(|character: char| character.is_whitespace() || character == '/')
                .next()
                .unwrap_or_default();
            if open.is_empty() && root.replace(name).is_some() {
                return Err(Fault::Foreign);
            }
            if !inside.ends_with('/') {
                open.push(name);
            }
            &tag[end + 1..]
        };
    }
    match root {
        Some(_) if !open.is_empty() => Err(Fault::Cut),
        Some(root) if rest.trim().is_empty() => Ok(root),
        None if rest.trim().is_empty() => Err(Fault::Cut),
        Some(_) | None => Err(Fault::Foreign),
    }
}

fn after<'a>(text: &'a str, end: &str) -> Result<&'a str, Fault> {
    text.split_once(end).map(|(_, rest)| rest).ok_or(Fault::Cut)
}

/// Where a tag ends: at the first `>` that is not in quotes.
fn end_of_tag(tag: &str) -> Option<usize> {
    let mut quote = None;
    tag.bytes().position(|byte| {
        match quote {
            Some(open) if open == byte => quote = None,
            Some(_) => {}
            None if matches!(byte, b'"' | b'\'') => quote = Some(byte),
            None => return byte == b'>',
        }
        false
    })
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    fn query() -> Protocol {
        Protocol::of(None, b"Version=2015-12-01&Action=DescribeThings&Name=x")
    }

    #[test]
    fn a_document_is_whole_when_its_root_is_closed_and_nothing_follows() {
        for whole in [
            "<DescribeThingsResponse/>",
            "<DescribeThingsResponse></DescribeThingsResponse>\n\t ",
            "\u{feff}<?xml version=\"1.0\"?>\n<DescribeThingsResponse xmlns=\"a>b\" />",
            "<!-- c --><DescribeThingsResponse><a b='>'/><![CDATA[<x>]]></DescribeThingsResponse >",
        ] {
            assert_eq!(query().check(200, whole.as_bytes()), Ok(()), "{whole}");
        }
        for (text, fault) in [
            ("", Fault::Empty),
            (" \n", Fault::Empty),
            ("<?xml version=\"1.0\"?>", Fault::Cut),
            ("<DescribeThingsResponse><a>", Fault::Cut),
            ("<DescribeThingsResponse><a></a>", Fault::Cut),
            ("<DescribeThingsResponse></DescribeThingsRespon", Fault::Cut),
            ("<DescribeThingsResponse a=\">\"", Fault::Cut),
            ("<DescribeThingsResponse/>x", Fault::Foreign),
            (
                "<DescribeThingsResponse/><DescribeThingsResponse/>",
                Fault::Foreign,
            ),
            (
                "<DescribeThingsResponse><a></DescribeThingsResponse>",
                Fault::Foreign,
            ),
            ("<DescribeOthersResponse/>", Fault::Foreign),
            ("<ErrorResponse/>", Fault::Foreign),
            ("<!DOCTYPE html><html></html>", Fault::Foreign),
            ("{}", Fault::Foreign),
        ] {
            assert_eq!(query().check(200, text.as_bytes()), Err(fault), "{text}");
        }
        assert_eq!(query().check(200, b"<a>\xc3"), Err(Fault::Cut));
        assert_eq!(query().check(200, b"<a>\xff</a>"), Err(Fault::Foreign));
    }

    #[test]
    fn an_error_is_whole_too() {
        assert_eq!(query().check(400, b"<ErrorResponse/>"), Ok(()));
        assert_eq!(query().check(400, b"<Response></Response>"), Ok(()));
        let cut = b"<ErrorResponse><Error><Code>InvalidTarget</Code>";
        assert_eq!(query().check(400, cut), Err(Fault::Cut));
        let page = b"<html>bad gateway</html>";
        assert_eq!(query().check(502, page), Err(Fault::Foreign));
    }

    #[test]
    fn a_json_answer_is_one_object() {
        let json = Protocol::of(Some("AmazonSSM.ListCommands"), b"{}");
        for whole in ["{}", " {\"a\": [1, {\"b\": \"}\"}]}\n"] {
            assert_eq!(json.check(200, whole.as_bytes()), Ok(()), "{whole}");
        }
        for (text, fault) in [
            ("", Fault::Empty),
            ("{\"a\": [1", Fault::Cut),
            ("{\"a\"", Fault::Cut),
            ("[]", Fault::Foreign),
            ("null", Fault::Foreign),
            ("{}{}", Fault::Foreign),
            ("{a}", Fault::Foreign),
            ("<a/>", Fault::Foreign),
        ] {
            assert_eq!(json.check(200, text.as_bytes()), Err(fault), "{text}");
        }
    }

    #[test]
    fn deep_nesting_and_long_answers_take_no_stack_and_little_time() {
        let deep = "<a>".repeat(1 << 20);
        assert_eq!(query().check(200, deep.as_bytes()), Err(Fault::Cut));
        let json = Protocol::Json;
        let deep = format!("{{\"a\":{}", "[".repeat(1 << 20));
        assert!(json.check(200, deep.as_bytes()).is_err());
    }
}
