//! Who may call: whoever knows the token. And the kubeconfig that hands it to kubectl.
//!
//! Programs send the token as `Authorization: Bearer`. kubectl sends credentials over TLS only,
//! even on loopback, so there is a second way: the token in front of the path, as in
//! `http://127.0.0.1:7001/token/SECRET/api/v1/namespaces`, which is what a kubeconfig's `server`
//! can say.

use http::{HeaderMap, header::AUTHORIZATION};

/// In front of the token in a path.
const PREFIX: &str = "/token/";

/// The path without the token in front of it, where the request carries the token in either
/// way, and `None` where it does not. Without a token everyone may call, which is for registries
/// that are mounted in memory.
pub(crate) fn authorize<'a>(
    token: Option<&str>,
    path: &'a str,
    headers: &HeaderMap,
) -> Option<&'a str> {
    let Some(token) = token else {
        return Some(path);
    };
    if let Some(rest) = path.strip_prefix(PREFIX) {
        let end = rest.find('/').unwrap_or(rest.len());
        let (given, rest) = rest.split_at(end);
        return is_same(given, token).then_some(rest);
    }
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))?;
    is_same(bearer.trim(), token).then_some(path)
}

/// Compares without stopping at the first difference, so that the time tells nothing.
fn is_same(given: &str, wanted: &str) -> bool {
    let difference = given
        .bytes()
        .zip(wanted.bytes())
        .fold(0, |difference, (given, wanted)| {
            difference | (given ^ wanted)
        });
    given.len() == wanted.len() && difference == 0
}

/// A kubeconfig, as YAML, with one context that leads to the registry at `server`, such as
/// `http://127.0.0.1:7001`. It holds the token, which must be made of characters that a path can
/// have (letters, digits, `-`, `_`): write it to a file that only its owner can read.
#[must_use]
pub fn kubeconfig(server: &str, token: &str, namespace: &str) -> String {
    let quote = |text: &str| serde_json::Value::from(text).to_string();
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: registry
  cluster:
    server: {server}
contexts:
- name: registry
  context:
    cluster: registry
    namespace: {namespace}
current-context: registry
",
        server = quote(&format!("{}{PREFIX}{token}", server.trim_end_matches('/'))),
        namespace = quote(namespace),
    )
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_token_opens_as_a_header_and_as_a_path() {
        let mut headers = HeaderMap::new();
        let allowed =
            |path, headers: &HeaderMap| authorize(Some("s3cret"), path, headers).map(str::to_owned);
        assert_eq!(allowed("/api", &headers), None);
        assert_eq!(allowed("/token/wrong/api", &headers), None);
        let path = allowed("/token/s3cret/api", &headers);
        assert_eq!(path.as_deref(), Some("/api"));
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer s3cret"));
        assert_eq!(allowed("/api", &headers).as_deref(), Some("/api"));
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer s3cre"));
        assert_eq!(allowed("/api", &headers), None);
    }
}
