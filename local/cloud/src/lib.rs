//! A simulated AWS for one machine: the control planes of Elastic Load Balancing, EC2, SSM and
//! STS behind one endpoint, spoken to by unmodified AWS clients.
//!
//! It exists to be hostile. Every lag, stale read, throttle and lost reply that the real services
//! are known for happens here too, seeded, so that a controller which survives it has met its
//! world. The load balancer's data plane takes what is configured from a [`topology::Topology`]
//! and reports what its health checks saw.
//!
//! # Addresses
//!
//! On real sockets everything has an address of 127.0.0.0/8, so that no network has to be set up.
//! Instances and nodes of load balancers have addresses of their own there
//! ([`Config::instance_addresses`], [`Config::node_addresses`]), from which their connections come
//! too; the clients of the load come from 127.1.0.1. None of them is 127.0.0.1. An application that
//! serves some pages locally only, as the sample application does with `--private-pages`, takes
//! exactly 127.0.0.1 for local: it refuses nodes and clients, and answers the scripts of its host.
//! A controller on the same machine comes from 127.0.0.1 as well and is taken for local.
//!
//! It must never be more obliging than AWS is: where the real answer is unknown, the less
//! convenient one is given, and it must never leave a process behind.

mod answer;
pub mod balancer;
pub mod change;
mod cloud;
pub mod config;
mod ec2;
mod elb;
pub mod events;
pub mod faults;
pub mod hosts;
pub mod ledger;
pub mod oracle;
mod paging;
pub mod scene;
mod server;
mod sim;
mod ssm;
mod sts;
pub mod switches;
mod throttle;
pub mod topology;
mod wire;
mod world;

pub use cloud::{Cloud, ConnectionDropped};
pub use config::{Config, Hostility};
pub use server::serve;
