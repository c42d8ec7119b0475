//! What people see while a release goes on.
//!
//! A [`Snapshot`] is everything that is shown at one moment, as plain data. [`frame`] makes a
//! picture of it for a terminal; [`changes`] makes lines of the differences between two.

mod frame;
mod screen;

pub use frame::{changes, frame};
pub use screen::Screen;

/// Everything that is shown at one moment. Times are virtual seconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// The method's name.
    pub method: &'static str,
    /// Which of how many it is, from 1.
    pub position: (usize, usize),
    /// How many virtual seconds pass in a real one.
    pub scale: f64,
    /// Since the release began.
    pub elapsed: f64,
    /// What the release as a whole does.
    pub message: String,
    /// The hosts.
    pub hosts: Vec<Row>,
    /// The requests.
    pub requests: Requests,
}

/// A host.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// The instance's id.
    pub id: String,
    /// Where its target truly stands.
    pub target: String,
    /// The processes that are alive, by version; one that was told to stop is marked.
    pub processes: Vec<String>,
    /// Requests that are in flight to it.
    pub in_flight: u64,
    /// The steps that are done.
    pub done: Vec<String>,
    /// What is going on.
    pub doing: String,
    /// How long until that is over, where it is known.
    pub left: Option<f64>,
}

/// The requests.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Requests {
    /// Served so far.
    pub served: u64,
    /// Failed so far.
    pub failed: u64,
    /// In flight.
    pub in_flight: u64,
    /// Served in the last second.
    pub served_per_second: f64,
    /// Failed in the last second.
    pub failed_per_second: f64,
}
