//! The CustomResourceDefinition, as it is checked in under `crds/`.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

use super::BlueGreenRelease;

/// The file under `crds/` that holds [`yaml`].
pub const FILE: &str = "crds/bluegreen.dev_bluegreenreleases.yaml";

/// The most characters of a release's name: it is the value of a label, which has no more.
const NAME_MOST: i64 = 63;

/// The largest number of 64 bits that every reader of JSON understands exactly.
const NUMBER_MOST: f64 = 9_007_199_254_740_991.0;

/// The CustomResourceDefinition of `BlueGreenRelease`.
#[must_use]
pub fn definition() -> CustomResourceDefinition {
    let mut definition = BlueGreenRelease::crd();
    for version in &mut definition.spec.versions {
        let schema = version.schema.as_mut();
        let Some(root) = schema.and_then(|schema| schema.open_api_v3_schema.as_mut()) else {
            continue;
        };
        known_formats(root);
        limit_name(root);
    }
    definition
}

/// The CustomResourceDefinition as YAML, with a first line that says how to make it anew.
#[must_use]
pub fn yaml() -> String {
    let text = serde_norway::to_string(&definition())
        .expect("a CustomResourceDefinition has string keys only, so YAML can hold it");
    format!("# Generated from src/api by `cargo run --bin bluegreen-controller -- crd`.\n{text}")
}

/// Kubernetes knows whole numbers of 32 and of 64 bits, both with a sign. It warns of the formats
/// that Rust's other types have, and does not check them; so bounds say the same.
fn known_formats(schema: &mut JSONSchemaProps) {
    let known = match schema.format.as_deref() {
        Some("int8") => Some(("int32", f64::from(i8::MIN), f64::from(i8::MAX))),
        Some("uint8") => Some(("int32", 0.0, f64::from(u8::MAX))),
        Some("int16") => Some(("int32", f64::from(i16::MIN), f64::from(i16::MAX))),
        Some("uint16") => Some(("int32", 0.0, f64::from(u16::MAX))),
        Some("uint32") => Some(("int64", 0.0, f64::from(u32::MAX))),
        Some("int" | "uint" | "uint64") => Some(("int64", 0.0, NUMBER_MOST)),
        Some(_) | None => None,
    };
    if let Some((format, least, most)) = known {
        schema.format = Some(format.to_owned());
        schema.minimum.get_or_insert(least);
        schema.maximum.get_or_insert(most);
    }
    for part in parts(schema) {
        known_formats(part);
    }
}

/// The schemas that stand directly below one.
fn parts(schema: &mut JSONSchemaProps) -> Vec<&mut JSONSchemaProps> {
    let mut parts: Vec<&mut JSONSchemaProps> = Vec::new();
    parts.extend(schema.properties.iter_mut().flat_map(BTreeMap::values_mut));
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => parts.push(items),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => parts.extend(items),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(entries)) = &mut schema.additional_properties {
        parts.push(entries);
    }
    for branches in [&mut schema.all_of, &mut schema.any_of, &mut schema.one_of] {
        parts.extend(branches.iter_mut().flatten());
    }
    parts.extend(schema.not.as_deref_mut());
    parts
}

/// Bounds the name of a release. A rule in CEL can do that only at the root, where errors name no
/// field.
fn limit_name(root: &mut JSONSchemaProps) {
    let name = JSONSchemaProps {
        type_: Some("string".to_owned()),
        max_length: Some(NAME_MOST),
        ..JSONSchemaProps::default()
    };
    let metadata = JSONSchemaProps {
        type_: Some("object".to_owned()),
        properties: Some(BTreeMap::from([("name".to_owned(), name)])),
        ..JSONSchemaProps::default()
    };
    let properties = root.properties.get_or_insert_default();
    properties.insert("metadata".to_owned(), metadata);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each(schema: &mut JSONSchemaProps, look: &mut impl FnMut(&JSONSchemaProps)) {
        look(schema);
        for part in parts(schema) {
            each(part, look);
        }
    }

    fn root() -> JSONSchemaProps {
        let version = definition().spec.versions.remove(0);
        let schema = version.schema.and_then(|schema| schema.open_api_v3_schema);
        schema.expect("the version has a schema")
    }

    #[test]
    fn kubernetes_knows_every_format() {
        let mut numbers = 0;
        each(&mut root(), &mut |schema| {
            let format = schema.format.as_deref();
            if schema.type_.as_deref() == Some("integer") {
                assert!(matches!(format, Some("int32" | "int64")), "{schema:?}");
                numbers += 1;
            } else {
                assert!(matches!(format, None | Some("date-time")), "{schema:?}");
            }
        });
        assert!(numbers > 10, "{numbers}");
    }

    #[test]
    fn a_number_without_a_sign_has_bounds() {
        let mut schema = JSONSchemaProps {
            format: Some("uint16".to_owned()),
            minimum: Some(1.0),
            ..JSONSchemaProps::default()
        };
        known_formats(&mut schema);
        assert_eq!(schema.format.as_deref(), Some("int32"));
        assert_eq!((schema.minimum, schema.maximum), (Some(1.0), Some(65535.0)));
    }

    #[test]
    fn a_name_is_bounded_where_errors_can_name_it() {
        let mut properties = root().properties.unwrap_or_default();
        let metadata = properties.remove("metadata").unwrap_or_default();
        let name = metadata.properties.unwrap_or_default().remove("name");
        assert_eq!(name.and_then(|name| name.max_length), Some(63));
    }
}
