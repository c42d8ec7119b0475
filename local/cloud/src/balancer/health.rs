//! A node's health checks of one target.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::{node::Node, pool::Registration, route::Opinion};
use crate::topology::{HealthCheck, HealthFailure, HealthReport, NodeHealth, Target};

/// Decides by successes and failures in a row.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    said: Option<NodeHealth>,
    successes: u32,
    failures: u32,
}

impl Verdict {
    /// Takes one check's result; returns the opinion if it is new. A target that was never healthy
    /// nor unhealthy becomes healthy with one success.
    pub(super) fn observe(
        &mut self,
        result: Result<(), HealthFailure>,
        check: &HealthCheck,
    ) -> Option<NodeHealth> {
        let new = match result {
            Ok(()) => {
                self.successes += 1;
                self.failures = 0;
                let needed = if self.said.is_none() {
                    1
                } else {
                    check.healthy_threshold
                };
                (self.successes >= needed).then_some(NodeHealth::Healthy)
            }
            Err(failure) => {
                self.failures += 1;
                self.successes = 0;
                (self.failures >= check.unhealthy_threshold)
                    .then_some(NodeHealth::Unhealthy(failure))
            }
        }?;
        if self.said.as_ref() == Some(&new) {
            return None;
        }
        self.said = Some(new.clone());
        Some(new)
    }
}

/// Checks one life of a target until it is aborted; `phase` passes before the first check. The
/// settings are read anew for each check.
pub(super) async fn run(node: Arc<Node>, registration: Registration, life: u64, phase: Duration) {
    let mut verdict = Verdict::default();
    node.clock.sleep(phase).await;
    loop {
        let started = node.clock.now();
        let Some((check, target)) = node.check_of(&registration, life) else {
            return;
        };
        let result = match node
            .clock
            .timeout(check.timeout, ask(&node, &check, &target))
            .await
        {
            Ok(result) => result,
            Err(_) => Err(HealthFailure::Timeout),
        };
        if let Some(health) = verdict.observe(result, &check) {
            node.set_opinion(
                &registration,
                life,
                match health {
                    NodeHealth::Healthy => Opinion::Healthy,
                    NodeHealth::Unhealthy(_) => Opinion::Unhealthy,
                },
            );
            let report = HealthReport {
                node: node.address,
                target_group: registration.0.clone(),
                target: registration.1.clone(),
                life,
                health,
            };
            // Nobody listens any more only while everything is being taken down.
            let _ = node.health.send(report).await;
        }
        let interval = jiff::SignedDuration::try_from(check.interval)
            .unwrap_or(jiff::SignedDuration::from_hours(1));
        node.clock.sleep_until(started + interval).await;
    }
}

async fn ask(node: &Node, check: &HealthCheck, target: &Target) -> Result<(), HealthFailure> {
    let port = check.port.unwrap_or(target.address.port());
    let address = SocketAddr::new(target.address.ip(), port);
    let stream = node
        .net
        .connect(Some(node.address), address)
        .await
        .map_err(|_| HealthFailure::Failed)?;
    let (mut sender, connection) = http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(|_| HealthFailure::Failed)?;
    let request = Request::get(check.path.as_str())
        .header(header::HOST, address.to_string())
        .header(header::USER_AGENT, "ELB-HealthChecker/2.0")
        .header(header::ACCEPT, "*/*")
        .header(header::CONNECTION, "close")
        .body(Empty::new())
        .map_err(|_| HealthFailure::Failed)?;
    // The connection is driven here and not by a task of its own, so that it is closed as soon as
    // this check ends, however it ends.
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(sender.send_request(request));
    let response = tokio::select! {
        biased;
        response = &mut answer => response,
        ended = &mut connection => match ended {
            Ok(()) => answer.await,
            Err(_) => return Err(HealthFailure::Failed),
        },
    };
    let status = response
        .map_err(|_| HealthFailure::Failed)?
        .status()
        .as_u16();
    let passes = check
        .matcher
        .iter()
        .any(|(from, to)| (*from..=*to).contains(&status));
    passes.then_some(()).ok_or(HealthFailure::Status(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> HealthCheck {
        HealthCheck {
            path: "/health".to_owned(),
            port: None,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            healthy_threshold: 3,
            unhealthy_threshold: 2,
            matcher: vec![(200, 200)],
        }
    }

    #[test]
    fn one_success_is_enough_only_at_first() {
        let check = settings();
        let mut verdict = Verdict::default();
        let unhealthy = NodeHealth::Unhealthy(HealthFailure::Failed);
        assert_eq!(verdict.observe(Ok(()), &check), Some(NodeHealth::Healthy));
        assert_eq!(verdict.observe(Err(HealthFailure::Failed), &check), None);
        assert_eq!(
            verdict.observe(Err(HealthFailure::Failed), &check),
            Some(unhealthy)
        );
        assert_eq!(verdict.observe(Ok(()), &check), None);
        assert_eq!(verdict.observe(Ok(()), &check), None);
        assert_eq!(verdict.observe(Ok(()), &check), Some(NodeHealth::Healthy));
    }

    #[test]
    fn a_new_reason_is_reported_and_the_same_one_is_not() {
        let check = settings();
        let mut verdict = Verdict::default();
        assert_eq!(verdict.observe(Err(HealthFailure::Timeout), &check), None);
        assert!(
            verdict
                .observe(Err(HealthFailure::Timeout), &check)
                .is_some()
        );
        assert_eq!(verdict.observe(Err(HealthFailure::Timeout), &check), None);
        assert_eq!(
            verdict.observe(Err(HealthFailure::Status(503)), &check),
            Some(NodeHealth::Unhealthy(HealthFailure::Status(503)))
        );
    }
}
