//! The adapter against answers as AWS words them, without a socket and under a paused clock.

mod budget;
mod cut;
mod ec2;
mod elb;
mod failures;
mod halves;
mod hosts;
mod regions;
mod settings;
mod ssm;
mod traces;
mod wire;

use std::{
    collections::BTreeMap,
    future,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use serde_json::Value;

use super::{AwsCloud, Clouds};
use crate::{
    cloud::{Caller, Cloud, Observer, Shared, TargetGroupArn, Urgency},
    plan::TargetId,
};

const REGION: &str = "eu-west-1";

/// What came over the wire.
#[derive(Debug, Clone)]
struct Seen {
    operation: String,
    /// The parameters of a query protocol.
    form: BTreeMap<String, String>,
    /// The body of a JSON protocol.
    json: Value,
    host: String,
}

impl Seen {
    fn of(request: &http::Request<Bytes>) -> Self {
        let form: BTreeMap<String, String> = form_urlencoded::parse(request.body())
            .into_owned()
            .collect();
        let target = request.headers().get("x-amz-target");
        let operation = match target {
            Some(target) => target
                .to_str()
                .unwrap()
                .rsplit('.')
                .next()
                .unwrap()
                .to_owned(),
            None => form["Action"].clone(),
        };
        Self {
            operation,
            form,
            json: serde_json::from_slice(request.body()).unwrap_or_default(),
            host: request.uri().host().unwrap_or_default().to_owned(),
        }
    }

    /// The values of the parameters that begin with `prefix`, in the order of the list.
    fn values(&self, prefix: &str, suffix: &str) -> Vec<&str> {
        (1..)
            .map_while(|number| self.form.get(&format!("{prefix}.{number}{suffix}")))
            .map(String::as_str)
            .collect()
    }
}

/// What the other side does.
enum Reply {
    Answer(u16, String),
    /// An answer that need not be text.
    Bytes(u16, Vec<u8>),
    /// The same, so much later.
    Late(Duration, Box<Reply>),
    Hang,
    BreakTheConnection,
}

fn ok(body: impl Into<String>) -> Reply {
    Reply::Answer(200, body.into())
}

/// An answer of a service of the query protocols.
fn xml(operation: &str, result: &str) -> Reply {
    ok(format!(
        "<{operation}Response xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\">\
         <{operation}Result>{result}</{operation}Result>\
         <ResponseMetadata><RequestId>00000000-1111</RequestId></ResponseMetadata>\
         </{operation}Response>"
    ))
}

/// An error as ELB words it. The request id is never the same.
fn elb_error(status: u16, code: &str, message: &str) -> Reply {
    let request = next_request_id();
    Reply::Answer(
        status,
        format!(
            "<ErrorResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\">\
             <Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
             <RequestId>{request}</RequestId></ErrorResponse>"
        ),
    )
}

fn ec2_error(status: u16, code: &str, message: &str) -> Reply {
    let request = next_request_id();
    Reply::Answer(
        status,
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error>\
             <Code>{code}</Code><Message>{message}</Message></Error></Errors>\
             <RequestID>{request}</RequestID></Response>"
        ),
    )
}

fn ssm_error(code: &str, message: &str) -> Reply {
    let body = serde_json::json!({ "__type": code, "message": message });
    Reply::Answer(400, body.to_string())
}

fn next_request_id() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("request-{}", NEXT.fetch_add(1, Ordering::SeqCst))
}

/// A cloud with a script behind it.
struct Fake {
    cloud: Arc<Shared<AwsCloud>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    calls: Arc<Calls>,
}

impl Fake {
    fn new(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::fenced(script, || true)
    }

    fn fenced(
        script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
        fence: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        let (seen, calls) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Calls::default()));
        let log = Arc::clone(&seen);
        let script = Arc::new(script);
        let service = move |request: http::Request<Bytes>| {
            let request = Seen::of(&request);
            log.lock().unwrap().push(request.clone());
            let reply = script(&request);
            async move {
                let mut reply = reply;
                while let Reply::Late(delay, later) = reply {
                    tokio::time::sleep(delay).await;
                    reply = *later;
                }
                if let Reply::Answer(status, body) = reply {
                    reply = Reply::Bytes(status, body.into_bytes());
                }
                match reply {
                    Reply::Bytes(status, body) => Ok(http::Response::builder()
                        .status(status)
                        .body(Bytes::from(body))
                        .unwrap()),
                    Reply::BreakTheConnection => Err("connection reset".into()),
                    Reply::Hang | Reply::Answer(..) | Reply::Late(..) => future::pending().await,
                }
            }
        };
        let clouds = Clouds::in_memory(REGION, service, Arc::clone(&calls) as Arc<dyn Observer>)
            .with_fence(fence);
        Self {
            cloud: clouds.region(None).unwrap(),
            seen,
            calls,
        }
    }

    /// The requests so far.
    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The operations so far.
    fn operations(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.operation).collect()
    }
}

/// What an observer was told.
#[derive(Default)]
struct Calls(Mutex<Vec<String>>);

impl Calls {
    fn told(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Observer for Calls {
    fn started(&self, operation: &'static str) {
        self.0.lock().unwrap().push(format!("{operation} started"));
    }

    fn finished(&self, operation: &'static str, result: &'static str, took: Duration) {
        let seconds = took.as_secs();
        let told = format!("{operation} {result} after {seconds}s");
        self.0.lock().unwrap().push(told);
    }

    fn held_back(&self, operation: &'static str) {
        self.0
            .lock()
            .unwrap()
            .push(format!("{operation} held back"));
    }
}

fn caller() -> Caller {
    Caller::new("shop", Urgency::InProgress)
}

fn arn() -> TargetGroupArn {
    TargetGroupArn(
        "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/shop/0123456789abcdef"
            .to_owned(),
    )
}

fn targets(count: usize) -> Vec<TargetId> {
    (0..count)
        .map(|number| TargetId {
            id: format!("i-{number}"),
            port: 8080,
        })
        .collect()
}

#[tokio::test]
async fn every_region_has_one_cloud_with_its_own_endpoint() {
    let hosts = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&hosts);
    let service = move |request: http::Request<Bytes>| {
        log.lock().unwrap().push(Seen::of(&request).host);
        async { Err("nobody is there".into()) }
    };
    let clouds = Clouds::in_memory(REGION, service, Arc::new(()));
    let other = clouds.region(Some("us-east-1")).unwrap();
    assert!(Arc::ptr_eq(
        &other,
        &clouds.region(Some("us-east-1")).unwrap()
    ));
    assert!(Arc::ptr_eq(
        &clouds.region(None).unwrap(),
        &clouds.region(Some(REGION)).unwrap()
    ));
    let _ = other.target_health(&caller(), &arn()).await;
    let hosts = hosts.lock().unwrap().clone();
    assert_eq!(hosts, ["elasticloadbalancing.us-east-1.amazonaws.com"]);
}
