//! From a request to its answer: faults, throttles, the service itself, the ledger.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::Request;
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    cloud::Inner,
    ec2, elb,
    events::EventKind,
    faults::FaultKind,
    ledger::{Entry, Outcome},
    ssm, sts, throttle,
    wire::{self, ApiError, Call, Rendered, Service},
    world::{Ctx, World},
};

/// How a call ends for its caller.
pub(crate) enum Ending {
    Reply,
    Late(Duration),
    Drop,
    Hang,
}

impl Inner {
    /// Answers a request; says how its caller is to learn of it.
    pub(crate) fn answer(self: &Arc<Self>, request: &Request<Bytes>) -> (Rendered, Ending) {
        let now = self.clock.now();
        let mut world = self.world();
        world.advance(now, &self.config);
        world.requests += 1;
        let request_id = format!("00000000-0000-4000-8000-{:012x}", world.requests);
        match wire::parse(request) {
            Ok(call) => self.answer_call(&mut world, &call, now, &request_id),
            Err((protocol, err)) => (wire::error(protocol, &err, &request_id), Ending::Reply),
        }
    }

    fn answer_call(
        &self,
        world: &mut World,
        call: &Call,
        now: Timestamp,
        request_id: &str,
    ) -> (Rendered, Ending) {
        let protocol = call.service.protocol();
        let iam_action = format!("{}:{}", call.service.iam_prefix(), call.action);
        let principal = world.sts.principal(&call.access_key);
        let fault = world.faults.strike(call, now);
        if let Some(fault) = &fault {
            world.events.record(
                now,
                EventKind::FaultFired,
                iam_action.clone(),
                format!("{fault:?}"),
            );
        }
        let refusal = fault
            .as_ref()
            .and_then(|fault| self.refusal(fault, call, &principal, &iam_action));
        let skipped = matches!(fault, Some(FaultKind::DropBefore | FaultKind::HangBefore));
        let (result, resources) = match refusal {
            Some(err) => (Err(err), call.params.arns()),
            None if skipped => (Ok(Value::Null), call.params.arns()),
            None => self.carry_out(world, call, now),
        };
        let effective = result.is_ok() && !skipped;
        let (reply, ending, outcome) = match (result, fault) {
            (_, Some(FaultKind::DropBefore | FaultKind::DropAfter)) => {
                (Rendered::default(), Ending::Drop, Outcome::Dropped)
            }
            (_, Some(FaultKind::HangBefore | FaultKind::HangAfter)) => {
                (Rendered::default(), Ending::Hang, Outcome::Hung)
            }
            (_, Some(FaultKind::Malformed)) => {
                let reply = wire::malformed(protocol, &call.action, request_id);
                (reply, Ending::Reply, Outcome::Malformed)
            }
            (Ok(_), Some(FaultKind::ErrorAfter { status, code })) => {
                let err =
                    ApiError::with_status(status, code, "the reply was lost within the service");
                refused(protocol, &err, request_id)
            }
            (Err(err), _) => refused(protocol, &err, request_id),
            (Ok(value), Some(spoilt)) if spoils_the_reply(&spoilt) => {
                let value = match spoilt {
                    FaultKind::EmptyLists => wire::without_items(&value),
                    _ => value,
                };
                let reply = wire::success(protocol, &call.action, &value, request_id);
                let reply = reply.map(|body| self.spoil(&spoilt, body));
                (reply, Ending::Reply, Outcome::Malformed)
            }
            (Ok(value), fault) => {
                let reply = wire::success(protocol, &call.action, &value, request_id);
                let ending = match fault {
                    Some(FaultKind::Slow { seconds }) => {
                        Ending::Late(Duration::try_from_secs_f64(seconds).unwrap_or_default())
                    }
                    _ => Ending::Reply,
                };
                (reply, ending, Outcome::Success)
            }
        };
        world.ledger.record(Entry {
            sequence: 0,
            at: now,
            principal,
            action: iam_action,
            resources,
            parameters: call.params.to_json(),
            outcome,
            effective,
        });
        (reply, ending)
    }

    /// The body of a reply as a fault leaves it.
    fn spoil(&self, fault: &FaultKind, body: Bytes) -> Bytes {
        match fault {
            FaultKind::CutAt { bytes } => body.slice(..body.len().min(*bytes)),
            FaultKind::CutShare { share } => {
                // A share of a length is never more than the length.
                let kept = (body.len() as f64 * share.clamp(0.0, 1.0)) as usize;
                body.slice(..kept.min(body.len()))
            }
            FaultKind::Empty => Bytes::new(),
            FaultKind::OtherAccount { account } => {
                let text = String::from_utf8_lossy(&body);
                Bytes::from(text.replace(&self.config.account, account))
            }
            _ => body,
        }
    }

    fn carry_out(
        &self,
        world: &mut World,
        call: &Call,
        now: Timestamp,
    ) -> (Result<Value, ApiError>, Vec<String>) {
        let admitted = if world.sts.has_expired(&call.access_key, now) {
            Err(sts::expired(call.service))
        } else if self.config.hostility.throttling {
            world.throttle.admit(call, now)
        } else {
            Ok(())
        };
        if let Err(err) = admitted {
            return (Err(err), call.params.arns());
        }
        let mut ctx = Ctx::new(world, &self.config, now, &call.access_key);
        let result = match call.service {
            Service::Elb => elb::call(&mut ctx, &call.action, &call.params),
            Service::Ec2 => ec2::call(&mut ctx, &call.action, &call.params),
            Service::Ssm => ssm::call(&mut ctx, &call.action, &call.params),
            Service::Sts => sts::call(&mut ctx, &call.action, &call.params),
        };
        (result, ctx.into_touched())
    }

    /// The error of a fault that keeps the call from being carried out.
    fn refusal(
        &self,
        fault: &FaultKind,
        call: &Call,
        principal: &str,
        iam_action: &str,
    ) -> Option<ApiError> {
        match fault {
            FaultKind::HealthUnavailable => Some(ApiError::with_status(
                500,
                "HealthUnavailable",
                "The health of the specified targets could not be retrieved due to an internal error.",
            )),
            FaultKind::ErrorBefore { status, code } => Some(ApiError::with_status(
                *status,
                code.clone(),
                "the service could not carry out the request",
            )),
            FaultKind::Throttle => Some(throttle::refusal(call.service)),
            FaultKind::ExpiredToken => Some(sts::expired(call.service)),
            FaultKind::AccessDenied => {
                let user = sts::user_arn(&self.config.account, principal);
                let arns = call.params.arns();
                let resource = arns.first().map_or("*", String::as_str);
                Some(sts::denied(call.service, &user, iam_action, resource))
            }
            FaultKind::ErrorAfter { .. }
            | FaultKind::DropBefore
            | FaultKind::DropAfter
            | FaultKind::HangBefore
            | FaultKind::HangAfter
            | FaultKind::Slow { .. }
            | FaultKind::Malformed
            | FaultKind::CutAt { .. }
            | FaultKind::CutShare { .. }
            | FaultKind::Empty
            | FaultKind::EmptyLists
            | FaultKind::OtherAccount { .. } => None,
        }
    }
}

/// Whether a fault lets the call be carried out and changes what its caller reads.
fn spoils_the_reply(fault: &FaultKind) -> bool {
    matches!(
        fault,
        FaultKind::CutAt { .. }
            | FaultKind::CutShare { .. }
            | FaultKind::Empty
            | FaultKind::EmptyLists
            | FaultKind::OtherAccount { .. }
    )
}

fn refused(
    protocol: wire::Protocol,
    err: &ApiError,
    request_id: &str,
) -> (Rendered, Ending, Outcome) {
    let outcome = Outcome::Error {
        status: err.status,
        code: err.code.clone().into_owned(),
    };
    (
        wire::error(protocol, err, request_id),
        Ending::Reply,
        outcome,
    )
}
