//! Asks any Kubernetes API server all cases, over TLS without a look at its certificate.
//!
//! ```text
//! TOKEN=... cargo run -p bluegreen-conformance --example ask -- URL [--alone] [WORD...]
//! ```
//!
//! The token must be an administrator's. `--alone` is for a server without a controller manager.
//! Words choose the cases that have one of them in their name.

use std::{env, error::Error, process::ExitCode};

use bluegreen_conformance::{Feature, Server, Tls, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let token = env::var("TOKEN").map_err(|_| "TOKEN is not set; it is an administrator's")?;
    let (options, mut words): (Vec<String>, Vec<String>) = env::args()
        .skip(1)
        .partition(|argument| argument.starts_with("--"));
    if words.is_empty() {
        return Err("usage: ask URL [--alone] [WORD...]".into());
    }
    let url = words.remove(0);
    let server = Server::at("the server", &url, &token, Tls::Unverified)?;
    let minor = server.minor().await?;
    let mut server = server.lacking(Feature::younger_than(minor));
    if options.iter().any(|option| option == "--alone") {
        server = server.lacking([Feature::NamespaceController, Feature::GarbageCollector]);
    }
    let report = run(
        &server,
        |case| {
            let name = case.to_string();
            words.is_empty() || words.iter().any(|word| name.contains(word.as_str()))
        },
        |case, verdict| println!("{case} ... {verdict}"),
    )
    .await?;
    println!("{report}");
    Ok(if report.failed() == 0 && report.passed() > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
