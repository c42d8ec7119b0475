//! What any Kubernetes API server must do, as cases that can be asked of one.
//!
//! The embedded registry stands in for an API server in the tests and in the demo. It is worth
//! that much only as far as it answers as a real one does, so the same cases, with the same
//! expected answers, run on both. What is written in a case was read from the answers of a real
//! server; where that server is older than what users run, the case names the [`Feature`] that
//! the old one lacks.
//!
//! A case asks over HTTP and looks at codes, headers and JSON, since wording and bytes are what
//! clients see. It works in a namespace of its own, so cases can run again on the same server.

mod answer;
mod api;
mod cases;
mod check;
mod feature;
mod releases;
mod runner;
mod server;
mod stage;
mod watching;

pub use api::Api;
pub use cases::{Case, cases};
pub use check::{Failure, Outcome};
pub use feature::Feature;
pub use releases::Releases;
pub use runner::{Report, Verdict, run};
pub use server::{ConnectError, Server, Tls};
