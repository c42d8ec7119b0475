//! The outline of a decision.

use super::{
    Decision, Needs, Observation, Release, Step, conditions, converge, course, drain, explain,
    failures, host, invariants,
    limits::{DESCRIPTIONS_UNDER_WAY, FLEET_UNDER_WAY, OLD_AT_REST, OLD_MEANWHILE, SENT_JUST_NOW},
    owners,
    pass::Pass,
    planned::of_the_fleet,
    ports,
    preflight::{self, Preflight, Problem},
    promotion, record, requests, revisions,
    roles::doomed,
    waits,
    world::{World, id_of},
};
use bluegreen_api::{
    BlueGreenReleaseSpec, BlueGreenReleaseStatus, Phase, StepKind, TargetStatus, Time,
};

/// Decides what to write, what to do and when to look again.
///
/// The status that comes back holds everything that was seen, and the intent of the step, which
/// must be written before the step is executed. A reading that failed leaves the record as it was
/// and yields no step, neither forward nor back, but that an object which is deleted may go when
/// nothing is on its way.
#[must_use]
pub fn decide(
    release: &Release,
    before: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let decision = decide_unchecked(release, before, observation, now);
    debug_assert_eq!(
        invariants::broken(release, before, observation, &decision),
        None
    );
    decision
}

/// Decides as [`decide`] does, without the debug assertions: for statuses that no controller has
/// written, as tests make them.
#[must_use]
pub fn decide_unchecked(
    release: &Release,
    before: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let pass = Pass {
        release,
        observation,
        now,
    };
    let mut status = before.clone();
    status.observed_generation = Some(release.generation);
    let world = match World::of(observation) {
        Ok(world) => world,
        Err(failure) => {
            course::lose_sight(&pass, &mut status);
            let (step, look_at) = if may_let_go_unseen(&pass, &status) {
                at_rest(&pass, None, &mut status, Preflight::Ready)
            } else {
                (None, explain::unreadable(&pass, &mut status, failure))
            };
            return Decision {
                status,
                step,
                look_at,
            };
        }
    };

    let (step, look_at) = match owners::claimed(&pass, &world, &status) {
        Some(problem) => anothers(&pass, &world, &mut status, problem),
        None => its_own(&pass, &world, &mut status),
    };
    conditions::write(&pass, &world, &mut status);
    Decision {
        status,
        step,
        look_at,
    }
}

fn its_own(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &mut BlueGreenReleaseStatus,
) -> (Option<Step>, Time) {
    course::regain_sight(pass, status);
    record::record(pass, world, status);
    requests::answer(pass, world, status);
    let preflight = course::choose(pass, world, status);
    if status.course.is_some() {
        on_its_way(pass, world, status)
    } else {
        at_rest(pass, Some(world), status, preflight)
    }
}

/// Another release has the same targets and comes first: this one changes nothing, and may go. But
/// it puts back what it has withdrawn itself, and what lives where no target serves.
fn anothers(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &mut BlueGreenReleaseStatus,
    problem: Problem,
) -> (Option<Step>, Time) {
    // What it has not changed yet is not its to record.
    if status.blue.is_some() || status.green.is_some() {
        record::record(pass, world, status);
    }
    let mending = mending(pass, world, status);
    if mending.is_none() {
        course::stand_back(pass, status, &problem.message);
    }
    let let_go = pass.release.deleting && pass.release.finalizer;
    let step = mending.or_else(|| let_go.then_some(Step::RemoveFinalizer));
    let look_at = explain::anothers(pass, status, problem, step.is_some());
    (step, look_at)
}

/// The step of a release in progress that only puts back what it has withdrawn, if there is one.
fn mending(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &mut BlueGreenReleaseStatus,
) -> Option<Step> {
    status.course.as_ref()?;
    for converge in [converge::finish, converge::next] {
        let mut mended = status.clone();
        let step = converge(pass, world, &mut mended);
        if let Some(step) = step.filter(|step| owners::mends(pass, world, status, step)) {
            *status = mended;
            return Some(step);
        }
    }
    None
}

fn on_its_way(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &mut BlueGreenReleaseStatus,
) -> (Option<Step>, Time) {
    let impossible = preflight::groups(world);
    let held = status.course.as_ref().is_some_and(|c| c.hold.is_some());
    let step = if impossible.is_some() {
        None
    } else if held || course::paused(pass, status) {
        converge::finish(pass, world, status)
    } else {
        converge::next(pass, world, status)
    };
    let mut problems: Vec<Problem> = [
        impossible,
        preflight::refused_effect(pass),
        preflight::on_the_way(pass, world, status),
        failures::on_the_way_back(pass, world, status),
    ]
    .into_iter()
    .flatten()
    .collect();
    // What needs a person comes first.
    problems.sort_by_key(|problem| !problem.reason.stalls());
    let problem = problems.into_iter().next();
    let waits = waits::waits(pass, world, status);
    let awaited = promotion::awaited(pass, world, status);
    let look_at = explain::on_its_way(pass, status, &waits, awaited, step.is_some(), problem);
    (step, look_at)
}

/// Whether the object may go although AWS cannot be read: nothing is on its way, and no stop that
/// was intended is open. Nothing that a reading could show would change that, and what is read may
/// be gone for good.
fn may_let_go_unseen(pass: &Pass<'_>, status: &BlueGreenReleaseStatus) -> bool {
    let open = |target: &TargetStatus| doomed(target) && target.steps.terminated.is_none();
    pass.release.deleting && status.course.is_none() && !status.targets.iter().any(open)
}

fn at_rest(
    pass: &Pass<'_>,
    world: Option<&World<'_>>,
    status: &mut BlueGreenReleaseStatus,
    preflight: Preflight,
) -> (Option<Step>, Time) {
    let look_at = explain::at_rest(pass, world, status, preflight);
    if pass.release.deleting {
        let let_go = pass.release.finalizer.then_some(Step::RemoveFinalizer);
        return (let_go, look_at);
    }
    let repair = world.and_then(|world| converge::repair(pass, world, status));
    let look_at = if repair.is_some() { pass.now } else { look_at };
    (repair, look_at)
}

/// What the next pass has to read, besides the fleet and the target groups.
#[must_use]
pub fn needs(spec: &BlueGreenReleaseSpec, status: &BlueGreenReleaseStatus, now: Time) -> Needs {
    let living = || {
        status
            .targets
            .iter()
            .filter(|target| target.steps.terminated.is_none())
            .filter(|target| of_the_fleet(spec, target))
    };
    let mut commands: Vec<(String, Time)> = living()
        .filter_map(|target| target.process.as_ref())
        // A clock that was set back is no reason not to ask.
        .filter(|process| now < process.sent_at || now >= process.sent_at + SENT_JUST_NOW)
        .filter(|process| match process.step {
            StepKind::Start => process.running_at.is_none(),
            StepKind::Stop => true,
            StepKind::Terminate | StepKind::Register | StepKind::Deregister => false,
        })
        .map(|process| (process.operation.clone(), process.requested_at))
        .collect();
    // Of two times for one operation the earlier finds more.
    commands.sort();
    commands.dedup_by(|later, earlier| later.0 == earlier.0);
    let probed = |target: &TargetStatus| {
        target.steps.drained.is_none()
            && !doomed(target)
            && drain::settled_at(target).is_some_and(|at| now >= at)
    };
    let probes = living()
        .filter(|target| spec.drain.in_flight.is_some() && probed(target))
        .map(id_of)
        .collect();
    let resting = status.course.is_none();
    let live = status.blue.as_ref().and_then(|blue| blue.version.as_ref());
    let failed = status.failed_generation.is_some()
        && status.failed_generation == status.observed_generation;
    let begins = resting && live != Some(&spec.version) && !failed;
    let hosts = spec.fleet.hosts.is_some();
    let at_rest = (resting && !begins).then_some(OLD_AT_REST);
    // A person who mends what holds a release up waits for the next look.
    let under_way = !resting && status.phase != Phase::Stalled;
    // What is stopped must be the release's own at that moment.
    let stops = living().any(|target| drain::may_be_over(spec, target, now));
    Needs {
        commands,
        probes,
        ports: ports::asked(spec, status),
        groups_may_be_old: waits::not_for_groups(spec, status, now).then_some(OLD_MEANWHILE),
        agents: begins && hosts,
        documents: if begins {
            host::documents(spec)
        } else {
            Vec::new()
        },
        fleet_may_be_old: at_rest.or((under_way && !stops).then_some(FLEET_UNDER_WAY)),
        descriptions_may_be_old: at_rest.or(under_way.then_some(DESCRIPTIONS_UNDER_WAY)),
        revisions: revisions::needed(spec, status),
    }
}
