//! The steps of the walk, and what each costs of the budget of faults.

use bluegreen_api::Verb;

use super::{
    scenario::Budget,
    world::{Deed, Event, Look},
};

/// How a state was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Begin,
    /// The controller looked, decided, wrote and acted.
    Pass {
        look: Look,
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
            Self::Pass { look, fault } => look != Look::Fresh || fault.is_some(),
            Self::Others(deed) => !deed.repairs(),
            Self::SpecChange(_) | Self::Delete | Self::Asked(_) => true,
        }
    }

    /// What is left of a budget; `None` where it does not suffice.
    pub(super) fn paid(self, mut budget: Budget) -> Option<Budget> {
        let pay = |left: &mut u8| {
            *left = left.checked_sub(1)?;
            Some(())
        };
        match self {
            Self::Begin | Self::Happen(_) | Self::Helped(_) => {}
            Self::Others(deed) if deed.repairs() => {}
            Self::Asked(_) => pay(&mut budget.asks)?,
            Self::Others(_) => pay(&mut budget.others)?,
            Self::Pass { look, fault } => {
                match look {
                    Look::Fresh => {}
                    Look::Stale => pay(&mut budget.stale_read)?,
                    Look::OldFleet | Look::Cut(..) | Look::NoGroup(_) | Look::NoFleet => {
                        pay(&mut budget.misread)?
                    }
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
