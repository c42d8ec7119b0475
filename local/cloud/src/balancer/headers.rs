//! What a load balancer changes in the headers that pass through it.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::Timestamp;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Removes what concerns one connection only.
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [
        header::CONNECTION,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ] {
        headers.remove(name);
    }
}

/// Says where a request came from. `number` tells requests of the same second apart.
pub(super) fn add_forwarded(
    headers: &mut HeaderMap,
    client: IpAddr,
    port: u16,
    now: Timestamp,
    number: u64,
) {
    let forwarded_for = match headers
        .get(FORWARDED_FOR)
        .and_then(|value| value.to_str().ok())
    {
        Some(before) => format!("{before}, {client}"),
        None => client.to_string(),
    };
    set(headers, FORWARDED_FOR, &forwarded_for);
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    headers.insert(FORWARDED_PORT, HeaderValue::from(port));
    let own = format!("1-{:08x}-{number:024x}", now.as_second());
    let trace = match headers.get(TRACE_ID).and_then(|value| value.to_str().ok()) {
        Some(before) if before.contains("Root=") => format!("Self={own};{before}"),
        Some(_) | None => format!("Root={own}"),
    };
    set(headers, TRACE_ID, &trace);
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_one_connection_are_removed_and_others_are_kept() {
        let mut headers = HeaderMap::new();
        headers.insert("connection", HeaderValue::from_static("keep-alive, x-hop"));
        headers.insert("keep-alive", HeaderValue::from_static("timeout=5"));
        headers.insert("x-hop", HeaderValue::from_static("1"));
        headers.insert("transfer-encoding", HeaderValue::from_static("chunked"));
        headers.insert("cookie", HeaderValue::from_static("a=b"));
        remove_hop_by_hop(&mut headers);
        assert_eq!(headers.len(), 1);
        assert_eq!(headers["cookie"], "a=b");
    }

    #[test]
    fn an_earlier_proxy_stays_in_the_chain() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static("203.0.113.7"));
        headers.insert("x-amzn-trace-id", HeaderValue::from_static("Root=1-a-b"));
        let client = IpAddr::from([127, 0, 0, 1]);
        add_forwarded(&mut headers, client, 80, Timestamp::constant(16, 0), 255);
        assert_eq!(headers["x-forwarded-for"], "203.0.113.7, 127.0.0.1");
        assert_eq!(headers["x-forwarded-port"], "80");
        assert_eq!(
            headers["x-amzn-trace-id"],
            "Self=1-00000010-0000000000000000000000ff;Root=1-a-b"
        );
    }
}
