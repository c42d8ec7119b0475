//! When a lease may be taken: plain functions on what was seen of it.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use tokio::time::Instant;

/// What a candidate knows of the lease.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Sight {
    /// It was not looked at yet.
    #[default]
    Unseen,
    /// There is none, and none was seen before.
    Missing,
    /// There was one, and it was deleted. Whoever held it may not know yet.
    Deleted {
        /// When its holder has surely noticed.
        over: Instant,
    },
    /// It is there.
    Seen(Box<Seen>),
}

/// A lease as it was seen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    /// The object.
    pub(super) lease: Lease,
    /// When its holder's time is over, if it does not renew the lease. It counts from when this
    /// version was first seen here, which is later than when it was written, so it is later than
    /// what the holder itself counts.
    over: Instant,
}

/// What a candidate may do.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Claim {
    /// Look at the lease first.
    Look,
    /// Make a lease.
    Create,
    /// Take this lease, if it is still the same.
    Take(Box<Lease>),
    /// Wait until then at the latest; its holder may renew it or give it back before.
    Wait { until: Instant },
}

impl Sight {
    /// What is known when the server has answered: a lease, or that there is none.
    pub(super) fn look(&self, lease: Option<&Lease>, own: Duration, now: Instant) -> Self {
        match (lease, self) {
            (Some(lease), Self::Seen(seen)) if same(&seen.lease, lease) => self.clone(),
            (Some(lease), _) => Self::Seen(Box::new(Seen {
                lease: lease.clone(),
                over: now + lasts(lease).unwrap_or(own),
            })),
            (None, Self::Seen(seen)) if holder(&seen.lease).is_some() => {
                Self::Deleted { over: seen.over }
            }
            (None, Self::Deleted { over }) => Self::Deleted { over: *over },
            (None, Self::Unseen | Self::Missing | Self::Seen(_)) => Self::Missing,
        }
    }

    /// What a candidate may do now.
    pub(super) fn claim(&self, identity: &str, now: Instant) -> Claim {
        match self {
            Self::Unseen => Claim::Look,
            Self::Missing => Claim::Create,
            Self::Deleted { over } if *over <= now => Claim::Create,
            Self::Deleted { over } => Claim::Wait { until: *over },
            Self::Seen(seen) => {
                let take = || Claim::Take(Box::new(seen.lease.clone()));
                match holder(&seen.lease) {
                    None => take(),
                    // Written by us, with an answer that was lost. Nobody else has our identity.
                    Some(holder) if holder == identity => take(),
                    Some(_) if seen.over <= now => take(),
                    Some(_) => Claim::Wait { until: seen.over },
                }
            }
        }
    }

    /// Who holds the lease, as far as is known.
    pub(super) fn holder(&self) -> Option<&str> {
        match self {
            Self::Seen(seen) => holder(&seen.lease),
            Self::Unseen | Self::Missing | Self::Deleted { .. } => None,
        }
    }
}

fn same(one: &Lease, other: &Lease) -> bool {
    one.metadata.resource_version == other.metadata.resource_version
        && one.metadata.uid == other.metadata.uid
}

/// Who holds a lease; nobody, where it was given back.
pub(super) fn holder(lease: &Lease) -> Option<&str> {
    let holder = lease.spec.as_ref()?.holder_identity.as_deref()?;
    (!holder.is_empty()).then_some(holder)
}

/// How long a lease lasts from a renewal, as its holder says.
fn lasts(lease: &Lease) -> Option<Duration> {
    let seconds = lease.spec.as_ref()?.lease_duration_seconds?;
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::coordination::v1::LeaseSpec;

    use super::*;

    const OWN: Duration = Duration::from_secs(15);
    const ME: &str = "me";

    fn lease(version: &str, holder: &str) -> Lease {
        let mut lease = Lease {
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                lease_duration_seconds: Some(20),
                ..LeaseSpec::default()
            }),
            ..Lease::default()
        };
        lease.metadata.resource_version = Some(version.to_owned());
        lease
    }

    fn taken(claim: &Claim) -> bool {
        matches!(claim, Claim::Take(_))
    }

    #[test]
    fn another_s_lease_is_taken_when_it_was_not_renewed_for_as_long_as_its_holder_says() {
        let start = Instant::now();
        let sight = Sight::default().look(Some(&lease("1", "other")), OWN, start);
        let end = start + Duration::from_secs(20);
        assert_eq!(sight.claim(ME, start), Claim::Wait { until: end });
        assert!(taken(&sight.claim(ME, end)));
        let again = sight.look(Some(&lease("1", "other")), OWN, end);
        assert!(taken(&again.claim(ME, end)), "it is the same version");
        let renewed = sight.look(Some(&lease("2", "other")), OWN, end);
        assert!(!taken(&renewed.claim(ME, end)));
    }

    #[test]
    fn a_lease_that_was_given_back_or_is_ours_is_taken_at_once() {
        let now = Instant::now();
        for holder in ["", ME] {
            let sight = Sight::default().look(Some(&lease("1", holder)), OWN, now);
            assert!(taken(&sight.claim(ME, now)));
        }
    }

    #[test]
    fn a_lease_that_was_deleted_under_its_holder_is_waited_for() {
        let now = Instant::now();
        let missing = Sight::default().look(None, OWN, now);
        assert_eq!(missing.claim(ME, now), Claim::Create);
        let sight = Sight::default().look(Some(&lease("1", "other")), OWN, now);
        let deleted = sight.look(None, OWN, now).look(None, OWN, now);
        let over = now + Duration::from_secs(20);
        assert_eq!(deleted.claim(ME, now), Claim::Wait { until: over });
        assert_eq!(deleted.claim(ME, over), Claim::Create);
    }
}
