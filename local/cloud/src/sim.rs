//! `/_sim/`: the simulation's own doors, for tests and people.
//!
//! `GET ledger`, `events` (both `?since=N`), `state`, `faults`; `POST faults`, `switches`;
//! `DELETE faults` and `faults/N`. The bodies are a [`Fault`] and a [`Switch`] as JSON:
//!
//! ```text
//! sim=http://127.0.0.1:4566/_sim
//! curl $sim/faults -d '{"action":"DescribeTargetHealth","kind":"cutAt","bytes":200,"times":1}'
//! curl $sim/faults -d '{"action":"DescribeTargetHealth","kind":"cutShare","share":0.5,"forSeconds":60}'
//! curl $sim/faults -d '{"action":"DescribeInstances","kind":"emptyLists","times":2}'
//! curl $sim/faults -d '{"action":"DescribeTargetGroups","kind":"otherAccount","account":"210987654321"}'
//! curl $sim/switches -d '{"switch":"agentOffline","instance":"i-0123","offline":true}'
//! curl $sim/switches -d '{"switch":"processKilled","instance":"i-0123"}'
//! curl $sim/switches -d '{"switch":"instanceStopped","instance":"i-0123"}'
//! curl $sim/switches -d '{"switch":"healthCheckPort","targetGroup":"arn:...","port":9090}'
//! curl -X DELETE $sim/faults
//! ```

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{cloud::Cloud, elb, faults::Fault, switches::Switch, world::World};

pub(crate) fn handle(cloud: &Cloud, request: &Request<Bytes>) -> Response<Bytes> {
    let path = request.uri().path().trim_start_matches("/_sim/");
    let query = request.uri().query().unwrap_or_default();
    let since = query
        .strip_prefix("since=")
        .and_then(|since| since.parse().ok());
    let since = since.unwrap_or(0);
    let (status, body) = match (request.method(), path) {
        (&Method::GET, "ledger") => ok(json!(cloud.ledger(since))),
        (&Method::GET, "events") => ok(json!(cloud.events(since))),
        (&Method::GET, "state") => ok(cloud.state()),
        (&Method::GET, "faults") => ok(json!(cloud.faults())),
        (&Method::POST, "faults") => match checked(request) {
            Ok(fault) => ok(json!({"id": cloud.set_fault(fault)})),
            Err(err) => bad(&err),
        },
        (&Method::POST, "switches") => {
            match read::<Switch>(request).and_then(|switch| cloud.switch(&switch)) {
                Ok(()) => ok(json!({})),
                Err(err) => bad(&err),
            }
        }
        (&Method::DELETE, "faults") => {
            cloud.clear_faults(None);
            ok(json!({}))
        }
        (&Method::DELETE, path) => match path.strip_prefix("faults/").map(str::parse) {
            Some(Ok(id)) => {
                cloud.clear_faults(Some(id));
                ok(json!({}))
            }
            _ => (StatusCode::NOT_FOUND, json!({"error": "no such fault"})),
        },
        _ => (StatusCode::NOT_FOUND, json!({"error": "no such door"})),
    };
    Response::builder()
        .status(status)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(Bytes::from(body.to_string()))
        .expect("a status and a constant header make a valid response")
}

fn ok(body: Value) -> (StatusCode, Value) {
    (StatusCode::OK, body)
}

fn bad(err: &str) -> (StatusCode, Value) {
    (StatusCode::BAD_REQUEST, json!({"error": err}))
}

fn checked(request: &Request<Bytes>) -> Result<Fault, String> {
    let fault = read::<Fault>(request)?;
    fault.check()?;
    Ok(fault)
}

fn read<T: DeserializeOwned>(request: &Request<Bytes>) -> Result<T, String> {
    serde_json::from_slice(request.body()).map_err(|err| err.to_string())
}

/// What is true now.
pub(crate) fn state(world: &World, now: Timestamp) -> Value {
    let view = &world.live;
    let groups = view.elb.groups.values().map(|group| {
        let targets = group.targets.iter().map(|((id, port), target)| {
            let status = elb::status(view, group, id, target, now);
            json!({
                "id": id,
                "port": port,
                "state": status.state,
                "reason": status.reason,
                "drainingUntil": target.draining_until,
            })
        });
        json!({"arn": group.arn, "targets": targets.collect::<Vec<_>>()})
    });
    let instances = view.ec2.instances.values().map(|instance| {
        json!({
            "id": instance.id,
            "state": instance.state.name(),
            "address": instance.address,
            "zone": instance.zone,
            "tags": instance.tags,
            "agentOffline": world.ssm.offline.contains_key(&instance.id),
        })
    });
    let commands = world.ssm.all().iter().map(|sent| {
        let invocations = sent.invocations.iter().map(|(id, invocation)| {
            json!({"instance": id, "status": invocation.status.details(), "exit": invocation.exit})
        });
        json!({"id": sent.id, "invocations": invocations.collect::<Vec<_>>()})
    });
    json!({
        "now": now,
        "targetGroups": groups.collect::<Vec<_>>(),
        "instances": instances.collect::<Vec<_>>(),
        "commands": commands.collect::<Vec<_>>(),
    })
}
