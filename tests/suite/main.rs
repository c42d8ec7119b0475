//! The one integration-test binary.

#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

mod admission;
mod arguments;
mod charts;
mod crd;
mod tidy;
mod traces;
