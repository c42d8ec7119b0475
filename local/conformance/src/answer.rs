//! A complete answer of a server.

use http::HeaderMap;
use serde_json::Value;

use crate::check::Failure;

/// An answer that has ended.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The method and path, for failures.
    pub(crate) request: String,
    pub(crate) code: u16,
    pub(crate) headers: HeaderMap,
    /// The JSON, or the text where it is not JSON.
    pub(crate) body: Value,
}

impl Answer {
    /// The body of a success.
    pub(crate) fn ok(self) -> Result<Value, Failure> {
        if (200..300).contains(&self.code) {
            return Ok(self.body);
        }
        Err(self.unexpected("a success"))
    }

    /// The body of a success with exactly this code.
    pub(crate) fn ok_with(self, code: u16) -> Result<Value, Failure> {
        if self.code == code {
            return Ok(self.body);
        }
        Err(self.unexpected(&code.to_string()))
    }

    /// The message of a failure with this code and reason.
    pub(crate) fn refused(self, code: u16, reason: &str) -> Result<String, Failure> {
        let is_status = self.body["kind"] == "Status"
            && self.body["apiVersion"] == "v1"
            && self.body["status"] == "Failure"
            && self.body["code"] == code;
        if self.code == code && is_status && self.body["reason"] == reason {
            return Ok(self.body["message"].as_str().unwrap_or_default().to_owned());
        }
        Err(self.unexpected(&format!("a Status of {code}, {reason}")))
    }

    /// A header's text, or the empty text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The texts of all `Warning` headers.
    pub(crate) fn warnings(&self) -> Vec<&str> {
        let values = self.headers.get_all("warning").iter();
        values.filter_map(|value| value.to_str().ok()).collect()
    }

    fn unexpected(&self, wanted: &str) -> Failure {
        Failure::new(format!(
            "{}: wanted {wanted} and got {}: {}",
            self.request, self.code, self.body
        ))
    }
}

/// A text inside a document; the empty text where there is none.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The names of the items of a list.
pub(crate) fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().into_iter().flatten();
    items.map(|item| text(item, "/metadata/name")).collect()
}

/// The resource version of an object or a list.
pub(crate) fn version(value: &Value) -> &str {
    text(value, "/metadata/resourceVersion")
}
