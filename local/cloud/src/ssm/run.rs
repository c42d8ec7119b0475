//! Carrying out a command: delivery to the agents, execution, and what comes back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use jiff::Timestamp;

use super::model::{Sent, Status};
use crate::{
    cloud::Inner,
    ec2,
    events::EventKind,
    hosts::{Command, CommandOutput, Host},
    world::later,
};

/// Carries out a command on all of its instances.
pub(crate) async fn carry_out(inner: Arc<Inner>, id: String) {
    let Some(sent) = inner.world().ssm.command(&id).cloned() else {
        return;
    };
    let instances: Vec<String> = sent.invocations.keys().cloned().collect();
    let count = instances.len();
    let limit = share(&sent.max_concurrency, count).max(1);
    let allowed_errors = share(&sent.max_errors, count);
    let (inner, sent, errors) = (&inner, &sent, &AtomicUsize::new(0));
    futures::stream::iter(instances)
        .for_each_concurrent(limit, |instance| async move {
            // With a limit of its own on errors, what has not started yet does not start.
            if errors.load(Ordering::Relaxed) > allowed_errors {
                finish(inner, sent, &instance, Status::Terminated, None);
                return;
            }
            let status = invoke(inner, sent, &instance).await;
            if status.is_error() {
                errors.fetch_add(1, Ordering::Relaxed);
            }
        })
        .await;
}

/// A number, or a percentage of `count`.
fn share(text: &str, count: usize) -> usize {
    match text.strip_suffix('%') {
        Some(percent) => percent
            .parse()
            .map_or(0, |percent: usize| count * percent / 100),
        None => text.parse().unwrap_or(0),
    }
}

async fn invoke(inner: &Arc<Inner>, sent: &Sent, instance: &str) -> Status {
    let delivery_ends = later(sent.requested, Duration::from_secs(sent.delivery_timeout));
    let lag = inner.draw(inner.config.hostility.command_start);
    inner.clock.sleep(lag).await;
    let waited = wait(inner, sent, instance, delivery_ends, Phase::Delivery).await;
    let host = match waited {
        Waited::Reachable(host) => host,
        Waited::Cancelled => return Status::Cancelled,
        Waited::TimedOut => {
            return finish(inner, sent, instance, Status::DeliveryTimedOut, None);
        }
    };
    begin(inner, sent, instance);
    let limit = Duration::from_secs(sent.filled.execution_timeout);
    let ends = later(inner.clock.now(), limit);
    let command = Command {
        document: sent.document.clone(),
        parameters: sent.filled.parameters.clone(),
        script: sent.filled.script.clone(),
        working_directory: sent.filled.working_directory.clone(),
    };
    let run = inner.clock.timeout(limit, inner.hosts.run(host, command));
    let output = tokio::select! {
        output = run => output.ok(),
        () = cancelled(inner, sent, instance) => {
            return finish(inner, sent, instance, Status::Cancelled, None);
        }
    };
    let Some(output) = output else {
        return finish(inner, sent, instance, Status::ExecutionTimedOut, None);
    };
    // An agent that is gone reports nothing; one that comes back in time reports late.
    match wait(inner, sent, instance, ends, Phase::Execution).await {
        Waited::TimedOut => finish(inner, sent, instance, Status::ExecutionTimedOut, None),
        Waited::Reachable(_) | Waited::Cancelled => {
            let status = if output.exit == 0 {
                Status::Success
            } else {
                Status::Failed
            };
            finish(inner, sent, instance, status, Some(output))
        }
    }
}

enum Waited {
    Reachable(Host),
    Cancelled,
    TimedOut,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Delivery,
    Execution,
}

/// Waits until the agent on an instance can be reached.
async fn wait(
    inner: &Arc<Inner>,
    sent: &Sent,
    instance: &str,
    until: Timestamp,
    phase: Phase,
) -> Waited {
    let mut pulse = inner.pulse.subscribe();
    loop {
        if phase == Phase::Delivery && status(inner, sent, instance) != Some(Status::Pending) {
            return Waited::Cancelled;
        }
        if let Some(host) = reachable(inner, instance) {
            return Waited::Reachable(host);
        }
        tokio::select! {
            _ = pulse.changed() => {}
            () = inner.clock.sleep_until(until) => return Waited::TimedOut,
        }
    }
}

fn reachable(inner: &Arc<Inner>, instance: &str) -> Option<Host> {
    let world = inner.world();
    let found = world.live.ec2.instances.get(instance)?;
    let online = found.is_running() && !world.ssm.offline.contains_key(instance);
    online.then(|| ec2::host(found))
}

fn status(inner: &Arc<Inner>, sent: &Sent, instance: &str) -> Option<Status> {
    let world = inner.world();
    Some(
        world
            .ssm
            .command(&sent.id)?
            .invocations
            .get(instance)?
            .status,
    )
}

/// Waits until the invocation is to be cancelled.
async fn cancelled(inner: &Arc<Inner>, sent: &Sent, instance: &str) {
    let mut pulse = inner.pulse.subscribe();
    while status(inner, sent, instance) != Some(Status::Cancelling) {
        if pulse.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn begin(inner: &Arc<Inner>, sent: &Sent, instance: &str) {
    let now = inner.clock.now();
    let mut world = inner.world();
    if let Some(invocation) = world.ssm.invocation_mut(&sent.id, instance) {
        invocation.status = Status::InProgress;
        invocation.started = Some(now);
    }
    let subject = format!("{} {instance}", sent.id);
    world
        .events
        .record(now, EventKind::InvocationStatus, subject, "InProgress");
}

fn finish(
    inner: &Arc<Inner>,
    sent: &Sent,
    instance: &str,
    status: Status,
    output: Option<CommandOutput>,
) -> Status {
    let now = inner.clock.now();
    let mut world = inner.world();
    if let Some(invocation) = world.ssm.invocation_mut(&sent.id, instance) {
        invocation.status = status;
        invocation.ended = Some(now);
        if let Some(CommandOutput {
            exit,
            stdout,
            stderr,
        }) = output
        {
            invocation.exit = exit;
            invocation.stdout = stdout;
            invocation.stderr = match exit {
                0 => stderr,
                // The agent's own last words, after those of the script.
                _ => format!("{stderr}failed to run commands: exit status {exit}"),
            };
        }
    }
    let subject = format!("{} {instance}", sent.id);
    world
        .events
        .record(now, EventKind::InvocationStatus, subject, status.details());
    status
}
