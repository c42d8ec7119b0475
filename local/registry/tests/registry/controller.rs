//! An unmodified kube client and controller on a mounted registry.

use std::{sync::Arc, time::Duration};

use bluegreen_registry::{Effect, Fault, Verb};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::{
    api::{coordination::v1::Lease, events::v1::Event as EventObject},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, CustomResource, CustomResourceExt, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    runtime::{
        Controller, WatchStreamExt,
        controller::Action,
        events::{Event, EventType, Recorder},
        finalizer::{Event as Finalizer, finalizer},
        wait::{await_condition, conditions},
        watcher,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{sync::oneshot, time::timeout};

use crate::support;

#[derive(CustomResource, Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "demo.dev",
    version = "v1",
    kind = "Widget",
    namespaced,
    status = "WidgetStatus"
)]
#[serde(rename_all = "camelCase")]
struct WidgetSpec {
    size: i32,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct WidgetStatus {
    observed_size: i32,
}

async fn setup() -> (support::Api, Client, Api<Widget>) {
    let api = support::Api::empty();
    let client = Client::new(api.registry.clone(), "default");
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    definitions
        .create(&PostParams::default(), &Widget::crd())
        .await
        .unwrap();
    let name = Widget::crd().name_any();
    await_condition(definitions, &name, conditions::is_crd_established())
        .await
        .unwrap();
    let widgets = Api::default_namespaced(client.clone());
    (api, client, widgets)
}

fn widget(name: &str, size: i32) -> Widget {
    Widget::new(name, WidgetSpec { size })
}

#[tokio::test(start_paused = true)]
async fn the_client_writes_status_against_the_version_it_read() {
    let (_api, _client, widgets) = setup().await;
    let post = PostParams::default();
    let created = widgets.create(&post, &widget("one", 1)).await.unwrap();
    let mut first = created.clone();
    first.status = Some(WidgetStatus { observed_size: 1 });
    let written = widgets.replace_status("one", &post, &first).await.unwrap();
    assert_eq!(written.status.unwrap().observed_size, 1);

    let mut late = created;
    late.status = Some(WidgetStatus { observed_size: 9 });
    let error = widgets
        .replace_status("one", &post, &late)
        .await
        .unwrap_err();
    let kube::Error::Api(status) = error else {
        panic!("not an answer of the registry: {error}");
    };
    assert!(status.is_conflict(), "{status:?}");
    let missing = widgets.get_opt("none").await.unwrap();
    assert!(missing.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_client_patches_and_applies() {
    let (_api, client, widgets) = setup().await;
    let params = PatchParams::apply("test");
    let applied = widgets
        .patch("one", &params, &Patch::Apply(widget("one", 3)))
        .await
        .unwrap();
    assert_eq!(applied.spec.size, 3);
    let merge = Patch::Merge(json!({"spec": {"size": 4}}));
    let merged = widgets.patch("one", &PatchParams::default(), &merge).await;
    assert_eq!(merged.unwrap().spec.size, 4);
    let forced = params.clone().force();
    let again = widgets
        .patch("one", &forced, &Patch::Apply(widget("one", 5)))
        .await;
    assert_eq!(again.unwrap().spec.size, 5);
    let status = json!({"apiVersion": "demo.dev/v1", "kind": "Widget",
                        "status": {"observedSize": 5}});
    let status = widgets
        .patch_status("one", &forced, &Patch::Apply(status))
        .await
        .unwrap();
    assert_eq!(status.status.unwrap().observed_size, 5);

    let leases: Api<Lease> = Api::default_namespaced(client);
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "leader"}, "spec": {"holderIdentity": "me",
        "leaseDurationSeconds": 15, "renewTime": "2027-01-15T08:00:00.000000Z"}});
    leases
        .patch("leader", &params, &Patch::Apply(lease))
        .await
        .unwrap();
    let lease = leases.get("leader").await.unwrap();
    assert_eq!(lease.spec.unwrap().holder_identity.unwrap(), "me");
}

#[tokio::test(start_paused = true)]
async fn a_watcher_survives_cuts_and_expiry_and_sees_everything() {
    let (api, _client, widgets) = setup().await;
    for config in [
        watcher::Config::default(),
        watcher::Config::default().streaming_lists(),
    ] {
        let mut seen = watcher(widgets.clone(), config)
            .default_backoff()
            .applied_objects()
            .boxed();
        let post = PostParams::default();
        widgets.create(&post, &widget("one", 1)).await.unwrap();
        assert_eq!(seen.try_next().await.unwrap().unwrap().name_any(), "one");

        let cut = Fault::new(Effect::CloseWatch).resource("widgets").times(1);
        api.registry.faults().inject(cut);
        widgets.create(&post, &widget("two", 1)).await.unwrap();
        assert_eq!(seen.try_next().await.unwrap().unwrap().name_any(), "two");

        // The history is gone and the watch is cut: the watcher must list again.
        let faults = api.registry.faults();
        faults.inject(Fault::new(Effect::Expired).verb(Verb::Watch).times(1));
        faults.inject(Fault::new(Effect::CloseWatch).resource("widgets").times(1));
        widgets.create(&post, &widget("three", 1)).await.unwrap();
        let mut names = Vec::new();
        while !names.contains(&"three".to_owned()) {
            match seen.next().await.unwrap() {
                Ok(widget) => names.push(widget.name_any()),
                Err(error) => assert!(error.to_string().contains("too old"), "{error}"),
            }
        }
        assert_eq!(faults.remaining(), 0);
        drop(seen);
        let all = ListParams::default();
        widgets
            .delete_collection(&DeleteParams::default(), &all)
            .await
            .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_recorder_publishes_and_repeats_events() {
    let (_api, client, widgets) = setup().await;
    let post = PostParams::default();
    let object = widgets.create(&post, &widget("one", 1)).await.unwrap();
    let recorder = Recorder::new(client.clone(), "demo-controller".into());
    let event = Event {
        type_: EventType::Normal,
        reason: "Shifted".to_owned(),
        note: Some("ten percent".to_owned()),
        action: "Shift".to_owned(),
        secondary: None,
    };
    for _ in 0..2 {
        recorder
            .publish(&event, &object.object_ref(&()))
            .await
            .unwrap();
    }
    let events: Api<EventObject> = Api::default_namespaced(client);
    let about_it = ListParams::default().fields("regarding.name=one");
    let list = events.list(&about_it).await.unwrap();
    assert_eq!(list.items.len(), 1);
    assert_eq!(list.items[0].note.as_deref(), Some("ten percent"));
    assert_eq!(list.items[0].series.as_ref().unwrap().count, 2);
}

struct Context {
    widgets: Api<Widget>,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Kube(#[from] kube::Error),
    #[error(transparent)]
    Finalizer(#[from] Box<kube::runtime::finalizer::Error<kube::Error>>),
}

async fn reconcile(widget: Arc<Widget>, context: Arc<Context>) -> Result<Action, Failure> {
    let widgets = &context.widgets;
    finalizer(widgets, "demo.dev/cleanup", widget, |event| async move {
        match event {
            Finalizer::Apply(widget) => {
                // What the watch brought may be old: read again before the status is written.
                let mut live = widgets.get(&widget.name_any()).await?;
                let observed_size = live.spec.size;
                if live.status.as_ref().map(|status| status.observed_size) != Some(observed_size) {
                    live.status = Some(WidgetStatus { observed_size });
                    let name = live.name_any();
                    widgets
                        .replace_status(&name, &PostParams::default(), &live)
                        .await?;
                }
                Ok(Action::await_change())
            }
            Finalizer::Cleanup(_) => Ok(Action::await_change()),
        }
    })
    .await
    .map_err(|error| Failure::from(Box::new(error)))
}

#[tokio::test(start_paused = true)]
async fn a_controller_runs_under_the_paused_clock_through_faults() {
    let (api, _client, widgets) = setup().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let context = Arc::new(Context {
        widgets: widgets.clone(),
    });
    let controller = Controller::new(widgets.clone(), watcher::Config::default())
        .graceful_shutdown_on(async {
            let _ = stopped.await;
        })
        .run(
            reconcile,
            |_, _, _| Action::requeue(Duration::from_secs(1)),
            context,
        )
        .for_each(|_| async {});
    let running = tokio::spawn(controller);

    let faults = api.registry.faults();
    let status = |effect| Fault::new(effect).resource("widgets/status").times(1);
    faults.inject(status(Effect::Conflict));
    faults.inject(status(Effect::FailAfter(500)));
    faults.inject(status(Effect::DisconnectBefore));
    let resource = |effect| Fault::new(effect).resource("widgets").times(1);
    faults.inject(resource(Effect::DuplicateEvent));
    faults.inject(resource(Effect::CloseWatch).after(1));

    let post = PostParams::default();
    for name in ["one", "two", "three"] {
        widgets.create(&post, &widget(name, 7)).await.unwrap();
    }
    let done = |object: Option<&Widget>| {
        let status = object.and_then(|object| object.status.as_ref());
        status.is_some_and(|status| status.observed_size == 7)
    };
    let limit = Duration::from_secs(600);
    for name in ["one", "two", "three"] {
        timeout(limit, await_condition(widgets.clone(), name, done))
            .await
            .expect("the controller must get there in spite of the faults")
            .unwrap();
    }
    for name in ["one", "two", "three"] {
        let uid = widgets.get(name).await.unwrap().uid().unwrap();
        widgets
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
        let gone = await_condition(widgets.clone(), name, conditions::is_deleted(&uid));
        timeout(limit, gone)
            .await
            .expect("the finalizer must come off")
            .unwrap();
    }
    stop.send(()).unwrap();
    running.await.unwrap();
}
