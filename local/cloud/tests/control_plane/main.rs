//! The control plane as its clients see it: requests in, replies out, virtual time in between.

#![allow(
    clippy::unwrap_used,
    reason = "all of this is a test, and a panic is how a test fails"
)]

mod commands;
mod documents;
mod drains;
mod faults;
mod fences;
mod groups;
mod instances;
mod lag;
mod processes;
mod real;
mod rules;
mod support;
mod targets;
mod together;
mod wire;
