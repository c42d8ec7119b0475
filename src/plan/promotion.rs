//! Whether the new version may take over: by itself, or when a person has said so.

use super::{
    pass::Pass,
    planned::{gone, manner},
    roles::{Manner, Role, living},
    serve,
    world::World,
};
use bluegreen_api::{BlueGreenReleaseStatus, Direction, PromotionMode};

/// Whether a person is to say that a release goes on, and has not said it.
pub(super) fn unsaid(pass: &Pass<'_>, status: &BlueGreenReleaseStatus) -> bool {
    let manual = match pass.spec().promotion.mode {
        PromotionMode::Manual => true,
        PromotionMode::Auto => false,
    };
    // In place there is no moment at which both versions wait.
    manual
        && manner(pass.spec()) != Manner::InPlace
        && status.course.as_ref().is_some_and(|course| {
            course.direction == Direction::Forward && course.promoted_at.is_none()
        })
}

/// Whether nothing old may be withdrawn or stopped yet. Whoever deletes a release that cannot turn
/// back has said enough.
pub(super) fn open(pass: &Pass<'_>, status: &BlueGreenReleaseStatus) -> bool {
    unsaid(pass, status) && !pass.release.deleting
}

/// Whether nothing but a promotion is missing: everything new is in service in this observation,
/// and something old is there to be withdrawn.
pub(super) fn awaited(pass: &Pass<'_>, world: &World<'_>, status: &BlueGreenReleaseStatus) -> bool {
    open(pass, status)
        && serve::all_in_service(pass, world, status)
        && living(status, Role::Leave).any(|target| !gone(pass.spec(), target))
}

/// The first old target is withdrawn, and nobody had to be asked: from here on it is too late to
/// ask anybody.
pub(super) fn by_itself(pass: &Pass<'_>, status: &mut BlueGreenReleaseStatus) {
    if unsaid(pass, status) {
        return;
    }
    if let Some(course) = &mut status.course
        && course.direction == Direction::Forward
    {
        course.promoted_at.get_or_insert(pass.now);
    }
}
