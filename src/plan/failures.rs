//! Why a release fails on its way forward, and why the version before is not back yet.

use super::{
    CommandState, Failure, FailureKind, Invocation, Reading,
    converge::STOP_RESERVE,
    course::{self, health_deadline},
    observation::{EXIT_NO_UNIT, EXIT_STILL_LISTENING},
    pass::Pass,
    planned::{all_arrived, manner},
    preflight::Problem,
    record::refused,
    revisions,
    roles::{Manner, Role, doomed, living, serving, spared},
    serve,
    world::World,
};
use bluegreen_api::{
    BlueGreenReleaseStatus, Direction, Process, Reason, StepKind, TargetStatus, Time,
};

/// Why the version before is not back yet, where more than time is missing.
pub(super) fn on_the_way_back(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
) -> Option<Problem> {
    let course = status.course.as_ref()?;
    if course.direction != Direction::Back {
        return None;
    }
    let step_deadline = pass.spec().rollout.step_deadline;
    let late = || {
        let cause = course::cause(pass, world, status);
        (pass.now > course.progress_at + step_deadline)
            .then(|| format!("no step was completed within {step_deadline}{cause}"))
    };
    let message = start_failed(pass, status)
        .or_else(|| never_healthy(pass, world, status))
        .or_else(late)?;
    Some(Problem {
        reason: Reason::RollbackFailed,
        message: format!("the old version is not back: {message}; the controller retries"),
    })
}

/// A start command ran and failed, or Systems Manager refused it for good.
pub(super) fn start_failed(pass: &Pass<'_>, status: &BlueGreenReleaseStatus) -> Option<String> {
    let retried_at = status.course.as_ref().and_then(|course| course.retried_at);
    living(status, Role::Keep).find_map(|target| {
        let process = target.process.as_ref()?;
        if process.step != StepKind::Start || process.running_at.is_some() {
            return None;
        }
        // The user asked for a retry since: it is sent anew.
        if retried_at.is_some_and(|at| process.sent_at < at) {
            return None;
        }
        if let Some(failure) = refused_for_good(pass, process) {
            return Some(format!(
                "the start command for {} port {} was refused: {}",
                target.id, target.port, failure.message
            ));
        }
        let Some(Reading::Known(CommandState::Sent(sent))) =
            pass.observation.commands.get(&process.operation)
        else {
            return None;
        };
        match sent.get(&target.id)? {
            // The command is sent again with a new fence.
            refused if refused.was_refused() => None,
            Invocation::Failed { code, output, .. } => Some(format!(
                "the start command on {} for port {} ended with exit code {code}: {output}",
                target.id, target.port
            )),
            Invocation::Running
            | Invocation::Succeeded { .. }
            | Invocation::NotDelivered { .. } => None,
        }
    })
}

/// A process in the way of a new one could not be told to stop within its bound.
pub(super) fn stop_undelivered(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
) -> Option<String> {
    // With everything new in service there is nothing to go back for.
    if all_arrived(pass.spec(), world, status) {
        return None;
    }
    let mut leaving = living(status, Role::Leave);
    leaving.find_map(|target| unstoppable(pass, status, target))
}

/// Whether a command was sent before this release began, or before the user asked for a retry: what
/// became of it is no failure of this try.
pub(super) fn of_an_earlier_try(status: &BlueGreenReleaseStatus, process: &Process) -> bool {
    let began = status.green.as_ref().map(|green| green.started_at);
    let retried_at = status.course.as_ref().and_then(|course| course.retried_at);
    began.max(retried_at).is_some_and(|at| process.sent_at < at)
}

/// Why a process cannot be stopped: the command did nothing, again and again, or for good.
pub(super) fn unstoppable(
    pass: &Pass<'_>,
    status: &BlueGreenReleaseStatus,
    target: &TargetStatus,
) -> Option<String> {
    let process = target.process.as_ref().filter(|_| spared(target))?;
    if of_an_earlier_try(status, process) {
        return None;
    }
    let (cause, for_good) = cause_of(pass, target, process);
    // The first command was the one of the snapshot. The spec has another, which is sent next.
    let corrected =
        process.sent_at == process.requested_at && revisions::give_way(pass, status, target);
    let bound = stop_bound(pass, process);
    ((for_good && !corrected) || pass.now > bound).then(|| {
        format!(
            "the process on {} port {} was not stopped: {cause}",
            target.id, target.port
        )
    })
}

/// Why AWS refuses a command however often it is sent. A permission can be given meanwhile.
fn refused_for_good<'a>(pass: &Pass<'a>, process: &Process) -> Option<&'a Failure> {
    let failure = refused(pass, &process.operation)?;
    (failure.kind != FailureKind::Denied).then_some(failure)
}

/// When a stop must have come to its end.
pub(super) fn stop_bound(pass: &Pass<'_>, process: &Process) -> Time {
    process.requested_at + pass.spec().stop.grace_period + STOP_RESERVE
}

/// Why a stop did nothing, and whether sending it again as it is cannot help.
fn cause_of(pass: &Pass<'_>, target: &TargetStatus, process: &Process) -> (String, bool) {
    if let Some(failure) = refused(pass, &process.operation) {
        let for_good = refused_for_good(pass, process).is_some();
        return (failure.message.clone(), for_good);
    }
    let Some(Reading::Known(CommandState::Sent(sent))) =
        pass.observation.commands.get(&process.operation)
    else {
        return ("Systems Manager knows no such command".to_owned(), false);
    };
    match sent.get(&target.id) {
        Some(Invocation::NotDelivered { status }) => (
            format!(
                "the command was not delivered ({status}); check the SSM agent of the instance"
            ),
            false,
        ),
        Some(refused @ Invocation::Failed { code, output, .. }) => (
            format!(
                "the stop command ended with exit code {code}: {output}{}",
                remedy(pass, target, *code)
            ),
            !refused.was_refused(),
        ),
        Some(Invocation::Running | Invocation::Succeeded { .. }) | None => {
            ("the command has no result".to_owned(), false)
        }
    }
}

/// What the user can do where a stop document says that the unit is not the one to stop.
fn remedy(pass: &Pass<'_>, target: &TargetStatus, code: i32) -> String {
    let hosts = pass.spec().fleet.hosts.as_ref();
    let Some((hosts, unit)) = hosts.and_then(|hosts| Some((hosts, hosts.stop.unit.as_ref()?)))
    else {
        return String::new();
    };
    let port = hosts.application_port(target.port);
    let found = match code {
        EXIT_NO_UNIT => format!("find the unit of the application on port {port} of that host"),
        EXIT_STILL_LISTENING => {
            format!("find what listens on port {port} of that host (ss -ltnp) and its unit")
        }
        _ => return String::new(),
    };
    format!("; {found}, and write it into fleet.hosts.stop.unit, which is {unit} now")
}

/// A target did not become healthy in time, or was healthy and has not been for as long.
pub(super) fn never_healthy(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
) -> Option<String> {
    let timeout = pass.spec().health.timeout;
    let mut kept = living(status, Role::Keep).filter(|target| serving(target));
    kept.find_map(|target| {
        let reason = world.reason(target);
        let reason = reason.map_or_else(String::new, |reason| format!("; {reason}"));
        let (id, port) = (&target.id, target.port);
        match (&target.steps.healthy, target.unhealthy_since) {
            (None, _) => {
                let late = health_deadline(status, target, timeout).is_some_and(|at| pass.now > at);
                late.then(|| {
                    format!(
                        "health.timeout ({timeout}) exceeded: target {id}:{port} is not healthy{reason}"
                    )
                })
            }
            (Some(_), Some(since)) if pass.now > since + timeout && target.drain.is_empty() => {
                Some(format!(
                    "target {id}:{port} was healthy, and is not since {since}{reason}"
                ))
            }
            (Some(_), _) => None,
        }
    })
}

/// Old targets are withdrawn and live, and the new ones do not carry the traffic: the old ones are
/// better put back now.
pub(super) fn lost_health(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
) -> Option<String> {
    let retried_at = status.course.as_ref().and_then(|course| course.retried_at);
    if retried_at.is_some_and(|at| pass.now < at + pass.spec().health.timeout) {
        return None;
    }
    let kept: Vec<&TargetStatus> = living(status, Role::Keep).collect();
    let lost = kept
        .iter()
        .find(|target| target.unhealthy_since.is_some())?;
    let healthy = kept.iter().filter(|target| world.healthy(target)).count();
    let mut withdrawn =
        living(status, Role::Leave).filter(|target| !doomed(target) && !target.drain.is_empty());
    let too_few = match manner(pass.spec()) {
        Manner::InPlace => {
            withdrawn.any(|target| !serve::others_suffice(pass, world, status, target))
        }
        Manner::SideBySide | Manner::Existing => {
            let most_out = pass.spec().rollout.max_unavailable.of(kept.len());
            let floor = kept.len().saturating_sub(most_out).max(1);
            withdrawn.next().is_some() && healthy < floor
        }
    };
    let reason = world.reason(lost);
    let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
    too_few.then(|| {
        format!(
            "{healthy} of {} new targets are healthy after old ones were withdrawn: target {}:{} is not any more{reason}",
            kept.len(),
            lost.id,
            lost.port
        )
    })
}
