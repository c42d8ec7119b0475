//! What a walk found.

use std::fmt;

/// What the walk found.
#[derive(Debug)]
pub(in super::super) struct Report {
    /// States, counted once for each incomparable budget that is left in them.
    pub(in super::super) states: usize,
    /// States that differ in more than the budget.
    pub(in super::super) distinct: usize,
    pub(in super::super) transitions: usize,
    pub(in super::super) depth: u32,
    pub(in super::super) ends: usize,
    pub(in super::super) seconds: f64,
    pub(in super::super) violation: Option<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} states ({} without the budgets), {} transitions, depth {}, {} ends, {:.1} s",
            self.states, self.distinct, self.transitions, self.depth, self.ends, self.seconds
        )
    }
}
