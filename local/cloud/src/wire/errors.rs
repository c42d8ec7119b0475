//! The one error type of all services.

use std::{borrow::Cow, fmt};

/// An error as AWS words it: a code that clients match on, a message for people, an HTTP status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
    pub(crate) status: u16,
}

impl ApiError {
    /// The caller's fault: HTTP 400.
    pub(crate) fn sender(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::with_status(400, code, message)
    }

    pub(crate) fn with_status(
        status: u16,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            status,
        }
    }

    /// A value that does not fit its parameter, as most services word it. The parameter is named by
    /// its path with a capital at the front of each name; `None` is an absent value.
    pub(crate) fn constraint(value: Option<&str>, path: &str, constraint: &str) -> Self {
        let value = value.map_or("null".to_owned(), |value| format!("'{value}'"));
        let member: Vec<String> = path.split('.').map(member).collect();
        let member = member.join(".");
        Self::validation(format!(
            "1 validation error detected: Value {value} at '{member}' failed to satisfy \
             constraint: {constraint}"
        ))
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::sender("ValidationError", message)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.code, self.message)
    }
}

/// A part of a path as it is named in messages: `TargetGroupArn` as `targetGroupArn`, the second
/// item of a list as `2.member`.
fn member(name: &str) -> String {
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        return format!("{name}.member");
    }
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}
