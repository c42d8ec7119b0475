//! The waiters of aws-cli, as the naive methods use them.
//!
//! aws-cli looks at once and then at fixed intervals, and gives up after so many looks. What each
//! answer means is the published model's word for word, with its well-known gaps.

use std::time::Duration;

/// What a waiter was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The states that were listed, in the words of the API.
    States(Vec<String>),
    /// An error code.
    Error(String),
}

/// What a waiter makes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is true.
    Done,
    /// It may become true.
    Again,
    /// It cannot become true.
    Failed,
}

/// One of aws-cli's waiters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiter {
    /// `aws elbv2 wait target-in-service`.
    TargetInService,
    /// `aws elbv2 wait target-deregistered`.
    TargetDeregistered,
    /// `aws ssm wait command-executed`.
    CommandExecuted,
}

impl Waiter {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TargetInService => "target-in-service",
            Self::TargetDeregistered => "target-deregistered",
            Self::CommandExecuted => "command-executed",
        }
    }

    /// What passes between two looks.
    #[must_use]
    pub fn interval(self) -> Duration {
        match self {
            Self::TargetInService | Self::TargetDeregistered => Duration::from_secs(15),
            Self::CommandExecuted => Duration::from_secs(5),
        }
    }

    /// After how many looks it gives up.
    #[must_use]
    pub fn looks(self) -> u32 {
        match self {
            Self::TargetInService | Self::TargetDeregistered => 40,
            Self::CommandExecuted => 20,
        }
    }

    /// What an answer means.
    #[must_use]
    pub fn judge(self, answer: &Answer) -> Verdict {
        match (self, answer) {
            (Self::TargetInService, Answer::States(states)) => again_unless_all(states, "healthy"),
            (Self::TargetInService, Answer::Error(code)) if code == "InvalidInstance" => {
                Verdict::Again
            }
            (Self::TargetDeregistered, Answer::States(states)) => {
                again_unless_all(states, "unused")
            }
            (Self::TargetDeregistered, Answer::Error(code)) if code == "InvalidTarget" => {
                Verdict::Done
            }
            (Self::CommandExecuted, Answer::States(states)) => {
                match states.first().map(String::as_str) {
                    Some("Success") => Verdict::Done,
                    Some("Cancelled" | "TimedOut" | "Failed" | "Cancelling") => Verdict::Failed,
                    Some(_) | None => Verdict::Again,
                }
            }
            (Self::CommandExecuted, Answer::Error(code)) if code == "InvocationDoesNotExist" => {
                Verdict::Again
            }
            (
                Self::TargetInService | Self::TargetDeregistered | Self::CommandExecuted,
                Answer::Error(_),
            ) => Verdict::Failed,
        }
    }
}

/// An empty list never matches: "all of none" is no match to a waiter.
fn again_unless_all(states: &[String], wanted: &str) -> Verdict {
    if !states.is_empty() && states.iter().all(|state| state == wanted) {
        Verdict::Done
    } else {
        Verdict::Again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(states: &[&str]) -> Answer {
        Answer::States(states.iter().map(|&state| state.to_owned()).collect())
    }

    fn error(code: &str) -> Answer {
        Answer::Error(code.to_owned())
    }

    #[test]
    fn target_deregistered_takes_unused_for_success_whatever_the_reason() {
        let judge = |answer| Waiter::TargetDeregistered.judge(&answer);
        assert_eq!(judge(states(&["draining"])), Verdict::Again);
        assert_eq!(judge(states(&["unused"])), Verdict::Done);
        assert_eq!(judge(states(&["unused", "draining"])), Verdict::Again);
        assert_eq!(judge(states(&[])), Verdict::Again);
        assert_eq!(judge(error("InvalidTarget")), Verdict::Done);
        assert_eq!(judge(error("Throttling")), Verdict::Failed);
    }

    #[test]
    fn target_in_service_waits_for_all_to_be_healthy() {
        let judge = |answer| Waiter::TargetInService.judge(&answer);
        assert_eq!(judge(states(&["initial"])), Verdict::Again);
        assert_eq!(judge(states(&["healthy"])), Verdict::Done);
        assert_eq!(judge(states(&["healthy", "unhealthy"])), Verdict::Again);
        assert_eq!(judge(error("InvalidInstance")), Verdict::Again);
        assert_eq!(judge(error("InvalidTarget")), Verdict::Failed);
    }

    #[test]
    fn command_executed_waits_for_success_and_fails_with_the_command() {
        let judge = |answer| Waiter::CommandExecuted.judge(&answer);
        for state in ["Pending", "InProgress", "Delayed"] {
            assert_eq!(judge(states(&[state])), Verdict::Again);
        }
        assert_eq!(judge(states(&["Success"])), Verdict::Done);
        for state in ["Cancelled", "TimedOut", "Failed", "Cancelling"] {
            assert_eq!(judge(states(&[state])), Verdict::Failed);
        }
        assert_eq!(judge(error("InvocationDoesNotExist")), Verdict::Again);
        assert_eq!(judge(error("AccessDenied")), Verdict::Failed);
    }
}
