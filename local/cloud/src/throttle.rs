//! The published token buckets of ELBv2 and EC2.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::wire::{ApiError, Call, Service};

/// How much a bucket holds and how fast it fills.
#[derive(Debug, Clone, Copy)]
struct Size {
    capacity: f64,
    per_second: f64,
}

const fn size(capacity: f64, per_second: f64) -> Size {
    Size {
        capacity,
        per_second,
    }
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Timestamp,
}

/// All buckets of the account in its region.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    buckets: BTreeMap<String, Bucket>,
}

impl Throttle {
    /// Takes what the call costs from every bucket that it draws on, or from none and refuses.
    pub(crate) fn admit(&mut self, call: &Call, now: Timestamp) -> Result<(), ApiError> {
        let costs = costs(call);
        for (name, size, cost) in &costs {
            let bucket = self.buckets.entry(name.clone()).or_insert(Bucket {
                tokens: size.capacity,
                at: now,
            });
            let passed = now.duration_since(bucket.at).as_secs_f64().max(0.0);
            bucket.tokens = (bucket.tokens + passed * size.per_second).min(size.capacity);
            bucket.at = now;
            if bucket.tokens < *cost {
                return Err(refusal(call.service));
            }
        }
        for (name, _, cost) in &costs {
            if let Some(bucket) = self.buckets.get_mut(name) {
                bucket.tokens -= cost;
            }
        }
        Ok(())
    }
}

/// What a throttled caller is told.
pub(crate) fn refusal(service: Service) -> ApiError {
    match service {
        Service::Elb | Service::Ssm => ApiError::sender("ThrottlingException", "Rate exceeded"),
        Service::Sts => ApiError::sender("Throttling", "Rate exceeded"),
        Service::Ec2 => {
            ApiError::with_status(503, "RequestLimitExceeded", "Request limit exceeded.")
        }
    }
}

fn costs(call: &Call) -> Vec<(String, Size, f64)> {
    match call.service {
        Service::Elb => {
            let (name, bucket) = elb_bucket(&call.action);
            vec![
                ("elb:account".to_owned(), size(40.0, 10.0), 1.0),
                (format!("elb:{name}"), bucket, 1.0),
            ]
        }
        Service::Ec2 => ec2_costs(call),
        // No table is published for these two.
        Service::Ssm | Service::Sts => Vec::new(),
    }
}

fn elb_bucket(action: &str) -> (&'static str, Size) {
    match action {
        "RegisterTargets" | "DeregisterTargets" => ("registration", size(20.0, 4.0)),
        "CreateLoadBalancer" | "SetSubnets" => ("resource-intensive", size(10.0, 0.2)),
        describe if describe.starts_with("Describe") => ("non-mutating", size(40.0, 10.0)),
        _ => ("mutating", size(20.0, 3.0)),
    }
}

fn ec2_costs(call: &Call) -> Vec<(String, Size, f64)> {
    let action = call.action.as_str();
    let params = call.params.to_json();
    let listed = |name: &str| {
        params
            .get(name)
            .and_then(Value::as_array)
            .map_or(0.0, |ids| {
                f64::from(u32::try_from(ids.len()).unwrap_or(u32::MAX))
            })
    };
    let requests = match action {
        "RunInstances" | "StartInstances" => size(5.0, 2.0),
        "TerminateInstances" | "CreateLaunchTemplateVersion" | "ModifyLaunchTemplate" => {
            size(100.0, 5.0)
        }
        "CreateTags" | "DeleteTags" => size(100.0, 10.0),
        "DescribeInstances" | "DescribeInstanceStatus"
            if ["Filter", "MaxResults", "InstanceId"]
                .iter()
                .all(|name| params.get(name).is_none()) =>
        {
            size(50.0, 10.0)
        }
        describe if describe.starts_with("Describe") => size(100.0, 20.0),
        _ => size(50.0, 5.0),
    };
    let mut costs = vec![(format!("ec2:{action}:{}", requests.capacity), requests, 1.0)];
    let resources = match action {
        "RunInstances" => {
            let count = params.get("MaxCount").and_then(Value::as_str);
            let count = count.and_then(|text| text.parse().ok()).unwrap_or(1.0);
            Some((size(1000.0, 2.0), count))
        }
        "StartInstances" => Some((size(1000.0, 2.0), listed("InstanceId"))),
        "StopInstances" | "TerminateInstances" => Some((size(1000.0, 20.0), listed("InstanceId"))),
        _ => None,
    };
    if let Some((bucket, count)) = resources {
        costs.push((format!("ec2:{action}:resources"), bucket, count));
    }
    costs
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::wire::{Dialect, Params};

    fn call(service: Service, action: &str, form: &str) -> Call {
        Call {
            service,
            action: action.to_owned(),
            params: Params::from_form(form.as_bytes(), Dialect::Query).unwrap(),
            access_key: "key".to_owned(),
        }
    }

    fn admitted(throttle: &mut Throttle, call: &Call, now: Timestamp) -> u32 {
        (0..100)
            .map(|_| u32::from(throttle.admit(call, now).is_ok()))
            .sum()
    }

    #[test]
    fn the_account_bucket_is_shared_by_reads_and_writes() {
        let now = Timestamp::constant(1_800_000_000, 0);
        let mut throttle = Throttle::default();
        let register = call(Service::Elb, "RegisterTargets", "");
        let describe = call(Service::Elb, "DescribeTargetHealth", "");
        assert_eq!(admitted(&mut throttle, &register, now), 20);
        assert_eq!(admitted(&mut throttle, &describe, now), 20);
        let later = now + SignedDuration::from_secs(1);
        assert_eq!(admitted(&mut throttle, &register, later), 4);
        assert_eq!(admitted(&mut throttle, &describe, later), 6);
    }

    #[test]
    fn run_instances_has_five_tokens_and_says_so_in_ec2s_words() {
        let now = Timestamp::constant(1_800_000_000, 0);
        let mut throttle = Throttle::default();
        let run = call(Service::Ec2, "RunInstances", "MaxCount=1");
        assert_eq!(admitted(&mut throttle, &run, now), 5);
        let err = throttle.admit(&run, now).unwrap_err();
        assert_eq!(
            (err.status, err.code.as_ref()),
            (503, "RequestLimitExceeded")
        );
    }

    #[test]
    fn a_refused_call_takes_nothing() {
        let now = Timestamp::constant(1_800_000_000, 0);
        let mut throttle = Throttle::default();
        let big = call(Service::Ec2, "RunInstances", "MaxCount=2000");
        assert!(throttle.admit(&big, now).is_err());
        let one = call(Service::Ec2, "RunInstances", "MaxCount=1");
        assert_eq!(admitted(&mut throttle, &one, now), 5);
    }
}
