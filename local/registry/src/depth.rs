//! How deeply values may be nested.
//!
//! Everything that walks a value calls itself for each level, and what is stored must be readable
//! again: the parser of JSON refuses more than 128 levels. So the depth is bounded before a value
//! comes about.

use serde_json::Value;

use crate::status::ApiError;

/// The most levels that an object may have. `managedFields` repeats an object's structure some
/// levels further down, and a list holds objects two levels down; both stay readable.
pub(crate) const MOST: usize = 100;

/// The most brackets that may be open at once in a YAML text. Its parser takes time for each open
/// one at every token. Text can have brackets that are no structure, so this is more than [`MOST`].
const OPEN_MOST: usize = 512;

/// How many levels a value has; one that holds nothing has one.
pub(crate) fn depth(value: &Value) -> usize {
    let inner = match value {
        Value::Object(fields) => fields.values().map(depth).max(),
        Value::Array(list) => list.iter().map(depth).max(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    };
    1 + inner.unwrap_or_default()
}

/// Refuses a value of this many levels where that is too many.
pub(crate) fn check(levels: usize) -> Result<(), ApiError> {
    if levels <= MOST {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "the object would be nested {levels} levels deep and may have {MOST}; flatten it"
    )))
}

/// Refuses a YAML text with too many open brackets, before it is parsed.
pub(crate) fn check_yaml(body: &[u8]) -> Result<(), ApiError> {
    let mut open: usize = 0;
    for byte in body {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > OPEN_MOST {
            return Err(ApiError::bad_request(format!(
                "error decoding YAML: more than {OPEN_MOST} brackets are open at once; flatten \
                 the object"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn levels_are_counted() {
        for (value, levels) in [
            (json!(1), 1),
            (json!({}), 1),
            (json!({"a": 1}), 2),
            (json!({"a": [1, {"b": null}]}), 4),
        ] {
            assert_eq!(depth(&value), levels, "{value}");
        }
        assert!(check(MOST).is_ok());
        assert!(check(MOST + 1).is_err());
    }

    #[test]
    fn only_brackets_that_are_open_at_once_count() {
        assert!(check_yaml("[]".repeat(100_000).as_bytes()).is_ok());
        assert!(check_yaml("{".repeat(OPEN_MOST).as_bytes()).is_ok());
        assert!(check_yaml("[".repeat(100_000).as_bytes()).is_err());
    }
}
