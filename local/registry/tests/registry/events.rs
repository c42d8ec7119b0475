//! Events: one store, two forms.

use serde_json::json;

use crate::support::Api;

const CORE: &str = "/api/v1/namespaces/default/events";
const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/default/events";

#[tokio::test]
async fn an_event_is_seen_in_both_forms() {
    let api = Api::empty();
    let event = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": "one.1"}, "type": "Normal", "reason": "Shifted",
        "note": "ten percent", "action": "Shift", "eventTime": "2027-01-15T08:00:00.000001Z",
        "reportingController": "demo", "reportingInstance": "demo-1",
        "regarding": {"apiVersion": "demo.dev/v1", "kind": "Sample", "name": "one",
                      "namespace": "default", "uid": "u-1"}});
    let created = api.post(EVENTS, &event).await.ok();
    assert_eq!(created["note"], "ten percent");
    assert_eq!(created["regarding"]["name"], "one");

    let selector = "fieldSelector=involvedObject.uid%3Du-1%2CinvolvedObject.name%3Done";
    let list = api.get(&format!("{CORE}?{selector}")).await.ok();
    let item = &list["items"][0];
    assert_eq!(item["apiVersion"], "v1");
    assert_eq!(item["message"], "ten percent");
    assert_eq!(item["involvedObject"]["name"], "one");
    assert_eq!(item["reportingComponent"], "demo");
    assert_eq!(item.get("note"), None);

    let series = json!({"series": {"count": 2,
                                   "lastObservedTime": "2027-01-15T08:01:00.000000Z"},
                        "note": "ten percent"});
    let patched = api.merge(&format!("{EVENTS}/one.1"), &series).await.ok();
    assert_eq!(patched["series"]["count"], 2);
    assert_eq!(patched["apiVersion"], "events.k8s.io/v1");

    let accept = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let table = api.send(http::Method::GET, CORE, &accept, "").await.ok();
    let cells = &table["rows"][0]["cells"];
    assert_eq!(cells[1], "Normal");
    assert_eq!(cells[2], "Shifted");
    assert_eq!(cells[3], "sample/one");
    assert_eq!(cells[6], "ten percent");
    assert_eq!(cells[8], "2");
}
