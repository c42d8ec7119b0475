//! How a revision is started and stopped: as its snapshot says, or as the spec says where a command
//! of the snapshot has failed for good and the user has changed it since.

use std::collections::BTreeMap;

use super::{
    CommandState, FailureKind, Invocation, Reading,
    pass::Pass,
    preflight::Problem,
    record::EXIT_KILLED,
    roles::{Manner, revision_of},
};
use bluegreen_api::{
    BlueGreenReleaseSpec, BlueGreenReleaseStatus, Command, Direction, Hosts, Reason, Revision,
    RevisionSnapshot, StepKind, StopCommand, TargetStatus, is_a_version,
};

/// The commands of one revision are no longer than this, in bytes. A snapshot is one object, and
/// the API server takes objects of about a megabyte.
const LONGEST: usize = 64 * 1024;

/// What a revision is started and stopped with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Commands {
    pub(super) version: Option<String>,
    pub(super) start: Command,
    pub(super) stop: StopCommand,
}

/// The commands of a revision. `None` where others create the instances.
pub(super) fn commands(
    pass: &Pass<'_>,
    status: &BlueGreenReleaseStatus,
    revision: &Revision,
) -> Option<Commands> {
    let said = pass.spec().fleet.hosts.as_ref()?;
    let kept = pass.release.revisions.get(&revision.revision);
    let hosts = kept.and_then(|kept| kept.spec.fleet.hosts.as_ref());
    let hosts = hosts.unwrap_or(said);
    Some(Commands {
        version: version(pass, status, revision),
        start: hosts.start.clone(),
        stop: hosts.stop.clone(),
    })
}

/// The commands of a target: a command that has failed for good on it gives way to the spec's.
pub(super) fn of_target(
    pass: &Pass<'_>,
    status: &BlueGreenReleaseStatus,
    target: &TargetStatus,
) -> Option<Commands> {
    let mut commands = commands(pass, status, revision_of(status, target)?)?;
    let said = pass.spec().fleet.hosts.as_ref()?;
    match failed_for_good(pass, target) {
        Some(StepKind::Start) => commands.start = said.start.clone(),
        Some(StepKind::Stop) => commands.stop = said.stop.clone(),
        Some(StepKind::Terminate | StepKind::Register | StepKind::Deregister) | None => {}
    }
    Some(commands)
}

/// Whether a command of the snapshot has failed for good on a target, and the spec has another one.
pub(super) fn give_way(
    pass: &Pass<'_>,
    status: &BlueGreenReleaseStatus,
    target: &TargetStatus,
) -> bool {
    let kept = revision_of(status, target).and_then(|own| commands(pass, status, own));
    of_target(pass, status, target) != kept
}

/// The kind of the last command to a target, where sending it again as it is cannot help: the host
/// ran it and it failed, or Systems Manager refuses it.
fn failed_for_good(pass: &Pass<'_>, target: &TargetStatus) -> Option<StepKind> {
    let process = target.process.as_ref()?;
    let known = pass.observation.commands.get(&process.operation);
    let failed = match known {
        Some(Reading::Known(CommandState::Sent(sent))) => match sent.get(&target.id) {
            Some(refused) if refused.was_refused() => false,
            Some(Invocation::Failed { code, .. }) => *code != EXIT_KILLED,
            Some(
                Invocation::Running
                | Invocation::Succeeded { .. }
                | Invocation::NotDelivered { .. },
            )
            | None => false,
        },
        Some(Reading::Known(CommandState::Absent) | Reading::Unknown(_)) | None => false,
    };
    let last = pass.observation.last_effect.as_ref();
    let refused = last.is_some_and(|last| {
        last.intent == process.operation
            && match last.failure.kind {
                FailureKind::Rejected | FailureKind::NotFound => true,
                FailureKind::NotAsked
                | FailureKind::Denied
                | FailureKind::Throttled
                | FailureKind::Unavailable => false,
            }
    });
    (failed || refused).then_some(process.step)
}

/// The version of a revision: the snapshot's, and without one the record's or the spec's.
fn version(
    pass: &Pass<'_>,
    status: &BlueGreenReleaseStatus,
    revision: &Revision,
) -> Option<String> {
    if let Some(kept) = pass.release.revisions.get(&revision.revision) {
        return kept.version.clone();
    }
    let course = status.course.as_ref();
    let forward = course.is_some_and(|course| course.direction == Direction::Forward);
    let green = status.green.as_ref().map(|green| green.revision);
    if forward && green == Some(revision.revision) {
        return Some(pass.spec().version.clone());
    }
    // A torn status may hold any text, and it goes to a host.
    revision.version.clone().filter(|text| is_a_version(text))
}

/// Whether a decision may rest on the snapshots: a release is in progress, or may begin.
pub(super) fn needed(spec: &BlueGreenReleaseSpec, status: &BlueGreenReleaseStatus) -> bool {
    let live = status.blue.as_ref().and_then(|blue| blue.version.as_ref());
    status.course.is_some() || live != Some(&spec.version)
}

/// Whether the revision that comes in has no snapshot yet.
pub(super) fn unkept(pass: &Pass<'_>, status: &BlueGreenReleaseStatus) -> bool {
    let coming = status.green.as_ref().filter(|_| status.course.is_some());
    coming.is_some_and(|green| !pass.release.revisions.contains_key(&green.revision))
}

/// The revisions that are to be kept: the two of the release, and as many earlier ones as its history
/// has entries.
pub(super) fn to_keep(
    pass: &Pass<'_>,
    status: &BlueGreenReleaseStatus,
) -> BTreeMap<u64, RevisionSnapshot> {
    let kept = &pass.release.revisions;
    let ended = kept.iter().rev().take(pass.spec().history as usize);
    let ended = ended.map(|(number, snapshot)| (*number, snapshot.clone()));
    let revisions = [&status.blue, &status.green].into_iter().flatten();
    let current = revisions.map(|revision| {
        let now = || RevisionSnapshot {
            version: version(pass, status, revision),
            spec: pass.spec().clone(),
        };
        let snapshot = kept.get(&revision.revision).cloned();
        (revision.revision, snapshot.unwrap_or_else(now))
    });
    ended.chain(current).collect()
}

/// Whether the end of a target may end more than the process on its port: an instance that is
/// terminated, or a unit that is the only one on its host.
pub(super) fn ends_the_host(
    pass: &Pass<'_>,
    status: &BlueGreenReleaseStatus,
    target: &TargetStatus,
) -> bool {
    let commands = of_target(pass, status, target);
    commands.is_none_or(|commands| !commands.stop.names_the_port())
}

/// Why the commands of the spec cannot be used.
pub(super) fn unsuitable(hosts: &Hosts, manner: Manner) -> Option<Problem> {
    let length = length(hosts);
    let message = if length > LONGEST {
        format!(
            "fleet.hosts.start and fleet.hosts.stop are {length} bytes long, and may be {LONGEST}; move the script into the document, and keep only its parameters here"
        )
    } else if manner == Manner::SideBySide && !hosts.stop.names_the_port() {
        "fleet.hosts has two ports, and fleet.hosts.stop names neither {{port}} nor {{applicationPort}}, so it could stop the wrong one of two processes; write one of them into the unit's name, or into a parameter".to_owned()
    } else {
        return None;
    };
    Some(Problem {
        reason: Reason::CommandsUnsuitable,
        message,
    })
}

/// How many bytes of text the commands have.
fn length(hosts: &Hosts) -> usize {
    let of = |command: &Command| {
        let parameters = command.parameters.iter();
        let parameters = parameters.map(|(name, value)| name.len() + value.len());
        command.document.len() + parameters.sum::<usize>()
    };
    let stop = hosts.stop.command.as_ref().map_or(0, of);
    let unit = hosts.stop.unit.as_ref().map_or(0, String::len);
    of(&hosts.start) + stop + unit
}
