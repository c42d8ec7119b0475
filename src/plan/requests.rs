//! What a person asks of a release, and what becomes of it.
//!
//! A request is answered once and for all, in status. What it changes is in the course of the
//! release; the rest of the planner knows of no requests.

use super::{
    course::{can_go_back, try_again, turn_back},
    failures,
    pass::Pass,
    planned::manner,
    roles::Manner,
    world::World,
};
use bluegreen_api::{
    BlueGreenReleaseStatus, Course, Direction, LastRequest, Outcome, PromotionMode,
    REQUEST_TEXT_MOST, Request, RequestOutcome, Verb,
};

/// Why a request is refused, and what would be right.
type Refusal = String;

/// Answers a request that was not answered yet.
pub(super) fn answer(pass: &Pass<'_>, world: &World<'_>, status: &mut BlueGreenReleaseStatus) {
    let Some(written) = pass.release.request.as_deref().map(str::trim) else {
        return;
    };
    let text = &written[..written.floor_char_boundary(REQUEST_TEXT_MOST)];
    // A sync may take the annotation off and put it on again: the words that were answered last
    // are the same request, not another one.
    let answered = status
        .last_request
        .as_ref()
        .is_some_and(|last| last.text == text);
    if text.is_empty() || answered {
        return;
    }
    let taken = if text.len() < written.len() {
        Err(format!(
            "a request has at most {REQUEST_TEXT_MOST} bytes, as in `promote 7`"
        ))
    } else {
        take(pass, world, status, text)
    };
    let (outcome, message) = match taken {
        Ok(message) => (RequestOutcome::Accepted, message),
        Err(message) => (RequestOutcome::Refused, message),
    };
    status.last_request = Some(LastRequest {
        text: text.to_owned(),
        at: pass.now,
        outcome,
        message,
    });
}

fn take(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &mut BlueGreenReleaseStatus,
    text: &str,
) -> Result<String, Refusal> {
    let Request { verb, revision } = text.parse::<Request>().map_err(|error| error.to_string())?;
    if pass.release.deleting {
        return Err("the release is being deleted".to_owned());
    }
    let last = status.revision;
    if revision < last {
        return Err(format!(
            "revision {revision} is over; the last one is {last}"
        ));
    }
    if revision > last {
        return Err(format!(
            "there is no revision {revision} yet; the last one is {last}"
        ));
    }
    match verb {
        Verb::Abort => abort(pass, status, text),
        Verb::Retry => retry(pass, world, status),
        Verb::Pause => pause(pass, status),
        Verb::Resume => resume(pass, status),
        Verb::Promote => promote(pass, status),
    }
}

/// The course of a release on its way.
fn on_its_way(status: &mut BlueGreenReleaseStatus) -> Result<&mut Course, Refusal> {
    let revision = status.revision;
    let ended = || format!("revision {revision} is not on its way any more");
    status.course.as_mut().ok_or_else(ended)
}

fn abort(
    pass: &Pass<'_>,
    status: &mut BlueGreenReleaseStatus,
    text: &str,
) -> Result<String, Refusal> {
    let revision = status.revision;
    match on_its_way(status)?.direction {
        Direction::Forward => {}
        Direction::Back => return Err(format!("revision {revision} is on its way back already")),
    }
    if status.blue.is_none() {
        return Err(format!(
            "nothing was live before revision {revision}, so nothing can be put back; set spec.version to another version"
        ));
    }
    if !can_go_back(pass, status) {
        return Err(format!(
            "something of the version before revision {revision} has ended and cannot be started again; set spec.version to another version"
        ));
    }
    // Whoever aborts wants to see it happen, not to wait for the end of an earlier pause.
    if let Some(course) = &mut status.course {
        course.paused_at = None;
    }
    turn_back(
        pass,
        status,
        Outcome::Aborted,
        format!("`{text}` was asked for"),
    );
    Ok(format!(
        "the version before is put back; revision {revision} is not tried again until the spec changes or somebody asks for `retry {revision}`{}",
        still_paused(pass)
    ))
}

fn retry(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &mut BlueGreenReleaseStatus,
) -> Result<String, Refusal> {
    let revision = status.revision;
    let trouble = failures::on_the_way_back(pass, world, status).is_some();
    let Some(course) = &mut status.course else {
        let live = status.blue.as_ref().and_then(|blue| blue.version.as_ref());
        let failed = status.failed_generation == Some(pass.release.generation)
            && live != Some(&pass.spec().version);
        if !failed {
            return Err(format!(
                "revision {revision} has not failed, or the spec was changed since"
            ));
        }
        status.failed_generation = None;
        return Ok(format!(
            "version {} is tried again, as revision {}{}",
            pass.spec().version,
            revision + 1,
            still_paused(pass)
        ));
    };
    match course.direction {
        Direction::Forward if course.hold.is_some() => {
            try_again(pass, course);
            Ok(format!(
                "revision {revision} goes on, and its deadlines count from now{}",
                still_paused(pass)
            ))
        }
        Direction::Forward => Err(format!(
            "revision {revision} is on its way and has not failed"
        )),
        Direction::Back if trouble => {
            try_again(pass, course);
            Ok(format!(
                "the deadlines of the way back count from now{}",
                still_paused(pass)
            ))
        }
        Direction::Back => Err(format!(
            "revision {revision} is on its way back; when that has ended, ask for `retry {revision} again`"
        )),
    }
}

fn pause(pass: &Pass<'_>, status: &mut BlueGreenReleaseStatus) -> Result<String, Refusal> {
    let revision = status.revision;
    let course = on_its_way(status).map_err(|ended| {
        format!("{ended}; to keep the next one from beginning, set spec.paused to true")
    })?;
    course.paused_at.get_or_insert(pass.now);
    Ok(format!(
        "no new step of revision {revision} is begun until somebody asks for `resume {revision}`"
    ))
}

fn resume(pass: &Pass<'_>, status: &mut BlueGreenReleaseStatus) -> Result<String, Refusal> {
    let revision = status.revision;
    let course = on_its_way(status)?;
    if course.paused_at.take().is_none() {
        return Err(format!(
            "nobody has asked for `pause {revision}`{}",
            still_paused(pass)
        ));
    }
    Ok(format!(
        "the pause by request has ended{}",
        still_paused(pass)
    ))
}

fn promote(pass: &Pass<'_>, status: &mut BlueGreenReleaseStatus) -> Result<String, Refusal> {
    let revision = status.revision;
    let by_itself =
        pass.spec().promotion.mode == PromotionMode::Auto || manner(pass.spec()) == Manner::InPlace;
    let course = on_its_way(status)?;
    match course.direction {
        Direction::Forward => {}
        Direction::Back => return Err(format!("revision {revision} is on its way back")),
    }
    if course.promoted_at.is_some() {
        return Ok(format!("revision {revision} was promoted already"));
    }
    if by_itself {
        return Err(format!(
            "revision {revision} waits for no promotion: spec.promotion.mode is not Manual"
        ));
    }
    course.promoted_at = Some(pass.now);
    let paused = match course.paused_at {
        Some(_) => format!("; it is paused until somebody asks for `resume {revision}`"),
        None => String::new(),
    };
    Ok(format!(
        "the old targets are withdrawn as soon as all new ones are in service{paused}{}",
        still_paused(pass)
    ))
}

/// What has to be said where the spec keeps a release from going on.
fn still_paused(pass: &Pass<'_>) -> &'static str {
    if pass.spec().paused {
        "; spec.paused is still true"
    } else {
        ""
    }
}
