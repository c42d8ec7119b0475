//! The one integration-test binary.

mod model;
