//! What a user can do with a world that is kept.

use crate::{
    methods::Mounted,
    scenario::{NAME, PORT},
    world::World,
};

/// The manifest with the next version, from the root of the repository.
const NEXT_PATH: &str = "examples/snackgame-next.yaml";

/// How to reach everything, as commands to copy.
#[must_use]
pub fn instructions(world: &World, mounted: Option<&Mounted>) -> String {
    let region = &world.cloud.config().region;
    let aws = format!(
        "AWS_ACCESS_KEY_ID=me AWS_SECRET_ACCESS_KEY=me AWS_DEFAULT_REGION={region} \\\n    \
         aws --endpoint-url {}",
        world.endpoint
    );
    let group = &world.scene.groups[0];
    let host = &world.scene.hosts[0].id;
    let urls = world.urls().join(" ");
    let release = mounted.map_or_else(String::new, |mounted| {
        let kubectl = format!("kubectl --kubeconfig {}", mounted.kubeconfig.display());
        let patch = "{\"spec\":{\"version\":\"2.0.0\"}}";
        format!(
            "\nThe release:\n  \
             {kubectl} get bgr -w\n  \
             {kubectl} get bgr {NAME} -o yaml\n\
             The next version, and one more:\n  \
             {kubectl} apply -f {NEXT_PATH}\n  \
             {kubectl} patch bgr {NAME} --type merge -p '{patch}'\n"
        )
    });
    format!(
        "Everything goes on, with the load, until Ctrl-C; then all of it is removed. Times in it are\n\
         the scenario's: it began at the wall clock's time and runs {scale} times as fast.\n\
         {release}\
         The simulated AWS at {endpoint}:\n  \
         {aws} \\\n    elbv2 describe-target-health --target-group-arn {group}\n  \
         {aws} \\\n    elbv2 deregister-targets --target-group-arn {group} \\\n    \
         --targets Id={host},Port={PORT}\n\
         The load balancer's nodes:\n  {urls}\n\
         The simulation's own truth:\n  \
         {endpoint}/_sim/state  {endpoint}/_sim/ledger  {endpoint}/_sim/events\n",
        endpoint = world.endpoint,
        scale = world.clock.scale(),
    )
}
