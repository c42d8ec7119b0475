//! The demo as a user meets it: the program with real processes and sockets, and the manifests.

#![allow(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

mod examples;
mod program;
