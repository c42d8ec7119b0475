//! What a step makes of the object's metadata, as the API server would hold them.

use bluegreen_plan::{Release, Step};

/// Writes a step down, where it is about the object and not about AWS. Says whether it is.
pub(super) fn written(release: &mut Release, step: &Step) -> bool {
    match step {
        Step::Claim { revisions } => {
            release.finalizer = true;
            release.revisions.clone_from(revisions);
            true
        }
        Step::RemoveFinalizer => {
            release.finalizer = false;
            true
        }
        Step::Register { .. }
        | Step::Deregister { .. }
        | Step::Send(_)
        | Step::Terminate { .. } => false,
    }
}
