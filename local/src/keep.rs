//! What a user can do with a world that is kept.

use crate::{methods::Mounted, scenario::NAME, world::World};

/// How to reach everything, as commands to copy.
#[must_use]
pub fn instructions(world: &World, mounted: &Mounted) -> String {
    let kubectl = format!("kubectl --kubeconfig {}", mounted.kubeconfig.display());
    let region = &world.cloud.config().region;
    let aws = format!(
        "AWS_ACCESS_KEY_ID=me AWS_SECRET_ACCESS_KEY=me AWS_DEFAULT_REGION={region} \\\n    \
         aws --endpoint-url {}",
        world.endpoint
    );
    let group = &world.scene.groups[0];
    let host = &world.scene.hosts[0].id;
    let urls = world.urls().join(" ");
    format!(
        "Everything goes on, with the load, until Ctrl-C; then all of it is removed.\n\
         \n\
         The release:\n  \
           {kubectl} get bgr -w\n  \
           {kubectl} get bgr {NAME} -o yaml\n\
         The next version, and a moment later back again:\n  \
           {kubectl} patch bgr {NAME} --type merge -p '{{\"spec\":{{\"version\":\"1.9.0\"}}}}'\n\
         The simulated AWS at {endpoint}, where time runs {scale} times as fast:\n  \
           {aws} \\\n    elbv2 describe-target-health --target-group-arn {group}\n  \
           {aws} \\\n    elbv2 deregister-targets --target-group-arn {group} --targets Id={host},Port=8080\n\
         The load balancer's nodes: {urls}\n\
         The simulation's own truth: {endpoint}/_sim/state, /_sim/ledger, /_sim/events\n",
        endpoint = world.endpoint,
        scale = world.clock.scale(),
    )
}
