//! One GET: no redirect, no compression, no connection kept, and a bounded answer that is known to
//! be whole.

use std::{io, net::SocketAddr, pin::pin, sync::Arc};

use bytes::Bytes;
use futures::future::{Either, select};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::{
    body::{Body, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    Network,
    fault::{EXCERPT, Fault, Kind, cut, excerpt},
};

/// How large an answer may be.
const BODY: usize = 1024 * 1024;

/// How large its head may be.
const HEAD: usize = 16 * 1024;

/// Above this size an answer is a large one.
const SMALL: usize = 32 * 1024;

/// How many large answers are held at the same time, over all releases. Hundreds of targets are
/// asked at once, and together their answers must not take the memory of the controller.
pub(super) const LARGE: usize = 16;

/// A body that is known to be whole.
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    /// The right to hold a large one.
    _large: Option<OwnedSemaphorePermit>,
}

/// Prometheus' format in the version that both it and OpenMetrics' clients can write.
const FORMATS: &str = "application/json, text/plain;version=0.0.4;q=0.9, */*;q=0.1";

/// The body behind a path.
pub(super) async fn get<N: Network>(
    network: &N,
    large: &Arc<Semaphore>,
    address: SocketAddr,
    path: &str,
) -> Result<Answer, Fault> {
    ask(network, large, address, path)
        .await
        .map_err(|fault| fault.of(address, path))
}

async fn ask<N: Network>(
    network: &N,
    large: &Arc<Semaphore>,
    address: SocketAddr,
    path: &str,
) -> Result<Answer, Fault> {
    let request = Request::get(path)
        .header(header::HOST, address.to_string())
        .header(header::ACCEPT, FORMATS)
        .header(header::ACCEPT_ENCODING, "identity")
        // An idle connection of ours would be one more that the application waits for when it is
        // told to stop.
        .header(header::CONNECTION, "close")
        .header(header::USER_AGENT, "bluegreen-controller")
        .body(Empty::<Bytes>::new())
        .map_err(|_| {
            let fix = "write it as the path and query of a URL";
            Fault::new(Kind::NotAsked, "the path is not a path of a URL", fix)
        })?;
    let stream = network.dial(address).await.map_err(|error| gone(&error))?;
    let handshake = http1::Builder::new()
        .max_buf_size(HEAD)
        .handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(|_| broken())?;
    let exchange = pin!(async {
        let response = sender.send_request(request).await.map_err(|_| broken())?;
        whole(response, large).await
    });
    match select(exchange, pin!(connection)).await {
        Either::Left((answered, _)) => answered,
        // The connection ended, and has handed over all that it read.
        Either::Right((_, exchange)) => exchange.await,
    }
}

fn gone(error: &io::Error) -> Fault {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        return Fault::new(
            Kind::Refused,
            "the connection was refused",
            "start the endpoint, or correct drain.inFlight.http.port",
        );
    }
    // Which other error it was differs from try to try, and this ends up in status.
    Fault::new(
        Kind::Unreachable,
        "there was no connection",
        "let the controller reach that port (security group, network policy, routes)",
    )
}

fn broken() -> Fault {
    Fault::new(
        Kind::Unreachable,
        "the connection broke before the answer was whole, or the answer is not HTTP/1.1",
        "correct drain.inFlight.http.port, or look at the application's log",
    )
}

async fn whole(response: Response<Incoming>, large: &Arc<Semaphore>) -> Result<Answer, Fault> {
    let (head, body) = response.into_parts();
    if head.status != StatusCode::OK {
        return Err(other_status(head.status, body).await);
    }
    let text = |name| {
        head.headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let encodings = [
        text(header::CONTENT_ENCODING),
        text(header::TRANSFER_ENCODING),
    ];
    let plain = |encoding: &String| ["", "identity", "chunked"].contains(&encoding.as_str());
    if let Some(encoding) = encodings.iter().find(|encoding| !plain(encoding)) {
        return Err(Fault::new(
            Kind::Unusable,
            format!("the answer is encoded as {}", cut(encoding)),
            "make the application answer uncompressed where Accept-Encoding is identity",
        ));
    }
    let chunked = encodings[1] == "chunked";
    if !chunked && !head.headers.contains_key(header::CONTENT_LENGTH) {
        return Err(Fault::new(
            Kind::Unusable,
            "the answer has neither a Content-Length nor chunks, so that a part of it would look \
             like the whole",
            "make the application send a Content-Length",
        ));
    }
    let too_large = || {
        Fault::new(
            Kind::Unusable,
            format!("the answer is larger than {BODY} bytes"),
            "name a smaller endpoint",
        )
    };
    if body.size_hint().lower() > BODY as u64 {
        return Err(too_large());
    }
    let mut body = body;
    let mut read = Vec::new();
    beginning(&mut body, &mut read, SMALL)
        .await
        .map_err(|_| broken())?;
    let mut held = None;
    if read.len() > SMALL {
        // It never closes, and waiting for it is in the time of the probe.
        held = large.clone().acquire_owned().await.ok();
        beginning(&mut body, &mut read, BODY)
            .await
            .map_err(|_| broken())?;
    }
    if read.len() > BODY {
        return Err(too_large());
    }
    Ok(Answer {
        body: read,
        _large: held,
    })
}

async fn other_status(status: StatusCode, mut body: Incoming) -> Fault {
    let mut begins = Vec::new();
    // A part of it is enough.
    let _ = beginning(&mut body, &mut begins, EXCERPT).await;
    begins.truncate(EXCERPT);
    let fix = match status.as_u16() {
        300..=399 => "name the path that answers itself; redirects are not followed",
        401 | 403 => "let the controller's addresses read it without a login",
        404 => "correct the path, or make the application expose it",
        _ => "look at the application's log",
    };
    let code = status.as_u16();
    let what = format!("the answer is {code}, beginning {}", excerpt(&begins));
    Fault::new(Kind::Status(code), what, fix)
}

/// Reads until the end or until there is more than the limit.
async fn beginning(
    body: &mut Incoming,
    read: &mut Vec<u8>,
    limit: usize,
) -> Result<(), hyper::Error> {
    while read.len() <= limit {
        match body.frame().await {
            None => break,
            Some(frame) => {
                if let Ok(data) = frame?.into_data() {
                    read.extend_from_slice(&data);
                }
            }
        }
    }
    Ok(())
}
