//! The two ends of the wire between which a release happens: a sample [`app`] to be released, and
//! a [`load`] generator that notices every request that was not served.
//!
//! Neither knows of load balancers or of releases: the application behaves as a server in the
//! field does, with its faults, and the load generator is a client that retries nothing.

pub mod app;
pub mod load;
