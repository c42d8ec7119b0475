//! Switches: states of the world that no call of the API brings about.

use serde::{Deserialize, Serialize};

use crate::{
    ec2,
    events::EventKind,
    wire::ApiError,
    world::{Ctx, Effect},
};

/// A switch that a test or a person throws.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "switch",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Switch {
    /// The SSM agent of an instance does not answer, or does again.
    AgentOffline {
        /// The instance's id.
        instance: String,
        /// Whether it is offline.
        offline: bool,
    },
    /// The application on an instance is killed with SIGKILL, as the kernel does to one that takes
    /// too much memory. The instance and its agent go on.
    ProcessKilled {
        /// The instance's id.
        instance: String,
        /// The unit; absent is every one that runs there.
        #[serde(default)]
        unit: Option<String>,
    },
    /// An instance stops this instant, without anybody having asked for it.
    InstanceStopped {
        /// The instance's id.
        instance: String,
    },
    /// Another user changes the port that the health check of a target group asks.
    HealthCheckPort {
        /// The target group's ARN.
        target_group: String,
        /// The port; absent is the one of each target.
        #[serde(default)]
        port: Option<std::num::NonZeroU16>,
    },
    /// Somebody else changes the deregistration delay of a target group.
    DeregistrationDelay {
        /// The target group's ARN.
        target_group: String,
        /// The new delay.
        seconds: u32,
    },
    /// Drains do not end, or do again: a target stays `draining` past its deregistration delay,
    /// for as long as this is on. Connections are still cut off when the delay ends, and a target
    /// that is registered again, or whose instance is terminated, is not held back. What is
    /// overdue when it is turned off ends at once.
    EndlessDrains {
        /// The target group's ARN; absent is every group there is.
        #[serde(default)]
        target_group: Option<String>,
        /// Whether it is on.
        on: bool,
    },
    /// How many instances a zone has room for.
    Capacity {
        /// The zone.
        zone: String,
        /// The number; absent is unlimited.
        instances: Option<usize>,
    },
}

pub(crate) fn throw(ctx: &mut Ctx<'_>, switch: &Switch) -> Result<(), ApiError> {
    let subject: &str = match switch {
        Switch::AgentOffline { instance, offline } => {
            ctx.ec2().instance(instance)?;
            let since = ctx.now;
            let agents = &mut ctx.world.ssm.offline;
            if *offline {
                agents.entry(instance.clone()).or_insert(since);
            } else {
                agents.remove(instance);
            }
            instance
        }
        Switch::ProcessKilled { instance, unit } => {
            let host = ec2::host(ctx.ec2().instance(instance)?);
            ctx.effect(Effect::Kill(host, unit.clone()));
            instance
        }
        Switch::HealthCheckPort { target_group, port } => {
            let port = port.map_or_else(|| "traffic-port".to_owned(), |port| port.to_string());
            ctx.elb().group_mut(target_group)?.check.port = port;
            target_group
        }
        Switch::InstanceStopped { instance } => {
            ec2::halt_now(ctx, instance)?;
            instance
        }
        Switch::DeregistrationDelay {
            target_group,
            seconds,
        } => {
            let attributes = &mut ctx.elb().group_mut(target_group)?.attributes;
            let delay = "deregistration_delay.timeout_seconds".to_owned();
            attributes.insert(delay, seconds.to_string());
            target_group
        }
        Switch::EndlessDrains { target_group, on } => match target_group {
            Some(arn) => {
                ctx.elb().group_mut(arn)?.endless_drains = *on;
                arn
            }
            None => {
                let groups = ctx.elb().groups.values_mut();
                groups.for_each(|group| group.endless_drains = *on);
                "every target group"
            }
        },
        Switch::Capacity { zone, instances } => {
            match instances {
                Some(count) => ctx.ec2().capacity.insert(zone.clone(), *count),
                None => ctx.ec2().capacity.remove(zone),
            };
            zone
        }
    };
    ctx.event(EventKind::Switched, subject, format!("{switch:?}"));
    Ok(())
}
