//! What the log says of decisions: one line for each that changes something, none for others.
//! Which release it is about is in the span of the pass.

use std::collections::BTreeMap;

use tracing::info;

use super::events::Notice;
use crate::{
    api::RevisionSnapshot,
    plan::{Decision, Step, TargetId},
};

/// Tells of a decision whose status is on the server, before its step is made.
pub(super) fn decided(decision: &Decision, notices: &[Notice]) {
    let status = &decision.status;
    let (step, targets) = decision.step.as_ref().map(words).unzip();
    let events: Vec<String> = notices
        .iter()
        .map(|notice| format!("{}: {}", notice.reason, notice.note))
        .collect();
    info!(
        revision = status.revision,
        phase = status.phase.as_str(),
        step,
        targets,
        events = (!events.is_empty()).then(|| events.join("; ")),
        "{}",
        status.message
    );
}

/// What a step is called, and what it is about.
fn words(step: &Step) -> (&'static str, String) {
    match step {
        Step::Claim { revisions } => ("Claim", numbers(revisions)),
        Step::RemoveFinalizer => ("RemoveFinalizer", String::new()),
        Step::Register { group: _, targets } => ("Register", listed(targets)),
        Step::Deregister { group: _, targets } => ("Deregister", listed(targets)),
        Step::Send(command) => (command.kind.as_str(), command.instances.join(" ")),
        Step::Terminate { instances } => ("Terminate", instances.join(" ")),
    }
}

/// The revisions that are kept from then on.
fn numbers(revisions: &BTreeMap<u64, RevisionSnapshot>) -> String {
    let numbers: Vec<String> = revisions
        .keys()
        .map(|number| format!("r{number}"))
        .collect();
    numbers.join(" ")
}

fn listed(targets: &[TargetId]) -> String {
    let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
    targets.join(" ")
}
