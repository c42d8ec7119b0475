//! A collector on loopback that keeps what it is sent.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router, body::Bytes, extract::State, http::StatusCode, response::IntoResponse, routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{AnyValue, KeyValue, any_value::Value},
};
use prost::Message;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::task::AbortOnDropHandle;

/// How long spans may take that must come. A test that waits for them in vain fails.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) type Attributes = BTreeMap<String, String>;

/// A span as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    pub(crate) name: String,
    pub(crate) attributes: Attributes,
    pub(crate) resource: Attributes,
    pub(crate) id: Vec<u8>,
    /// Empty, where this is the first of its trace.
    pub(crate) parent: Vec<u8>,
    /// What went wrong.
    pub(crate) error: Option<String>,
    pub(crate) events: Vec<String>,
}

/// What the receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Takes,
    /// It answers 503.
    Refuses,
    /// It takes, and answers when this has changed.
    Withholds,
}

/// A collector, as long as this lives.
pub(crate) struct Receiver {
    address: SocketAddr,
    behind: Arc<Behind>,
    _serving: AbortOnDropHandle<()>,
}

struct Behind {
    spans: watch::Sender<Vec<Arrived>>,
    manner: watch::Sender<Manner>,
    requests: Mutex<usize>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let behind = Arc::new(Behind {
            spans: watch::Sender::new(Vec::new()),
            manner: watch::Sender::new(Manner::Takes),
            requests: Mutex::default(),
        });
        let router = Router::new()
            .route("/v1/traces", post(take))
            .with_state(Arc::clone(&behind));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            behind,
            _serving: AbortOnDropHandle::new(serving),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn behaves(&self, manner: Manner) {
        self.behind.manner.send_replace(manner);
    }

    pub(crate) fn requests(&self) -> usize {
        *self.behind.requests.lock().unwrap()
    }

    /// All spans so far.
    pub(crate) fn spans(&self) -> Vec<Arrived> {
        self.behind.spans.borrow().clone()
    }

    /// The first span that is looked for, when it is there.
    pub(crate) async fn until(&self, is: impl Fn(&Arrived) -> bool) -> Arrived {
        let mut spans = self.behind.spans.subscribe();
        let there = spans.wait_for(|spans| spans.iter().any(&is));
        let there = tokio::time::timeout(PATIENCE, there).await;
        let spans = match there {
            Ok(spans) => spans.unwrap(),
            Err(_) => panic!("it has not come, but {:#?}", self.spans()),
        };
        spans.iter().find(|span| is(span)).unwrap().clone()
    }
}

async fn take(State(behind): State<Arc<Behind>>, body: Bytes) -> impl IntoResponse {
    *behind.requests.lock().unwrap() += 1;
    let mut manner = behind.manner.subscribe();
    if *manner.borrow() == Manner::Refuses {
        return (StatusCode::SERVICE_UNAVAILABLE, Vec::new());
    }
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    behind
        .spans
        .send_modify(|spans| spans.extend(read(request)));
    let answers = manner.wait_for(|manner| *manner != Manner::Withholds);
    answers.await.unwrap();
    let answer = ExportTraceServiceResponse::default().encode_to_vec();
    (StatusCode::OK, answer)
}

fn read(request: ExportTraceServiceRequest) -> Vec<Arrived> {
    let mut arrived = Vec::new();
    for group in request.resource_spans {
        let resource = attributes(group.resource.unwrap_or_default().attributes);
        for span in group.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let status = span.status.unwrap_or_default();
            arrived.push(Arrived {
                name: span.name,
                attributes: attributes(span.attributes),
                resource: resource.clone(),
                id: span.span_id,
                parent: span.parent_span_id,
                // 2 is STATUS_CODE_ERROR.
                error: (status.code == 2).then_some(status.message),
                events: span.events.into_iter().map(|event| event.name).collect(),
            });
        }
    }
    arrived
}

fn attributes(pairs: Vec<KeyValue>) -> Attributes {
    pairs
        .into_iter()
        .map(|pair| (pair.key.clone(), text(pair.value)))
        .collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}
