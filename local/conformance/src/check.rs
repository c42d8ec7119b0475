//! How a case says that an answer is not what it should be.

/// What was wrong: which request, what came, what should have come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failure(String);

/// What comes of a case.
pub type Outcome = Result<(), Failure>;

impl Failure {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// Ends the case where two values differ.
macro_rules! same {
    ($got:expr, $wanted:expr) => {
        match (&$got, &$wanted) {
            (got, wanted) if *got == *wanted => {}
            (got, wanted) => {
                return Err($crate::Failure::new(format!(
                    "line {}: {} should be\n{wanted:?} and is\n{got:?}",
                    line!(),
                    stringify!($got)
                )));
            }
        }
    };
}

/// Ends the case where something does not hold.
macro_rules! holds {
    ($condition:expr, $($shown:tt)+) => {{
        if !$condition {
            let shown = format!($($shown)+);
            return Err($crate::Failure::new(format!(
                "line {}: {} does not hold: {shown}",
                line!(),
                stringify!($condition)
            )));
        }
    }};
}

pub(crate) use {holds, same};
