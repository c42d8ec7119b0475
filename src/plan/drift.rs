//! Whether AWS shows what the record says: what others have changed.

use super::{
    conditions::Told,
    pass::Pass,
    planned::of_the_fleet,
    roles::serving,
    world::{World, id_of},
};
use bluegreen_api::{BlueGreenReleaseStatus, Color, Reason, TargetStatus};

/// The most differences that a message names.
const NAMED_MOST: usize = 5;

/// Whether AWS shows what the record says. `None` where the record says nothing yet.
pub(super) fn in_sync(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
) -> Option<Told> {
    if status.blue.is_none() && status.green.is_none() {
        return None;
    }
    let found = differences(pass, world, status);
    let more = found.len().saturating_sub(NAMED_MOST);
    let named: Vec<String> = found.into_iter().take(NAMED_MOST).collect();
    Some(if named.is_empty() {
        Told {
            holds: true,
            reason: Reason::InSync,
            message: "AWS shows what the record says".to_owned(),
        }
    } else {
        let more = match more {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        Told {
            holds: false,
            reason: Reason::Drifted,
            message: format!("{}{more}", named.join("; ")),
        }
    })
}

fn differences(pass: &Pass<'_>, world: &World<'_>, status: &BlueGreenReleaseStatus) -> Vec<String> {
    let mut found: Vec<String> = missing(world, status)
        .map(|(target, group)| format!("{} is not registered in {group}", id_of(target)))
        .collect();
    for group in &world.groups {
        let listed = group.targets.keys().filter(|id| group.registered(id));
        let ours = listed.filter(|id| world.instance(&id.id).is_some());
        let unrecorded = ours.filter(|id| {
            let mut records = status.targets.iter();
            !records.any(|target| id_of(target) == **id && target.steps.terminated.is_none())
        });
        found.extend(unrecorded.map(|id| {
            format!(
                "{id} is registered in {}, and is not a target of the release",
                group.name
            )
        }));
    }
    let living = status
        .targets
        .iter()
        .filter(|target| target.steps.terminated.is_none() && of_the_fleet(pass.spec(), target));
    for target in living {
        let Some(instance) = world.instance(&target.id) else {
            found.push(format!(
                "instance {} is not found by the selector",
                target.id
            ));
            continue;
        };
        if let (Some(tag), Some(version)) = (&instance.version, &target.version)
            && tag != version
        {
            found.push(format!(
                "the tag of instance {} says version {tag}, and it was recorded with {version}",
                target.id
            ));
        }
    }
    found
}

/// The live targets of a release at rest that some group does not have, and could have.
pub(super) fn missing<'a>(
    world: &'a World<'_>,
    status: &'a BlueGreenReleaseStatus,
) -> impl Iterator<Item = (&'a TargetStatus, &'a str)> {
    let at_rest = status.course.is_none();
    let live = status.targets.iter().filter(move |target| {
        at_rest && target.color == Color::Blue && serving(target) && world.runs(&target.id)
    });
    live.filter_map(|target| {
        let id = id_of(target);
        let mut groups = world.groups.iter();
        let group = groups.find(|group| !group.registered(&id))?;
        Some((target, group.name.as_str()))
    })
}
