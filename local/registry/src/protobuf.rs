//! The one protobuf body that is read: a Namespace, because `kubectl create namespace` sends
//! nothing else. Every other body is JSON or YAML.

use serde_json::{Map, Value, json};

/// What every Kubernetes protobuf body starts with.
const MAGIC: &[u8] = b"k8s\0";

/// Reads a Namespace with its name, labels and annotations; `None` for anything else.
pub(crate) fn namespace(body: &[u8]) -> Option<Value> {
    let envelope = fields(body.strip_prefix(MAGIC)?)?;
    let kind = fields(find(&envelope, 1)?)?;
    if find(&kind, 1)? != b"v1" || find(&kind, 2)? != b"Namespace" {
        return None;
    }
    let object = fields(find(&envelope, 2)?)?;
    let metadata = match find(&object, 1) {
        Some(metadata) => fields(metadata)?,
        None => Vec::new(),
    };
    let mut read = json!({});
    for (number, name) in [(1, "name"), (2, "generateName")] {
        if let Some(value) = find(&metadata, number) {
            read[name] = Value::from(std::str::from_utf8(value).ok()?);
        }
    }
    for (number, name) in [(11, "labels"), (12, "annotations")] {
        read[name] = Value::Object(map(&metadata, number)?);
    }
    Some(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": read}))
}

type Field<'a> = (u64, &'a [u8]);

/// The fields of a message that hold bytes; numbers are skipped.
fn fields(mut message: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        match tag & 7 {
            0 => {
                varint(&mut message)?;
            }
            1 => message = message.get(8..)?,
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                found.push((tag >> 3, message.get(..length)?));
                message = &message[length..];
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(found)
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn find<'a>(fields: &[Field<'a>], number: u64) -> Option<&'a [u8]> {
    fields
        .iter()
        .find(|(found, _)| *found == number)
        .map(|(_, value)| *value)
}

fn map(message: &[Field<'_>], number: u64) -> Option<Map<String, Value>> {
    let text = |entry: &[Field<'_>], number| {
        let value = find(entry, number).unwrap_or_default();
        Some(std::str::from_utf8(value).ok()?.to_owned())
    };
    message
        .iter()
        .filter(|(found, _)| *found == number)
        .map(|(_, entry)| {
            let entry = fields(entry)?;
            Some((text(&entry, 1)?, Value::from(text(&entry, 2)?)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(number: u8, value: &[u8]) -> Vec<u8> {
        let length = u8::try_from(value.len()).unwrap();
        [&[number << 3 | 2, length], value].concat()
    }

    #[test]
    fn a_namespace_is_read_and_nothing_else() {
        let label = [bytes(1, b"team"), bytes(2, b"red")].concat();
        let metadata = [bytes(1, b"games"), bytes(11, &label)].concat();
        let body = |kind: &[u8]| {
            let kind = [bytes(1, b"v1"), bytes(2, kind)].concat();
            let object = bytes(1, &metadata);
            [MAGIC.to_vec(), bytes(1, &kind), bytes(2, &object)].concat()
        };
        let read = namespace(&body(b"Namespace")).unwrap();
        assert_eq!(read["metadata"]["name"], "games");
        assert_eq!(read["metadata"]["labels"]["team"], "red");
        assert_eq!(namespace(&body(b"Pod")), None);
        let whole = body(b"Namespace");
        for length in 0..whole.len() {
            // A body that was cut off is refused or read in part, and never a panic.
            let _ = namespace(&whole[..length]);
        }
    }
}
