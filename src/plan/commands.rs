//! How a revision is started and stopped: what was noted of it in metadata, where whoever may write
//! no more than status cannot change it.

use std::collections::BTreeMap;

use super::{
    pass::Pass,
    preflight::Problem,
    roles::{Manner, revision_of},
};
use bluegreen_api::{
    BlueGreenReleaseStatus, Direction, Hosts, NotedStop, Reason, Revision, RevisionCommands,
    TargetStatus, is_a_version,
};

/// The commands of one revision are no longer than this, in bytes. Those of two are noted in an
/// annotation, and the API server takes 256 KiB of annotations in all.
const LONGEST: usize = 64 * 1024;

/// How a revision is started and stopped: as it was noted when it was begun, or else as the spec
/// says now. `None` where others create the instances.
pub(super) fn of(
    pass: &Pass<'_>,
    status: &BlueGreenReleaseStatus,
    revision: &Revision,
) -> Option<RevisionCommands> {
    let hosts = pass.spec().fleet.hosts.as_ref()?;
    let noted = pass.release.commands.get(&revision.revision);
    let said = || as_the_spec_says(hosts, version(pass, status, revision));
    Some(noted.cloned().unwrap_or_else(said))
}

/// What a revision's commands are about. They are the same each time, unless its number or its
/// version is another, or, where they are not noted, the spec.
pub(super) fn process(pass: &Pass<'_>, revision: &Revision, commands: &RevisionCommands) -> String {
    let number = revision.revision;
    let version = commands.version.as_deref().unwrap_or_default();
    if pass.release.commands.contains_key(&number) {
        format!("{number}/{version}")
    } else {
        format!("{number}/{version}@{}", pass.release.generation)
    }
}

/// The version of a revision that is not noted. What comes in, and what was there before the first
/// release, the spec says as well; of any other status must do, which is anybody's text, and it is
/// filled into a command to a host.
fn version(
    pass: &Pass<'_>,
    status: &BlueGreenReleaseStatus,
    revision: &Revision,
) -> Option<String> {
    let course = status.course.as_ref();
    let forward = course.is_some_and(|course| course.direction == Direction::Forward);
    let green = status.green.as_ref().map(|green| green.revision);
    let adopted = pass.spec().adopt.as_ref().map(|adopt| &adopt.version);
    if forward && green == Some(revision.revision) {
        Some(pass.spec().version.clone())
    } else if let (0, Some(adopted)) = (revision.revision, adopted) {
        Some(adopted.clone())
    } else {
        revision.version.clone().filter(|text| is_a_version(text))
    }
}

fn as_the_spec_says(hosts: &Hosts, version: Option<String>) -> RevisionCommands {
    RevisionCommands {
        version,
        start: hosts.start.clone(),
        stop: hosts.stop.clone(),
    }
}

/// Whether the revision that comes in is not noted yet.
pub(super) fn unnoted(pass: &Pass<'_>, status: &BlueGreenReleaseStatus) -> bool {
    let green = status.green.as_ref();
    let coming = green.filter(|_| status.course.is_some() && pass.spec().fleet.hosts.is_some());
    coming.is_some_and(|green| !pass.release.commands.contains_key(&green.revision))
}

/// What is to be noted: how both revisions are started and stopped, and any whose stop may be under way.
/// That one's commands stay as they are, whatever status names: another stop by its name would be
/// another one.
pub(super) fn to_note(
    pass: &Pass<'_>,
    status: &BlueGreenReleaseStatus,
    open: &[NotedStop],
) -> BTreeMap<u64, RevisionCommands> {
    let revisions = [&status.blue, &status.green].into_iter().flatten();
    let named =
        revisions.filter_map(|revision| Some((revision.revision, of(pass, status, revision)?)));
    let about = |stop: &NotedStop| stop.process.split('/').next()?.parse::<u64>().ok();
    let stopping = open.iter().filter(|stop| !stop.targets.is_empty());
    let stopping: Vec<u64> = stopping.filter_map(about).collect();
    let noted = pass.release.commands.iter();
    let kept = noted.filter(|(number, _)| stopping.contains(number));
    named
        .chain(kept.map(|(number, commands)| (*number, commands.clone())))
        .collect()
}

/// Whether the end of a target may end more than the process on its port: an instance that is
/// terminated, or a unit that is the only one on its host.
pub(super) fn ends_the_host(
    pass: &Pass<'_>,
    status: &BlueGreenReleaseStatus,
    target: &TargetStatus,
) -> bool {
    let commands = revision_of(status, target).and_then(|revision| of(pass, status, revision));
    commands.is_none_or(|commands| !commands.stop.names_the_port())
}

/// Why the commands of the spec cannot be used.
pub(super) fn unsuitable(hosts: &Hosts, manner: Manner) -> Option<Problem> {
    let length = as_the_spec_says(hosts, None).length();
    let message = if length > LONGEST {
        format!(
            "fleet.hosts.start and fleet.hosts.stop are {length} bytes long, and may be {LONGEST}; move the script into the document, and keep only its parameters here"
        )
    } else if manner == Manner::SideBySide && !hosts.stop.names_the_port() {
        "fleet.hosts has two ports, and fleet.hosts.stop does not name {{port}}, so it could stop the wrong one of two processes; write {{port}} into the unit's name, or into a parameter".to_owned()
    } else {
        return None;
    };
    Some(Problem {
        reason: Reason::CommandsUnsuitable,
        message,
    })
}
