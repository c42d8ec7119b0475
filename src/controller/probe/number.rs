//! The numbers that prove something: whole, from 0, and exact.

use super::fault::{Fault, Kind};

/// Up to here every whole number has a floating point value of its own. Above it, two readings of
/// a counter can be equal although requests were served between them.
const EXACT: u64 = 1 << 53;

/// The same as a floating point value.
const EXACT_FLOAT: f64 = 9_007_199_254_740_992.0;

/// A number as it was written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Unsigned(u64),
    Negative,
    Float(f64),
}

impl Number {
    /// A number of Prometheus' text format.
    pub(super) fn parse(text: &str) -> Option<Self> {
        // Exact, where the text allows it.
        if let Ok(number) = text.parse() {
            return Some(Self::Unsigned(number));
        }
        text.parse().ok().map(Self::Float)
    }

    /// The number as one that can be compared; `shown` is how the answer writes it.
    pub(super) fn whole(self, shown: &str) -> Result<u64, Fault> {
        let wrong = |why: &str, fix: &str| {
            Err(Fault::new(
                Kind::Number,
                format!("is {shown}, which is {why}"),
                fix,
            ))
        };
        let number = match self {
            Self::Negative => return wrong("negative", COUNT),
            Self::Float(number) if number.is_nan() => {
                return wrong(
                    "not a number",
                    "make the application keep a reference to what the gauge measures",
                );
            }
            Self::Float(number) if number.is_infinite() => return wrong("infinite", COUNT),
            Self::Float(number) if number < 0.0 => return wrong("negative", COUNT),
            Self::Float(number) if number.fract() != 0.0 => {
                return wrong("not a whole number", COUNT);
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "whole, not negative, and below 2^53"
            )]
            Self::Float(number) if number < EXACT_FLOAT => number as u64,
            // 2^53 itself may be the next number, rounded.
            Self::Float(_) => EXACT + 1,
            Self::Unsigned(number) => number,
        };
        if number > EXACT {
            return wrong(
                "above 2^53, where counting is not exact",
                "name a counter that begins at 0 with the process",
            );
        }
        Ok(number)
    }
}

const COUNT: &str = "name a figure that counts requests from 0";

/// A sum that stays exact.
pub(super) fn sum(left: u64, right: u64) -> Result<u64, Fault> {
    let sum = left.saturating_add(right);
    Number::Unsigned(sum).whole(&sum.to_string())
}
