//! Chooses where a request goes. Plain functions on plain data.

use crate::topology::{
    Condition, Listener, Rule, Target, TargetGroup, TargetKey, TargetPhase, WeightedGroup,
};

/// What a node's health checks say of a target so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Opinion {
    /// No check has decided yet.
    #[default]
    Unchecked,
    /// It passed.
    Healthy,
    /// It failed.
    Unhealthy,
}

/// The targets of a group that may get a request.
#[derive(Debug)]
pub(super) struct Usable<'a> {
    /// The targets, in the group's order.
    pub(super) targets: Vec<&'a Target>,
    /// Whether there are too few healthy ones, so that health is disregarded.
    pub(super) fail_open: bool,
}

/// The first rule whose conditions all hold.
pub(super) fn matching_rule<'a>(
    listener: &'a Listener,
    host: &str,
    path: &str,
) -> Option<&'a Rule> {
    listener.rules.iter().find(|rule| {
        rule.conditions.iter().all(|condition| match condition {
            Condition::Path(patterns) => patterns.iter().any(|one| matches(one, path)),
            Condition::Host(patterns) => {
                let host = host.to_ascii_lowercase();
                patterns
                    .iter()
                    .any(|one| matches(&one.to_ascii_lowercase(), &host))
            }
        })
    })
}

/// Chooses a group by weight. `roll` is a random number in 0..1. `None` where all weights are 0.
/// A group without targets is chosen like any other: there is no failover between groups.
pub(super) fn weighted_group(groups: &[WeightedGroup], roll: f64) -> Option<&str> {
    let sum: f64 = groups.iter().map(|group| f64::from(group.weight)).sum();
    let mut left = roll * sum;
    for group in groups.iter().filter(|group| group.weight > 0) {
        left -= f64::from(group.weight);
        if left < 0.0 {
            return Some(&group.target_group);
        }
    }
    // A roll of almost 1 may be left over by the rounding of the sum.
    groups
        .iter()
        .rev()
        .find(|group| group.weight > 0)
        .map(|group| group.target_group.as_str())
}

/// The targets of a group that may get a request: the healthy ones, or, where these are fewer
/// than the group demands, all that are registered. Draining ones never.
pub(super) fn usable(
    group: &TargetGroup,
    opinion: impl Fn(&TargetKey) -> Opinion,
    unchecked_in_fail_open: bool,
) -> Usable<'_> {
    let active = group
        .targets
        .iter()
        .filter(|target| target.phase == TargetPhase::Active);
    let healthy: Vec<&Target> = active
        .clone()
        .filter(|target| opinion(&target.key) == Opinion::Healthy)
        .collect();
    let demanded = usize::try_from(group.minimum_healthy).unwrap_or(usize::MAX);
    if healthy.len() >= demanded.max(1) {
        return Usable {
            targets: healthy,
            fail_open: false,
        };
    }
    let all = active.filter(|target| match opinion(&target.key) {
        Opinion::Healthy | Opinion::Unhealthy => true,
        Opinion::Unchecked => unchecked_in_fail_open,
    });
    Usable {
        targets: all.collect(),
        fail_open: true,
    }
}

/// Whether `text` matches a pattern in which `*` stands for any run of characters and `?` for one.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at_pattern, mut at_text) = (0, 0);
    // Where to go on when a character fails: the last star, and how much it has swallowed.
    let mut star: Option<(usize, usize)> = None;
    while at_text < text.len() {
        match pattern.get(at_pattern) {
            Some(b'*') => {
                star = Some((at_pattern, at_text));
                at_pattern += 1;
            }
            Some(&one) if one == b'?' || one == text[at_text] => {
                at_pattern += 1;
                at_text += 1;
            }
            Some(_) | None => {
                let Some((star_pattern, star_text)) = star else {
                    return false;
                };
                star = Some((star_pattern, star_text + 1));
                at_pattern = star_pattern + 1;
                at_text = star_text + 1;
            }
        }
    }
    pattern[at_pattern..].iter().all(|one| *one == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(arn: &str, weight: u16) -> WeightedGroup {
        WeightedGroup {
            target_group: arn.to_owned(),
            weight,
        }
    }

    #[test]
    fn patterns_match_as_listener_rules_do() {
        for (pattern, text, expected) in [
            ("/api/*", "/api/v1/users", true),
            ("/api/*", "/apis", false),
            ("/img/?.png", "/img/a.png", true),
            ("/img/?.png", "/img/ab.png", false),
            ("*", "", true),
            ("*.example.com", "www.example.com", true),
            ("*.example.com", "example.com", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-d", false),
            ("/", "/", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn weights_are_shares_of_their_sum_and_zero_is_never_chosen() {
        let groups = [group("blue", 0), group("green", 1), group("red", 3)];
        assert_eq!(weighted_group(&groups, 0.0), Some("green"));
        assert_eq!(weighted_group(&groups, 0.249), Some("green"));
        assert_eq!(weighted_group(&groups, 0.251), Some("red"));
        assert_eq!(weighted_group(&groups, 0.999_999_999), Some("red"));
        assert_eq!(weighted_group(&groups[..1], 0.5), None);
    }
}
