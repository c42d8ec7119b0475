//! Who asks AWS, and how urgently.

use std::sync::Arc;

/// Who asks AWS, and how urgently: where the budget of an account has less than is asked for, it
/// decides by this whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller {
    /// The namespace of the release. Inside a class of urgency the namespaces take turns.
    pub namespace: Arc<str>,
    /// The class.
    pub urgency: Urgency,
}

impl Caller {
    /// A caller of a namespace.
    #[must_use]
    pub fn new(namespace: &str, urgency: Urgency) -> Self {
        Self {
            namespace: namespace.into(),
            urgency,
        }
    }
}

/// The classes of urgency, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// An effect, or a release that rolls back.
    First,
    /// A release in progress.
    InProgress,
    /// A release that has ended, or has not begun.
    Idle,
}

impl Urgency {
    pub(super) const COUNT: usize = 3;
}
