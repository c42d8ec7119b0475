//! The AWS wire protocols: Query, EC2-query and JSON 1.1.
//!
//! Parameters are parsed into plain structs here and replies are rendered from JSON values, so
//! that the services know nothing of form encoding or XML.

mod errors;
mod params;
mod read;
mod render;
mod request;

pub(crate) use errors::ApiError;
pub(crate) use params::Params;
#[cfg(test)]
pub(crate) use read::Dialect;
pub(crate) use render::{Rendered, error, malformed, success, without_items};
pub(crate) use request::{Call, Protocol, Service, parse};
