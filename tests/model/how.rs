//! The steps of the walk, and what each costs of the budget of faults.

use bluegreen_api::Verb;

use super::{
    scenario::Budget,
    world::{Deed, Event},
};

/// How a state was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Begin,
    /// The controller looked, decided, wrote and acted.
    Pass {
        stale: bool,
        fault: Option<Fault>,
    },
    Happen(Event),
    Others(Deed),
    SpecChange(u8),
    Delete,
    /// A person asks for something.
    Asked(Ask),
    /// A person lets a release go on that waits for it.
    Helped(Verb),
}

/// What a person asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Ask {
    pub(super) verb: Verb,
    pub(super) revision: u8,
}

impl Ask {
    /// As it stands in the annotation.
    pub(super) fn text(self) -> String {
        format!("{} {}", self.verb, self.revision)
    }
}

/// What went wrong in a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    CrashBefore,
    CrashAfter,
    LostReply,
}

impl How {
    /// Whether it is one of the faults that the budget counts.
    pub(super) fn fault(self) -> bool {
        match self {
            Self::Begin | Self::Happen(_) | Self::Helped(_) => false,
            Self::Pass { stale, fault } => stale || fault.is_some(),
            // Whoever took the tags off puts them back in the end.
            Self::Others(Deed::Retag(_)) => false,
            Self::Others(Deed::Untag(_) | Deed::Register(..))
            | Self::SpecChange(_)
            | Self::Delete
            | Self::Asked(_) => true,
        }
    }

    /// What is left of a budget; `None` where it does not suffice.
    pub(super) fn paid(self, mut budget: Budget) -> Option<Budget> {
        let pay = |left: &mut u8| {
            *left = left.checked_sub(1)?;
            Some(())
        };
        match self {
            Self::Begin | Self::Happen(_) | Self::Helped(_) | Self::Others(Deed::Retag(_)) => {}
            Self::Asked(_) => pay(&mut budget.asks)?,
            Self::Others(Deed::Untag(_) | Deed::Register(..)) => pay(&mut budget.others)?,
            Self::Pass { stale, fault } => {
                if stale {
                    pay(&mut budget.stale_read)?;
                }
                match fault {
                    None => {}
                    Some(Fault::CrashBefore) => pay(&mut budget.crash_before)?,
                    Some(Fault::CrashAfter) => pay(&mut budget.crash_after)?,
                    Some(Fault::LostReply) => pay(&mut budget.lost_reply)?,
                }
            }
            Self::SpecChange(_) | Self::Delete => pay(&mut budget.spec_change)?,
        }
        Some(budget)
    }
}
