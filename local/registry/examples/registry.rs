//! Serves a registry on a free loopback port until it gets an interrupt or its standard input
//! ends, and writes a kubeconfig for kubectl.
//!
//! ```text
//! cargo run -p bluegreen-registry --example registry -- KUBECONFIG [DATABASE]
//! ```

use std::{error::Error, path::Path};

use bluegreen_net::Clock;
use bluegreen_registry::{Registry, kubeconfig, serve};
use jiff::Timestamp;
use tokio::{io::AsyncReadExt, net::TcpListener};

/// Good enough for an example on loopback; a product generates one.
const TOKEN: &str = "example-token";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let mut arguments = std::env::args().skip(1);
    let kubeconfig_path = arguments
        .next()
        .ok_or("usage: registry KUBECONFIG [DATABASE]")?;
    let builder = Registry::builder(Clock::scaled(Timestamp::now(), 1.0)).token(TOKEN);
    let registry = match arguments.next() {
        Some(path) => builder.open(Path::new(&path))?,
        None => builder.in_memory()?,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = format!("http://{}", listener.local_addr()?);
    std::fs::write(&kubeconfig_path, kubeconfig(&server, TOKEN, "default"))?;
    println!("{server}");
    let shutdown = async {
        let mut byte = [0];
        let mut input = tokio::io::stdin();
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = async { while matches!(input.read(&mut byte).await, Ok(count) if count > 0) {} } => {}
        }
    };
    serve(listener, registry, shutdown).await?;
    Ok(())
}
