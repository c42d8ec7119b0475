//! Traces, sent to a receiver on loopback.

pub(crate) mod receiver;
pub(crate) mod written;

use std::{io, time::Duration};

use serde_json::Value;
use tokio::{net::TcpListener, runtime::Handle};
use tracing::{
    Dispatch, Span,
    dispatcher::{DefaultGuard, set_default, with_default},
    error_span, info, info_span,
};
use tracing_subscriber::{EnvFilter, fmt};

use super::{Endpoint, LOG_ONLY, Traces, aws, kubernetes, probe, subscriber};
use receiver::{Manner, Receiver};
use written::Written;

/// Traces of this thread, and its log, as long as it lives.
pub(crate) struct Traced {
    traces: Traces,
    written: Written,
    _guard: DefaultGuard,
}

impl Traced {
    pub(crate) fn to(url: &str) -> Self {
        let endpoint: Endpoint = url.parse().unwrap();
        let traces = Traces::start(&endpoint, Some("pod-1"), Handle::current()).unwrap();
        let written = Written::new();
        let writer = written.clone();
        let lines = fmt::layer().json().with_writer(move || writer.clone());
        let filter = EnvFilter::new("info,bluegreen=trace");
        let subscriber = subscriber(lines, filter, Some(&traces));
        Self {
            traces,
            written,
            _guard: set_default(&subscriber),
        }
    }

    /// Sends all spans that have ended, and waits for the answer.
    pub(crate) async fn flush(&self) {
        let provider = self.traces.provider.clone();
        let flushed = tokio::task::spawn_blocking(move || provider.force_flush());
        // An error is what the log is looked at for.
        let _ = flushed.await.unwrap();
    }

    /// The lines since the last time.
    fn lines(&self) -> Vec<Value> {
        self.written.lines()
    }
}

/// The level and the text of the one line there is.
fn only(lines: &[Value]) -> (&str, &str) {
    let [line] = lines else {
        panic!("one line: {lines:#?}");
    };
    let (level, text) = (&line["level"], &line["fields"]["message"]);
    (level.as_str().unwrap(), text.as_str().unwrap())
}

fn span() {
    drop(info_span!("pass"));
}

#[tokio::test]
async fn an_outage_is_said_once_and_so_is_its_end() {
    let receiver = Receiver::start().await;
    let traced = Traced::to(&receiver.url());
    for outage in 1..=2 {
        receiver.behaves(Manner::Refuses);
        for batch in 1..=3 {
            span();
            traced.flush().await;
            assert_eq!(receiver.requests(), 4 * (outage - 1) + batch, "one attempt");
        }
        let lines = traced.lines();
        let (level, text) = only(&lines);
        assert_eq!(level, "WARN");
        for words in [
            &receiver.url(),
            "answers 503",
            "releases go on",
            "check that",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        receiver.behaves(Manner::Takes);
        span();
        traced.flush().await;
        let lines = traced.lines();
        let (level, text) = only(&lines);
        assert_eq!(level, "INFO");
        assert!(text.ends_with("again"), "{text}");
        assert_eq!(receiver.spans().len(), outage, "what was refused is lost");
    }
}

#[tokio::test]
async fn the_cause_of_an_outage_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let traced = Traced::to(&url);
    span();
    traced.flush().await;
    let lines = traced.lines();
    let (_, text) = only(&lines);
    assert!(text.contains("Connection refused"), "{text}");
}

#[tokio::test]
async fn the_end_does_not_wait_for_a_collector_that_hangs() {
    let receiver = Receiver::start().await;
    receiver.behaves(Manner::Withholds);
    let Traced {
        traces,
        written,
        _guard,
    } = Traced::to(&receiver.url());
    span();
    traces.end_within(Duration::from_millis(20)).await;
    // An outage would be a line too, after the five seconds in which a batch may arrive.
    let lines = written.lines();
    let (_, text) = only(&lines);
    assert!(text.contains("were not delivered within 20ms"), "{text}");
}

#[tokio::test]
async fn spans_of_other_libraries_are_not_sent_and_hide_no_parent() {
    let receiver = Receiver::start().await;
    let traced = Traced::to(&receiver.url());
    {
        let _kube = error_span!(target: "kube_runtime::controller", "reconciling object").entered();
        let _pass = error_span!("pass", release = "games/shop").entered();
        let _sdk = error_span!(target: "an_sdk::client", "invoke").entered();
        let _request = aws("ssm", "SendCommand", "a test").entered();
        let _connection = error_span!(target: "hyper_util::client", "connecting").entered();
        error_span!(target: LOG_ONLY, "pass").in_scope(|| {});
    }
    traced.flush().await;
    let spans = receiver.spans();
    let [request, pass] = &spans[..] else {
        panic!("two spans: {spans:#?}");
    };
    assert_eq!(pass.name, "pass");
    assert!(pass.parent.is_empty(), "{pass:?}");
    assert_eq!(request.name, "ssm:SendCommand");
    assert_eq!(request.parent, pass.id);
    assert_eq!(pass.resource["service.name"], "bluegreen-controller");
    assert_eq!(pass.resource["service.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(pass.resource["service.instance.id"], "pod-1");
}

#[tokio::test]
async fn a_log_line_names_the_release_also_within_a_request() {
    let receiver = Receiver::start().await;
    let traced = Traced::to(&receiver.url());
    error_span!("pass", release = "games/shop").in_scope(|| {
        aws("ssm", "SendCommand", "a test").in_scope(|| info!("here"));
    });
    let lines = traced.lines();
    assert_eq!(only(&lines), ("INFO", "here"));
    assert_eq!(lines[0]["span"]["release"], "games/shop");
    assert_eq!(lines[0]["spans"].as_array().unwrap().len(), 1);
    traced.flush().await;
}

/// Whether a span comes to be is asked of a subscriber and not of the span: the other tests of this
/// process have subscribers too, and one that wants a span lets it come to be for all.
#[test]
fn without_traces_there_are_no_spans_for_them() {
    let all = Dispatch::new(tracing_subscriber::registry());
    let (pass, within) = with_default(&all, || {
        let address = "10.0.0.1:8080".parse().unwrap();
        let request = aws("ssm", "SendCommand", "a test");
        let within = [request, kubernetes("reading"), probe(address)];
        (error_span!("pass"), within)
    });
    let lines = fmt::layer().with_writer(io::sink);
    let subscriber = subscriber(lines, EnvFilter::new("trace"), None);
    let told = |span: &Span| subscriber.register_callsite(span.metadata().unwrap());
    assert!(told(&pass).is_always());
    for span in &within {
        assert!(told(span).is_never(), "{span:?}");
    }
}
