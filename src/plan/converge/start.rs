//! Starts what is kept on hosts where its port is free.

use super::{
    command::{Fill, command_is_due, fence_of, note_command, resent},
    intend,
    register::open,
    target_mut,
};
use crate::{
    Health, SendCommand, Step, TargetId,
    pass::Pass,
    planned::{keeper, planned},
    revisions::{self, Commands},
    roles::{Role, kept_revision, living},
    world::World,
};
use bluegreen_api::{BlueGreenReleaseStatus, Color, StepKind};

/// Starts what is kept on hosts where its port is free.
pub(super) fn start(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &mut BlueGreenReleaseStatus,
) -> Option<Step> {
    pass.spec().fleet.hosts.as_ref()?;
    let revision = kept_revision(status)?.clone();
    let whole = revisions::commands(pass, status, &revision)?;
    let of = |status: &BlueGreenReleaseStatus, id: &TargetId| {
        let target = keeper(status, id);
        let own = target.and_then(|target| revisions::of_target(pass, status, target));
        own.unwrap_or_else(|| whole.clone())
    };
    let ready: Vec<(TargetId, Option<String>)> = planned(pass.spec(), world, status)
        .into_iter()
        .filter(|id| world.running().any(|instance| instance.id == id.id))
        .filter(|id| port_is_free(status, id))
        .filter(|id| !serves(world, id))
        .filter(|id| {
            // Somebody else's is still there: it was never adopted. One that drains is ours.
            keeper(status, id).is_some() || !world.groups.iter().any(|g| g.registered(id))
        })
        .filter_map(|id| start_is_due(pass, status, &id).map(|operation| (id, operation)))
        .collect();
    let (first, again) = ready.first()?.clone();
    let commands: Commands = of(status, &first);
    let ids: Vec<TargetId> = ready
        .into_iter()
        .filter(|(id, operation)| id.port == first.port && *operation == again)
        .map(|(id, _)| id)
        .filter(|id| of(status, id) == commands)
        .collect();
    let version = commands.version?;
    let operation = intend(pass, status, StepKind::Start, None, &ids);
    let operation = again.unwrap_or(operation);
    let color = if status.green.as_ref().map(|g| g.revision) == Some(revision.revision) {
        Color::Green
    } else {
        Color::Blue
    };
    for id in &ids {
        if target_mut(status, id, color).is_none() {
            open(world, status, id);
        }
        if let Some(target) = target_mut(status, id, color) {
            note_command(pass, target, StepKind::Start, &operation);
        }
    }
    let fill = Fill {
        version: &version,
        revision: revision.revision,
        port: first.port,
        application_port: pass.spec().fleet.application_port(first.port),
        fence: fence_of(&operation),
        grace: pass.spec().stop.grace_period,
    };
    Some(Step::Send(SendCommand {
        operation: operation.clone(),
        kind: StepKind::Start,
        document: commands.start.document,
        parameters: fill.all(&commands.start.parameters),
        instances: ids.into_iter().map(|id| id.id).collect(),
        port: first.port,
        timeout: pass.spec().rollout.step_deadline,
    }))
}

/// Whether something on a port is in service. A start there would be refused by our documents, and
/// nobody knows what one of the user's own would do.
fn serves(world: &World<'_>, id: &TargetId) -> bool {
    let mut groups = world.groups.iter();
    groups.any(|group| group.listed(id) == Some(Health::Healthy))
}

/// Whether nothing else of this release lives on a host's port.
fn port_is_free(status: &BlueGreenReleaseStatus, id: &TargetId) -> bool {
    living(status, Role::Leave).all(|target| target.id != id.id || target.port != id.port)
}

/// Whether a start has to be sent: `None` if not, else the operation id of the first try where
/// nobody has seen that one.
fn start_is_due(
    pass: &Pass<'_>,
    status: &BlueGreenReleaseStatus,
    id: &TargetId,
) -> Option<Option<String>> {
    let Some(target) = keeper(status, id) else {
        return Some(None);
    };
    if target.steps.terminated.is_some() {
        return Some(None);
    }
    let process = target.process.as_ref()?;
    match process.step {
        StepKind::Start if process.running_at.is_none() => {
            // One that ran and failed is not tried again on the way forward: the release has
            // failed. On the way back it is all that can be done.
            command_is_due(pass, target, process).then(|| resent(pass, target, StepKind::Start))
        }
        StepKind::Start
        | StepKind::Stop
        | StepKind::Terminate
        | StepKind::Register
        | StepKind::Deregister => None,
    }
}
