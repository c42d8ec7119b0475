//! Tests of the product from outside: one binary, so that it is linked once.

#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

mod crd;
