//! Replies and errors as bytes.
//!
//! A reply is a JSON value. In XML its objects become elements, its lists become `member` (or, for
//! EC2, `item`) elements, and null is left out.

use bytes::Bytes;
use http::{Response, StatusCode, header};
use serde_json::{Value, json};

use super::{ApiError, Protocol};

/// A finished reply.
pub(crate) type Rendered = Response<Bytes>;

/// The reply to a call that succeeded.
pub(crate) fn success(
    protocol: Protocol,
    action: &str,
    reply: &Value,
    request_id: &str,
) -> Rendered {
    let body = match protocol {
        Protocol::Query(namespace) => {
            let mut xml = format!("<{action}Response xmlns=\"{namespace}\"><{action}Result>");
            write(&mut xml, reply, "member");
            xml.push_str(&format!(
                "</{action}Result><ResponseMetadata><RequestId>{request_id}</RequestId>\
                 </ResponseMetadata></{action}Response>"
            ));
            xml
        }
        Protocol::Ec2 => {
            let mut xml = format!(
                "<{action}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\
                 <requestId>{request_id}</requestId>"
            );
            write(&mut xml, reply, "item");
            xml.push_str(&format!("</{action}Response>"));
            xml
        }
        Protocol::Json => without_nulls(reply).to_string(),
    };
    respond(protocol, 200, body, request_id)
}

/// The reply to a call that failed.
pub(crate) fn error(protocol: Protocol, err: &ApiError, request_id: &str) -> Rendered {
    let (code, message) = (escaped(&err.code), escaped(&err.message));
    let fault = if err.status < 500 {
        "Sender"
    } else {
        "Receiver"
    };
    let body = match protocol {
        Protocol::Query(namespace) => format!(
            "<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{fault}</Type><Code>{code}</Code>\
             <Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        ),
        Protocol::Ec2 => format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Errors><Error><Code>{code}</Code>\
             <Message>{message}</Message></Error></Errors><RequestID>{request_id}</RequestID></Response>"
        ),
        Protocol::Json => json!({"__type": err.code, "message": err.message}).to_string(),
    };
    respond(protocol, err.status, body, request_id)
}

/// A reply that no client can read: it says 200 and breaks off.
pub(crate) fn malformed(protocol: Protocol, action: &str, request_id: &str) -> Rendered {
    let body = match protocol {
        Protocol::Query(_) | Protocol::Ec2 => format!("<{action}Response><{action}Result><Mem"),
        Protocol::Json => "{\"Command\": {".to_owned(),
    };
    respond(protocol, 200, body, request_id)
}

fn respond(protocol: Protocol, status: u16, body: String, request_id: &str) -> Rendered {
    let kind = match protocol {
        Protocol::Query(_) | Protocol::Ec2 => "text/xml;charset=UTF-8",
        Protocol::Json => "application/x-amz-json-1.1",
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, kind)
        .header("x-amzn-requestid", request_id)
        .body(Bytes::from(body))
        .expect("a request id is a valid header value")
}

fn write(xml: &mut String, value: &Value, item: &str) {
    match value {
        Value::Null => {}
        Value::Bool(flag) => xml.push_str(&flag.to_string()),
        Value::Number(number) => xml.push_str(&number.to_string()),
        Value::String(text) => xml.push_str(&escaped(text)),
        Value::Array(items) => items
            .iter()
            .for_each(|child| element(xml, item, child, item)),
        Value::Object(fields) => fields
            .iter()
            .for_each(|(name, child)| element(xml, name, child, item)),
    }
}

fn element(xml: &mut String, name: &str, value: &Value, item: &str) {
    if !value.is_null() {
        xml.push_str(&format!("<{name}>"));
        write(xml, value, item);
        xml.push_str(&format!("</{name}>"));
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // A bare carriage return would be normalised away, other control characters are not
            // XML at all.
            '\r' => out.push_str("&#13;"),
            '\n' | '\t' => out.push(character),
            control if control.is_control() => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

/// A reply whose lists are empty, at every depth.
pub(crate) fn without_items(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, field)| (name.clone(), without_items(field)))
            .collect(),
        Value::Array(_) => Value::Array(Vec::new()),
        other => other.clone(),
    }
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(_, field)| !field.is_null())
            .map(|(name, field)| (name.clone(), without_nulls(field)))
            .collect(),
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}
