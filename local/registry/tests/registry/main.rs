//! The registry from outside: what is its own (faults, time, restarts), and unmodified clients.
//! What any API server must do is asked in `bluegreen-conformance`.

#![expect(
    clippy::unwrap_used,
    reason = "functions that tests share may panic as the tests themselves may"
)]

mod controller;
mod definitions;
mod faults;
mod guard;
mod hostile;
mod restart;
mod server;
mod support;
mod tables;
mod validation;
mod watches;
