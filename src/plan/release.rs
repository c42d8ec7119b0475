//! What the planner is told of the object, besides its status.

use std::collections::BTreeMap;

use bluegreen_api::{BlueGreenReleaseSpec, RevisionSnapshot};

/// The object: its identity, its spec, and what its metadata ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The object's UID, which every operation id begins with.
    pub uid: String,
    /// The spec's generation.
    pub generation: i64,
    /// The spec.
    pub spec: BlueGreenReleaseSpec,
    /// Whether our finalizer is on it.
    pub finalizer: bool,
    /// The revisions that are kept as ControllerRevisions, by number.
    pub revisions: BTreeMap<u64, RevisionSnapshot>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// What a person asks for in the annotation `bluegreen.dev/request`, as it was written.
    pub request: Option<String>,
}
