//! Six ways to replace the old version of an application.
//!
//! A method is given a world in which the old version serves, and returns when the new version
//! serves on every host and the old one has ended. It must never look at what the simulation
//! knows: it works through the APIs of AWS, as it would in the field.

mod bluegreen;
mod naive;
mod script;
mod shown;
mod waiter;

use script::Script;

use crate::{
    error::Error,
    limit::{Rules, Withdrawal},
    progress::Progress,
    scenario::Scenario,
    world::World,
};

pub use bluegreen::{MANIFEST, MANIFEST_PATH, Mounted, new_version};
pub use waiter::{Answer, Verdict, Waiter};

/// A way to replace the old version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Method {
    /// SIGKILL at once.
    Kill,
    /// SIGTERM with graceful shutdown; the target is still registered.
    GracefulOnly,
    /// The application is told to fail its health check; 10 s later SIGTERM.
    FailHealthCheck,
    /// DeregisterTargets, 15 s, SIGTERM.
    DeregisterSleep,
    /// DeregisterTargets, the stock waiter, SIGTERM.
    DeregisterWait,
    /// This project's controller.
    Bluegreen,
}

impl Method {
    /// All of them in the order of the table.
    pub const ALL: [Self; 6] = [
        Self::Kill,
        Self::GracefulOnly,
        Self::FailHealthCheck,
        Self::DeregisterSleep,
        Self::DeregisterWait,
        Self::Bluegreen,
    ];

    /// Its name in the table and in the report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::GracefulOnly => "graceful-only",
            Self::FailHealthCheck => "fail-health-check",
            Self::DeregisterSleep => "deregister-sleep",
            Self::DeregisterWait => "deregister-wait",
            Self::Bluegreen => "bluegreen",
        }
    }

    /// Whether it is part of the short demo.
    #[must_use]
    pub fn is_quick(self) -> bool {
        match self {
            Self::Kill | Self::GracefulOnly | Self::DeregisterSleep | Self::Bluegreen => true,
            Self::FailHealthCheck | Self::DeregisterWait => false,
        }
    }

    /// Who makes its calls to AWS, as the ledger has it.
    #[must_use]
    pub fn principal(self) -> &'static str {
        match self {
            Self::Kill
            | Self::GracefulOnly
            | Self::FailHealthCheck
            | Self::DeregisterSleep
            | Self::DeregisterWait => script::PRINCIPAL,
            Self::Bluegreen => bluegreen::PRINCIPAL,
        }
    }

    /// What its configuration says about waiting.
    ///
    /// # Errors
    /// When the manifest cannot be read.
    pub fn rules(self) -> Result<Rules, Error> {
        let naive = |withdrawal| Rules {
            withdrawal,
            stable_for: std::time::Duration::ZERO,
        };
        Ok(match self {
            Self::Kill | Self::GracefulOnly => naive(Withdrawal::None),
            Self::FailHealthCheck => naive(Withdrawal::Sleep(naive::FAILING_FOR)),
            Self::DeregisterSleep => naive(Withdrawal::Sleep(naive::DRAINING_FOR)),
            Self::DeregisterWait => naive(Withdrawal::Delay),
            Self::Bluegreen => bluegreen::rules()?,
        })
    }

    /// Releases the new version in a world.
    ///
    /// # Errors
    /// When it does not come to its end.
    pub async fn release(
        self,
        world: &World,
        scenario: &Scenario,
        progress: &Progress,
        mounted: Option<&Mounted>,
    ) -> Result<(), Error> {
        if self == Self::Bluegreen {
            let because = "the controller was not started".to_owned();
            let mounted = mounted.ok_or(Error::Unfinished {
                method: self.name(),
                because,
            })?;
            return mounted.release(world, progress).await;
        }
        let version = new_version()?;
        let script = Script::new(self, world, progress, scenario, &version);
        let hosts = world.scene.hosts.len();
        for host in 0..hosts {
            progress.say(format!("host {} of {hosts}", host + 1));
            match self {
                Self::Kill => naive::kill(&script, host).await?,
                Self::GracefulOnly => naive::graceful_only(&script, host).await?,
                Self::FailHealthCheck => naive::fail_health_check(&script, host).await?,
                Self::DeregisterSleep => naive::deregister_sleep(&script, host).await?,
                Self::DeregisterWait => naive::deregister_wait(&script, host).await?,
                // It takes care of all hosts by itself.
                Self::Bluegreen => {}
            }
        }
        Ok(())
    }
}
