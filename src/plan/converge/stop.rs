//! Stops what leaves and is proven to be drained.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    command::{
        Fill, command_is_due, fence_of, note_command, resent, seconds, starting, stopped_together,
    },
    intend, target_mut,
};
use crate::{
    SendCommand, Step, TargetId, failures,
    limits::{FENCE, RESEND},
    pass::Pass,
    planned::manner,
    promotion, revisions,
    roles::{Manner, Role, doomed, living, revision_of, spared},
    serve,
    world::{World, id_of},
};
use bluegreen_api::{
    BlueGreenReleaseStatus, Color, Command, Duration, ExistingTermination, StepKind, StopCommand,
    TargetStatus, Time,
};

/// The document that stops a systemd unit.
pub(crate) const STOP_UNIT: &str = "BlueGreen-StopUnit";

/// How much longer than the grace period a stop command may take on a host: to wait for another
/// command on the same unit, to look at the unit, to see a killed process go.
pub(crate) const STOP_RESERVE: Duration = Duration::from_secs(90);

/// Stops what leaves and is proven to be drained.
pub(super) fn stop(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &mut BlueGreenReleaseStatus,
) -> Option<Step> {
    let may_begin = may_stop(pass, world, status);
    stop_what_may(pass, world, status, may_begin)
}

/// Stops what was to be stopped already, and nothing else.
pub(super) fn finish(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &mut BlueGreenReleaseStatus,
) -> Option<Step> {
    stop_what_may(pass, world, status, false)
}

fn stop_what_may(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &mut BlueGreenReleaseStatus,
    may_begin: bool,
) -> Option<Step> {
    // A target whose stop was intended must be stopped to the end, whichever way the release
    // goes now: nobody can tell whether the first command is still on its way.
    let doomed_keepers = living(status, Role::Keep).filter(|target| doomed(target));
    let ready: Vec<TargetStatus> = living(status, Role::Leave)
        .filter(|target| may_begin || doomed(target))
        .filter(|target| may_end(pass, world, status, target))
        .chain(doomed_keepers)
        .filter(|target| stoppable_at(pass, status, target).is_some_and(|at| pass.now >= at))
        .filter(|target| seen_twice(pass, target))
        .filter(|target| world.instance(&target.id).is_some())
        .filter(|target| still_registered(pass, world, status, target).is_none())
        .filter(|target| stop_is_due(pass, target))
        .cloned()
        .collect();
    if pass.spec().fleet.existing.is_some() {
        return terminate(pass, status, &ready);
    }
    let first = ready.first()?;
    let revision = revision_of(status, first)?.clone();
    let of = |target| revisions::of_target(pass, status, target);
    let commands = of(first)?;
    let again = resent(pass, first, StepKind::Stop);
    let ids: Vec<TargetId> = ready
        .iter()
        .filter(|target| stopped_together(target, first))
        .filter(|target| of(target).as_ref() == Some(&commands))
        .map(id_of)
        .collect();
    let operation = intend(pass, status, StepKind::Stop, None, &ids);
    let operation = again.unwrap_or(operation);
    let tried = ready
        .iter()
        .filter(|target| spared(target))
        .filter(|target| {
            let process = target.process.as_ref();
            process.is_some_and(|process| failures::of_an_earlier_try(status, process))
        });
    let tried: BTreeSet<TargetId> = tried.map(id_of).collect();
    for id in &ids {
        if let Some(target) = target_mut(status, id, first.color) {
            if tried.contains(id) {
                // This try has the whole time of a stop.
                target.process = None;
            }
            note_command(pass, target, StepKind::Stop, &operation);
        }
    }
    let grace = pass.spec().stop.grace_period;
    let (document, parameters) = match commands.stop {
        StopCommand {
            unit: Some(unit), ..
        } => (
            STOP_UNIT.to_owned(),
            BTreeMap::from([
                ("unit".to_owned(), unit),
                ("port".to_owned(), "{{applicationPort}}".to_owned()),
                ("gracePeriod".to_owned(), "{{gracePeriod}}".to_owned()),
                ("fence".to_owned(), "{{fence}}".to_owned()),
                ("executionTimeout".to_owned(), seconds(grace + STOP_RESERVE)),
            ]),
        ),
        StopCommand {
            command:
                Some(Command {
                    document,
                    parameters,
                }),
            ..
        } => (document, parameters),
        StopCommand {
            unit: None,
            command: None,
        } => return None,
    };
    let fill = Fill {
        version: commands.version.as_deref().unwrap_or_default(),
        revision: revision.revision,
        port: first.port,
        application_port: pass.spec().fleet.application_port(first.port),
        fence: fence_of(&operation),
        grace,
    };
    Some(Step::Send(SendCommand {
        operation: operation.clone(),
        kind: StepKind::Stop,
        document,
        parameters: fill.all(&parameters),
        instances: ids.into_iter().map(|id| id.id).collect(),
        port: first.port,
        timeout: grace + STOP_RESERVE,
    }))
}

fn terminate(
    pass: &Pass<'_>,
    status: &mut BlueGreenReleaseStatus,
    ready: &[TargetStatus],
) -> Option<Step> {
    ready.first()?;
    let ids: Vec<TargetId> = ready.iter().map(id_of).collect();
    let operation = intend(pass, status, StepKind::Terminate, None, &ids);
    for target in ready {
        if let Some(target) = target_mut(status, &id_of(target), target.color) {
            note_command(pass, target, StepKind::Terminate, &operation);
        }
    }
    Some(Step::Terminate {
        instances: ids.into_iter().map(|id| id.id).collect(),
    })
}

/// Whether a target may end as things stand: enough others serve. One whose stop may be on its way
/// cannot be relied on any more, but for a command that Systems Manager does not know: that one is
/// not sent again while others are missing.
fn may_end(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
    target: &TargetStatus,
) -> bool {
    let sent = doomed(target) && resent(pass, target, StepKind::Stop).is_none();
    sent || serve::others_suffice(pass, world, status, target)
}

/// Whether what leaves may be stopped as things stand: where both sides live for a while, the old
/// one lives until this very observation finds the new one in service.
fn may_stop(pass: &Pass<'_>, world: &World<'_>, status: &BlueGreenReleaseStatus) -> bool {
    match manner(pass.spec()) {
        Manner::InPlace => true,
        Manner::SideBySide | Manner::Existing => {
            serve::all_in_service(pass, world, status) && !promotion::open(pass, status)
        }
    }
}

/// When a target that leaves may be stopped: its drain is proven, it was found withdrawn in two
/// readings an operation timeout apart, and it was retained for as long as it was to be. `None`
/// while that is not known.
pub(crate) fn stoppable_at(
    pass: &Pass<'_>,
    status: &BlueGreenReleaseStatus,
    target: &TargetStatus,
) -> Option<Time> {
    let theirs = match pass.spec().fleet.existing.as_ref().map(|e| e.terminate) {
        Some(ExistingTermination::Never) => true,
        // What a rolled back release brought in is not ours to terminate.
        Some(ExistingTermination::Instances) => target.color == Color::Green,
        None => false,
    };
    if theirs || starting(pass, target) {
        return None;
    }
    // One that somebody registered again since its stop was intended needs a proof again.
    if doomed(target) && withdrawn_for_good(target) {
        return Some(pass.now);
    }
    let proven = match (&target.steps.drained, &target.steps.unproven) {
        (Some(drained), _) => drained.at,
        (None, Some(unproven)) => unproven.at,
        (None, None) => return None,
    };
    let withdrawn = target.steps.deregistered.as_ref()?.at;
    let retained = if target.color == Color::Blue {
        shifted_at(status) + pass.spec().retain
    } else {
        withdrawn
    };
    Some(proven.max(withdrawn + FENCE).max(retained))
}

/// Whether its drain is proven, or was given up.
fn withdrawn_for_good(target: &TargetStatus) -> bool {
    target.steps.drained.is_some() || target.steps.unproven.is_some()
}

/// Whether a target was found withdrawn in two readings, an operation timeout apart. The first was
/// written down when it had ended, and this one is as old as its beginning: both count against
/// stopping.
fn seen_twice(pass: &Pass<'_>, target: &TargetStatus) -> bool {
    let first = target.steps.deregistered.as_ref().map(|step| step.at);
    first.is_some_and(|first| pass.observation.began_at >= first + FENCE)
}

/// Everything that would end with a target. A process whose stop names its port ends alone; an instance,
/// or a unit that is the only one, ends with whatever the instance is registered with.
fn ending_with(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
    target: &TargetStatus,
) -> BTreeSet<TargetId> {
    let mut ends = BTreeSet::from([id_of(target)]);
    if revisions::ends_the_host(pass, status, target) {
        let listed = world.groups.iter().flat_map(|group| group.targets.keys());
        ends.extend(listed.filter(|id| id.id == target.id).cloned());
    }
    ends
}

/// When the last of the targets that leave was deregistered.
fn shifted_at(status: &BlueGreenReleaseStatus) -> Time {
    living(status, Role::Leave)
        .filter_map(|target| target.steps.deregistered.as_ref().map(|d| d.at))
        .max()
        .unwrap_or(Time::from_millis(0))
}

/// Whether this very observation finds a target in no group, or draining in it.
pub(super) fn unlisted(world: &World<'_>, target: &TargetStatus) -> bool {
    let id = id_of(target);
    world.groups.iter().all(|group| !group.registered(&id))
}

/// A target that would end with another one, and that a group may send to, or another port that
/// still drains.
pub(crate) fn still_registered(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
    target: &TargetStatus,
) -> Option<TargetId> {
    let mut ends = ending_with(pass, world, status, target).into_iter();
    let own = id_of(target);
    ends.find(|id| {
        let mut groups = world.groups.iter();
        groups.any(|group| group.registered(id) || (*id != own && group.listed(id).is_some()))
    })
}

/// Whether the stop was not asked for yet, or must be asked for again.
fn stop_is_due(pass: &Pass<'_>, target: &TargetStatus) -> bool {
    match &target.process {
        Some(process) if doomed(target) => match process.step {
            StepKind::Terminate => pass.now >= process.sent_at + FENCE,
            StepKind::Start | StepKind::Stop | StepKind::Register | StepKind::Deregister => {
                command_is_due(pass, target, process)
            }
        },
        // The last one did nothing: the agent gets time to come back.
        Some(process) if spared(target) => pass.now >= process.sent_at + RESEND,
        Some(_) | None => true,
    }
}
