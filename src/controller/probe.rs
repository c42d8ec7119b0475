//! Asks an application how many requests are in flight.
//!
//! The answer comes from the application's own host and the expressions from whoever may write
//! releases, so both are bounded: time, size, and what an expression may cost.

use std::{collections::HashMap, future::Future, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use kube_cel::{
    KubeCelExt,
    cel::{Context, Program, Value, common::ast},
};
use serde_json::Value as Json;

use crate::{
    api::HttpProbe,
    plan::{Failure, FailureKind},
};

/// How long an answer may take. A target that is asked every second or two is not asked twice at
/// a time, and an application that takes longer to say this is not quiet.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How large an answer may be. It holds two numbers.
const BODY_LIMIT: usize = 64 * 1024;

/// How deep loops may be nested in an expression. One goes over an answer's list; two would go
/// over it as many times as it has entries.
const LOOPS: usize = 1;

/// What an application said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Requests in flight.
    pub in_flight: u64,
    /// Requests served since its start.
    pub served: u64,
}

/// Asks applications what is in flight.
pub trait Probe: Send + Sync + 'static {
    /// Asks one application. Ends within seconds.
    ///
    /// # Errors
    /// When it did not answer, or with something else than the two numbers.
    fn read(
        &self,
        address: SocketAddr,
        probe: &HttpProbe,
    ) -> impl Future<Output = Result<Counts, Failure>> + Send;
}

/// Asks over HTTP.
#[derive(Debug, Clone)]
pub struct HttpProbes {
    client: Client<HttpConnector, Empty<Bytes>>,
}

impl Default for HttpProbes {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(TIMEOUT));
        // No connection is kept: an idle one of ours would be one more that the application waits
        // for when it is told to stop.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        Self { client }
    }
}

impl Probe for HttpProbes {
    async fn read(&self, address: SocketAddr, probe: &HttpProbe) -> Result<Counts, Failure> {
        let asked = tokio::time::timeout(TIMEOUT, self.get(address, &probe.path)).await;
        let body = asked.unwrap_or_else(|_| {
            let message = format!(
                "the probe at {address} did not answer within {} s",
                TIMEOUT.as_secs()
            );
            Err(failure(FailureKind::Unavailable, message))
        })?;
        let body: Json = serde_json::from_slice(&body).map_err(|_| {
            failure(
                FailureKind::Rejected,
                format!(
                    "the probe at {address}{} did not answer with JSON",
                    probe.path
                ),
            )
        })?;
        Ok(Counts {
            in_flight: count("inFlight", &probe.in_flight, &body)?,
            served: count("served", &probe.served, &body)?,
        })
    }
}

impl HttpProbes {
    async fn get(&self, address: SocketAddr, path: &str) -> Result<Bytes, Failure> {
        let uri = Uri::builder()
            .scheme("http")
            .authority(address.to_string())
            .path_and_query(path)
            .build()
            .map_err(|_| {
                failure(
                    FailureKind::Rejected,
                    format!("the probe's path {path:?} is not a path of a URL"),
                )
            })?;
        let request = Request::get(uri)
            .header(header::ACCEPT, "application/json")
            .header(header::CONNECTION, "close")
            .header(header::USER_AGENT, "bluegreen-controller")
            .body(Empty::new())
            .expect("a URI that was built and four constant headers make a request");
        // Which socket error it was differs from try to try, and this ends up in status.
        let gone = |_| {
            failure(
                FailureKind::Unavailable,
                format!(
                    "the probe at {address} could not be asked; can the controller reach that port?"
                ),
            )
        };
        let response = self.client.request(request).await.map_err(gone)?;
        if response.status() != StatusCode::OK {
            let message = format!(
                "the probe at {address}{path} answered {}",
                response.status().as_u16()
            );
            return Err(failure(FailureKind::Unavailable, message));
        }
        let body = Limited::new(response.into_body(), BODY_LIMIT).collect().await.map_err(|_| {
            failure(FailureKind::Rejected, format!("the probe at {address}{path} broke off, or answered with more than {BODY_LIMIT} bytes"))
        })?;
        Ok(body.to_bytes())
    }
}

/// The value of an expression over `body`, which has to be a whole number from 0.
fn count(field: &str, expression: &str, body: &Json) -> Result<u64, Failure> {
    let wrong = |why: String| {
        failure(
            FailureKind::Rejected,
            format!("drain.inFlight.http.{field}, {expression:?}, {why}"),
        )
    };
    let program =
        Program::compile(expression).map_err(|_| wrong("is not a CEL expression".to_owned()))?;
    if loops(program.expression()) > LOOPS {
        return Err(wrong(
            "has a loop within a loop; give the application's answer a simpler shape".to_owned(),
        ));
    }
    let mut context = Context::default().with_all();
    context.add_variable_from_value("body", value(body));
    let result = program
        .execute(&context)
        .map_err(|error| wrong(format!("has no value: {error}")))?;
    number(&result).ok_or_else(|| wrong("is not a whole number from 0".to_owned()))
}

fn number(value: &Value) -> Option<u64> {
    /// Above it, not every whole number has a floating point value.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::UInt(number) => Some(*number),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole, not negative and small enough"
        )]
        Value::Float(number) if number.fract() == 0.0 && (0.0..=EXACT).contains(number) => {
            Some(*number as u64)
        }
        _ => None,
    }
}

/// JSON as CEL sees it. A whole number is an `int` wherever it fits, since `body.n + 1` has no
/// value for an unsigned `n`; the library's own conversion makes every JSON number unsigned.
fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => number
            .as_i64()
            .map(Value::Int)
            .or_else(|| number.as_u64().map(Value::UInt))
            .or_else(|| number.as_f64().map(Value::Float))
            .unwrap_or(Value::Null),
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::from(items.iter().map(value).collect::<Vec<_>>()),
        Json::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, field)| (name.clone(), value(field)));
            Value::from(fields.collect::<HashMap<_, _>>())
        }
    }
}

/// How deep loops are nested.
fn loops(expression: &ast::IdedExpr) -> usize {
    use ast::{EntryExpr, Expr};
    let deepest =
        |parts: &mut dyn Iterator<Item = &ast::IdedExpr>| parts.map(loops).max().unwrap_or(0);
    let entry = |entry: &ast::IdedEntryExpr| match &entry.expr {
        EntryExpr::StructField(field) => loops(&field.value),
        EntryExpr::MapEntry(entry) => loops(&entry.key).max(loops(&entry.value)),
    };
    match &expression.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => 0,
        Expr::Call(call) => deepest(&mut call.target.iter().map(AsRef::as_ref).chain(&call.args)),
        Expr::Select(select) => loops(&select.operand),
        Expr::List(list) => deepest(&mut list.elements.iter()),
        Expr::Map(map) => map.entries.iter().map(entry).max().unwrap_or(0),
        Expr::Struct(fields) => fields.entries.iter().map(entry).max().unwrap_or(0),
        Expr::Comprehension(each) => {
            let body = [
                &each.accu_init,
                &each.loop_cond,
                &each.loop_step,
                &each.result,
            ];
            loops(&each.iter_range).max(1 + deepest(&mut body.into_iter()))
        }
    }
}

fn failure(kind: FailureKind, message: String) -> Failure {
    Failure { kind, message }
}
