//! An HTTP server that starts, serves and stops as Spring Boot on Tomcat was measured to.
//!
//! When it is told to stop, the listening socket closes at once, so that new connections are
//! refused; a request that comes on an idle connection finds it closed, without a byte of answer;
//! requests in flight are completed, and nothing in their answers says that the connection ends.
//! It must never be kinder to its clients than that: the failures of a careless release come from
//! here.
//!
//! Everything runs on one machine, so that every address is a loopback address. What is local to
//! the application is therefore the one address 127.0.0.1: the load balancer's nodes and the
//! clients of the load have other addresses of 127.0.0.0/8, and are refused where `private_pages`
//! is set. A program without an address of its own, such as curl, is local to every application.

mod actuator;
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
