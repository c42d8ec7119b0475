//! The JSONPath of printer columns: fields, indices, wildcards and equality filters.

use serde_json::Value;

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    /// Negative from the end.
    Index(i64),
    All,
    /// Items whose value at the path compares so with the literal.
    Filter {
        path: Vec<String>,
        equal: bool,
        literal: Value,
    },
}

/// A parsed path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JsonPath {
    steps: Vec<Step>,
}

impl JsonPath {
    /// Parses a path such as `.status.conditions[?(@.type=="Ready")].status`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text.trim();
        rest = rest
            .strip_prefix('{')
            .map_or(rest, |inner| inner.strip_suffix('}').unwrap_or(inner));
        rest = rest.strip_prefix('$').unwrap_or(rest);
        if rest.is_empty() {
            return Err("a JSON path must not be empty".to_owned());
        }
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, left) = if let Some(inner) = rest.strip_prefix('[') {
                let end = closing_bracket(inner)?;
                (bracket(&inner[..end])?, &inner[end + 1..])
            } else if let Some(field) = rest.strip_prefix('.') {
                let (name, left) = field_name(field);
                match name.as_str() {
                    "" if left.starts_with('[') => {
                        rest = left;
                        continue;
                    }
                    "" => return Err(format!("a field name is missing in {text:?}")),
                    "*" => (Step::All, left),
                    _ => (Step::Field(name), left),
                }
            } else {
                return Err(format!("{text:?} must start with a dot or a bracket"));
            };
            steps.push(step);
            rest = left;
        }
        Ok(Self { steps })
    }

    /// The values that the path leads to.
    pub(crate) fn find<'a>(&self, root: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![root];
        for step in &self.steps {
            found = found
                .into_iter()
                .flat_map(|value| apply(step, value))
                .collect();
        }
        found
    }
}

/// Where the bracket that was just opened closes; quotes and inner brackets are skipped.
fn closing_bracket(text: &str) -> Result<usize, String> {
    let mut depth = 0;
    let mut quote = None;
    for (index, character) in text.char_indices() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(character),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Ok(index),
            (None, ']') => depth -= 1,
            (None, _) => {}
        }
    }
    Err(format!("a bracket is not closed in {text:?}"))
}

/// A field name, in which a backslash takes the next character literally, and what follows it.
fn field_name(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '\\' => name.extend(characters.next().map(|(_, escaped)| escaped)),
            '.' | '[' => return (name, &text[index..]),
            other => name.push(other),
        }
    }
    (name, "")
}

fn bracket(text: &str) -> Result<Step, String> {
    let text = text.trim();
    if text == "*" {
        return Ok(Step::All);
    }
    if let Ok(index) = text.parse() {
        return Ok(Step::Index(index));
    }
    if let Some(name) = unquote(text) {
        return Ok(Step::Field(name.to_owned()));
    }
    text.strip_prefix("?(")
        .and_then(|inner| inner.strip_suffix(')'))
        .ok_or_else(|| format!("[{text}] is not an index, a quoted name, * or a filter"))
        .and_then(filter)
}

fn filter(text: &str) -> Result<Step, String> {
    let (equal, (path, literal)) = match (text.split_once("=="), text.split_once("!=")) {
        (Some(parts), _) => (true, parts),
        (None, Some(parts)) => (false, parts),
        (None, None) => return Err(format!("the filter {text:?} must compare with == or !=")),
    };
    let path = path
        .trim()
        .strip_prefix("@.")
        .ok_or_else(|| format!("the filter {text:?} must begin with @."))?;
    let literal = literal.trim();
    let literal = match unquote(literal) {
        Some(text) => Value::from(text),
        None => serde_json::from_str(literal).map_err(|error| error.to_string())?,
    };
    Ok(Step::Filter {
        path: path.split('.').map(str::to_owned).collect(),
        equal,
        literal,
    })
}

fn unquote(text: &str) -> Option<&str> {
    ['"', '\''].into_iter().find_map(|quote| {
        text.strip_prefix(quote)
            .and_then(|inner| inner.strip_suffix(quote))
    })
}

fn apply<'a>(step: &Step, value: &'a Value) -> Vec<&'a Value> {
    match (step, value) {
        (Step::Field(name), Value::Object(fields)) => fields.get(name).into_iter().collect(),
        (Step::Index(index), Value::Array(list)) => {
            let index = match usize::try_from(*index) {
                Ok(index) => Some(index),
                Err(_) => usize::try_from(index.unsigned_abs())
                    .ok()
                    .and_then(|back| list.len().checked_sub(back)),
            };
            index
                .and_then(|index| list.get(index))
                .into_iter()
                .collect()
        }
        (Step::All, Value::Array(list)) => list.iter().collect(),
        (Step::All, Value::Object(fields)) => fields.values().collect(),
        (
            Step::Filter {
                path,
                equal,
                literal,
            },
            Value::Array(list),
        ) => list
            .iter()
            .filter(|item| {
                let found = path.iter().try_fold(*item, |value, name| value.get(name));
                found.is_some_and(|found| (found == literal) == *equal)
            })
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_to_values() {
        let object = json!({
            "metadata": {"annotations": {"demo.dev/note": "hi"}},
            "status": {"conditions": [
                {"type": "Ready", "status": "True"}, {"type": "Done", "status": "False"}]}});
        let cases = [
            (
                ".status.conditions[?(@.type==\"Ready\")].status",
                json!(["True"]),
            ),
            (
                ".status.conditions[?(@.type!='Ready')].status",
                json!(["False"]),
            ),
            (".status.conditions[*].type", json!(["Ready", "Done"])),
            (".status.conditions[-1].type", json!(["Done"])),
            (".status.conditions[5].type", json!([])),
            (".metadata.annotations.demo\\.dev/note", json!(["hi"])),
            (".metadata.annotations['demo.dev/note']", json!(["hi"])),
            (".spec.nothing", json!([])),
        ];
        for (path, wanted) in cases {
            let path = JsonPath::parse(path).unwrap();
            assert_eq!(json!(path.find(&object)), wanted, "{path:?}");
        }
    }

    #[test]
    fn malformed_paths_are_refused() {
        for path in ["", "status", ".a[", ".a[?(x)]", "."] {
            assert!(JsonPath::parse(path).is_err(), "{path}");
        }
    }
}
