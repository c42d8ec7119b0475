//! IAM's policy language, as far as our policies use it. What they do not use does not parse, so
//! that nothing is passed over that would change what a policy means.

use std::{collections::BTreeMap, slice};

use serde::Deserialize;
use serde_json::Value;

/// The tags of a resource.
pub(super) type Tags = BTreeMap<String, String>;

/// A statement that allows something.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Statement {
    pub(super) sid: String,
    #[serde(rename = "Effect")]
    _effect: Effect,
    action: Listed,
    resource: Listed,
    #[serde(default)]
    condition: Condition,
}

#[derive(Debug, Deserialize)]
enum Effect {
    Allow,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Listed {
    One(String),
    Several(Vec<String>),
}

impl Listed {
    fn all(&self) -> &[String] {
        match self {
            Self::One(one) => slice::from_ref(one),
            Self::Several(several) => several,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Condition {
    string_equals: BTreeMap<String, String>,
}

/// The statements of a policy.
pub(super) fn parse(statements: &[Value]) -> Vec<Statement> {
    let parsed = statements
        .iter()
        .map(|statement| serde_json::from_value(statement.clone()));
    parsed.collect::<Result<_, _>>().unwrap()
}

impl Statement {
    pub(super) fn actions(&self) -> &[String] {
        self.action.all()
    }

    pub(super) fn resources(&self) -> &[String] {
        self.resource.all()
    }

    /// Whether it allows an action on a resource with these tags, or one that knows no resource.
    pub(super) fn allows(&self, action: &str, resource: Option<&str>, tags: &Tags) -> bool {
        self.actions().iter().any(|one| one == action)
            && self.resources().iter().any(|one| covers(one, resource))
            && self.condition.holds(action, tags)
    }
}

/// Whether a statement's resource is, or has in it, the resource of a call. A call without one is
/// only within `*`.
pub(super) fn covers(pattern: &str, resource: Option<&str>) -> bool {
    resource.map_or(pattern == "*", |resource| matches(pattern, resource))
}

/// `*` is any text, also none; the policies use no other wildcard.
fn matches(pattern: &str, text: &str) -> bool {
    assert!(!pattern.contains('?'), "{pattern}: this is not read here");
    let Some((before, after)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(rest) = text.strip_prefix(before) else {
        return false;
    };
    let starts = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    starts.into_iter().any(|at| matches(after, &rest[at..]))
}

impl Condition {
    fn holds(&self, action: &str, tags: &Tags) -> bool {
        let mut keys = self.string_equals.iter();
        keys.all(|(key, value)| {
            let tag = tag_of(key, action);
            tags.get(tag) == Some(value)
        })
    }
}

/// The tag that a condition's key is about: every service has one for resource tags of its own,
/// and there is one for all.
fn tag_of<'a>(key: &'a str, action: &str) -> &'a str {
    let service = action.split(':').next().unwrap();
    let (name, tag) = key.split_once('/').unwrap();
    let known = match service {
        "ssm" => &["aws:ResourceTag", "ssm:resourceTag"][..],
        "ec2" => &["aws:ResourceTag", "ec2:ResourceTag"][..],
        "elasticloadbalancing" => &["aws:ResourceTag", "elasticloadbalancing:ResourceTag"][..],
        _ => panic!("{action}: nothing is known of the conditions of {service}"),
    };
    assert!(known.contains(&name), "{key} is no condition of {action}");
    tag
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_is_any_text() {
        assert!(matches("a/*", "a/"));
        assert!(matches("a/*", "a/b/c"));
        assert!(matches("a/*/c", "a/b/c"));
        assert!(!matches("a/*/c", "a/b/d"));
        assert!(!matches("a/*", "b/a/"));
        assert!(!matches("a", "ab"));
    }
}
