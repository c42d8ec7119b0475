//! A simulated AWS for one machine: the control planes of Elastic Load Balancing, EC2, SSM and
//! STS behind one endpoint, spoken to by unmodified AWS clients.
//!
//! It exists to be hostile. Every lag, stale read, throttle and lost reply that the real services
//! are known for happens here too, seeded, so that a controller which survives it has met its
//! world. The load balancer's data plane takes what is configured from a [`topology::Topology`]
//! and reports what its health checks saw.
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
