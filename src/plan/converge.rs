//! The next effect: bring up what is kept, withdraw and stop what leaves.
//!
//! The order is the safety of it. What is kept and still lives is registered before anything
//! else, so that rolling back first un-drains; what leaves is stopped only with proof; it is
//! withdrawn only while enough others are in service; and what is new is started last.

use std::collections::BTreeMap;

use super::{
    CommandState, Invocation, Reading, SendCommand, Step, TargetId,
    limits::{BACKOFF_LONGEST, FENCE, RESEND},
    pass::Pass,
    planned::{arrived, keeper, manner, planned},
    roles::{Manner, Role, doomed, kept_revision, living, revision_of, role, serving},
    world::{World, id_of},
};
use crate::{
    api::{
        BlueGreenReleaseStatus, Color, Command, Duration, ExistingTermination, GroupDrain, Intent,
        Process, Registration, StepKind, Steps, StopCommand, TargetStatus, Time,
    },
    plan::drain,
};

/// The document that stops a systemd unit.
const STOP_UNIT: &str = "BlueGreen-StopUnit";

/// How much longer than the grace period a stop command may take on a host: to be delivered, to
/// look at the unit, to see a killed process go.
pub(super) const STOP_RESERVE: Duration = Duration::from_secs(60);

/// Chooses the next effect and writes its intent into status.
pub(super) fn next(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &mut BlueGreenReleaseStatus,
) -> Option<Step> {
    if !pass.release.finalizer {
        return Some(Step::AddFinalizer);
    }
    if backing_off(pass).is_some() {
        return None;
    }
    register(pass, world, status)
        .or_else(|| stop(pass, world, status))
        .or_else(|| deregister(pass, world, status))
        .or_else(|| start(pass, world, status))
}

/// Until when no effect is tried, because the last ones failed.
pub(super) fn backing_off(pass: &Pass<'_>) -> Option<Time> {
    let last = pass.observation.last_effect.as_ref()?;
    let doubled = Duration::from_secs(1).times(1 << last.failures.min(6));
    let until = last.at + doubled.min(BACKOFF_LONGEST);
    (pass.now < until).then_some(until)
}

/// Writes an intent down and returns its id.
fn intend(
    pass: &Pass<'_>,
    status: &mut BlueGreenReleaseStatus,
    step: StepKind,
    group: Option<&str>,
    targets: &[TargetId],
) -> String {
    status.effects += 1;
    let id = format!(
        "bg-{}-r{}-{}-{}",
        pass.release.uid,
        status.revision,
        step.as_str().to_lowercase(),
        status.effects
    );
    status.intent = Some(Intent {
        id: id.clone(),
        step,
        at: pass.now,
        targets: targets.iter().map(ToString::to_string).collect(),
        group: group.map(ToOwned::to_owned),
    });
    id
}

fn target_mut<'a>(
    status: &'a mut BlueGreenReleaseStatus,
    id: &TargetId,
    color: Color,
) -> Option<&'a mut TargetStatus> {
    status.targets.iter_mut().find(|target| {
        target.color == color
            && target.id == id.id
            && target.port == id.port
            && target.steps.terminated.is_none()
    })
}

// ---------------------------------------------------------------------------------------------
// Register

/// Registers what is kept, serves, and is missing in a group.
fn register(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &mut BlueGreenReleaseStatus,
) -> Option<Step> {
    if pass.spec().fleet.existing.is_some() {
        welcome(pass, world, status);
    }
    for (index, group) in world.groups.iter().enumerate() {
        let wanted: Vec<(TargetId, Color)> = living(status, Role::Keep)
            .filter(|target| serving(target))
            .filter(|target| missing(target, group))
            .filter(|target| !asked_lately(pass, target, &group.name))
            .map(|target| (id_of(target), target.color))
            .collect();
        if wanted.is_empty() {
            continue;
        }
        let ids: Vec<TargetId> = wanted.iter().map(|(id, _)| id.clone()).collect();
        intend(pass, status, StepKind::Register, Some(&group.name), &ids);
        for (id, color) in wanted {
            if let Some(target) = target_mut(status, &id, color) {
                put_back(pass, target, &group.name);
            }
        }
        return Some(Step::Register {
            group: index,
            targets: ids,
        });
    }
    None
}

/// Whether a target has to be registered in a group. Where its deregistration was intended, it
/// has to be, whatever the reading says: the reading may be older than the deregistration.
fn missing(target: &TargetStatus, group: &super::Group) -> bool {
    let withdrawn = target.drain.iter().any(|drain| drain.group == group.name);
    withdrawn || !group.registered(&id_of(target))
}

/// Whether a registration was intended so lately that a reading may not show it yet.
fn asked_lately(pass: &Pass<'_>, target: &TargetStatus, group: &str) -> bool {
    target
        .registrations
        .iter()
        .filter(|r| r.group == group)
        .filter_map(|r| r.requested_at)
        .any(|at| pass.now < at + FENCE)
}

/// A registration begins anew: what was recorded of an earlier one, and of its end, is over.
fn put_back(pass: &Pass<'_>, target: &mut TargetStatus, group: &str) {
    let renewed = target.drain.iter().any(|drain| drain.group == group);
    target.drain.retain(|drain| drain.group != group);
    target.quiet = None;
    target.health = None;
    target.steps = Steps::default();
    let of_group = |r: &Registration| r.group == group;
    let before_renewed = target
        .registrations
        .iter()
        .any(|r| of_group(r) && r.renewed);
    target.registrations.retain(|r| !of_group(r));
    target.registrations.push(Registration {
        group: group.to_owned(),
        requested_at: Some(pass.now),
        renewed: renewed || before_renewed,
        seen_at: None,
    });
}

/// Opens a record for every instance of the new version that others have created.
fn welcome(pass: &Pass<'_>, world: &World<'_>, status: &mut BlueGreenReleaseStatus) {
    for id in planned(pass.spec(), world, status) {
        let running = world.running().any(|instance| instance.id == id.id);
        if running && keeper(status, &id).is_none() {
            open(world, status, &id);
        }
    }
}

/// Opens the record of a target that is kept. An ended one of the same revision gives way to it.
fn open(world: &World<'_>, status: &mut BlueGreenReleaseStatus, id: &TargetId) {
    let Some(revision) = kept_revision(status).cloned() else {
        return;
    };
    let color = if status.green.as_ref() == Some(&revision) {
        Color::Green
    } else {
        Color::Blue
    };
    status
        .targets
        .retain(|t| t.revision != revision.revision || t.id != id.id || t.port != id.port);
    status.targets.push(TargetStatus {
        revision: revision.revision,
        id: id.id.clone(),
        port: id.port,
        zone: world.instance(&id.id).map(|i| i.zone.clone()),
        color,
        version: revision.version,
        process: None,
        registrations: Vec::new(),
        health: None,
        drain: Vec::new(),
        quiet: None,
        steps: Steps::default(),
    });
}

// ---------------------------------------------------------------------------------------------
// Stop

/// Stops what leaves and is proven to be drained.
fn stop(pass: &Pass<'_>, world: &World<'_>, status: &mut BlueGreenReleaseStatus) -> Option<Step> {
    let may_stop = may_stop(pass, world, status);
    // A target whose stop was intended must be stopped to the end, whichever way the release
    // goes now: nobody can tell whether the first command is still on its way.
    let doomed_keepers = living(status, Role::Keep).filter(|target| doomed(target));
    let ready: Vec<TargetStatus> = living(status, Role::Leave)
        .filter(|target| may_stop || doomed(target))
        .chain(doomed_keepers)
        // What was written down is as late as `now` was; what is seen now may be as early as the
        // beginning of the observation. Both count against stopping.
        .filter(|target| {
            stoppable_at(pass, status, target).is_some_and(|at| pass.observation.began_at >= at)
        })
        .filter(|target| unlisted(world, target))
        .filter(|target| stop_is_due(pass, target))
        .cloned()
        .collect();
    let first = ready.first()?;
    if pass.spec().fleet.existing.is_some() {
        return terminate(pass, status, &ready);
    }
    let revision = revision_of(status, first)?.clone();
    let ids: Vec<TargetId> = ready
        .iter()
        .filter(|t| t.port == first.port && t.color == first.color && same_operation(t, first))
        .map(id_of)
        .collect();
    let again = resent(pass, first, StepKind::Stop);
    let operation = intend(pass, status, StepKind::Stop, None, &ids);
    let operation = again.unwrap_or(operation);
    for id in &ids {
        if let Some(target) = target_mut(status, id, first.color) {
            note_command(pass, target, StepKind::Stop, &operation);
        }
    }
    let grace = pass.spec().stop.grace_period;
    let (document, parameters) = match revision.stop? {
        StopCommand {
            unit: Some(unit), ..
        } => (
            STOP_UNIT.to_owned(),
            BTreeMap::from([
                ("unit".to_owned(), unit),
                ("gracePeriod".to_owned(), "{{gracePeriod}}".to_owned()),
                ("fence".to_owned(), "{{fence}}".to_owned()),
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
        version: revision.version.as_deref().unwrap_or_default(),
        revision: revision.revision,
        port: first.port,
        fence: fence_of(&operation),
        grace,
    };
    Some(Step::Send(SendCommand {
        operation: operation.clone(),
        kind: StepKind::Stop,
        document,
        parameters: fill.all(&parameters),
        instances: ids.into_iter().map(|id| id.id).collect(),
        timeout: grace + STOP_RESERVE,
    }))
}

fn terminate(
    pass: &Pass<'_>,
    status: &mut BlueGreenReleaseStatus,
    ready: &[TargetStatus],
) -> Option<Step> {
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

/// Whether what leaves may be stopped as things stand: where both sides live for a while, the old
/// one lives until this very observation finds the new one in service.
fn may_stop(pass: &Pass<'_>, world: &World<'_>, status: &BlueGreenReleaseStatus) -> bool {
    match manner(pass.spec()) {
        Manner::InPlace => true,
        Manner::SideBySide | Manner::Existing => all_in_service(pass, world, status),
    }
}

/// Whether everything that is kept has arrived and is healthy in this observation.
fn all_in_service(pass: &Pass<'_>, world: &World<'_>, status: &BlueGreenReleaseStatus) -> bool {
    planned(pass.spec(), world, status)
        .iter()
        .all(|id| keeper(status, id).is_some_and(|target| arrived(target) && world.healthy(target)))
}

/// When a target that leaves may be stopped: its drain is proven, it was found withdrawn in two
/// readings an operation timeout apart, and it was retained for as long as it was to be. `None`
/// while that is not known.
pub(super) fn stoppable_at(
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
    if doomed(target) {
        return Some(pass.observation.began_at);
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

/// When the last of the targets that leave was deregistered.
fn shifted_at(status: &BlueGreenReleaseStatus) -> Time {
    living(status, Role::Leave)
        .filter_map(|target| target.steps.deregistered.as_ref().map(|d| d.at))
        .max()
        .unwrap_or(Time::from_millis(0))
}

/// Whether a start command may still be on its way to the host.
pub(super) fn starting(pass: &Pass<'_>, target: &TargetStatus) -> bool {
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

/// Whether this very observation finds a target in no group, or draining in it.
fn unlisted(world: &World<'_>, target: &TargetStatus) -> bool {
    let id = id_of(target);
    world.groups.iter().all(|group| !group.registered(&id))
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
        Some(_) | None => true,
    }
}

/// Whether a command has to be sent again: it never arrived, or it ended without success.
fn command_is_due(pass: &Pass<'_>, target: &TargetStatus, process: &Process) -> bool {
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

/// The operation id with which a command is sent again, where nobody has seen the first.
fn resent(pass: &Pass<'_>, target: &TargetStatus, step: StepKind) -> Option<String> {
    let process = target.process.as_ref().filter(|p| p.step == step)?;
    match pass.observation.commands.get(&process.operation) {
        Some(Reading::Known(CommandState::Absent)) => Some(process.operation.clone()),
        Some(Reading::Known(CommandState::Sent(_)) | Reading::Unknown(_)) | None => None,
    }
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

fn note_command(pass: &Pass<'_>, target: &mut TargetStatus, step: StepKind, operation: &str) {
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
    });
}

// ---------------------------------------------------------------------------------------------
// Deregister

/// Withdraws what leaves, as far as enough others are in service.
fn deregister(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &mut BlueGreenReleaseStatus,
) -> Option<Step> {
    let chosen = withdrawing(pass, world, status);
    for (index, group) in world.groups.iter().enumerate() {
        let targets: Vec<TargetId> = chosen
            .iter()
            .filter(|target| deregister_is_due(pass, target, &group.name))
            .map(id_of)
            .filter(|id| group.listed(id) != Some(super::Health::Draining))
            .collect();
        if targets.is_empty() || takes_the_last(group, &targets) {
            continue;
        }
        intend(
            pass,
            status,
            StepKind::Deregister,
            Some(&group.name),
            &targets,
        );
        let settle = drain::settle(pass.spec(), group.load_balancer);
        let color = chosen[0].color;
        for id in &targets {
            let Some(target) = target_mut(status, id, color) else {
                continue;
            };
            target.drain.retain(|d| d.group != group.name);
            target.drain.push(GroupDrain {
                group: group.name.clone(),
                requested_at: Some(pass.now),
                delay: group.delay,
                settle,
                draining_seen_at: None,
                gone_seen_at: None,
            });
        }
        return Some(Step::Deregister {
            group: index,
            targets,
        });
    }
    None
}

/// Whether a group that has healthy targets would be left without one. What was in service when
/// a withdrawal began need not be so any more when its turn comes in the next group.
fn takes_the_last(group: &super::Group, targets: &[TargetId]) -> bool {
    let mut healthy = group
        .targets
        .iter()
        .filter(|(_, health)| **health == super::Health::Healthy)
        .peekable();
    healthy.peek().is_some() && healthy.all(|(target, _)| targets.contains(target))
}

/// Whether a group was not asked yet to deregister a target, or did not show it in time.
fn deregister_is_due(pass: &Pass<'_>, target: &TargetStatus, group: &str) -> bool {
    let concerned = target.registrations.iter().any(|r| r.group == group);
    match target.drain.iter().find(|d| d.group == group) {
        None => concerned || target.registrations.is_empty(),
        Some(drain) if drain.draining_seen_at.is_some() || drain.gone_seen_at.is_some() => false,
        Some(drain) => drain.requested_at.is_none_or(|at| pass.now >= at + FENCE),
    }
}

/// The targets that are, or may now be, withdrawn.
fn withdrawing(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
) -> Vec<TargetStatus> {
    let leaving: Vec<&TargetStatus> = living(status, Role::Leave)
        .filter(|target| !doomed(target) || !unlisted(world, target))
        .filter(|target| !starting(pass, target))
        .collect();
    let (mut chosen, candidates): (Vec<&TargetStatus>, Vec<&TargetStatus>) = leaving
        .into_iter()
        .partition(|target| !target.drain.is_empty());
    match manner(pass.spec()) {
        Manner::SideBySide | Manner::Existing => {
            if !all_in_service(pass, world, status) {
                return Vec::new();
            }
            chosen.extend(candidates);
        }
        Manner::InPlace => chosen.extend(affordable(pass, world, status, candidates)),
    }
    chosen.into_iter().cloned().collect()
}

/// Those that can be withdrawn in place with enough targets left in service.
fn affordable<'a>(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &'a BlueGreenReleaseStatus,
    candidates: Vec<&'a TargetStatus>,
) -> Vec<&'a TargetStatus> {
    let hosts = planned(pass.spec(), world, status).len();
    let most_out = pass.spec().rollout.max_unavailable.of(hosts);
    let available = status
        .targets
        .iter()
        .filter(|target| in_service(world, status, target))
        .count();
    let floor = hosts.saturating_sub(most_out).max(1);
    let out = hosts_out(pass, world, status);
    let mut spare = available.saturating_sub(floor);
    let mut slots = most_out.saturating_sub(out);
    // A target that is out of service already costs nothing; those go first.
    let (healthy, sick): (Vec<_>, Vec<_>) = candidates
        .into_iter()
        .partition(|target| in_service(world, status, target));
    let mut chosen = Vec::new();
    for target in sick {
        // With nothing in service the load balancer sends to all: one is always left to it.
        if slots > 0 && (available > 0 || out + chosen.len() + 1 < hosts) {
            slots -= 1;
            chosen.push(target);
        }
    }
    for target in healthy {
        if slots > 0 && spare > 0 {
            slots -= 1;
            spare -= 1;
            chosen.push(target);
        }
    }
    chosen
}

/// Whether a target can be counted on: healthy now, not being withdrawn, and past its health gate
/// where it is one that is kept.
fn in_service(world: &World<'_>, status: &BlueGreenReleaseStatus, target: &TargetStatus) -> bool {
    let counted = match role(status, target) {
        Some(Role::Keep) => arrived(target),
        Some(Role::Leave) | None => target.drain.is_empty() && !doomed(target),
    };
    target.steps.terminated.is_none() && counted && world.healthy(target)
}

/// How many hosts are being changed right now: withdrawn, and not yet back in service.
fn hosts_out(pass: &Pass<'_>, world: &World<'_>, status: &BlueGreenReleaseStatus) -> usize {
    planned(pass.spec(), world, status)
        .iter()
        .filter(|id| {
            let back = keeper(status, id).is_some_and(arrived);
            let leaving = living(status, Role::Leave)
                .find(|target| target.id == id.id && target.port == id.port);
            match leaving {
                Some(target) => !target.drain.is_empty() || doomed(target),
                None => !back,
            }
        })
        .count()
}

// ---------------------------------------------------------------------------------------------
// Start

/// Starts what is kept on hosts where its port is free.
fn start(pass: &Pass<'_>, world: &World<'_>, status: &mut BlueGreenReleaseStatus) -> Option<Step> {
    pass.spec().fleet.hosts.as_ref()?;
    let revision = kept_revision(status)?.clone();
    let ready: Vec<(TargetId, Option<String>)> = planned(pass.spec(), world, status)
        .into_iter()
        .filter(|id| world.running().any(|instance| instance.id == id.id))
        .filter(|id| port_is_free(status, id))
        .filter_map(|id| start_is_due(pass, status, &id).map(|operation| (id, operation)))
        .collect();
    let (first, again) = ready.first()?.clone();
    let ids: Vec<TargetId> = ready
        .into_iter()
        .filter(|(id, operation)| id.port == first.port && *operation == again)
        .map(|(id, _)| id)
        .collect();
    let command = revision.start?;
    let version = revision.version?;
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
        fence: fence_of(&operation),
        grace: pass.spec().stop.grace_period,
    };
    Some(Step::Send(SendCommand {
        operation: operation.clone(),
        kind: StepKind::Start,
        document: command.document,
        parameters: fill.all(&command.parameters),
        instances: ids.into_iter().map(|id| id.id).collect(),
        timeout: pass.spec().rollout.step_deadline,
    }))
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

// ---------------------------------------------------------------------------------------------
// Parameters

/// What is filled into a document's parameters.
struct Fill<'a> {
    version: &'a str,
    revision: u64,
    port: u16,
    fence: &'a str,
    grace: Duration,
}

impl Fill<'_> {
    fn all(&self, parameters: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        parameters
            .iter()
            .map(|(name, value)| (name.clone(), self.one(value)))
            .collect()
    }

    fn one(&self, value: &str) -> String {
        value
            .replace("{{version}}", self.version)
            .replace("{{port}}", &self.port.to_string())
            .replace("{{revision}}", &self.revision.to_string())
            .replace("{{fence}}", self.fence)
            .replace(
                "{{gracePeriod}}",
                &self.grace.as_millis().div_ceil(1000).to_string(),
            )
    }
}

/// The number at the end of an operation id: it grows with every intent.
fn fence_of(operation: &str) -> &str {
    operation.rsplit('-').next().unwrap_or("0")
}
