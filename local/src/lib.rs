//! Everything to run releases on one machine, without a cluster and without AWS, put together in
//! one program: the demo.
//!
//! The demo replaces the version of an application in six ways, each in a world of its own (a
//! simulated cloud, hosts with real processes, a load) that is built anew from the same seed, and
//! compares what became of the requests. Read [`demo`] first.
//!
//! Nothing here knows how a release is done well: that is the controller's business, which takes
//! part through `methods/bluegreen.rs` and is judged like the others.

pub mod demo;
pub mod error;
pub mod figures;
pub mod keep;
pub mod lifeline;
pub mod limit;
pub mod methods;
pub mod monitor;
pub mod options;
pub mod progress;
pub mod release;
pub mod scenario;
pub mod stage;
pub mod view;
pub mod watch;
pub mod world;
