//! Connections that become WebSockets.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::oracle::Failure;

const ASK: &[u8] = b"GET /chat HTTP/1.1\r\nhost: x\r\nconnection: keep-alive, Upgrade\r\n\
    upgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A target that agrees to become a WebSocket and then sends back what it is sent.
fn echo(world: &World) -> Task {
    scripted(&world.net, host(1), |mut stream| async move {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await.unwrap_or(0);
        let head = String::from_utf8_lossy(&buffer[..count]).to_ascii_lowercase();
        if head.starts_with("get /health") {
            failures::write_ok(&mut stream).await;
            return;
        }
        let asked = head.contains("upgrade: websocket") && head.contains("connection: upgrade");
        let key = head.contains("sec-websocket-key: ");
        let answer: &[u8] = match asked && key {
            true => b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
            false => b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
        };
        stream.write_all(answer).await.unwrap();
        while let Ok(count) = stream.read(&mut buffer).await {
            if count == 0 || stream.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    })
}

/// A client's connection that has become a WebSocket.
async fn opened(world: &World) -> Stream {
    world.register(0, 1, host(1));
    world.seconds(11.0).await;
    let mut stream = world.net.connect(None, node(1)).await.unwrap();
    stream.write_all(ASK).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("upgrade: websocket\r\n"), "{head}");
    stream
}

async fn say(stream: &mut Stream, text: &[u8]) {
    stream.write_all(text).await.unwrap();
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(back, text);
}

#[tokio::test(start_paused = true)]
async fn a_websocket_is_passed_on_and_counts_as_in_flight_until_it_ends() {
    let world = World::new(immediate()).await;
    let _server = echo(&world);
    let mut stream = opened(&world).await;
    for _ in 0..5 {
        say(&mut stream, b"\x81\x05hello").await;
        world.seconds(50.0).await;
    }
    assert_eq!(world.oracle.in_flight("i-1", 8080), 1);
    drop(stream);
    world.seconds(0.1).await;
    assert_eq!(world.oracle.in_flight("i-1", 8080), 0);
    assert_eq!(world.oracle.counters().failed, 0);
}

#[tokio::test(start_paused = true)]
async fn a_websocket_goes_on_in_the_drain_and_is_cut_off_at_its_end() {
    let world = World::new(immediate()).await;
    let _server = echo(&world);
    let mut stream = opened(&world).await;
    let until = world.drain(1, 30);
    world.seconds(29.0).await;
    say(&mut stream, b"late").await;
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert_at(world.clock.now(), until);
    let failures = world.oracle.failures();
    assert_eq!(failures[0].failure, Some(Failure::DelayElapsed));
}

#[tokio::test(start_paused = true)]
async fn a_websocket_that_is_silent_is_closed_after_the_idle_timeout() {
    let world = World::new(immediate()).await;
    let _server = echo(&world);
    let mut stream = opened(&world).await;
    say(&mut stream, b"last words").await;
    let silent_since = world.clock.now();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    let silent = world.clock.now().duration_since(silent_since);
    assert_eq!(silent.as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_does_not_agree_answers_as_ever() {
    let world = World::new(immediate()).await;
    let _app = world.healthy_app(1).await;
    let request = Request::get("/")
        .header("host", "x")
        .header("connection", "upgrade")
        .header("upgrade", "websocket");
    let mut client = world.client(node(1)).await;
    let answer = client.send(request.body(Empty::new()).unwrap()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(client.get("/").await.status, 200, "the connection is kept");
}
