//! Who may call: whoever knows the token. And the kubeconfig that hands it to kubectl.
//!
//! Programs send the token as `Authorization: Bearer`. kubectl sends credentials over TLS only,
//! even on loopback, so there is a second way: the token in front of the path, as in
//! `http://127.0.0.1:7001/token/SECRET/api/v1/namespaces`, which is what a kubeconfig's `server`
//! can say.

use http::{HeaderMap, Method, header::AUTHORIZATION};

use crate::{
    request::{Query, Target},
    status::{ApiError, GroupResource},
};

/// In front of the token in a path.
const PREFIX: &str = "/token/";

/// The tokens that callers can have.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tokens<'a> {
    pub(crate) administrator: Option<&'a str>,
    pub(crate) controller: Option<&'a str>,
}

/// Who sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller<'a> {
    /// Who knows the token. With the path without the token in front of it.
    Administrator(&'a str),
    /// The controller that a status is reserved for, which may do all else, too. With the path as
    /// above.
    Controller(&'a str),
    /// Who does not say.
    Anonymous,
    /// Who says something wrong.
    Unknown,
}

/// Who sends a request, which may carry the token in either way. Without a token everyone is an
/// administrator, which is for registries that are mounted in memory.
pub(crate) fn caller<'a>(tokens: Tokens<'_>, path: &'a str, headers: &HeaderMap) -> Caller<'a> {
    let (given, path) = if let Some(rest) = path.strip_prefix(PREFIX) {
        rest.split_at(rest.find('/').unwrap_or(rest.len()))
    } else {
        let Some(value) = headers.get(AUTHORIZATION) else {
            return match tokens.administrator {
                Some(_) => Caller::Anonymous,
                None => Caller::Administrator(path),
            };
        };
        let bearer = value
            .to_str()
            .ok()
            .and_then(|it| it.strip_prefix("Bearer "));
        (bearer.unwrap_or_default().trim(), path)
    };
    let fits = |token: &str| is_same(given, token);
    if tokens.controller.is_some_and(fits) {
        Caller::Controller(path)
    } else if tokens.administrator.is_none_or(fits) {
        Caller::Administrator(path)
    } else {
        Caller::Unknown
    }
}

/// What is refused to a caller who does not say who it is: a verb on a resource, or a path.
pub(crate) fn refuse_anonymous(method: &Method, path: &str, query: &Query) -> ApiError {
    let who = "User \"system:anonymous\" cannot";
    let target = Target::parse(path);
    let verb = target
        .as_ref()
        .and_then(|target| Some((target, target.verb(method, query).ok()?)));
    let Some((target, verb)) = verb else {
        let method = method.as_str().to_lowercase();
        return ApiError::forbidden_path(&format!("{who} {method} path \"{path}\""));
    };
    let mut why = format!(
        "{who} {verb} resource \"{}\" in API group \"{}\"",
        target.plural, target.group
    );
    if target.namespace.is_empty() {
        why.push_str(" at the cluster scope");
    } else {
        why.push_str(&format!(" in the namespace \"{}\"", target.namespace));
    }
    let resource = GroupResource {
        group: target.group.clone(),
        resource: target.plural.clone(),
    };
    ApiError::forbidden(&resource, &target.name, &why)
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
        let tokens = Tokens {
            administrator: Some("s3cret"),
            controller: Some("c0ntrol"),
        };
        let who = |path, headers: &HeaderMap| caller(tokens, path, headers);
        assert_eq!(who("/api", &headers), Caller::Anonymous);
        assert_eq!(who("/token/wrong/api", &headers), Caller::Unknown);
        let path = who("/token/s3cret/api", &headers);
        assert_eq!(path, Caller::Administrator("/api"));
        let path = who("/token/c0ntrol/api", &headers);
        assert_eq!(path, Caller::Controller("/api"));
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer s3cret"));
        assert_eq!(who("/api", &headers), Caller::Administrator("/api"));
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer s3cre"));
        assert_eq!(who("/api", &headers), Caller::Unknown);
    }
}
