//! What one pass rests on.

use super::{Observation, Release};
use bluegreen_api::{BlueGreenReleaseSpec, Time};

/// The arguments of one decision.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pass<'a> {
    pub(super) release: &'a Release,
    pub(super) observation: &'a Observation,
    pub(super) now: Time,
}

impl<'a> Pass<'a> {
    pub(super) fn spec(&self) -> &'a BlueGreenReleaseSpec {
        &self.release.spec
    }
}
