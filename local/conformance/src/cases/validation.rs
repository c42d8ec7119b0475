//! Validation, worded as kubectl shows it.

use serde_json::{Value, json};

use crate::{
    Api, Failure, Outcome,
    answer::Answer,
    check::{holds, same},
    stage::widget,
};

super::list! { "validation":
    a_schema_is_kept_and_its_faults_are_worded,
    a_number_beyond_64_bits_with_a_sign_is_no_integer,
    every_fault_is_a_cause,
    causes_say_which_kind_of_fault_it_is [PreciseCauses],
    names_and_labels_must_be_well_formed,
    owners_must_be_well_formed,
    a_status_is_validated_too,
    fields_that_are_unknown_are_warned_of [FieldValidation],
    fields_that_are_unknown_are_refused_if_asked [FieldValidation],
}

async fn try_spec(api: &Api, spec: Value) -> Result<Answer, Failure> {
    let mut wanted = widget("x", 1);
    wanted["spec"] = spec;
    api.post(&api.widgets(), &wanted).await
}

async fn a_schema_is_kept_and_its_faults_are_worded(api: Api) -> Outcome {
    let cases = [
        (json!({}), "spec.size: Required value"),
        (json!({"size": null}), "spec.size: Required value"),
        (
            json!({"size": "1"}),
            "spec.size: Invalid value: \"string\": spec.size in body must be of type integer: \
             \"string\"",
        ),
        (
            json!({"size": 1.5}),
            "spec.size: Invalid value: \"number\": spec.size in body must be of type integer: \
             \"number\"",
        ),
        (
            json!({"size": -1}),
            "spec.size: Invalid value: -1: spec.size in body should be greater than or equal to 0",
        ),
        (
            json!({"size": 101}),
            "spec.size: Invalid value: 101: spec.size in body should be less than or equal to 100",
        ),
        (
            json!({"size": 1, "mode": "Later"}),
            "spec.mode: Unsupported value: \"Later\": supported values: \"Auto\", \"Manual\"",
        ),
        (
            json!({"size": 1, "owner": "A1"}),
            "spec.owner: Invalid value: \"A1\": spec.owner in body should match '^[a-z]+$'",
        ),
        (
            json!({"size": 1, "owner": "a"}),
            "spec.owner: Invalid value: \"a\": spec.owner in body should be at least 2 chars long",
        ),
        (
            json!({"size": 1, "tags": ["a", "a"]}),
            "spec.tags[1]: Duplicate value: \"a\"",
        ),
        (
            json!({"size": 1, "colours": {"a": 1}}),
            "spec.colours.a: Invalid value: \"integer\": spec.colours.a in body must be of type \
             string: \"integer\"",
        ),
        (
            json!({"size": 1, "lit": "yes"}),
            "spec.lit: Invalid value: \"string\": spec.lit in body must be of type boolean: \
             \"string\"",
        ),
        (
            json!({"size": 1, "ratio": "half"}),
            "spec.ratio: Invalid value: \"string\": spec.ratio in body must be of type number: \
             \"string\"",
        ),
        (
            json!({"size": 1, "due": "soon"}),
            "spec.due: Invalid value: \"soon\": spec.due in body must be of type date-time: \
             \"soon\"",
        ),
        (
            json!([]),
            "spec: Invalid value: \"array\": spec in body must be of type object: \"array\"",
        ),
        (Value::Null, "spec: Required value"),
    ];
    for (spec, wanted) in cases {
        let message = try_spec(&api, spec).await?.refused(422, "Invalid")?;
        let wanted = format!("Widget.conformance.bluegreen.dev \"x\" is invalid: {wanted}");
        same!(message, wanted);
    }
    Ok(())
}

/// It is a float, which would not come back as it was sent.
async fn a_number_beyond_64_bits_with_a_sign_is_no_integer(api: Api) -> Outcome {
    let answer = try_spec(&api, json!({"size": u64::MAX})).await?;
    let message = answer.refused(422, "Invalid")?;
    let wanted = "spec.size: Invalid value: \"number\": spec.size in body must be of type integer: \"number\"";
    holds!(message.contains(wanted), "{message}");
    Ok(())
}

async fn every_fault_is_a_cause(api: Api) -> Outcome {
    let answer = try_spec(&api, json!({"size": 101, "mode": "Later"})).await?;
    let details = &answer.body["details"];
    same!(details["name"], "x");
    same!(details["group"], "conformance.bluegreen.dev");
    same!(details["kind"], "Widget");
    // A server looks at fields in no order.
    let mut causes: Vec<Value> = details["causes"].as_array().cloned().unwrap_or_default();
    causes.sort_by_key(|cause| cause["field"].to_string());
    same!(
        causes,
        [
            json!({"reason": "FieldValueNotSupported", "field": "spec.mode",
             "message": "Unsupported value: \"Later\": supported values: \"Auto\", \"Manual\""}),
            json!({"reason": "FieldValueInvalid", "field": "spec.size",
             "message": "Invalid value: 101: spec.size in body should be less than or equal to 100"})
        ]
    );
    let message = answer.refused(422, "Invalid")?;
    holds!(message.contains(" is invalid: [spec."), "{message}");
    Ok(())
}

async fn causes_say_which_kind_of_fault_it_is(api: Api) -> Outcome {
    for (spec, reason, field, message) in [
        (
            json!({"size": "1"}),
            "FieldValueTypeInvalid",
            "spec.size",
            "Invalid value: \"string\": spec.size in body must be of type integer: \"string\"",
        ),
        (
            json!({"size": 1, "owner": "abcdefghi"}),
            "FieldValueTooLong",
            "spec.owner",
            "Too long: may not be more than 8 bytes",
        ),
        (
            json!({"size": 1, "tags": ["a", "b", "c", "d"]}),
            "FieldValueTooMany",
            "spec.tags",
            "Too many: 4: must have at most 3 items",
        ),
        (
            json!({"size": 1, "parts": [{"weight": 1}]}),
            "FieldValueRequired",
            "spec.parts[0].name",
            "Required value",
        ),
        (
            json!({"size": 1, "parts": [{"name": "a"}, {"name": "a"}]}),
            "FieldValueDuplicate",
            "spec.parts[1]",
            "Duplicate value: {\"name\":\"a\"}",
        ),
    ] {
        let answer = try_spec(&api, spec).await?;
        let cause = json!({"reason": reason, "field": field, "message": message});
        same!(answer.body["details"]["causes"], json!([cause]));
        answer.refused(422, "Invalid")?;
    }
    Ok(())
}

async fn names_and_labels_must_be_well_formed(api: Api) -> Outcome {
    let long = "a".repeat(254);
    for (metadata, wanted) in [
        (
            json!({"name": "Bad_Name"}),
            "metadata.name: Invalid value: \"Bad_Name\": a lowercase RFC 1123 subdomain must \
             consist of lower case alphanumeric characters, '-' or '.', and must start and end \
             with an alphanumeric character (e.g. 'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        ),
        (json!({"name": long}), ": must be no more than 253 "),
        (
            json!({}),
            "metadata.name: Required value: name or generateName is required",
        ),
        (
            json!({"name": "x", "labels": {"a/b/c": "x"}}),
            "metadata.labels: Invalid value: \"a/b/c\": a qualified name must consist of",
        ),
        (
            json!({"name": "x", "labels": {"a": "not fine"}}),
            "metadata.labels: Invalid value: \"not fine\": a valid label must be an empty string \
             or consist of",
        ),
        (
            json!({"name": "x", "annotations": {"a/b/c": "x"}}),
            "metadata.annotations: Invalid value: \"a/b/c\": a qualified name must consist of",
        ),
        (
            json!({"name": "x", "finalizers": ["a b/c"]}),
            "metadata.finalizers: Invalid value: \"a b/c\": prefix part a lowercase RFC 1123 \
             subdomain must consist of",
        ),
        (
            json!({"generateName": "Bad_"}),
            "metadata.generateName: Invalid value: \"Bad_\": a lowercase RFC 1123 subdomain must",
        ),
    ] {
        let mut wanted_object = widget("x", 1);
        wanted_object["metadata"] = metadata;
        let message = api.post(&api.widgets(), &wanted_object).await?;
        let message = message.refused(422, "Invalid")?;
        holds!(message.contains(wanted), "{message}");
    }
    let mut labelled = widget("x", 1);
    labelled["metadata"]["labels"] = json!({"a": 5});
    let message = api.post(&api.widgets(), &labelled).await?;
    let message = message.refused(400, "BadRequest")?;
    let start = "Widget in version \"v1\" cannot be handled as a Widget: ";
    holds!(message.starts_with(start), "{message}");
    Ok(())
}

async fn owners_must_be_well_formed(api: Api) -> Outcome {
    let mut owned = widget("x", 1);
    owned["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "Namespace", "name": "y"}]);
    let answer = api.post(&api.widgets(), &owned).await?;
    same!(
        answer.body["details"]["causes"][0]["field"],
        "metadata.ownerReferences.uid"
    );
    let message = answer.refused(422, "Invalid")?;
    holds!(message.ends_with("must not be empty"), "{message}");
    Ok(())
}

async fn a_status_is_validated_too(api: Api) -> Outcome {
    api.widget("one", 1).await?;
    let path = format!("{}/one/status", api.widgets());
    let patch = json!({"status": {"phase": 5}});
    let message = api.merge(&path, &patch).await?.refused(422, "Invalid")?;
    same!(
        message,
        "Widget.conformance.bluegreen.dev \"one\" is invalid: status.phase: Invalid value: \
         \"integer\": status.phase in body must be of type string: \"integer\""
    );
    let patch = json!({"status": {"conditions": [{"type": "Ready", "status": "Perhaps"}]}});
    let message = api.merge(&path, &patch).await?.refused(422, "Invalid")?;
    holds!(
        message.ends_with(
            ".status: Unsupported value: \"Perhaps\": supported values: \"True\", \"False\", \
             \"Unknown\""
        ),
        "{message}"
    );
    Ok(())
}

async fn fields_that_are_unknown_are_warned_of(api: Api) -> Outcome {
    let body = r#"{"apiVersion": "conformance.bluegreen.dev/v1", "kind": "Widget",
        "metadata": {"name": "one"}, "spec": {"size": 1, "nope": 1, "size": 2}}"#;
    let headers = [("content-type", "application/json")];
    let path = api.widgets();
    let answer = api.send(http::Method::POST, &path, &headers, body).await?;
    same!(
        answer.warnings(),
        [
            "299 - \"unknown field \\\"spec.nope\\\"\"",
            "299 - \"duplicate field \\\"spec.size\\\"\""
        ]
    );
    answer.ok_with(201)?;
    let path = format!("{}/one?fieldValidation=Ignore", api.widgets());
    let answer = api.merge(&path, &json!({"spec": {"nope": 1}})).await?;
    same!(answer.warnings().len(), 0);
    answer.ok()?;
    Ok(())
}

async fn fields_that_are_unknown_are_refused_if_asked(api: Api) -> Outcome {
    let body = r#"{"apiVersion": "conformance.bluegreen.dev/v1", "kind": "Widget",
        "metadata": {"name": "one"}, "spec": {"size": 1, "nope": 1, "size": 2}}"#;
    let headers = [("content-type", "application/json")];
    let path = format!("{}?fieldValidation=Strict", api.widgets());
    let answer = api.send(http::Method::POST, &path, &headers, body).await?;
    same!(
        answer.refused(400, "BadRequest")?,
        "Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: unknown \
         field \"spec.nope\", duplicate field \"spec.size\""
    );
    api.widget("one", 1).await?;
    let path = format!("{}/one?fieldValidation=Strict", api.widgets());
    let message = api.merge(&path, &json!({"spec": {"nope": 1}})).await?;
    let message = message.refused(422, "Invalid")?;
    holds!(
        message.starts_with(" \"\" is invalid: patch: Invalid value: "),
        "{message}"
    );
    holds!(
        message.ends_with(": strict decoding error: unknown field \"spec.nope\""),
        "{message}"
    );
    let path = format!("{}/one?fieldValidation=Perhaps", api.widgets());
    holds!(
        api.merge(&path, &json!({})).await?.code >= 400,
        "Perhaps is no way to validate"
    );
    Ok(())
}
