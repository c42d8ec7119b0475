//! The registry from outside: requests in, responses out, and unmodified clients.

#![expect(
    clippy::unwrap_used,
    reason = "functions that tests share may panic as the tests themselves may"
)]

mod apply;
mod controller;
mod definitions;
mod discovery;
mod events;
mod faults;
mod objects;
mod patches;
mod reads;
mod restart;
mod server;
mod support;
mod tables;
mod validation;
mod watches;
