//! Commands to hosts: what became of them, when they are sent again, what is filled in.

use std::collections::BTreeMap;

use crate::{
    CommandState, Invocation, Reading,
    limits::{FENCE, RESEND},
    pass::Pass,
    roles::doomed,
};
use bluegreen_api::{Duration, Process, StepKind, TargetStatus};

/// Whether a start command may still be on its way to the host.
pub(crate) fn starting(pass: &Pass<'_>, target: &TargetStatus) -> bool {
    let Some(process) = target.process.as_ref() else {
        return false;
    };
    if process.step != StepKind::Start || process.running_at.is_some() {
        return false;
    }
    match pass.observation.commands.get(&process.operation) {
        Some(Reading::Known(CommandState::Absent)) => pass.now < process.sent_at + FENCE,
        Some(Reading::Known(CommandState::Sent(sent))) => match sent.get(&target.id) {
            Some(Invocation::Running) => true,
            Some(
                Invocation::Succeeded { .. }
                | Invocation::Failed { .. }
                | Invocation::NotDelivered { .. },
            )
            | None => false,
        },
        Some(Reading::Unknown(_)) | None => true,
    }
}

/// Whether a command has to be sent again: it never arrived, or it ended without success.
pub(super) fn command_is_due(pass: &Pass<'_>, target: &TargetStatus, process: &Process) -> bool {
    match pass.observation.commands.get(&process.operation) {
        Some(Reading::Known(CommandState::Absent)) => pass.now >= process.sent_at + FENCE,
        Some(Reading::Known(CommandState::Sent(sent))) => match sent.get(&target.id) {
            Some(Invocation::Running | Invocation::Succeeded { .. }) => false,
            Some(Invocation::Failed { .. } | Invocation::NotDelivered { .. }) | None => {
                pass.now >= process.sent_at + RESEND
            }
        },
        Some(Reading::Unknown(_)) | None => false,
    }
}

/// The operation id with which a command is sent again: the same where Systems Manager knows no
/// command with it.
pub(super) fn resent(pass: &Pass<'_>, target: &TargetStatus, step: StepKind) -> Option<String> {
    let whole = |operation: &str| fence_of(operation).parse::<u64>().is_ok();
    let process = target
        .process
        .as_ref()
        .filter(|p| p.step == step && whole(&p.operation))?;
    match pass.observation.commands.get(&process.operation) {
        Some(Reading::Known(CommandState::Absent)) => Some(process.operation.clone()),
        Some(Reading::Known(CommandState::Sent(_)) | Reading::Unknown(_)) | None => None,
    }
}

/// Whether one command can stop two targets.
pub(super) fn stopped_together(a: &TargetStatus, b: &TargetStatus) -> bool {
    a.port == b.port && a.color == b.color && same_operation(a, b)
}

fn same_operation(a: &TargetStatus, b: &TargetStatus) -> bool {
    let operation = |t: &TargetStatus| {
        t.process
            .as_ref()
            .filter(|_| doomed(t))
            .map(|p| p.operation.clone())
    };
    operation(a) == operation(b)
}

pub(super) fn note_command(
    pass: &Pass<'_>,
    target: &mut TargetStatus,
    step: StepKind,
    operation: &str,
) {
    let first = target
        .process
        .as_ref()
        .filter(|process| process.step == step)
        .map(|process| process.requested_at);
    target.process = Some(Process {
        operation: operation.to_owned(),
        step,
        requested_at: first.unwrap_or(pass.now),
        sent_at: pass.now,
        running_at: None,
        undone: false,
    });
}

/// What is filled into a document's parameters.
pub(super) struct Fill<'a> {
    pub(super) version: &'a str,
    pub(super) revision: u64,
    pub(super) port: u16,
    pub(super) application_port: u16,
    pub(super) fence: &'a str,
    pub(super) grace: Duration,
}

impl Fill<'_> {
    pub(super) fn all(&self, parameters: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        parameters
            .iter()
            .map(|(name, value)| (name.clone(), self.one(value)))
            .collect()
    }

    fn one(&self, value: &str) -> String {
        value
            .replace("{{version}}", self.version)
            .replace("{{port}}", &self.port.to_string())
            .replace("{{applicationPort}}", &self.application_port.to_string())
            .replace("{{revision}}", &self.revision.to_string())
            .replace("{{fence}}", self.fence)
            .replace("{{gracePeriod}}", &seconds(self.grace))
    }
}

/// Whole seconds, rounded up, as documents want them.
pub(super) fn seconds(duration: Duration) -> String {
    duration.as_millis().div_ceil(1000).to_string()
}

/// The number at the end of an operation id: it grows with every intent.
pub(super) fn fence_of(operation: &str) -> &str {
    operation.rsplit('-').next().unwrap_or("0")
}
