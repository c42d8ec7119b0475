//! Each thing that goes wrong, one at a time: what the user sees, that nothing healthy is lost,
//! and that the release goes on, or back, when it has passed.

mod apis;
mod applications;
mod changes;
mod cloud;
mod drains;
mod preflight;
