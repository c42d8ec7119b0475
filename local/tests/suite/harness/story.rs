//! What the ledger tells of a controller.

use bluegreen_cloud::{Cloud, change::Change, ledger::Entry};

use super::controller::PRINCIPAL;

/// The controller's calls.
pub(crate) fn calls(cloud: &Cloud) -> Vec<Entry> {
    let mut calls = cloud.ledger(0);
    calls.retain(|call| call.principal == PRINCIPAL);
    calls
}

/// The changes that the controller made.
pub(crate) fn mutations(cloud: &Cloud) -> Vec<Change> {
    let calls = calls(cloud);
    let effective = calls.iter().filter(|call| call.effective);
    effective.filter_map(Change::of).collect()
}

/// Whether a call is meant to change something, carried out or not.
pub(crate) fn changes(entry: &Entry) -> bool {
    Change::of(entry).is_some()
}
