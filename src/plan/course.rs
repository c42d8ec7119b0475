//! Which way a release goes: when it begins, turns back, is held, and ends.
//!
//! The rule for a spec that changes while a release is on its way: where nothing old has been
//! stopped yet, the release turns back first; where something has, and nothing has failed, it is
//! finished first. Then the new version is a release of its own.

use super::{
    failures,
    limits::BLIND,
    pass::Pass,
    planned::{all_arrived, arrived, gone, planned},
    preflight::{self, Preflight},
    promotion,
    roles::{Role, doomed, living},
    serve,
    world::World,
};
use bluegreen_api::{
    BlueGreenReleaseStatus, Color, Course, Direction, Duration, FailurePolicy, HistoryEntry, Hold,
    Outcome, Revision, TargetStatus, Time,
};

/// Chooses the course. What is returned says why nothing was begun, where nothing was.
pub(super) fn choose(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &mut BlueGreenReleaseStatus,
) -> Preflight {
    let Some(course) = &mut status.course else {
        return consider_beginning(pass, world, status);
    };
    let let_go = course
        .hold
        .as_ref()
        .is_some_and(|hold| pass.release.deleting || hold.generation != pass.release.generation);
    if let_go {
        try_again(pass, course);
    }
    let direction = course.direction;
    leave_time_to_people(pass, world, status);
    match direction {
        Direction::Forward => go_forward(pass, world, status),
        Direction::Back => go_back(pass, world, status),
    }
    Preflight::Ready
}

/// Whether no new step is begun, because the spec or a request says so.
pub(super) fn paused(pass: &Pass<'_>, status: &BlueGreenReleaseStatus) -> bool {
    let by_request = status
        .course
        .as_ref()
        .is_some_and(|course| course.paused_at.is_some());
    (pass.spec().paused || by_request) && !pass.release.deleting
}

/// Ends a hold, and gives everything its time anew.
pub(super) fn try_again(pass: &Pass<'_>, course: &mut Course) {
    course.hold = None;
    course.progress_at = pass.now;
    course.retried_at = Some(pass.now);
    course.idle = Duration::ZERO;
}

/// The time that a person takes is not the release's: no deadline counts it.
fn leave_time_to_people(pass: &Pass<'_>, world: &World<'_>, status: &mut BlueGreenReleaseStatus) {
    let paused = paused(pass, status);
    let idle = paused || promotion::awaited(pass, world, status);
    let Some(course) = &mut status.course else {
        return;
    };
    if paused {
        course.progress_at = pass.now;
    }
    if idle {
        course.idle_since.get_or_insert(pass.now);
    } else if let Some(since) = course.idle_since.take() {
        course.idle = course.idle + pass.now.since(since);
        course.progress_at = pass.now;
    }
}

/// AWS cannot be read.
pub(super) fn lose_sight(pass: &Pass<'_>, status: &mut BlueGreenReleaseStatus) {
    match &mut status.course {
        Some(course) => course.blind_since.get_or_insert(pass.now),
        None => status.unreadable_since.get_or_insert(pass.now),
    };
}

/// Another release comes first. The time until this one may go on is not its own; one that is
/// deleted does not wait for it.
pub(super) fn stand_back(pass: &Pass<'_>, status: &mut BlueGreenReleaseStatus, because: &str) {
    status.unreadable_since = None;
    if status.course.is_some() && pass.release.deleting {
        end(pass, status, Outcome::Aborted, Some(because.to_owned()));
    }
    if let Some(course) = &mut status.course {
        course.blind_since.get_or_insert(pass.now);
        course.idle_since.get_or_insert(pass.now);
    }
}

/// AWS was read. What nobody could see for long is given its time anew.
pub(super) fn regain_sight(pass: &Pass<'_>, status: &mut BlueGreenReleaseStatus) {
    status.unreadable_since = None;
    let Some(course) = &mut status.course else {
        return;
    };
    let Some(blind_since) = course.blind_since.take() else {
        return;
    };
    if pass.now.since(blind_since) >= BLIND {
        course.sight_since = Some(pass.now);
        course.progress_at = pass.now;
    }
}

/// Begins a release where the spec asks for one.
fn consider_beginning(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &mut BlueGreenReleaseStatus,
) -> Preflight {
    let wanted = Some(&pass.spec().version);
    let live = status.blue.as_ref().and_then(|blue| blue.version.as_ref());
    let failed = status.failed_generation == Some(pass.release.generation);
    if pass.release.deleting || live == wanted || failed {
        return Preflight::Ready;
    }
    let preflight = preflight::check(pass, world, status);
    if preflight == Preflight::Ready && !pass.spec().paused {
        begin(pass, status);
    }
    preflight
}

fn begin(pass: &Pass<'_>, status: &mut BlueGreenReleaseStatus) {
    let spec = pass.spec();
    let blue = status.blue.as_ref().map(|blue| blue.revision);
    status.targets.retain(|target| {
        Some(target.revision) == blue
            && target.color == Color::Blue
            && target.steps.terminated.is_none()
    });
    // A status that was emptied counts from the beginning, and a number is given once.
    let kept = pass.release.revisions.keys().max().copied();
    status.revision = status.revision.max(kept.unwrap_or(0)) + 1;
    let green = Revision {
        revision: status.revision,
        version: Some(spec.version.clone()),
        started_at: pass.now,
    };
    let replicas = spec.fleet.existing.as_ref().map(|existing| {
        let wanted = preflight::replicas(existing, &spec.version, status);
        u32::try_from(wanted).unwrap_or(u32::MAX)
    });
    // Where others create the instances, some of the new version may be registered already.
    for target in &mut status.targets {
        if spec.fleet.existing.is_some() && target.version == green.version {
            target.revision = green.revision;
            target.color = Color::Green;
            target.steps.healthy = None;
        }
    }
    status.green = Some(green);
    status.failed_generation = None;
    status.course = Some(Course {
        replicas,
        ..towards(Direction::Forward, pass)
    });
}

/// A course that begins now.
fn towards(direction: Direction, pass: &Pass<'_>) -> Course {
    Course {
        direction,
        since: pass.now,
        generation: pass.release.generation,
        progress_at: pass.now,
        outcome: None,
        because: None,
        paused_at: None,
        replicas: None,
        promoted_at: None,
        retried_at: None,
        idle_since: None,
        idle: Duration::ZERO,
        hold: None,
        blind_since: None,
        sight_since: None,
    }
}

fn go_forward(pass: &Pass<'_>, world: &World<'_>, status: &mut BlueGreenReleaseStatus) {
    if complete(pass, world, status) {
        end(pass, status, Outcome::Promoted, None);
        return;
    }
    if let Some((outcome, because)) = recalled(pass, status) {
        if status.blue.is_none() {
            // There is nothing to go back to: what is there is what the next release replaces.
            end(pass, status, outcome, Some(because));
        } else if can_go_back(pass, status) {
            turn_back(pass, status, outcome, because);
        }
        return;
    }
    if let Some(because) = failed(pass, world, status) {
        let back = pass.spec().on_failure == FailurePolicy::Rollback && can_go_back(pass, status);
        if back {
            turn_back(pass, status, Outcome::RolledBack, because);
        } else {
            hold(pass, status, because);
        }
    }
}

fn go_back(pass: &Pass<'_>, world: &World<'_>, status: &mut BlueGreenReleaseStatus) {
    if !complete(pass, world, status) {
        return;
    }
    let course = status.course.as_ref();
    let outcome = course
        .and_then(|course| course.outcome)
        .unwrap_or(Outcome::RolledBack);
    let because = course.and_then(|course| course.because.clone());
    let green = status
        .green
        .as_ref()
        .and_then(|green| green.version.as_ref());
    let again = match outcome {
        Outcome::RolledBack => true,
        // The spec still asks for what a person has asked to abort.
        Outcome::Aborted => green == Some(&pass.spec().version),
        Outcome::Promoted | Outcome::Superseded => false,
    };
    if again {
        status.failed_generation = course.map(|course| course.generation);
    }
    end(pass, status, outcome, because);
}

/// Whether a person has asked for something else than what is coming in.
fn recalled(pass: &Pass<'_>, status: &BlueGreenReleaseStatus) -> Option<(Outcome, String)> {
    let wanted = Some(&pass.spec().version);
    let green = status.green.as_ref()?.version.as_ref();
    let blue = status.blue.as_ref().and_then(|blue| blue.version.as_ref());
    let committed = status
        .targets
        .iter()
        .any(|target| target.color == Color::Blue && doomed(target));
    let held = status.course.as_ref().is_some_and(|c| c.hold.is_some());
    if pass.release.deleting {
        let arrived_all = living(status, Role::Keep).all(arrived);
        let any = living(status, Role::Keep).next().is_some();
        let in_service = any && arrived_all && !promotion::unsaid(pass, status);
        let finish = committed || in_service;
        return (!finish).then(|| (Outcome::Aborted, "the release is being deleted".to_owned()));
    }
    if wanted == green {
        return None;
    }
    if wanted == blue {
        let because = "spec.version was set back to the version that is live".to_owned();
        return Some((Outcome::Aborted, because));
    }
    let because = format!("spec.version was changed to {}", pass.spec().version);
    (!committed || held).then_some((Outcome::Superseded, because))
}

/// Whether the version before can be put back: everything of it still runs, or is known well
/// enough to be started again.
pub(super) fn can_go_back(pass: &Pass<'_>, status: &BlueGreenReleaseStatus) -> bool {
    let Some(blue) = &status.blue else {
        return false;
    };
    let startable = pass.spec().fleet.hosts.is_some() && blue.version.is_some();
    startable
        || status
            .targets
            .iter()
            .filter(|target| target.color == Color::Blue)
            .all(|target| !doomed(target) && target.steps.terminated.is_none())
}

pub(super) fn turn_back(
    pass: &Pass<'_>,
    status: &mut BlueGreenReleaseStatus,
    outcome: Outcome,
    because: String,
) {
    // A pause by request is about the release, whichever way it goes.
    let paused_at = status.course.as_ref().and_then(|course| course.paused_at);
    status.course = Some(Course {
        outcome: Some(outcome),
        because: Some(because),
        paused_at,
        idle_since: paused_at.map(|_| pass.now),
        ..towards(Direction::Back, pass)
    });
}

fn hold(pass: &Pass<'_>, status: &mut BlueGreenReleaseStatus, because: String) {
    if let Some(course) = &mut status.course {
        course.hold.get_or_insert(Hold {
            since: pass.now,
            generation: pass.release.generation,
            because,
        });
    }
}

/// Whether everything that is kept is in service in this observation, and everything else is gone.
fn complete(pass: &Pass<'_>, world: &World<'_>, status: &BlueGreenReleaseStatus) -> bool {
    let nothing_to_keep = !forward(status) && planned(pass.spec(), world, status).is_empty();
    (nothing_to_keep || serve::all_in_service(pass, world, status))
        && living(status, Role::Leave).all(|target| gone(pass.spec(), target))
}

fn forward(status: &BlueGreenReleaseStatus) -> bool {
    status
        .course
        .as_ref()
        .is_some_and(|course| course.direction == Direction::Forward)
}

fn end(
    pass: &Pass<'_>,
    status: &mut BlueGreenReleaseStatus,
    outcome: Outcome,
    reason: Option<String>,
) {
    let Some(green) = status.green.take() else {
        return;
    };
    status.course = None;
    status.history.insert(
        0,
        HistoryEntry {
            revision: green.revision,
            version: green.version.clone(),
            outcome,
            started_at: green.started_at,
            ended_at: pass.now,
            reason,
        },
    );
    status.history.truncate(pass.spec().history as usize);
    if outcome == Outcome::Promoted || status.blue.is_none() {
        for target in &mut status.targets {
            target.color = Color::Blue;
        }
        status.blue = Some(green);
    }
}

/// Why the release has failed, if it has.
fn failed(pass: &Pass<'_>, world: &World<'_>, status: &BlueGreenReleaseStatus) -> Option<String> {
    if status.course.as_ref()?.hold.is_some() || paused(pass, status) {
        return None;
    }
    failures::start_failed(pass, status)
        .or_else(|| failures::stop_undelivered(pass, world, status))
        .or_else(|| failures::never_healthy(pass, world, status))
        .or_else(|| failures::lost_health(pass, world, status))
        .or_else(|| too_late(pass, world, status))
}

/// When a release turns back at the latest if no step is completed; `None` where it will not.
pub(super) fn turns_back_at(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
) -> Option<Time> {
    let course = status.course.as_ref()?;
    let would = course.direction == Direction::Forward
        && pass.spec().on_failure == FailurePolicy::Rollback
        && can_go_back(pass, status)
        && !all_arrived(pass.spec(), world, status);
    let total = deadline(pass, status)?;
    would.then(|| total.min(course.progress_at + pass.spec().rollout.step_deadline))
}

/// When the whole release must be over.
fn deadline(pass: &Pass<'_>, status: &BlueGreenReleaseStatus) -> Option<Time> {
    let course = status.course.as_ref()?;
    let began = status.green.as_ref()?.started_at;
    let began = course.retried_at.map_or(began, |at| at.max(began));
    Some(began + pass.spec().rollout.deadline + course.idle)
}

/// When a target must have become healthy.
pub(super) fn health_deadline(
    status: &BlueGreenReleaseStatus,
    target: &TargetStatus,
    timeout: Duration,
) -> Option<Time> {
    let course = status.course.as_ref();
    let anew = course.and_then(|course| course.sight_since.max(course.retried_at));
    let started = target.process.as_ref().map(|process| process.requested_at);
    let requested = target.registrations.iter().filter_map(|r| r.requested_at);
    // A target that is put back has a process that was started long ago.
    let asked = requested.max().or(started);
    asked.map(|at| anew.map_or(at, |anew| anew.max(at)) + timeout)
}

fn too_late(pass: &Pass<'_>, world: &World<'_>, status: &BlueGreenReleaseStatus) -> Option<String> {
    // Once everything new is in service, what is left is to clear up the old: that is tried for
    // as long as it takes, since giving up the new version would mend nothing.
    if all_arrived(pass.spec(), world, status) {
        return None;
    }
    let course = status.course.as_ref()?;
    let rollout = &pass.spec().rollout;
    if pass.now > deadline(pass, status)? {
        return Some(format!(
            "rollout.deadline ({}) exceeded{}",
            rollout.deadline,
            cause(pass, world, status)
        ));
    }
    // A drain has a bound of its own, and a retained target waits because it was told to.
    let waiting = living(status, Role::Leave)
        .any(|t| !t.drain.is_empty() && !doomed(t) && !super::drain::overdue(t, pass.now));
    (!waiting && pass.now > course.progress_at + rollout.step_deadline).then(|| {
        format!(
            "rollout.stepDeadline ({}) exceeded: no step was completed{}",
            rollout.step_deadline,
            cause(pass, world, status)
        )
    })
}

/// What kept a release from going on, as far as that is known: it is to survive into the history.
pub(super) fn cause(pass: &Pass<'_>, world: &World<'_>, status: &BlueGreenReleaseStatus) -> String {
    preflight::refused_effect(pass)
        .or_else(|| preflight::stuck(pass, world, status))
        .map_or_else(String::new, |problem| format!(": {}", problem.message))
}
