//! What somebody with the right to write status may write into it.
//!
//! A lie may put a release off, or turn it around. It must not make the controller stop a process
//! that has requests, or that may get some: that alone is asked of a state in which there was one.

use std::collections::BTreeSet;

use bluegreen_api::{
    BlueGreenReleaseStatus, Color, Deregistered, Direction, DrainProof, Drained, Duration,
    GroupDrain, Healthy, Process, Registered, StepKind, Steps, StopHow, TargetStatus, Terminated,
    Unproven,
};

use super::{
    canon::LONG_AGO,
    scenario::{Scenario, group},
};

/// A port that no fleet of the model has.
const NO_PORT: u16 = 9999;

/// A lie about a target, or about the release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Lie {
    /// It was deregistered, and its drain proven, long ago; there was no delay and no settle.
    Drained(usize),
    /// The same, and its stop was intended then.
    Doomed(usize),
    /// The same, but the proof was given up.
    Unproven(usize),
    /// It was withdrawn long ago, and the proof is about to be found.
    Withdrawn(usize),
    /// It was never registered anywhere.
    NeverRegistered(usize),
    /// It has ended.
    Terminated(usize),
    /// It is of the other color, in service, and long so.
    Other(usize),
    /// What is known of it is true of another port of its instance, which the fleet does not have
    /// and no group lists: that one leaves, and was drained long ago.
    Ghost(usize),
    /// It is on its way back into service, and nobody has ever meant to stop it.
    Spared(usize),
    /// The release goes the other way.
    Turned,
    /// There is no release on its way.
    Ended,
}

/// Everything that can be lied about now.
pub(super) fn all(status: &BlueGreenReleaseStatus) -> Vec<Lie> {
    let targets = 0..status.targets.len();
    let about = targets.flat_map(|index| {
        [
            Lie::Drained(index),
            Lie::Doomed(index),
            Lie::Unproven(index),
            Lie::Withdrawn(index),
            Lie::NeverRegistered(index),
            Lie::Terminated(index),
            Lie::Other(index),
            Lie::Ghost(index),
            Lie::Spared(index),
        ]
    });
    let whole = status.course.is_some().then_some([Lie::Turned, Lie::Ended]);
    about.chain(whole.into_iter().flatten()).collect()
}

/// Whether the API server takes a status: it has one record for each revision, instance and port.
pub(super) fn accepted(status: &BlueGreenReleaseStatus) -> bool {
    let key = |target: &TargetStatus| (target.revision, target.id.clone(), target.port);
    let keys: BTreeSet<_> = status.targets.iter().map(key).collect();
    keys.len() == status.targets.len()
}

/// Writes it.
pub(super) fn write(scenario: &Scenario, status: &mut BlueGreenReleaseStatus, lie: Lie) {
    match lie {
        Lie::Drained(index) => drained(scenario, &mut status.targets[index]),
        Lie::Doomed(index) => {
            let operation = format!("bg-u-r-stop-{}", status.fence + 1);
            status.fence += 1;
            let target = &mut status.targets[index];
            drained(scenario, target);
            target.process = Some(Process {
                operation,
                step: StepKind::Stop,
                requested_at: LONG_AGO,
                sent_at: LONG_AGO,
                running_at: None,
            });
        }
        Lie::Unproven(index) => {
            let target = &mut status.targets[index];
            drained(scenario, target);
            target.steps.drained = None;
            target.steps.unproven = Some(Unproven {
                at: LONG_AGO,
                because: String::new(),
            });
        }
        Lie::Withdrawn(index) => {
            let target = &mut status.targets[index];
            drained(scenario, target);
            target.steps.drained = None;
        }
        Lie::NeverRegistered(index) => {
            let target = &mut status.targets[index];
            target.registrations.clear();
            target.steps.registered = None;
            target.drain.clear();
        }
        Lie::Terminated(index) => {
            status.targets[index].steps.terminated = Some(Terminated {
                at: LONG_AGO,
                how: StopHow::Graceful,
                took: None,
                exit: None,
            });
        }
        Lie::Other(index) => other(status, index),
        Lie::Ghost(index) => {
            let mut ghost = status.targets[index].clone();
            ghost.port = NO_PORT;
            ghost.process = None;
            ghost.steps.terminated = None;
            drained(scenario, &mut ghost);
            let course = status.course.as_ref().map(|course| course.direction);
            let leaving = match course {
                Some(Direction::Back) => &status.green,
                Some(Direction::Forward) | None => &status.blue,
            };
            if let Some(revision) = leaving {
                ghost.revision = revision.revision;
                ghost.version.clone_from(&revision.version);
                ghost.color = match course {
                    Some(Direction::Back) => Color::Green,
                    Some(Direction::Forward) | None => Color::Blue,
                };
            }
            status.targets.push(ghost);
        }
        Lie::Spared(index) => {
            let target = &mut status.targets[index];
            target.process = None;
            target.drain.clear();
            target.registrations.clear();
            target.steps = Steps::default();
            if let Some(course) = &mut status.course {
                course.direction = match target.color {
                    Color::Blue => Direction::Back,
                    Color::Green => Direction::Forward,
                };
            }
        }
        Lie::Turned => {
            if let Some(course) = &mut status.course {
                course.direction = match course.direction {
                    Direction::Forward => Direction::Back,
                    Direction::Back => Direction::Forward,
                };
            }
        }
        Lie::Ended => status.course = None,
    }
}

fn drained(scenario: &Scenario, target: &mut TargetStatus) {
    let groups: Vec<String> = (0..scenario.groups).map(group).collect();
    let drain = groups.iter().map(|group| GroupDrain {
        group: group.clone(),
        requested_at: Some(LONG_AGO),
        delay: Duration::ZERO,
        settle: Duration::ZERO,
        draining_seen_at: Some(LONG_AGO),
        gone_seen_at: Some(LONG_AGO),
    });
    target.drain = drain.collect();
    target.steps.deregistered = Some(Deregistered {
        at: LONG_AGO,
        groups,
    });
    target.steps.drained = Some(Drained {
        at: LONG_AGO,
        proof: DrainProof::InFlightZero,
        since: LONG_AGO,
        delay: Duration::ZERO,
        settle: Duration::ZERO,
        in_flight: Some(0),
        served: Some(0),
    });
}

fn other(status: &mut BlueGreenReleaseStatus, index: usize) {
    let of = |revision: &Option<bluegreen_api::Revision>| {
        let revision = revision.as_ref();
        revision.map(|revision| (revision.revision, revision.version.clone()))
    };
    let (color, revision) = match status.targets[index].color {
        Color::Blue => (Color::Green, of(&status.green)),
        Color::Green => (Color::Blue, of(&status.blue)),
    };
    let Some((revision, version)) = revision else {
        return;
    };
    let target = &mut status.targets[index];
    target.color = color;
    target.revision = revision;
    target.version = version;
    target.drain.clear();
    target.steps.registered = Some(Registered { at: LONG_AGO });
    target.steps.healthy = Some(Healthy {
        at: LONG_AGO,
        consecutive: 20,
    });
}
