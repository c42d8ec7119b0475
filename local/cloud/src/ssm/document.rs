//! Documents of schema 2.2 with shell scripts: read, checked against parameters, filled in.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde::Deserialize;
use serde_json::Value;

/// A document.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) content: String,
    pub(crate) body: Body,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Body {
    schema_version: String,
    #[serde(default)]
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) parameters: BTreeMap<String, Parameter>,
    main_steps: Vec<Step>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Parameter {
    pub(crate) r#type: String,
    #[serde(default)]
    pub(crate) description: String,
    pub(crate) default: Option<Value>,
    allowed_pattern: Option<String>,
    #[serde(default)]
    allowed_values: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    action: String,
    inputs: Inputs,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inputs {
    run_command: Value,
    timeout_seconds: Option<Value>,
    working_directory: Option<String>,
}

/// A document with its parameters filled in.
#[derive(Debug, Clone)]
pub(crate) struct Filled {
    pub(crate) parameters: BTreeMap<String, Vec<String>>,
    pub(crate) script: String,
    pub(crate) working_directory: String,
    /// In seconds.
    pub(crate) execution_timeout: u64,
}

impl Document {
    /// Reads a document.
    pub(crate) fn parse(content: &str) -> Result<Self, String> {
        let body: Body = serde_json::from_str(content)
            .map_err(|err| format!("the document is not JSON of schema 2.2: {err}"))?;
        if body.schema_version != "2.2" {
            let version = &body.schema_version;
            return Err(format!(
                "only schema version 2.2 is simulated, not {version}"
            ));
        }
        if let Some(step) = body
            .main_steps
            .iter()
            .find(|step| step.action != "aws:runShellScript")
        {
            return Err(format!(
                "only aws:runShellScript is simulated, not {}",
                step.action
            ));
        }
        for (name, parameter) in &body.parameters {
            if let Some(pattern) = &parameter.allowed_pattern {
                Regex::new(pattern).map_err(|err| {
                    format!("the allowedPattern of parameter {name} is none: {err}")
                })?;
            }
        }
        Ok(Self {
            content: content.to_owned(),
            body,
        })
    }

    /// Checks what was sent and fills it in, and the defaults.
    pub(crate) fn fill(&self, sent: &BTreeMap<String, Vec<String>>) -> Result<Filled, String> {
        if let Some(name) = sent
            .keys()
            .find(|name| !self.body.parameters.contains_key(*name))
        {
            return Err(format!("Parameter {name} is not defined in the document."));
        }
        let mut parameters = BTreeMap::new();
        for (name, parameter) in &self.body.parameters {
            let values = match (sent.get(name), &parameter.default) {
                (Some(values), _) => values.clone(),
                (None, Some(default)) => texts(default),
                (None, None) => return Err(format!("Parameter {name} requires a value.")),
            };
            parameter.check(name, &values)?;
            parameters.insert(name.clone(), values);
        }
        let lines: Vec<String> = self
            .body
            .main_steps
            .iter()
            .flat_map(|step| lines(&step.inputs.run_command, &parameters))
            .collect();
        let first = self.body.main_steps.first().map(|step| &step.inputs);
        let timeout = first.and_then(|inputs| inputs.timeout_seconds.as_ref());
        let timeout = timeout.map(|timeout| fill_in(&texts(timeout).concat(), &parameters));
        let directory = first.and_then(|inputs| inputs.working_directory.as_deref());
        Ok(Filled {
            script: lines.join("\n") + "\n",
            working_directory: fill_in(directory.unwrap_or_default(), &parameters),
            execution_timeout: timeout.and_then(|text| text.parse().ok()).unwrap_or(3600),
            parameters,
        })
    }
}

impl Parameter {
    fn check(&self, name: &str, values: &[String]) -> Result<(), String> {
        if self.r#type != "StringList" && values.len() != 1 {
            return Err(format!(
                "Parameter {name} takes one value, not {}.",
                values.len()
            ));
        }
        for value in values {
            if let Some(pattern) = &self.allowed_pattern {
                let regex = Regex::new(pattern).map_err(|err| err.to_string())?;
                // The whole value must match, whether or not the pattern has anchors.
                let whole = regex
                    .find(value)
                    .is_some_and(|found| found.as_str() == value);
                if !whole {
                    return Err(format!(
                        "Parameter {name} must match the pattern {pattern}."
                    ));
                }
            }
            if !self.allowed_values.is_empty() && !self.allowed_values.contains(value) {
                return Err(format!(
                    "Parameter {name} must be one of {:?}.",
                    self.allowed_values
                ));
            }
        }
        Ok(())
    }
}

/// A value of a document as texts: lists one by one, all else as one.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::String(text) => vec![text.clone()],
        other => vec![other.to_string()],
    }
}

fn lines(run_command: &Value, parameters: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    texts(run_command)
        .iter()
        .map(|line| fill_in(line, parameters))
        .collect()
}

/// Replaces `{{ name }}`. A list becomes lines.
fn fill_in(text: &str, parameters: &BTreeMap<String, Vec<String>>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((name, remaining)) = after.split_once("}}") else {
            out.push_str("{{");
            rest = after;
            continue;
        };
        match parameters.get(name.trim()) {
            Some(values) => out.push_str(&values.join("\n")),
            None => out.push_str(&format!("{{{{{name}}}}}")),
        }
        rest = remaining;
    }
    out + rest
}
