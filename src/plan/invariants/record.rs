//! What must hold of the record itself: S7, S9, S11 and L2.

use super::{Written, direction, id, same};
use crate::limits::TARGETS_MOST;
use bluegreen_api::Direction;

/// No release needs more kinds of conditions.
const CONDITIONS_MOST: usize = 12;
/// `spec.history` may not be set higher.
const HISTORY_MOST: usize = 50;

/// S7: fences grow with every intent and with every command to a host.
///
/// Needs the records before and after. A host refuses a command whose number is lower than one
/// that it has seen, so a command of an earlier controller that arrives late finds itself refused;
/// that works only while each later one has a higher number.
pub(super) fn s7_fences_grow(written: &Written<'_>) -> Option<String> {
    let (before, after) = (written.before, written.after);
    if after.fence < before.fence {
        return Some(format!(
            "the fence fell from {} to {}",
            before.fence, after.fence
        ));
    }
    let intended = after.intent.as_ref().filter(|intent| {
        let known = before.intent.as_ref();
        known.is_none_or(|known| known.id != intent.id)
    });
    if let Some(intent) = intended
        && (after.fence == before.fence || number(&intent.id) != Some(after.fence))
    {
        return Some(format!("{} does not carry a fence of its own", intent.id));
    }
    after.targets.iter().find_map(|target| {
        let sent = target.process.as_ref()?;
        let earlier = same(before, target)?.process.as_ref()?;
        let fell = number(&sent.operation) < number(&earlier.operation);
        fell.then(|| {
            format!(
                "{} is sent {} after {}",
                id(target),
                sent.operation,
                earlier.operation
            )
        })
    })
}

/// The number at the end of an operation id.
fn number(operation: &str) -> Option<u64> {
    operation.rsplit('-').next()?.parse().ok()
}

/// S9: a release that rolls back never goes forward again.
///
/// Needs the records before and after.
pub(super) fn s9_no_way_forward_after_back(written: &Written<'_>) -> Option<String> {
    let (before, after) = (written.before, written.after);
    let same = before.green.as_ref().map(|green| green.revision)
        == after.green.as_ref().map(|green| green.revision);
    let turned =
        direction(before) == Some(Direction::Back) && direction(after) == Some(Direction::Forward);
    (same && turned).then(|| "a release that rolled back went forward again".to_owned())
}

/// S11: status is bounded.
///
/// Needs the record.
pub(super) fn s11_bounded(written: &Written<'_>) -> Option<String> {
    let status = written.after;
    let too_much = status.targets.len() > TARGETS_MOST * 2
        || status.conditions.len() > CONDITIONS_MOST
        || status.history.len() > HISTORY_MOST;
    too_much.then(|| "status has more entries than it may have".to_owned())
}

/// L2: there is always a reason, in words.
///
/// Needs the conditions.
pub(super) fn l2_explained(written: &Written<'_>) -> Option<String> {
    let mut conditions = written.after.conditions.iter();
    let ready = conditions.find(|condition| condition.type_ == "Ready");
    ready
        .is_none_or(|condition| condition.message.is_empty())
        .then(|| "nothing says why the release is not ready".to_owned())
}
