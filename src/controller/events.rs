//! What Kubernetes Events a change of status is worth. Pure.
//!
//! The recorder in kube takes two events of the same type, action and reason for a repetition of
//! the first within six minutes, and keeps the first's note. So what makes an event different is
//! in its action: the revision, or the first of the targets that it is about.

use std::fmt::Display;

use super::error::Error;
use crate::api::{
    BlueGreenReleaseStatus, HistoryEntry, LastRequest, Outcome, Phase, Reason, RequestOutcome,
    StopHow, TargetStatus,
};

/// How many targets a note lists by name. A note may have 1 kB.
const LISTED: usize = 10;

/// A note's limit in Kubernetes, in bytes.
const NOTE_LIMIT: usize = 1024;

/// Whether a person should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// No.
    Normal,
    /// Yes.
    Warning,
}

/// A Kubernetes Event to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Whether a person should look.
    pub severity: Severity,
    /// What happened, from a closed set.
    pub reason: &'static str,
    /// What it happened to.
    pub action: String,
    /// What a person should read. At most 1 kB.
    pub note: String,
}

/// What happened between two statuses.
#[must_use]
pub fn notices(old: &BlueGreenReleaseStatus, new: &BlueGreenReleaseStatus) -> Vec<Notice> {
    let mut notices = Vec::new();
    notices.extend(answered(old, new));
    notices.extend(phase(old, new));
    notices.extend(stalled(old, new));
    notices.extend(drifted(old, new));
    notices.extend(cutting(old, new));
    notices.extend(lost(old, new));
    notices.extend(targets(old, new));
    notices.extend(ended(old, new));
    notices
}

/// An object that this version does not understand.
pub(super) fn not_understood(generation: i64, error: &impl Display) -> Notice {
    notice(
        Severity::Warning,
        "NotUnderstood",
        format!("Generation{generation}"),
        format!("the release is left alone until it is corrected: {error}"),
    )
}

/// A ControllerRevision of the release that this version does not understand.
pub(super) fn revision_not_understood(name: &str, error: &str) -> Notice {
    notice(
        Severity::Warning,
        "RevisionNotUnderstood",
        name.to_owned(),
        format!(
            "the ControllerRevision {name} cannot be read, so that the commands of the spec count \
             for this revision: {error}"
        ),
    )
}

/// A change or a reading that the API server refuses, or that an object of somebody else prevents.
/// There is no status to say it in: that may be just what was refused.
pub(super) fn refused(error: &Error) -> Option<Notice> {
    let action = match error {
        Error::NameTaken { name, .. } => format!("Name-{name}"),
        Error::Api { .. } | Error::NoAnswer { .. } | Error::Incomplete(_) | Error::Panicked => {
            format!("Code{}", error.refusal()?.code)
        }
    };
    Some(notice(
        Severity::Warning,
        "Refused",
        action,
        format!("Kubernetes does not let the release go on, which is tried again: {error}"),
    ))
}

/// What became of a request by a person. The request is the action, so that the next one is not
/// taken for a repetition.
fn answered(old: &BlueGreenReleaseStatus, new: &BlueGreenReleaseStatus) -> Option<Notice> {
    let answer = new.last_request.as_ref()?;
    if old.last_request.as_ref() == Some(answer) {
        return None;
    }
    let (severity, reason) = match answer.outcome {
        RequestOutcome::Accepted => (Severity::Normal, "RequestAccepted"),
        RequestOutcome::Refused => (Severity::Warning, "RequestRefused"),
    };
    let LastRequest { text, message, .. } = answer;
    let note = format!("`{text}`: {message}");
    Some(notice(severity, reason, text.clone(), note))
}

fn phase(old: &BlueGreenReleaseStatus, new: &BlueGreenReleaseStatus) -> Option<Notice> {
    if old.phase == new.phase {
        return None;
    }
    let severity = match new.phase {
        Phase::RollingBack | Phase::RolledBack => Severity::Warning,
        Phase::Starting
        | Phase::Registering
        | Phase::AwaitingPromotion
        | Phase::Draining
        | Phase::Retaining
        | Phase::Stopping
        | Phase::Released
        | Phase::Paused
        | Phase::Deleting => Severity::Normal,
        // Looking is nothing to report, and a stall is reported with its reason below.
        Phase::Pending | Phase::Preflight | Phase::Stalled => return None,
    };
    let note = match &new.green {
        // It says what a person may do.
        Some(_) if new.phase == Phase::AwaitingPromotion => new.message.clone(),
        Some(green) => format!(
            "revision {}, version {}",
            green.revision,
            green.version.as_deref().unwrap_or("unknown")
        ),
        // What was aborted or rolled back has a number, and it is not the one that is live.
        None => match &new.blue {
            Some(blue) if new.phase == Phase::Released => format!(
                "revision {}, version {}",
                blue.revision,
                blue.version.as_deref().unwrap_or("unknown")
            ),
            Some(_) | None => format!("revision {}", new.revision),
        },
    };
    Some(notice(severity, new.phase.as_str(), revision(new), note))
}

fn stalled(old: &BlueGreenReleaseStatus, new: &BlueGreenReleaseStatus) -> Option<Notice> {
    let find = |status: &BlueGreenReleaseStatus| {
        let condition = status
            .conditions
            .iter()
            .find(|c| c.type_ == "Stalled" && c.status == "True")?;
        Some((condition.reason.clone(), condition.message.clone()))
    };
    let (reason, message) = find(new)?;
    if find(old).is_some_and(|(before, _)| before == reason) {
        return None;
    }
    // It is told already, with its cause, as the end of the revision.
    if reason == Reason::RolledBack.as_str() {
        return None;
    }
    let action = format!("{reason}-{}", revision(new));
    Some(notice(
        Severity::Warning,
        "Stalled",
        action,
        format!("{reason}: {message}"),
    ))
}

/// What others have changed: the condition `InSync` is false, or names something else.
fn drifted(old: &BlueGreenReleaseStatus, new: &BlueGreenReleaseStatus) -> Option<Notice> {
    let told = |status: &BlueGreenReleaseStatus| {
        let mut conditions = status.conditions.iter();
        let drift = conditions.find(|c| c.reason == Reason::Drifted.as_str());
        drift.map(|condition| condition.message.clone())
    };
    let message = told(new).filter(|message| told(old).as_ref() != Some(message))?;
    let first = message.split([' ', ';']).next().unwrap_or_default();
    let action = format!("Drift-{first}");
    Some(notice(Severity::Warning, "Drifted", action, message))
}

/// The deregistration delay is shorter than requests take.
fn cutting(old: &BlueGreenReleaseStatus, new: &BlueGreenReleaseStatus) -> Option<Notice> {
    let told = |status: &BlueGreenReleaseStatus| {
        let mut conditions = status.conditions.iter();
        let reason = Reason::DelayTooShort.as_str();
        let short = conditions.find(|condition| condition.type_ == reason);
        short.map(|condition| condition.message.clone())
    };
    let message = told(new).filter(|message| told(old).as_ref() != Some(message))?;
    Some(notice(
        Severity::Warning,
        "DelayTooShort",
        revision(new),
        message,
    ))
}

/// A target of a release at rest is not healthy any more.
fn lost(old: &BlueGreenReleaseStatus, new: &BlueGreenReleaseStatus) -> Option<Notice> {
    let told = |status: &BlueGreenReleaseStatus| {
        let mut conditions = status.conditions.iter();
        let unhealthy = Reason::TargetUnhealthy.as_str();
        // The message of status is that of its condition of readiness.
        let ready = conditions.find(|c| c.reason == unhealthy && c.message == status.message);
        ready.map(|condition| condition.message.clone())
    };
    let message = told(new).filter(|_| told(old).is_none())?;
    Some(notice(
        Severity::Warning,
        "TargetUnhealthy",
        revision(new),
        message,
    ))
}

fn ended(old: &BlueGreenReleaseStatus, new: &BlueGreenReleaseStatus) -> Option<Notice> {
    let entry = new.history.first()?;
    if old.history.first() == Some(entry) {
        return None;
    }
    let HistoryEntry {
        revision,
        version,
        outcome,
        started_at: _,
        ended_at: _,
        reason,
    } = entry;
    let (severity, word) = match outcome {
        Outcome::Promoted => (Severity::Normal, "Promoted"),
        Outcome::RolledBack => (Severity::Warning, "ReleaseFailed"),
        Outcome::Aborted => (Severity::Normal, "Aborted"),
        Outcome::Superseded => (Severity::Normal, "Superseded"),
    };
    let version = version.as_deref().unwrap_or("unknown");
    let because = reason
        .as_ref()
        .map(|reason| format!(": {reason}"))
        .unwrap_or_default();
    Some(notice(
        severity,
        word,
        format!("Revision{revision}"),
        format!("revision {revision}, version {version}{because}"),
    ))
}

/// One notice for each kind of step that any target completed.
fn targets(old: &BlueGreenReleaseStatus, new: &BlueGreenReleaseStatus) -> Vec<Notice> {
    let mut healthy = Vec::new();
    let mut drained = Vec::new();
    let mut unproven = Vec::new();
    let mut stopped = Vec::new();
    let mut killed = Vec::new();
    for (before, target) in changed_targets(old, new) {
        let before = before.map(|before| &before.steps);
        let steps = &target.steps;
        let name = format!("{}:{}", target.id, target.port);
        if steps.healthy.is_some() && before.is_some_and(|steps| steps.healthy.is_none()) {
            healthy.push(name.clone());
        }
        if steps.drained.is_some() && before.is_none_or(|steps| steps.drained.is_none()) {
            drained.push(name.clone());
        }
        if steps.unproven.is_some() && before.is_none_or(|steps| steps.unproven.is_none()) {
            unproven.push(name.clone());
        }
        if let Some(terminated) = &steps.terminated
            && before.is_none_or(|steps| steps.terminated.is_none())
        {
            match terminated.how {
                StopHow::Killed => killed.push(name),
                StopHow::Graceful | StopHow::InstanceTerminated => stopped.push(name),
                StopHow::NotRunning => {}
            }
        }
    }
    [
        (
            Severity::Normal,
            "TargetsHealthy",
            "healthy in every target group",
            healthy,
        ),
        (
            Severity::Normal,
            "TargetsDrained",
            "proven to be drained",
            drained,
        ),
        (
            Severity::Warning,
            "DrainUnproven",
            "not proven to be drained in time, and gone on with",
            unproven,
        ),
        (Severity::Normal, "TargetsStopped", "stopped", stopped),
        (
            Severity::Warning,
            "TargetsKilled",
            "killed when the grace period was over",
            killed,
        ),
    ]
    .into_iter()
    .filter_map(|(severity, reason, what, names)| {
        let first = names.first()?;
        let action = format!("{}-{first}", revision(new));
        Some(notice(
            severity,
            reason,
            action,
            format!("{what}: {}", listed(&names)),
        ))
    })
    .collect()
}

/// The targets of the new status that are not the same in the old one, each with what it was.
pub(super) fn changed_targets<'a>(
    old: &'a BlueGreenReleaseStatus,
    new: &'a BlueGreenReleaseStatus,
) -> impl Iterator<Item = (Option<&'a TargetStatus>, &'a TargetStatus)> {
    let before: std::collections::HashMap<_, _> = old
        .targets
        .iter()
        .map(|target| (identity(target), target))
        .collect();
    new.targets
        .iter()
        .map(move |target| (before.get(&identity(target)).copied(), target))
        .filter(|(before, target)| *before != Some(*target))
}

fn identity(target: &TargetStatus) -> (u64, &str, u16) {
    (target.revision, target.id.as_str(), target.port)
}

fn revision(status: &BlueGreenReleaseStatus) -> String {
    format!("Revision{}", status.revision)
}

fn listed(names: &[String]) -> String {
    let shown = names
        .iter()
        .take(LISTED)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn notice(severity: Severity, reason: &'static str, action: String, mut note: String) -> Notice {
    note.truncate(note.floor_char_boundary(NOTE_LIMIT));
    Notice {
        severity,
        reason,
        action,
        note,
    }
}
