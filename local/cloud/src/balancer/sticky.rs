//! Stickiness: the cookies that send a client to the target, and to the target group, that
//! answered it before.
//!
//! Any node reads the cookie that another has set. A cookie never makes a target usable: a target
//! that is draining, gone or unhealthy loses its clients to another, and they get another cookie.

use std::{fmt::Write, time::Duration};

use http::{HeaderMap, HeaderValue, header};
use jiff::{SignedDuration, Timestamp};

use super::pool::Registration;
use crate::topology::{Target, TargetGroup, WeightedGroup};

/// The cookie that names a target.
const TARGET: &str = "AWSALB";
/// The cookie that names a target group.
const GROUP: &str = "AWSALBTG";
/// How long clients keep the cookies, however long they count.
const KEPT_BY_CLIENTS: SignedDuration = SignedDuration::from_hours(7 * 24);
/// What stands between the parts of a cookie's value; no ARN and no id has it.
const BETWEEN: char = '|';

/// How long the cookies of an answer count; `None` for those that are not set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stickiness {
    pub(super) target: Option<Duration>,
    pub(super) group: Option<Duration>,
}

/// The target that a client's cookie names, where it is among the usable ones.
pub(super) fn target<'a>(
    headers: &HeaderMap,
    group: &TargetGroup,
    usable: &[&'a Target],
    now: Timestamp,
) -> Option<&'a Target> {
    group.sticky?;
    let named = named(headers, TARGET, now)?;
    let mut parts = named.split(BETWEEN);
    let (arn, id) = (parts.next()?, parts.next()?);
    let port: u16 = parts.next()?.parse().ok()?;
    let is_named = |target: &&&Target| (target.key.id.as_str(), target.key.port) == (id, port);
    usable
        .iter()
        .find(is_named)
        .filter(|_| arn == group.arn)
        .copied()
}

/// The target group that a client's cookie names, where the action still has it, whatever its
/// weight is: clients leave a group when it leaves the action.
pub(super) fn group<'a>(
    headers: &HeaderMap,
    groups: &'a [WeightedGroup],
    now: Timestamp,
) -> Option<&'a str> {
    let named = named(headers, GROUP, now)?;
    let mut groups = groups.iter().map(|group| group.target_group.as_str());
    groups.find(|arn| *arn == named)
}

/// Adds the cookies to an answer.
pub(super) fn set(
    headers: &mut HeaderMap,
    (group, target): &Registration,
    sticky: Stickiness,
    now: Timestamp,
) {
    let port = target.port.to_string();
    let named = [group, &target.id, &port].map(String::as_str).join("|");
    let cookies = [
        (TARGET, sticky.target, &named),
        (GROUP, sticky.group, group),
    ];
    for (cookie, counts, named) in cookies {
        let Some(counts) = counts.and_then(|counts| SignedDuration::try_from(counts).ok()) else {
            continue;
        };
        let value = sealed(&format!("{}{BETWEEN}{named}", (now + counts).as_second()));
        let expires = (now + KEPT_BY_CLIENTS).strftime("%a, %d %b %Y %H:%M:%S GMT");
        for (suffix, more) in [("", ""), ("CORS", "; SameSite=None")] {
            let text = format!("{cookie}{suffix}={value}; Expires={expires}; Path=/{more}");
            if let Ok(text) = HeaderValue::from_str(&text) {
                headers.append(header::SET_COOKIE, text);
            }
        }
    }
}

/// What a cookie of ours says, unless its time is over.
fn named(headers: &HeaderMap, cookie: &str, now: Timestamp) -> Option<String> {
    let sent = headers.get_all(header::COOKIE).iter();
    let pairs = sent
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    let mut values = pairs.filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = values.find(|(name, _)| *name == cookie)?;
    let text = opened(value)?;
    let (until, named) = text.split_once(BETWEEN)?;
    let until = Timestamp::from_second(until.parse().ok()?).ok()?;
    (now < until).then(|| named.to_owned())
}

/// Opaque to clients, as the real ones are.
fn sealed(text: &str) -> String {
    text.bytes().fold(String::new(), |mut sealed, byte| {
        write!(sealed, "{byte:02x}").expect("a text can be written to");
        sealed
    })
}

fn opened(value: &str) -> Option<String> {
    let digits = value.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    String::from_utf8(digits.map(byte).collect::<Option<Vec<u8>>>()?).ok()
}
