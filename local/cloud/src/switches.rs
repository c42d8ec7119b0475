//! Switches: states of the world that no call of the API brings about.

use serde::{Deserialize, Serialize};

use crate::{ec2, events::EventKind, wire::ApiError, world::Ctx};

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
    /// An instance stops this instant, without anybody having asked for it.
    InstanceStopped {
        /// The instance's id.
        instance: String,
    },
    /// Somebody else changes the deregistration delay of a target group.
    DeregistrationDelay {
        /// The target group's ARN.
        target_group: String,
        /// The new delay.
        seconds: u32,
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
    let subject = match switch {
        Switch::AgentOffline { instance, offline } => {
            let agents = &mut ctx.world.ssm.offline;
            if *offline {
                agents.insert(instance.clone());
            } else {
                agents.remove(instance);
            }
            instance
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
        Switch::Capacity { zone, instances } => {
            match instances {
                Some(count) => ctx.ec2().capacity.insert(zone.clone(), *count),
                None => ctx.ec2().capacity.remove(zone),
            };
            zone
        }
    };
    ctx.event(EventKind::Switched, subject.clone(), format!("{switch:?}"));
    Ok(())
}
