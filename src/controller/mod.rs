//! The shell of the loop: it observes, lets the planner decide, reports, and executes.
//!
//! Read `reconcile.rs` first: it is the outline. Nothing in this folder decides anything about a
//! release; that is `plan`. What this folder guarantees is the order:
//!
//! 1. The object is read from the API server, not from the cache, before anything else.
//! 2. The status, with the intent in it, is written with the resourceVersion of that very read.
//! 3. Only when that write is known to have landed is the one effect made.
//!
//! A write that met a conflict, or whose answer was lost, ends the pass: the decision is dropped
//! and everything is read again. A decision is never carried over to a newer read.

mod authority;
mod backoff;
mod cached;
mod claim;
mod clock;
mod context;
mod decided;
mod edge;
mod election;
mod error;
mod events;
mod execute;
mod memory;
mod metrics;
mod observe;
mod owners;
mod probe;
mod publisher;
mod reconcile;
mod report;
mod revisions;
mod run;
mod standing;
mod startup;
mod world;

#[cfg(test)]
mod tests;

use context::Ctx;

pub use authority::Authority;
pub use clock::{Clock, SystemClock};
pub use context::{Decide, Needs, Options, Planner};
pub use election::{LeaseOptions, identity};
pub use events::{Notice, Severity, notices};
pub use metrics::{Metrics, Outcome};
pub use probe::{Cidrs, Counts, HttpProbes, Network, NotCidrs, Probe, Tcp};
pub use run::{Parts, run};
pub use standing::{Stage, Standing};
pub use startup::{StartError, client_config, connect};
pub use world::{CloudProvider, Outside, World};
