//! The releases of Kubernetes that a case is about.

use std::fmt;

/// Minor releases of Kubernetes 1. A server words some answers otherwise from one release on; the
/// case that expects the old words holds until then, and one with the new words from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Releases {
    from: Option<u32>,
    until: Option<u32>,
}

impl Releases {
    /// All of them.
    pub(crate) const ALL: Self = Self {
        from: None,
        until: None,
    };

    /// Those from this one on.
    pub(crate) const fn from(mut self, minor: u32) -> Self {
        self.from = Some(minor);
        self
    }

    /// Those up to this one.
    pub(crate) const fn until(mut self, minor: u32) -> Self {
        self.until = Some(minor);
        self
    }

    /// Whether this release is among them.
    #[must_use]
    pub fn contain(self, minor: u32) -> bool {
        self.from.is_none_or(|from| from <= minor) && self.until.is_none_or(|until| minor <= until)
    }
}

impl fmt::Display for Releases {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.from, self.until) {
            (None, None) => formatter.write_str("every release of Kubernetes"),
            (Some(from), None) => write!(formatter, "Kubernetes 1.{from} and later"),
            (None, Some(until)) => write!(formatter, "Kubernetes 1.{until} and earlier"),
            (Some(from), Some(until)) => write!(formatter, "Kubernetes 1.{from} to 1.{until}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Releases;

    #[test]
    fn both_ends_are_among_them() {
        let some = Releases::ALL.from(25).until(33);
        let among: Vec<u32> = (23..36).filter(|minor| some.contain(*minor)).collect();
        assert_eq!(among, (25..=33).collect::<Vec<u32>>());
        assert!(Releases::ALL.contain(0) && Releases::ALL.contain(99));
        assert_eq!(some.to_string(), "Kubernetes 1.25 to 1.33");
    }
}
