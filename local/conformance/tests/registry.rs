//! All cases on the embedded registry, in memory and under tokio's paused clock.
//!
//! One line for each case. Words after `--` choose the cases that have one of them in their name.

use std::process::ExitCode;

use bluegreen_conformance::{Case, Server, Verdict, run};
use bluegreen_net::Clock;
use bluegreen_registry::Registry;
use futures::FutureExt;
use kube::Client;

const TOKEN: &str = "an-administrators-token";

fn registry() -> Registry {
    let builder = Registry::builder(Clock::stepped()).token(TOKEN).seed(1);
    builder.in_memory().expect("SQLite works in memory")
}

fn server(registry: &Registry) -> Server {
    let client = Client::new(registry.clone(), "default");
    let server = Server::over("registry", client, TOKEN).expect("the token is plain");
    let registry = registry.clone();
    server.forgetting(move |_| {
        registry.compact();
        async { Ok(()) }.boxed()
    })
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime can be made");
    let report = runtime.block_on(async {
        let chosen = |case: &Case| {
            let name = case.to_string();
            words.is_empty() || words.iter().any(|word| name.contains(word.as_str()))
        };
        run(&server(&registry()), chosen, |case, verdict| {
            println!("{case} ... {verdict}");
        })
        .await
    });
    let report = match report {
        Ok(report) => report,
        Err(failure) => {
            println!("the registry cannot be prepared: {failure}");
            return ExitCode::FAILURE;
        }
    };
    println!("conformance of the registry: {report}");
    // Nothing may be lacking here: what the real server is too old for is covered by this run. What
    // the registry's own release answers otherwise is covered by a case of that release.
    let holds = |verdict: &Verdict| matches!(verdict, Verdict::Passed | Verdict::OtherRelease(_));
    let all_hold = report.verdicts.iter().all(|(_, verdict)| holds(verdict));
    if all_hold && report.passed() > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
