//! An HTTP server that starts, serves and stops as Spring Boot on Tomcat was measured to.
//!
//! When it is told to stop, the listening socket closes at once, so that new connections are
//! refused; a request that comes on an idle connection finds it closed, without a byte of answer;
//! requests in flight are completed, and nothing in their answers says that the connection ends.
//! It must never be kinder to its clients than that: the failures of a careless release come from
//! here.

mod behaviour;
mod command;
mod connection;
mod gauge;
mod pages;
mod serve;
#[cfg(test)]
mod tests;

pub use behaviour::{Config, HealthBehaviour, OnTerminate};
pub use command::{Args, run};
pub use gauge::DrainReading;
pub use serve::{Exit, ServeError, Signal, serve};
