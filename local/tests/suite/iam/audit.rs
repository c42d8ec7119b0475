//! What is wrong with a policy, given the calls that are made, and policies that are wrong.

use serde_json::{Value, json};

use super::{
    paths::Made,
    policy::{Statement, Tags, covers},
};

/// An action that the controller has no use for.
const NEEDLESS: &str = "ec2:StopInstances";

/// What is wrong, in words; nothing, where the policy is as wide as the calls need it.
pub(super) fn complaints(policy: &[Statement], made: &Made) -> Vec<String> {
    let mut found = calls_that_are_not_allowed(policy, made);
    found.extend(neighbours_in_reach(policy, made));
    for statement in policy {
        found.extend(without_use(statement, made));
        found.extend(too_wide(statement, made));
    }
    found
}

/// Each call needs a statement that allows it, and two are one too many.
fn calls_that_are_not_allowed(policy: &[Statement], made: &Made) -> Vec<String> {
    let mut found = Vec::new();
    for (action, resource) in &made.calls {
        let resource = resource.as_deref();
        let tags = made.tags_of(resource);
        let allows = |one: &&Statement| one.allows(action, resource, &tags);
        let count = policy.iter().filter(allows).count();
        if count != 1 {
            let resource = resource.unwrap_or("*");
            found.push(format!("{count} statements allow {action} on {resource}"));
        }
    }
    found
}

/// Whatever is done to a resource must be refused for one of the same kind that does not carry the
/// tag, and for one of another account that does.
fn neighbours_in_reach(policy: &[Statement], made: &Made) -> Vec<String> {
    let mut found = Vec::new();
    for (action, resource) in &made.calls {
        let Some(resource) = resource.as_deref() else {
            continue;
        };
        let (kind, _) = resource.split_once('/').unwrap();
        let elsewhere = resource.replace(&made.account, "999999999999");
        assert_ne!(resource, elsewhere, "every resource here has an account");
        let invented = format!("{kind}/foreign/0123456789abcdef");
        let untagged = made.foreign_of(kind).into_iter().chain([&invented]);
        let untagged = untagged.map(|neighbour| (neighbour, Tags::new()));
        let neighbours = untagged.chain([(&elsewhere, made.tags_of(Some(resource)))]);
        for (neighbour, tags) in neighbours {
            let mut statements = policy.iter();
            if let Some(one) = statements.find(|one| one.allows(action, Some(neighbour), &tags)) {
                found.push(format!("{} allows {action} on {neighbour}", one.sid));
            }
        }
    }
    found
}

/// Actions and resources of a statement that no call needs.
fn without_use(statement: &Statement, made: &Made) -> Vec<String> {
    let allowed = |action: &str, resource: Option<&str>| {
        statement.allows(action, resource, &made.tags_of(resource))
    };
    let calls = made.calls.iter();
    let used: Vec<_> = calls
        .map(|(action, resource)| (action.as_str(), resource.as_deref()))
        .filter(|(action, resource)| allowed(action, *resource))
        .collect();
    let actions = statement.actions().iter();
    let actions = actions.filter(|action| !used.iter().any(|(one, _)| one == action));
    let resources = statement.resources().iter();
    let resources = resources.filter(|pattern| !used.iter().any(|(_, one)| covers(pattern, *one)));
    let needless = actions.chain(resources);
    needless
        .map(|what| format!("{}: nothing needs {what}", statement.sid))
        .collect()
}

/// `*` is for actions that know no resource. Elsewhere a star may stand for a name, and for
/// nothing that comes before it.
fn too_wide(statement: &Statement, made: &Made) -> Vec<String> {
    let mut found = Vec::new();
    for pattern in statement.resources() {
        let kind = pattern.split('/').next().unwrap();
        if pattern != "*" && kind.contains('*') {
            found.push(format!("{}: {pattern} leaves the kind open", statement.sid));
        }
        let knows = |action: &&String| {
            let mut calls = made.calls.iter();
            calls.any(|(one, resource)| one == *action && resource.is_some())
        };
        let mut actions = statement.actions().iter();
        if pattern == "*"
            && let Some(action) = actions.find(knows)
        {
            found.push(format!("{}: {action} knows resources", statement.sid));
        }
    }
    found
}

/// Every policy that is wrong in one place.
pub(super) fn mutants(statements: &[Value]) -> Vec<(String, Vec<Value>)> {
    let mut mutants = Vec::new();
    for (index, statement) in statements.iter().enumerate() {
        for (what, wrong) in wrong(statement) {
            let mut policy = statements.to_vec();
            policy.splice(index..=index, wrong);
            let what = format!("{}: {what}", statement["Sid"].as_str().unwrap());
            mutants.push((what, policy));
        }
    }
    mutants
}

/// A statement that is wrong in one place, or left out.
fn wrong(statement: &Value) -> Vec<(String, Option<Value>)> {
    let with = |field: &str, value: Value| {
        let mut changed = statement.clone();
        changed[field] = value;
        Some(changed)
    };
    let mut wrong = vec![("left out".to_owned(), None)];
    for field in ["Action", "Resource"] {
        let all = listed(&statement[field]);
        for one in all.iter().filter(|_| all.len() > 1) {
            let others: Vec<_> = all.iter().filter(|other| *other != one).collect();
            wrong.push((format!("without {one}"), with(field, json!(others))));
        }
    }
    let mut more = listed(&statement["Action"]);
    more.push(NEEDLESS.to_owned());
    wrong.push((format!("with {NEEDLESS}"), with("Action", json!(more))));
    if statement["Resource"] != "*" {
        wrong.push(("on everything".to_owned(), with("Resource", json!("*"))));
        for one in listed(&statement["Resource"]) {
            let (kind, _) = one.split_once('/').unwrap();
            let (service, _) = kind.rsplit_once(':').unwrap();
            let wide = json!(format!("{service}:*"));
            wrong.push((format!("on {wide}"), with("Resource", wide)));
        }
    }
    if statement.get("Condition").is_some() {
        let mut free = statement.clone();
        free.as_object_mut().unwrap().remove("Condition");
        wrong.push(("without its condition".to_owned(), Some(free)));
    }
    wrong
}

fn listed(value: &Value) -> Vec<String> {
    let several = value.as_array().cloned();
    let all = several.unwrap_or_else(|| vec![value.clone()]);
    all.iter()
        .map(|one| one.as_str().unwrap().to_owned())
        .collect()
}
