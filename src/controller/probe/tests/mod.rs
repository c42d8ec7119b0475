//! The probe against real sockets on the loopback, and its readers against bodies of all kinds.

mod answers;
mod json;
mod noise;
mod reach;
mod recent;
mod sample;
mod spring;

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_util::task::AbortOnDropHandle;

use super::{Cidrs, Counts, HttpProbes, Probe};
use crate::{api::HttpProbe, plan::Failure};

/// An application that answers each request by its path with raw bytes, and then closes.
async fn application<F>(answer: F) -> (SocketAddr, AbortOnDropHandle<()>)
where
    F: Fn(&str) -> Vec<u8> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default();
            // The probe may have gone away already.
            let _ = stream.write_all(&answer(path)).await;
            let _ = stream.shutdown().await;
        }
    });
    (address, AbortOnDropHandle::new(serving))
}

fn response(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}").into_bytes()
}

fn ok(body: &str) -> Vec<u8> {
    response("200 OK", "", body)
}

fn probe(http: Value) -> HttpProbe {
    serde_json::from_value(http).unwrap()
}

/// Both figures by pointers into one body.
fn drain() -> HttpProbe {
    probe(json!({
        "inFlight": { "path": "/drain", "pointer": "/inFlight" },
        "served": { "path": "/drain", "pointer": "/served" },
    }))
}

fn probes() -> HttpProbes {
    HttpProbes::new(Cidrs::loopback())
}

/// What the probe makes of one answer.
async fn read(answer: Vec<u8>, probe: &HttpProbe) -> Result<Counts, Failure> {
    let (address, _serving) = application(move |_| answer.clone()).await;
    probes().read(address, probe).await
}

/// All of the words are in the message.
#[track_caller]
fn says(failure: &Failure, words: &[&str]) {
    for word in words {
        assert!(failure.message.contains(word), "{word}: {failure:?}");
    }
}
