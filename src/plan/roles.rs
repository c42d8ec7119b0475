//! Which targets a release keeps and which leave.
//!
//! Forward, green is kept and blue leaves; back, blue is kept and green leaves. Everything else
//! in the planner knows only of keeping and leaving, so that rolling back is the same code.

use bluegreen_api::{
    BlueGreenReleaseStatus, Color, Direction, Fleet, Revision, StepKind, TargetStatus,
};

/// What a target is to a release on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It should be live in the end.
    Keep,
    /// It should be gone in the end.
    Leave,
}

/// How a fleet brings a new target up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// One port on each host: the old process makes room first.
    InPlace,
    /// Two ports on each host: both processes live for a while.
    SideBySide,
    /// Others create the instances.
    Existing,
}

impl Manner {
    pub(super) fn of(fleet: &Fleet) -> Self {
        match &fleet.hosts {
            Some(hosts) if hosts.ports.len() == 1 => Self::InPlace,
            Some(_) => Self::SideBySide,
            None => Self::Existing,
        }
    }
}

/// Which color is kept; `None` where no release is on its way.
fn kept(status: &BlueGreenReleaseStatus) -> Option<Color> {
    let course = status.course.as_ref()?;
    Some(match course.direction {
        Direction::Forward => Color::Green,
        Direction::Back => Color::Blue,
    })
}

/// The role of a target; `None` where no release is on its way.
pub(super) fn role(status: &BlueGreenReleaseStatus, target: &TargetStatus) -> Option<Role> {
    kept(status).map(|color| {
        if target.color == color {
            Role::Keep
        } else {
            Role::Leave
        }
    })
}

/// The revision that is kept.
pub(super) fn kept_revision(status: &BlueGreenReleaseStatus) -> Option<&Revision> {
    match kept(status)? {
        Color::Green => status.green.as_ref(),
        Color::Blue => status.blue.as_ref(),
    }
}

/// The revision that a target belongs to.
pub(super) fn revision_of<'a>(
    status: &'a BlueGreenReleaseStatus,
    target: &TargetStatus,
) -> Option<&'a Revision> {
    match target.color {
        Color::Green => status.green.as_ref(),
        Color::Blue => status.blue.as_ref(),
    }
}

/// The targets with a role, without those whose end is recorded.
pub(super) fn living(
    status: &BlueGreenReleaseStatus,
    wanted: Role,
) -> impl Iterator<Item = &TargetStatus> {
    status
        .targets
        .iter()
        .filter(move |target| role(status, target) == Some(wanted))
        .filter(|target| target.steps.terminated.is_none())
}

/// Whether the end of a target's process was intended: from then on there is no way back for it,
/// unless the command is known to have done nothing.
pub(super) fn doomed(target: &TargetStatus) -> bool {
    let process = target.process.as_ref();
    process.is_some_and(|process| ends(process.step) && !process.undone)
}

/// Whether a process was to be stopped, and the command is known to have done nothing.
pub(super) fn spared(target: &TargetStatus) -> bool {
    let process = target.process.as_ref();
    process.is_some_and(|process| ends(process.step) && process.undone)
}

/// Whether an effect ends processes.
fn ends(step: StepKind) -> bool {
    match step {
        StepKind::Stop | StepKind::Terminate => true,
        StepKind::Start | StepKind::Register | StepKind::Deregister => false,
    }
}

/// Whether a target's process can serve: nobody needs to start it, or it was seen to have started.
pub(super) fn serving(target: &TargetStatus) -> bool {
    !doomed(target)
        && target.steps.terminated.is_none()
        && target
            .process
            .as_ref()
            .is_none_or(|process| process.running_at.is_some() || spared(target))
}
