//! Lists: selection, pages, versions.

use serde_json::{Value, json};

use crate::{
    Api, Failure, Outcome,
    answer::{names, text, version},
    check::{holds, same},
    stage::widget,
};

super::list! { "reads":
    a_list_is_in_the_order_of_names,
    a_list_can_be_of_all_namespaces,
    labels_select,
    fields_select,
    a_selector_that_makes_no_sense_is_refused,
    selectable_fields_select [SelectableFields],
    pages_add_up_to_the_list,
    a_page_shows_the_past,
    a_page_of_a_forgotten_past_is_gone [Forgetting],
    a_continue_token_that_makes_no_sense_is_refused,
    a_list_is_not_older_than_asked,
    a_version_to_come_is_refused,
    a_match_needs_a_version,
}

async fn three(api: &Api) -> Result<(), Failure> {
    for (name, team, tier) in [("b", "red", "1"), ("a", "blue", "1"), ("c", "red", "2")] {
        let mut wanted = widget(name, 1);
        wanted["metadata"]["labels"] = json!({"team": team, "tier": tier});
        api.post(&api.widgets(), &wanted).await?.ok_with(201)?;
    }
    Ok(())
}

async fn a_list_is_in_the_order_of_names(api: Api) -> Outcome {
    three(&api).await?;
    let list = api.get(&api.widgets()).await?.ok()?;
    same!(list["kind"], "WidgetList");
    same!(list["apiVersion"], "conformance.bluegreen.dev/v1");
    same!(names(&list), ["a", "b", "c"]);
    same!(list["items"][0]["kind"], "Widget");
    same!(list["metadata"]["continue"], "");
    let last = api.get(&format!("{}/c", api.widgets())).await?.ok()?;
    let number = |value: &Value| version(value).parse::<u64>().unwrap_or_default();
    holds!(number(&list) >= number(&last), "{}", list["metadata"]);
    Ok(())
}

async fn a_list_can_be_of_all_namespaces(api: Api) -> Outcome {
    api.widget("one", 1).await?;
    let query = format!("fieldSelector=metadata.namespace%3D{}", api.namespace);
    let path = format!("/apis/conformance.bluegreen.dev/v1/widgets?{query}");
    same!(names(&api.get(&path).await?.ok()?), ["one"]);
    let list = api.get("/api/v1/namespaces").await?.ok()?;
    holds!(
        names(&list).contains(&api.namespace.as_str()),
        "{}",
        api.namespace
    );
    // The list of a kind that the server was built with says what its items are.
    same!(list["kind"], "NamespaceList");
    same!(list["items"][0].get("kind"), None);
    Ok(())
}

async fn labels_select(api: Api) -> Outcome {
    three(&api).await?;
    for (selector, wanted) in [
        ("team=red", vec!["b", "c"]),
        ("team==red,tier=2", vec!["c"]),
        ("team!=red", vec!["a"]),
        ("team%20in%20(red,blue),tier%20notin%20(2)", vec!["a", "b"]),
        ("team", vec!["a", "b", "c"]),
        ("!team", vec![]),
        ("other!=x", vec!["a", "b", "c"]),
        ("team=", vec![]),
    ] {
        let path = format!("{}?labelSelector={selector}", api.widgets());
        let list = api.get(&path).await?.ok()?;
        holds!(names(&list) == wanted, "{selector}: {:?}", names(&list));
    }
    Ok(())
}

async fn fields_select(api: Api) -> Outcome {
    three(&api).await?;
    for (selector, wanted) in [
        ("metadata.name=b", vec!["b"]),
        ("metadata.name!=b", vec!["a", "c"]),
        ("metadata.name==b,metadata.namespace!=x", vec!["b"]),
        ("metadata.name=b,metadata.name=c", vec![]),
    ] {
        let path = format!("{}?fieldSelector={selector}", api.widgets());
        let list = api.get(&path).await?.ok()?;
        holds!(names(&list) == wanted, "{selector}: {:?}", names(&list));
    }
    let path = format!(
        "/api/v1/namespaces?fieldSelector=status.phase=Active,metadata.name={}",
        api.namespace
    );
    same!(
        names(&api.get(&path).await?.ok()?),
        [api.namespace.as_str()]
    );
    Ok(())
}

async fn a_selector_that_makes_no_sense_is_refused(api: Api) -> Outcome {
    let widgets = api.widgets();
    for (query, start) in [
        ("labelSelector=a%20b%20c", "unable to parse requirement: "),
        ("labelSelector=a%20in%20b", "unable to parse requirement: "),
        ("labelSelector=a/b/c=d", "unable to parse requirement: "),
        ("labelSelector=a=-b", "unable to parse requirement: "),
        (
            "fieldSelector=spec.size=1",
            "field label not supported: spec.size",
        ),
        (
            "fieldSelector=nope",
            "invalid selector: 'nope'; can't understand 'nope'",
        ),
    ] {
        let message = api.get(&format!("{widgets}?{query}")).await?;
        let message = message.refused(400, "BadRequest")?;
        holds!(message.starts_with(start), "{query}: {message}");
    }
    Ok(())
}

async fn selectable_fields_select(api: Api) -> Outcome {
    let mut definition = super::definitions::own(&api);
    definition["spec"]["versions"][0]["selectableFields"] = json!([{"jsonPath": ".spec.mode"}]);
    let path = super::definitions::define(&api, &definition).await?;
    for (name, mode) in [("a", "Auto"), ("b", "Manual")] {
        let wanted = super::definitions::object(&definition, name, json!({"mode": mode}));
        api.post(&path, &wanted).await?.ok_with(201)?;
    }
    let selected = format!("{path}?fieldSelector=spec.mode=Manual");
    same!(names(&api.get(&selected).await?.ok()?), ["b"]);
    super::definitions::undefine(&api, &definition).await
}

async fn pages_add_up_to_the_list(api: Api) -> Outcome {
    for name in ["a", "b", "c", "d", "e"] {
        api.widget(name, 1).await?;
    }
    let widgets = api.widgets();
    let mut seen: Vec<String> = Vec::new();
    let mut next = String::new();
    for (count, remaining) in [(2, json!(3)), (2, json!(1)), (1, Value::Null)] {
        let page = api.get(&format!("{widgets}?limit=2{next}")).await?.ok()?;
        same!(names(&page).len(), count);
        same!(page["metadata"]["remainingItemCount"], remaining);
        seen.extend(names(&page).into_iter().map(str::to_owned));
        let token = text(&page, "/metadata/continue");
        same!(token.is_empty(), remaining.is_null());
        next = format!("&continue={token}");
    }
    same!(seen, ["a", "b", "c", "d", "e"]);
    // What a selector leaves out is not counted ahead.
    let page = api
        .get(&format!("{widgets}?limit=2&labelSelector=!x"))
        .await?;
    same!(page.ok()?["metadata"].get("remainingItemCount"), None);
    let whole = api.get(&format!("{widgets}?limit=5")).await?.ok()?;
    same!(text(&whole, "/metadata/continue"), "");
    Ok(())
}

async fn a_page_shows_the_past(api: Api) -> Outcome {
    three(&api).await?;
    let widgets = api.widgets();
    let first = api.get(&format!("{widgets}?limit=1")).await?.ok()?;
    api.delete(&format!("{widgets}/b")).await?.ok()?;
    api.widget("d", 1).await?;
    let token = text(&first, "/metadata/continue");
    let rest = api
        .get(&format!("{widgets}?limit=10&continue={token}"))
        .await?;
    let rest = rest.ok()?;
    same!(names(&rest), ["b", "c"]);
    same!(version(&rest), version(&first));
    let then = version(&first);
    let exact = format!("{widgets}?resourceVersion={then}&resourceVersionMatch=Exact&limit=10");
    same!(names(&api.get(&exact).await?.ok()?), ["a", "b", "c"]);
    Ok(())
}

async fn a_page_of_a_forgotten_past_is_gone(api: Api) -> Outcome {
    three(&api).await?;
    let widgets = api.widgets();
    let first = api.get(&format!("{widgets}?limit=1")).await?.ok()?;
    let later = api.widget("d", 1).await?;
    api.forget(version(&later)).await?;
    let token = text(&first, "/metadata/continue");
    let message = api
        .get(&format!("{widgets}?limit=10&continue={token}"))
        .await?;
    let message = message.refused(410, "Expired")?;
    holds!(
        message.starts_with("The provided continue parameter is too old"),
        "{message}"
    );
    let then = version(&first);
    let exact = format!("{widgets}?resourceVersion={then}&resourceVersionMatch=Exact&limit=10");
    api.get(&exact).await?.refused(410, "Expired")?;
    Ok(())
}

async fn a_continue_token_that_makes_no_sense_is_refused(api: Api) -> Outcome {
    let path = format!("{}?limit=1&continue=nonsense", api.widgets());
    let message = api.get(&path).await?.refused(400, "BadRequest")?;
    holds!(message.contains("continue key is not valid"), "{message}");
    Ok(())
}

async fn a_list_is_not_older_than_asked(api: Api) -> Outcome {
    let created = api.widget("one", 1).await?;
    let asked = version(&created);
    for query in [
        format!("resourceVersion={asked}"),
        format!("resourceVersion={asked}&resourceVersionMatch=NotOlderThan"),
    ] {
        let list = api.get(&format!("{}?{query}", api.widgets())).await?.ok()?;
        same!(names(&list), ["one"]);
    }
    let path = format!("{}/one?resourceVersion={asked}", api.widgets());
    same!(api.get(&path).await?.ok()?, created);
    // Any version will do, so there is always an answer.
    let any = format!("{}?resourceVersion=0", api.widgets());
    same!(api.get(&any).await?.ok()?["kind"], "WidgetList");
    Ok(())
}

async fn a_version_to_come_is_refused(api: Api) -> Outcome {
    let widgets = api.widgets();
    for path in [&widgets, &format!("{widgets}/one")] {
        let answer = api
            .get(&format!("{path}?resourceVersion=999999999"))
            .await?;
        let causes = &answer.body["details"]["causes"];
        same!(
            *causes,
            json!([{"reason": "ResourceVersionTooLarge",
                    "message": "Too large resource version"}])
        );
        let message = answer.refused(504, "Timeout")?;
        let start = "Timeout: Too large resource version: 999999999, current: ";
        holds!(message.starts_with(start), "{message}");
    }
    Ok(())
}

async fn a_match_needs_a_version(api: Api) -> Outcome {
    let path = format!("{}?resourceVersionMatch=Exact", api.widgets());
    let message = api.get(&path).await?.refused(422, "Invalid")?;
    same!(
        message,
        "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: \
         resourceVersionMatch is forbidden unless resourceVersion is provided"
    );
    let path = format!(
        "{}?resourceVersion=1&resourceVersionMatch=Nope",
        api.widgets()
    );
    let message = api.get(&path).await?.refused(422, "Invalid")?;
    let wanted = "resourceVersionMatch: Unsupported value: \"Nope\": supported values: \"Exact\", \
                  \"NotOlderThan\", \"\"";
    holds!(message.ends_with(wanted), "{message}");
    Ok(())
}
