//! The five methods that are in use without a controller: what a script does to one host after
//! the other.

use std::time::Duration;

use super::script::Script;
use crate::error::Error;

/// What the script of `fail-health-check` gives the load balancer to notice.
pub(super) const FAILING_FOR: Duration = Duration::from_secs(10);
/// What the script of `deregister-sleep` gives the target to drain.
pub(super) const DRAINING_FOR: Duration = Duration::from_secs(15);

/// SIGKILL at once.
pub(super) async fn kill(script: &Script<'_>, host: usize) -> Result<(), Error> {
    script.kill(host).await?;
    script.start(host).await?;
    script.wait_in_service(host).await
}

/// SIGTERM, with the application's graceful shutdown; the target stays registered.
pub(super) async fn graceful_only(script: &Script<'_>, host: usize) -> Result<(), Error> {
    script.terminate(host).await?;
    script.start(host).await?;
    script.wait_in_service(host).await
}

/// The application is told to fail its health check; after a while SIGTERM.
pub(super) async fn fail_health_check(script: &Script<'_>, host: usize) -> Result<(), Error> {
    script.tell_to_fail(host).await?;
    script.sleep(host, FAILING_FOR).await;
    script.terminate(host).await?;
    script.start(host).await?;
    script.wait_in_service(host).await
}

/// DeregisterTargets; after a while SIGTERM.
pub(super) async fn deregister_sleep(script: &Script<'_>, host: usize) -> Result<(), Error> {
    script.deregister(host).await?;
    script.sleep(host, DRAINING_FOR).await;
    script.terminate(host).await?;
    script.start(host).await?;
    script.register(host).await
}

/// DeregisterTargets; SIGTERM when the waiter says that the target is deregistered.
pub(super) async fn deregister_wait(script: &Script<'_>, host: usize) -> Result<(), Error> {
    script.deregister(host).await?;
    script.wait_deregistered(host).await?;
    script.terminate(host).await?;
    script.start(host).await?;
    script.register(host).await
}
