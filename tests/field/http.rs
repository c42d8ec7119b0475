//! One HTTP request on a connection of its own.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// How long a server of the suite may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// The body of an answer that says yes.
    pub(crate) fn good(self, what: &str) -> Result<String, String> {
        if (200..300).contains(&self.status) {
            Ok(self.body)
        } else {
            Err(format!("{what}: {} {}", self.status, self.body))
        }
    }
}

/// A request.
#[derive(Debug, Default)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    /// `http://ADDRESS:PORT/path`
    pub(crate) url: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a str,
}

impl Request<'_> {
    pub(crate) async fn send(&self) -> Result<Answer, String> {
        let failed = |why: &dyn std::fmt::Display| format!("{} {}: {why}", self.method, self.url);
        let (address, path) = parts(self.url).ok_or_else(|| failed(&"not a URL"))?;
        let mut head = String::new();
        for (name, value) in self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let text = format!(
            "{} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {}\r\n{head}\r\n{}",
            self.method,
            self.body.len(),
            self.body
        );
        exchange(address, &text, PATIENCE)
            .await
            .map_err(|why| failed(&why))
    }
}

/// A GET as a browser's: HTTP/1.1.
pub(crate) async fn visit(
    address: SocketAddr,
    path: &str,
    patience: Duration,
) -> Result<u16, String> {
    let text = format!("GET {path} HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n\r\n");
    let answer = exchange(address, &text, patience).await?;
    Ok(answer.status)
}

/// Whether a process takes connections.
pub(crate) async fn listens(address: SocketAddr) -> bool {
    let connecting = TcpStream::connect(address);
    matches!(timeout(Duration::from_secs(1), connecting).await, Ok(Ok(_)))
}

async fn exchange(address: SocketAddr, text: &str, patience: Duration) -> Result<Answer, String> {
    let exchanging = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(text.as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        Ok::<_, std::io::Error>(bytes)
    };
    let bytes = match timeout(patience, exchanging).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err(format!("no answer within {patience:?}")),
    };
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text
        .split_once("\r\n\r\n")
        .ok_or("an answer without an end")?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .ok_or("an answer without a status")?;
    Ok(Answer {
        status,
        body: body.to_owned(),
    })
}

fn parts(url: &str) -> Option<(SocketAddr, &str)> {
    let rest = url.strip_prefix("http://")?;
    let at = rest.find('/').unwrap_or(rest.len());
    let (address, path) = rest.split_at(at);
    Some((
        address.parse().ok()?,
        if path.is_empty() { "/" } else { path },
    ))
}
