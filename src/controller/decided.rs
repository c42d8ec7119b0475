//! What the log says of decisions: one line for each that changes something, none for others.
//! Which release it is about is in the span of the pass.

use tracing::info;

use super::events::Notice;
use crate::{
    api::NotedStop,
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
        Step::Claim { stops, noted, .. } => ("Claim", about(stops, noted.as_deref())),
        Step::RemoveFinalizer => ("RemoveFinalizer", String::new()),
        Step::Register { group: _, targets } => ("Register", listed(targets)),
        Step::Deregister { group: _, targets } => ("Deregister", listed(targets)),
        Step::Send(command) => (command.kind.as_str(), command.instances.join(" ")),
        Step::Terminate { instances } => ("Terminate", instances.join(" ")),
    }
}

/// The targets whose stop is noted, and asked for next.
fn about(stops: &[NotedStop], noted: Option<&str>) -> String {
    let targets: Vec<&str> = stops
        .iter()
        .filter(|stop| Some(stop.operation.as_str()) == noted)
        .flat_map(|stop| &stop.targets)
        .map(String::as_str)
        .collect();
    targets.join(" ")
}

fn listed(targets: &[TargetId]) -> String {
    let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
    targets.join(" ")
}
