//! Conditions as kstatus understands them.
//!
//! `Ready` is always there. `Reconciling` and `Stalled` are there only when they are true, and
//! never both. `TargetsHealthy`, `TrafficShifted` and `Drained` are there from when there is a
//! target of which they can say something.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time as MetaTime};

use super::Time;

/// Why a condition is as it is: a closed set. Each reason that can stall a release has an entry
/// in `docs/runbook.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The desired version is live and nothing is left to do.
    Released,
    /// A release is on its way.
    Releasing,
    /// The old version is being put back.
    RollingBack,
    /// A release failed and the old version is live again.
    RolledBack,
    /// The release is being deleted.
    Deleting,
    /// `spec.paused` is true, or somebody asked for a pause.
    Paused,
    /// The new version is healthy beside the old one, and somebody has to say that it goes on.
    AwaitingPromotion,
    /// AWS could not be read or asked; it is tried again.
    CloudUnavailable,
    /// AWS refused for lack of a permission.
    AccessDenied,
    /// A target group does not exist.
    TargetGroupNotFound,
    /// A target group cannot be used: its target type, or no load balancer uses it.
    TargetGroupUnsuitable,
    /// No instance matches the selector.
    NoInstances,
    /// An instance that matches is not running.
    InstanceNotRunning,
    /// An instance of a release on its way is no longer found by the selector.
    InstanceNotFound,
    /// A host is registered, but not with the port that the release names.
    PortNotRegistered,
    /// The start and stop commands cannot be used: they are too long, or there are two ports and
    /// the stop does not say which of them.
    CommandsUnsuitable,
    /// Recreating in place would leave no healthy target.
    WouldLeaveNoTarget,
    /// More than 500 targets.
    TooManyTargets,
    /// A drain was not proven in time.
    DrainNotProven,
    /// A process could not be stopped.
    StopFailed,
    /// The release failed, and `onFailure: Hold` leaves everything as it is.
    HeldAfterFailure,
    /// The old version could not be put back.
    RollbackFailed,
    /// No target is healthy before the release begins.
    NothingHealthy,
    /// The SSM agent of a host is not online.
    AgentNotOnline,
    /// An SSM document does not exist, or does not take the parameters that the spec gives.
    DocumentUnsuitable,
    /// A target of the live version is not healthy for more than a minute.
    TargetsLost,
    /// Both ports of a host are registered, so that the new version has none to start on.
    NoFreePort,
    /// Another release has the same targets, and comes first.
    ClaimedByAnother,
    /// The deregistration delay of a target group is shorter than requests take.
    DelayTooShort,
    /// AWS refuses what the release asks for.
    EffectRefused,
    /// The probe for requests in flight gives no figures.
    ProbeFailing,
    /// AWS shows what the record says.
    InSync,
    /// AWS shows something else than the record.
    Drifted,
    /// Every target that is to serve is healthy.
    TargetsHealthy,
    /// A target that is to serve is not healthy.
    TargetUnhealthy,
    /// Every target that leaves has its proof.
    TargetsDrained,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 36] = [
        Self::Released,
        Self::Releasing,
        Self::RollingBack,
        Self::RolledBack,
        Self::Deleting,
        Self::Paused,
        Self::AwaitingPromotion,
        Self::CloudUnavailable,
        Self::AccessDenied,
        Self::TargetGroupNotFound,
        Self::TargetGroupUnsuitable,
        Self::NoInstances,
        Self::InstanceNotRunning,
        Self::InstanceNotFound,
        Self::PortNotRegistered,
        Self::CommandsUnsuitable,
        Self::WouldLeaveNoTarget,
        Self::TooManyTargets,
        Self::DrainNotProven,
        Self::StopFailed,
        Self::HeldAfterFailure,
        Self::RollbackFailed,
        Self::NothingHealthy,
        Self::AgentNotOnline,
        Self::DocumentUnsuitable,
        Self::TargetsLost,
        Self::NoFreePort,
        Self::ClaimedByAnother,
        Self::DelayTooShort,
        Self::EffectRefused,
        Self::ProbeFailing,
        Self::InSync,
        Self::Drifted,
        Self::TargetsHealthy,
        Self::TargetUnhealthy,
        Self::TargetsDrained,
    ];

    /// The word in a condition's `reason`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Released => "Released",
            Self::Releasing => "Releasing",
            Self::RollingBack => "RollingBack",
            Self::RolledBack => "RolledBack",
            Self::Deleting => "Deleting",
            Self::Paused => "Paused",
            Self::AwaitingPromotion => "AwaitingPromotion",
            Self::CloudUnavailable => "CloudUnavailable",
            Self::AccessDenied => "AccessDenied",
            Self::TargetGroupNotFound => "TargetGroupNotFound",
            Self::TargetGroupUnsuitable => "TargetGroupUnsuitable",
            Self::NoInstances => "NoInstances",
            Self::InstanceNotRunning => "InstanceNotRunning",
            Self::InstanceNotFound => "InstanceNotFound",
            Self::PortNotRegistered => "PortNotRegistered",
            Self::CommandsUnsuitable => "CommandsUnsuitable",
            Self::WouldLeaveNoTarget => "WouldLeaveNoTarget",
            Self::TooManyTargets => "TooManyTargets",
            Self::DrainNotProven => "DrainNotProven",
            Self::StopFailed => "StopFailed",
            Self::HeldAfterFailure => "HeldAfterFailure",
            Self::RollbackFailed => "RollbackFailed",
            Self::NothingHealthy => "NothingHealthy",
            Self::AgentNotOnline => "AgentNotOnline",
            Self::DocumentUnsuitable => "DocumentUnsuitable",
            Self::TargetsLost => "TargetsLost",
            Self::NoFreePort => "NoFreePort",
            Self::ClaimedByAnother => "ClaimedByAnother",
            Self::DelayTooShort => "DelayTooShort",
            Self::EffectRefused => "EffectRefused",
            Self::ProbeFailing => "ProbeFailing",
            Self::InSync => "InSync",
            Self::Drifted => "Drifted",
            Self::TargetsHealthy => "TargetsHealthy",
            Self::TargetUnhealthy => "TargetUnhealthy",
            Self::TargetsDrained => "TargetsDrained",
        }
    }

    /// Whether a release with this reason cannot go on without a person.
    #[must_use]
    pub const fn stalls(self) -> bool {
        match self {
            Self::Released
            | Self::Releasing
            | Self::RollingBack
            | Self::Deleting
            | Self::Paused
            | Self::AwaitingPromotion
            | Self::CloudUnavailable
            | Self::ProbeFailing
            | Self::InSync
            | Self::Drifted
            | Self::TargetsHealthy
            | Self::TargetUnhealthy
            | Self::TargetsDrained => false,
            Self::RolledBack
            | Self::AccessDenied
            | Self::TargetGroupNotFound
            | Self::TargetGroupUnsuitable
            | Self::NoInstances
            | Self::InstanceNotRunning
            | Self::InstanceNotFound
            | Self::PortNotRegistered
            | Self::CommandsUnsuitable
            | Self::WouldLeaveNoTarget
            | Self::TooManyTargets
            | Self::DrainNotProven
            | Self::StopFailed
            | Self::HeldAfterFailure
            | Self::NothingHealthy
            | Self::AgentNotOnline
            | Self::DocumentUnsuitable
            | Self::TargetsLost
            | Self::NoFreePort
            | Self::ClaimedByAnother
            | Self::DelayTooShort
            | Self::EffectRefused
            | Self::RollbackFailed => true,
        }
    }
}

/// Sets or, with `None`, removes a condition. The transition time moves only when the condition's
/// status changes. Conditions stay sorted by type, so that equal sets are equal lists.
pub fn set_condition(
    conditions: &mut Vec<Condition>,
    type_: &str,
    value: Option<(bool, Reason, &str)>,
    generation: Option<i64>,
    now: Time,
) {
    let Some((status, reason, message)) = value else {
        conditions.retain(|condition| condition.type_ != type_);
        return;
    };
    let status = if status { "True" } else { "False" };
    let previous = conditions
        .iter()
        .position(|condition| condition.type_ == type_)
        .map(|index| conditions.remove(index));
    let last_transition_time = match previous {
        Some(previous) if previous.status == status => previous.last_transition_time,
        Some(_) | None => MetaTime(now.timestamp()),
    };
    conditions.push(Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.as_str().to_owned(),
        message: message.to_owned(),
        observed_generation: generation,
        last_transition_time,
    });
    conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let mut conditions = Vec::new();
        let [first, second, third] = [1000, 2000, 3000].map(Time::from_millis);
        let mut set = |status, now| {
            set_condition(
                &mut conditions,
                "Ready",
                Some((status, Reason::Releasing, "m")),
                Some(1),
                now,
            );
            conditions[0].last_transition_time.0
        };
        assert_eq!(set(false, first), first.timestamp());
        assert_eq!(set(false, second), first.timestamp());
        assert_eq!(set(true, third), third.timestamp());
    }
}
