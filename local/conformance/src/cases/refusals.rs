//! What a server says to requests that make no sense, and to callers that it does not know.

use http::Method;
use serde_json::json;

use crate::{
    Api, Outcome,
    api::JSON,
    check::{holds, same},
    stage::widget,
};

super::list! { "refusals":
    a_resource_that_does_not_exist_is_not_found,
    a_kind_has_its_place,
    a_method_must_fit_its_path,
    a_defined_kind_says_which_methods_it_knows,
    a_body_must_be_of_a_known_type,
    a_body_must_be_readable,
    a_body_has_a_limit,
    a_body_must_hold_what_the_path_says,
    a_caller_whom_nobody_knows_is_unauthorized,
    a_caller_without_a_name_is_anonymous,
}

async fn a_resource_that_does_not_exist_is_not_found(api: Api) -> Outcome {
    let widgets = api.widgets();
    // Where kinds may yet be defined, there is not even a Status.
    for path in [
        widgets.replace("/widgets", "/gizmos"),
        widgets.replace("/v1/", "/v9/"),
        widgets.replace("conformance.bluegreen.dev", "nothing.example.dev"),
        "/apis/nothing.example.dev/v1".to_owned(),
        "/apis/nothing.example.dev".to_owned(),
    ] {
        let answer = api.get(&path).await?;
        same!(answer.code, 404);
        same!(answer.header("content-type"), "text/plain; charset=utf-8");
        same!(answer.body, "404 page not found\n");
    }
    for path in [
        "/api/v1/gizmos".to_owned(),
        api.of("api/v1", "gizmos"),
        api.of("apis/coordination.k8s.io/v1", "gizmos"),
    ] {
        let answer = api.get(&path).await?;
        same!(answer.body["details"], json!({}));
        same!(
            answer.refused(404, "NotFound")?,
            "the server could not find the requested resource"
        );
    }
    Ok(())
}

async fn a_kind_has_its_place(api: Api) -> Outcome {
    let answer = api
        .post(
            "/apis/conformance.bluegreen.dev/v1/widgets",
            &widget("one", 1),
        )
        .await?;
    same!(answer.code, 404);
    let inside = api.of("apis/apiextensions.k8s.io/v1", "customresourcedefinitions");
    same!(api.get(&inside).await?.code, 404);
    api.widget("one", 1).await?;
    let scale = format!("{}/one/scale", api.widgets());
    same!(
        api.get(&scale).await?.refused(404, "NotFound")?,
        "widgets.conformance.bluegreen.dev \"one\" not found"
    );
    Ok(())
}

async fn a_method_must_fit_its_path(api: Api) -> Outcome {
    let home = format!("/api/v1/namespaces/{}", api.namespace);
    for (method, path) in [
        (Method::PUT, "/api/v1/namespaces".to_owned()),
        (Method::POST, home),
        (Method::PUT, api.leases()),
        (Method::POST, format!("{}/one", api.leases())),
    ] {
        let headers = [("content-type", JSON)];
        let answer = api.send(method, &path, &headers, "{}").await?;
        same!(
            answer.refused(405, "MethodNotAllowed")?,
            "the server does not allow this method on the requested resource"
        );
    }
    Ok(())
}

async fn a_defined_kind_says_which_methods_it_knows(api: Api) -> Outcome {
    api.widget("one", 1).await?;
    let widgets = api.widgets();
    let status = format!("{widgets}/one/status");
    for (method, verb) in [(Method::DELETE, "delete"), (Method::POST, "create")] {
        let headers = [("content-type", JSON)];
        let answer = api.send(method, &status, &headers, "{}").await?;
        same!(
            answer.body["details"],
            json!({"group": "conformance.bluegreen.dev", "kind": "widgets"})
        );
        same!(
            answer.refused(405, "MethodNotAllowed")?,
            format!(
                "{verb} is not supported on resources of kind \
                 \"widgets.conformance.bluegreen.dev\""
            )
        );
    }
    let message = api.put(&widgets, &widget("one", 1)).await?;
    same!(message.refused(400, "BadRequest")?, "name must be provided");
    let message = api.merge(&widgets, &json!({})).await?;
    same!(message.refused(400, "BadRequest")?, "name must be provided");
    Ok(())
}

async fn a_body_must_be_of_a_known_type(api: Api) -> Outcome {
    for path in [api.widgets(), api.leases()] {
        let headers = [("content-type", "application/xml")];
        let answer = api.send(Method::POST, &path, &headers, "<a/>").await?;
        same!(
            answer.refused(415, "UnsupportedMediaType")?,
            "the body of the request was in an unknown format - accepted media types include: \
             application/json, application/yaml, application/vnd.kubernetes.protobuf"
        );
    }
    let yaml = "{apiVersion: conformance.bluegreen.dev/v1, kind: Widget, metadata: {name: one}, \
                spec: {size: 1}}";
    let headers = [("content-type", "application/yaml")];
    let answer = api
        .send(Method::POST, &api.widgets(), &headers, yaml)
        .await?;
    answer.ok_with(201)?;
    let bare = widget("two", 1).to_string();
    let answer = api.send(Method::POST, &api.widgets(), &[], bare).await?;
    answer.ok_with(201)?;
    Ok(())
}

async fn a_body_must_be_readable(api: Api) -> Outcome {
    for (path, kind) in [(api.widgets(), "Widget"), (api.leases(), "Lease")] {
        for (body, shown) in [
            ("", "(<empty>)"),
            ("{nope", "({nope)"),
            (
                r#"{"apiVersion": "v1", "kind": "Lease", "#,
                "({\"apiVersion\": \"v1\", \"kind\": \" ...)",
            ),
        ] {
            let headers = [("content-type", JSON)];
            let message = api.send(Method::POST, &path, &headers, body).await?;
            let message = message.refused(400, "BadRequest")?;
            let start = format!(
                "the object provided is unrecognized (must be of type {kind}): couldn't get \
                 version/kind; json parse error: "
            );
            holds!(message.starts_with(&start), "{message}");
            holds!(message.ends_with(shown), "{message}");
        }
    }
    Ok(())
}

async fn a_body_has_a_limit(api: Api) -> Outcome {
    let headers = [("content-type", JSON)];
    let long = vec![b' '; 4 * 1024 * 1024];
    let answer = api
        .send(Method::POST, &api.widgets(), &headers, long)
        .await?;
    answer.refused(413, "RequestEntityTooLarge")?;
    Ok(())
}

async fn a_body_must_hold_what_the_path_says(api: Api) -> Outcome {
    let widgets = api.widgets();
    let mut other = widget("one", 1);
    other["apiVersion"] = json!("other.dev/v1");
    let message = api.post(&widgets, &other).await?;
    same!(
        message.refused(400, "BadRequest")?,
        "the API version in the data (other.dev/v1) does not match the expected API version \
         (conformance.bluegreen.dev/v1)"
    );
    let mut other = widget("one", 1);
    other["kind"] = json!("Gadget");
    let message = api.post(&widgets, &other).await?;
    same!(
        message.refused(422, "Invalid")?,
        "Gadget.conformance.bluegreen.dev \"one\" is invalid: kind: Invalid value: \"Gadget\": \
         must be Widget"
    );
    let bare = json!({"metadata": {"name": "one"}, "spec": {"size": 1}});
    let message = api.post(&widgets, &bare).await?;
    let message = message.refused(400, "BadRequest")?;
    holds!(message.contains("Object 'Kind' is missing in"), "{message}");
    // What the server was built with, it knows from the path.
    let bare = json!({"metadata": {"name": "one"}});
    let lease = api.post(&api.leases(), &bare).await?.ok_with(201)?;
    same!(lease["kind"], "Lease");
    Ok(())
}

async fn a_caller_whom_nobody_knows_is_unauthorized(api: Api) -> Outcome {
    for path in [api.widgets(), "/api".to_owned(), "/apis".to_owned()] {
        let answer = api.get_as_somebody(&path, Some("Bearer nonsense")).await?;
        same!(answer.refused(401, "Unauthorized")?, "Unauthorized");
    }
    Ok(())
}

async fn a_caller_without_a_name_is_anonymous(api: Api) -> Outcome {
    let namespace = &api.namespace;
    let who = "User \"system:anonymous\" cannot";
    let what = "resource \"widgets\" in API group \"conformance.bluegreen.dev\"";
    for (path, wanted) in [
        (
            api.widgets(),
            format!(
                "widgets.conformance.bluegreen.dev is forbidden: {who} list {what} in the \
                 namespace \"{namespace}\""
            ),
        ),
        (
            format!("{}/one", api.widgets()),
            format!(
                "widgets.conformance.bluegreen.dev \"one\" is forbidden: {who} get {what} in the \
                 namespace \"{namespace}\""
            ),
        ),
        (
            format!("{}?watch=true", api.widgets()),
            format!(
                "widgets.conformance.bluegreen.dev is forbidden: {who} watch {what} in the \
                 namespace \"{namespace}\""
            ),
        ),
        (
            "/apis/conformance.bluegreen.dev/v1/widgets".to_owned(),
            format!(
                "widgets.conformance.bluegreen.dev is forbidden: {who} list {what} at the \
                 cluster scope"
            ),
        ),
        (
            "/apis".to_owned(),
            format!("forbidden: {who} get path \"/apis\""),
        ),
    ] {
        let answer = api.get_as_somebody(&path, None).await?;
        same!(answer.refused(403, "Forbidden")?, wanted);
    }
    let version = api.get_as_somebody("/version", None).await?;
    version.ok_with(200)?;
    Ok(())
}
