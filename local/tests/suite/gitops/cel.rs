//! Flux's `healthCheckExprs`, evaluated in its order.

use std::collections::HashMap;

use kube_cel::{
    KubeCelExt,
    cel::{Context, Program, Value as Cel},
};
use serde_json::Value;

/// Which of the expressions is the first to be true; where none is, it is in progress.
pub(super) fn verdict(check: &Value, object: &Value) -> &'static str {
    // Flux looks at this before any expression.
    let observed = &object["status"]["observedGeneration"];
    if !observed.is_null() && observed != &object["metadata"]["generation"] {
        return "inProgress";
    }
    ["inProgress", "failed", "current"]
        .into_iter()
        .find(|name| holds(check[name].as_str().unwrap(), object))
        .unwrap_or("inProgress")
}

fn holds(expression: &str, object: &Value) -> bool {
    let mut context = Context::default().with_all();
    for (name, field) in object.as_object().unwrap() {
        context.add_variable_from_value(name.clone(), cel(field));
    }
    let program = Program::compile(expression).unwrap();
    match program.execute(&context) {
        Ok(Cel::Bool(holds)) => holds,
        other => panic!("{expression}: {other:?} of {object:#}"),
    }
}

/// JSON as a Kubernetes client gives it to CEL: whole numbers are `int`.
fn cel(json: &Value) -> Cel {
    match json {
        Value::Null => Cel::Null,
        Value::Bool(flag) => Cel::Bool(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Cel::Int(whole),
            None => Cel::Float(number.as_f64().unwrap()),
        },
        Value::String(text) => Cel::from(text.as_str()),
        Value::Array(items) => Cel::from(items.iter().map(cel).collect::<Vec<_>>()),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, field)| (name.clone(), cel(field)));
            Cel::from(fields.collect::<HashMap<_, _>>())
        }
    }
}
