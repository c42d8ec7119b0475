//! What names of load balancers and target groups, and keys of tags, may be.

use super::tags::Tag;
use crate::wire::ApiError;

/// The longest name.
const LONGEST: usize = 32;

/// Checks the name of a `kind`: "Target group", "Load balancer".
pub(super) fn check(kind: &str, name: &str) -> Result<(), ApiError> {
    let refuse = |why: &str| Err(ApiError::validation(format!("{kind} name '{name}' {why}")));
    if name.is_empty() || !name.bytes().all(is_allowed) {
        return refuse(
            "can only contain characters that are alphanumeric characters and hyphens(-)",
        );
    }
    if name.len() > LONGEST {
        return refuse(&format!("cannot be longer than '{LONGEST}' characters"));
    }
    if name.starts_with('-') || name.ends_with('-') {
        return refuse("cannot begin or end with a hyphen(-)");
    }
    Ok(())
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

/// Refuses keys that only AWS itself may use.
pub(super) fn check_tags(tags: &[Tag]) -> Result<(), ApiError> {
    match tags.iter().find(|tag| is_reserved(&tag.key)) {
        None => Ok(()),
        Some(tag) => Err(ApiError::validation(format!(
            "Tag key '{}' is not valid. Keys that start with 'aws:' are reserved for system use",
            tag.key
        ))),
    }
}

/// Whether only AWS may set tags with this key.
pub(crate) fn is_reserved(key: &str) -> bool {
    key.to_ascii_lowercase().starts_with("aws:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_have_no_hyphen_at_an_end() {
        let longest = "a".repeat(LONGEST);
        for good in ["a", "a-b", "1", longest.as_str()] {
            assert!(check("Target group", good).is_ok(), "{good}");
        }
        let too_long = "a".repeat(LONGEST + 1);
        for bad in ["", "-a", "a-", "-", "a_b", "a.b", "ä", too_long.as_str()] {
            let err = check("Target group", bad).unwrap_err();
            assert_eq!(err.code, "ValidationError", "{bad}");
        }
    }
}
