//! What this version does not know it does not half understand.
//!
//! A controller replaces the whole status. One that skipped the fields of a newer version would
//! erase them, so every type here refuses what it does not know. The test makes an object that has
//! every field of the definition, and puts something new into each place.

use serde_json::{Value, json};

use super::{BlueGreenRelease, crd};

/// A value that fits a schema, with every property that it has.
fn sample(schema: &Value) -> Value {
    if let Some(words) = schema["enum"].as_array() {
        return words[0].clone();
    }
    if schema["x-kubernetes-int-or-string"] == true {
        return json!(1);
    }
    let pattern = schema["pattern"].as_str().unwrap_or_default();
    match schema["type"].as_str() {
        Some("object") => match schema["properties"].as_object() {
            Some(properties) => {
                let properties = properties.iter();
                let samples = properties.map(|(name, schema)| (name.clone(), sample(schema)));
                Value::Object(samples.collect())
            }
            None => json!({ "a": sample(&schema["additionalProperties"]) }),
        },
        Some("array") => json!([sample(&schema["items"])]),
        Some("integer") => json!(1),
        Some("boolean") => json!(true),
        Some("string") if schema["format"] == "date-time" => json!("2027-01-15T08:00:00Z"),
        Some("string") if pattern.contains("(ms|s|m|h)") => json!("5s"),
        Some("string") => json!("a"),
        other => panic!("the sample knows no type {other:?}: {schema}"),
    }
}

/// The paths of all objects that have named properties, and of all words from a closed set.
fn places(schema: &Value, path: &str, objects: &mut Vec<String>, words: &mut Vec<String>) {
    if schema["enum"].is_array() {
        words.push(path.to_owned());
    }
    if let Some(properties) = schema["properties"].as_object() {
        objects.push(path.to_owned());
        for (name, schema) in properties {
            places(schema, &format!("{path}/{name}"), objects, words);
        }
    }
    if schema["items"].is_object() {
        places(&schema["items"], &format!("{path}/0"), objects, words);
    }
}

fn schema() -> Value {
    let definition = serde_json::to_value(crd::definition()).unwrap();
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

fn whole(schema: &Value) -> Value {
    json!({
        "apiVersion": "bluegreen.dev/v1alpha1",
        "kind": "BlueGreenRelease",
        "metadata": { "name": "shop" },
        "spec": sample(&schema["properties"]["spec"]),
        "status": sample(&schema["properties"]["status"]),
    })
}

fn read(object: &Value) -> Result<BlueGreenRelease, String> {
    serde_json::from_value(object.clone()).map_err(|error| error.to_string())
}

#[test]
fn a_field_or_a_word_of_a_newer_version_is_refused_wherever_it_is() {
    let schema = schema();
    let whole = whole(&schema);
    read(&whole).unwrap();
    let (mut objects, mut words) = (Vec::new(), Vec::new());
    for part in ["spec", "status"] {
        let path = format!("/{part}");
        places(&schema["properties"][part], &path, &mut objects, &mut words);
    }
    // A condition is Kubernetes' own type, and has no field of ours.
    objects.retain(|path| !path.starts_with("/status/conditions/"));
    words.retain(|path| !path.starts_with("/status/conditions/"));
    assert!(
        objects.len() > 30 && words.len() > 8,
        "{objects:?} {words:?}"
    );
    for path in objects {
        let mut newer = whole.clone();
        newer.pointer_mut(&path).unwrap()["newer"] = json!({ "a": 1 });
        let error = read(&newer).expect_err(&path);
        assert!(error.contains("newer"), "{path}: {error}");
    }
    for path in words {
        let mut newer = whole.clone();
        *newer.pointer_mut(&path).unwrap() = json!("Newer");
        let error = read(&newer).expect_err(&path);
        assert!(error.contains("Newer"), "{path}: {error}");
    }
}

#[test]
fn what_was_read_is_written_back_whole() {
    let schema = schema();
    let read = read(&whole(&schema)).unwrap();
    let written = serde_json::to_value(&read).unwrap();
    let mut objects = Vec::new();
    for part in ["spec", "status"] {
        let path = format!("/{part}");
        places(
            &schema["properties"][part],
            &path,
            &mut objects,
            &mut Vec::new(),
        );
    }
    for path in objects {
        assert!(
            written.pointer(&path).is_some(),
            "{path} is not written back"
        );
    }
}

#[test]
fn the_definition_names_its_properties_and_forbids_no_others() {
    // A structural schema may not have `additionalProperties` beside properties; the server prunes
    // what the definition does not name.
    fn beside(schema: &Value, path: &str) {
        let closed = schema["properties"].is_object() && !schema["additionalProperties"].is_null();
        assert!(!closed, "{path} has additionalProperties beside properties");
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            beside(schema, &format!("{path}/{name}"));
        }
        if schema["items"].is_object() {
            beside(&schema["items"], path);
        }
    }
    beside(&schema(), "");
}
