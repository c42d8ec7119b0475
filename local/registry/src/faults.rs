//! Fault switches: what a test makes go wrong, and where.
//!
//! Faults are set at run time and act on matching requests only. Nothing here is reachable
//! through the served API.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Reads one object.
    Get,
    /// Reads many.
    List,
    /// Follows changes.
    Watch,
    /// Stores a new object.
    Create,
    /// Replaces an object.
    Update,
    /// Changes a part of an object.
    Patch,
    /// Deletes one object.
    Delete,
    /// Deletes many.
    DeleteCollection,
}

impl std::fmt::Display for Verb {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        })
    }
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The request has no effect and is never answered.
    HangBefore,
    /// The request takes effect and is never answered.
    HangAfter,
    /// The request has no effect and is answered with this status code, such as 500 or 503.
    FailBefore(u16),
    /// The request takes effect and is answered with this status code.
    FailAfter(u16),
    /// The request has no effect and the connection breaks.
    DisconnectBefore,
    /// The request takes effect and the connection breaks.
    DisconnectAfter,
    /// 429 with `Retry-After`, in whole seconds.
    TooManyRequests(Duration),
    /// 409, as if another writer had been faster.
    Conflict,
    /// 410: the resource version is too old. A watch gets it as an event.
    Expired,
    /// A get, a list or the start of a watch sees the state of so many writes ago.
    Stale(usize),
    /// A watch never delivers the event.
    DropEvent,
    /// A watch delivers the event, and all later ones, so much later.
    DelayEvent(Duration),
    /// A watch delivers the event twice.
    DuplicateEvent,
    /// A watch ends before the event, which the next watch delivers.
    CloseWatch,
}

impl Effect {
    /// Whether the effect strikes single events of a watch and not the request.
    fn strikes_events(&self) -> bool {
        match self {
            Self::DropEvent | Self::DelayEvent(_) | Self::DuplicateEvent | Self::CloseWatch => true,
            Self::HangBefore
            | Self::HangAfter
            | Self::FailBefore(_)
            | Self::FailAfter(_)
            | Self::DisconnectBefore
            | Self::DisconnectAfter
            | Self::TooManyRequests(_)
            | Self::Conflict
            | Self::Expired
            | Self::Stale(_) => false,
        }
    }
}

/// One fault: an effect, and the requests that it strikes. What is not said matches everything.
#[derive(Debug, Clone)]
pub struct Fault {
    effect: Effect,
    verb: Option<Verb>,
    resource: Option<String>,
    name: Option<String>,
    skip: u32,
    times: Option<u32>,
}

impl Fault {
    /// A fault that strikes every request until it is cleared.
    #[must_use]
    pub fn new(effect: Effect) -> Self {
        Self {
            effect,
            verb: None,
            resource: None,
            name: None,
            skip: 0,
            times: None,
        }
    }

    /// Only requests with this verb. Effects on single events strike watches in any case.
    #[must_use]
    pub fn verb(mut self, verb: Verb) -> Self {
        self.verb = Some(verb);
        self
    }

    /// Only this resource, by its plural name, such as `leases`; for a subresource, such as
    /// `samples/status`.
    #[must_use]
    pub fn resource(mut self, resource: &str) -> Self {
        self.resource = Some(resource.to_owned());
        self
    }

    /// Only the object of this name.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Lets the first `count` matches through.
    #[must_use]
    pub fn after(mut self, count: u32) -> Self {
        self.skip = count;
        self
    }

    /// Strikes at most `count` times.
    #[must_use]
    pub fn times(mut self, count: u32) -> Self {
        self.times = Some(count);
        self
    }
}

/// The faults that are set. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    faults: Arc<Mutex<Vec<Fault>>>,
}

impl Faults {
    /// Sets a further fault.
    pub fn inject(&self, fault: Fault) {
        self.lock().push(fault);
    }

    /// Takes all faults away.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// How many faults can still strike.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.lock()
            .iter()
            .filter(|fault| fault.times != Some(0))
            .count()
    }

    pub(crate) fn for_request(&self, verb: Verb, resource: &str, name: &str) -> Option<Effect> {
        self.strike(|fault| {
            !fault.effect.strikes_events()
                && fault.verb.is_none_or(|wanted| wanted == verb)
                && matches(fault, resource, name)
        })
    }

    pub(crate) fn for_event(&self, resource: &str, name: &str) -> Option<Effect> {
        self.strike(|fault| fault.effect.strikes_events() && matches(fault, resource, name))
    }

    fn strike(&self, hits: impl Fn(&Fault) -> bool) -> Option<Effect> {
        for fault in self.lock().iter_mut() {
            if fault.times == Some(0) || !hits(fault) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            fault.times = fault.times.map(|times| times - 1);
            return Some(fault.effect.clone());
        }
        None
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Fault>> {
        // The list is whole at all times, so a panic elsewhere does not spoil it.
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn matches(fault: &Fault, resource: &str, name: &str) -> bool {
    let is = |wanted: &Option<String>, actual: &str| match wanted {
        Some(wanted) => wanted == actual,
        None => true,
    };
    is(&fault.resource, resource) && is(&fault.name, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_what_it_matches_as_often_as_it_may() {
        let faults = Faults::default();
        let fault = Fault::new(Effect::Conflict).verb(Verb::Update);
        faults.inject(fault.resource("samples").name("x").after(1).times(1));
        assert_eq!(faults.for_request(Verb::Get, "samples", "x"), None);
        assert_eq!(faults.for_request(Verb::Update, "samples", "y"), None);
        assert_eq!(faults.for_request(Verb::Update, "samples", "x"), None);
        let struck = faults.for_request(Verb::Update, "samples", "x");
        assert_eq!(struck, Some(Effect::Conflict));
        assert_eq!(faults.for_request(Verb::Update, "samples", "x"), None);
        assert_eq!(faults.remaining(), 0);
    }
}
