//! The whole system in one process and in virtual time, without a socket: the embedded registry,
//! the controller as it is shipped, the AWS SDK over the simulated cloud, the sample application
//! behind the load balancer's nodes, and a load that notices every request that was not served.
//!
//! A failed test prints its seed and the story of its world; `BLUEGREEN_SEED` runs every world
//! with one seed again.
#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, and says where"
)]

mod careless;
mod commands;
mod faults;
mod frugal;
mod gitops;
mod harness;
mod hostile;
mod iam;
mod kills;
mod releases;
mod replicas;
mod timing;
mod torn;
