//! Faults: what a test or a person makes go wrong, for which calls and how often.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::wire::Call;

/// A fault and the calls that it strikes.
///
/// ```
/// use bluegreen_cloud::faults::{Fault, FaultKind};
/// // The second DeregisterTargets for this group is carried out, but its reply is lost.
/// let lost = Fault::new("DeregisterTargets", FaultKind::DropAfter)
///     .on("targetgroup/blue/")
///     .skip(1)
///     .times(1);
/// # let _ = lost;
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// The action, without its service: `RegisterTargets`, or `*` for every one.
    pub action: String,
    /// Only calls that have this text somewhere in their parameters: an ARN, an instance id.
    #[serde(default)]
    pub resource: Option<String>,
    /// Only calls of this access key id.
    #[serde(default)]
    pub principal: Option<String>,
    /// How many matching calls are let through first.
    #[serde(default)]
    pub skip: u32,
    /// How many calls are struck; without it every one until the fault is cleared.
    #[serde(default)]
    pub times: Option<u32>,
    /// For how many virtual seconds, from when the fault was set.
    #[serde(default)]
    pub for_seconds: Option<f64>,
    /// What happens to them.
    #[serde(flatten)]
    pub kind: FaultKind,
}

/// What a fault does to a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum FaultKind {
    /// 500 `HealthUnavailable`; nothing is done.
    HealthUnavailable,
    /// An error; nothing is done.
    ErrorBefore {
        /// The HTTP status.
        status: u16,
        /// The code.
        code: String,
    },
    /// An error although the call was carried out.
    ErrorAfter {
        /// The HTTP status.
        status: u16,
        /// The code.
        code: String,
    },
    /// The connection ends; nothing is done.
    DropBefore,
    /// The connection ends although the call was carried out.
    DropAfter,
    /// No answer ever; nothing is done.
    HangBefore,
    /// No answer ever although the call was carried out.
    HangAfter,
    /// The call is carried out and answered this much later.
    Slow {
        /// How much later, in virtual seconds.
        seconds: f64,
    },
    /// Refused as too many requests.
    Throttle,
    /// Refused because the caller's credentials have expired.
    ExpiredToken,
    /// Refused because no policy allows it.
    AccessDenied,
    /// Carried out; the reply breaks off in the middle.
    Malformed,
    /// Carried out; the reply ends after so many bytes, and its length says so: a well-framed
    /// answer with half a document in it.
    CutAt {
        /// How many bytes are left; more than there are leave it whole.
        bytes: usize,
    },
    /// As [`FaultKind::CutAt`], by a share of the reply's bytes.
    CutShare {
        /// 0 to 1.
        share: f64,
    },
    /// Carried out; the reply has no body.
    Empty,
    /// Carried out; every list of the reply is empty, and it is complete.
    EmptyLists,
    /// Carried out; the reply names another account wherever it names one.
    OtherAccount {
        /// The account, twelve digits.
        account: String,
    },
}

/// The longest time that a fault can stand or keep a reply back: a year, in seconds.
const LONGEST: f64 = 31_536_000.0;

impl Fault {
    /// A fault that strikes every call of `action` until it is cleared.
    #[must_use]
    pub fn new(action: &str, kind: FaultKind) -> Self {
        Self {
            action: action.to_owned(),
            resource: None,
            principal: None,
            skip: 0,
            times: None,
            for_seconds: None,
            kind,
        }
    }

    /// Only for calls that name this resource.
    #[must_use]
    pub fn on(mut self, resource: &str) -> Self {
        self.resource = Some(resource.to_owned());
        self
    }

    /// Only from the matching call after this many.
    #[must_use]
    pub fn skip(mut self, calls: u32) -> Self {
        self.skip = calls;
        self
    }

    /// Only so often.
    #[must_use]
    pub fn times(mut self, calls: u32) -> Self {
        self.times = Some(calls);
        self
    }

    /// Only for so many virtual seconds.
    #[must_use]
    pub fn for_seconds(mut self, seconds: f64) -> Self {
        self.for_seconds = Some(seconds);
        self
    }

    /// Whether every number in it is one that can be carried out.
    ///
    /// # Errors
    /// What is wrong with which field.
    pub fn check(&self) -> Result<(), String> {
        let within = |name: &str, value: f64, most: f64| match (0.0..=most).contains(&value) {
            true => Ok(()),
            false => Err(format!("{name} is {value}: it must be from 0 to {most}")),
        };
        if let Some(seconds) = self.for_seconds {
            within("forSeconds", seconds, LONGEST)?;
        }
        match &self.kind {
            FaultKind::Slow { seconds } => within("seconds", *seconds, LONGEST),
            FaultKind::CutShare { share } => within("share", *share, 1.0),
            FaultKind::ErrorBefore { status, .. } | FaultKind::ErrorAfter { status, .. }
                if !(400..600).contains(status) =>
            {
                Err(format!("status is {status}: it must be from 400 to 599"))
            }
            _ => Ok(()),
        }
    }

    fn matches(&self, call: &Call) -> bool {
        let action = self.action == "*" || self.action == call.action;
        let resource = self.resource.as_ref();
        let principal = self.principal.as_ref();
        action
            && resource.is_none_or(|text| call.params.mentions(text))
            && principal.is_none_or(|key| *key == call.access_key)
    }
}

/// A fault that was set, as it stands now.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// Its number, by which it is cleared.
    pub id: u64,
    /// What is left of it: `skip` and `times` count down.
    pub fault: Fault,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

/// The faults that stand.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    standing: Vec<Standing>,
    count: u64,
}

impl Faults {
    pub(crate) fn set(&mut self, fault: Fault, now: Timestamp) -> u64 {
        self.count += 1;
        let until = fault
            .for_seconds
            // What is too long or no number at all is as good as a year.
            .map(|seconds| seconds.min(LONGEST))
            .map(|seconds| now + SignedDuration::from_secs_f64(seconds));
        self.standing.push(Standing {
            id: self.count,
            fault,
            until,
        });
        self.count
    }

    /// Clears one fault, or all.
    pub(crate) fn clear(&mut self, id: Option<u64>) {
        self.standing
            .retain(|standing| id.is_some_and(|id| id != standing.id));
    }

    pub(crate) fn standing(&self) -> &[Standing] {
        &self.standing
    }

    /// The fault that strikes this call: the first that matches and has nothing left to skip.
    pub(crate) fn strike(&mut self, call: &Call, now: Timestamp) -> Option<FaultKind> {
        self.standing
            .retain(|standing| standing.until.is_none_or(|until| now < until));
        let mut struck = None;
        for standing in &mut self.standing {
            let fault = &mut standing.fault;
            if struck.is_some() || !fault.matches(call) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            if let Some(times) = &mut fault.times {
                *times = times.saturating_sub(1);
            }
            struck = Some(fault.kind.clone());
        }
        self.standing
            .retain(|standing| standing.fault.times != Some(0));
        struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Dialect, Params, Service};

    fn call(form: &str) -> Call {
        Call {
            service: Service::Elb,
            action: "RegisterTargets".to_owned(),
            params: Params::from_form(form.as_bytes(), Dialect::Query).unwrap(),
            access_key: "key".to_owned(),
        }
    }

    #[test]
    fn a_fault_skips_then_strikes_then_is_gone() {
        let now = Timestamp::constant(1_800_000_000, 0);
        let mut faults = Faults::default();
        let fault = Fault::new("RegisterTargets", FaultKind::DropAfter).on("blue");
        faults.set(fault.skip(1).times(2), now);
        let blue = call("TargetGroupArn=targetgroup/blue/1");
        let green = call("TargetGroupArn=targetgroup/green/1");
        assert_eq!(faults.strike(&green, now), None);
        let struck: Vec<bool> = (0..4)
            .map(|_| faults.strike(&blue, now).is_some())
            .collect();
        assert_eq!(struck, [false, true, true, false]);
    }

    #[test]
    fn a_fault_for_a_while_ends_with_it() {
        let now = Timestamp::constant(1_800_000_000, 0);
        let mut faults = Faults::default();
        faults.set(Fault::new("*", FaultKind::Throttle).for_seconds(5.0), now);
        assert!(faults.strike(&call("A=1"), now).is_some());
        let later = now + SignedDuration::from_secs(5);
        assert!(faults.strike(&call("A=1"), later).is_none());
    }

    #[test]
    fn a_number_that_no_fault_can_have_is_refused_and_breaks_nothing() {
        let now = Timestamp::constant(1_800_000_000, 0);
        for seconds in [1e12, -1.0, f64::NAN, f64::INFINITY] {
            let fault = Fault::new("*", FaultKind::Throttle).for_seconds(seconds);
            assert!(fault.check().unwrap_err().starts_with("forSeconds"));
            Faults::default().set(fault, now);
            let slow = Fault::new("*", FaultKind::Slow { seconds });
            assert!(slow.check().is_err(), "{seconds}");
        }
        for share in [-0.1, 1.1] {
            let cut = Fault::new("*", FaultKind::CutShare { share });
            assert!(cut.check().is_err(), "{share}");
        }
        let cut = Fault::new("*", FaultKind::CutShare { share: 0.5 });
        assert_eq!(cut.for_seconds(5.0).check(), Ok(()));
    }

    #[test]
    fn a_fault_is_written_as_flat_json() {
        let text = r#"{"action":"StopInstances","times":1,"kind":"slow","seconds":2.5}"#;
        let fault: Fault = serde_json::from_str(text).unwrap();
        assert_eq!(fault.kind, FaultKind::Slow { seconds: 2.5 });
    }
}
