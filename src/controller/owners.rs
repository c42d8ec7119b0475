//! Which other releases come first on the targets of one.

use kube::ResourceExt;

use super::{CloudProvider, Ctx, World};
use crate::{
    api::{BlueGreenRelease, BlueGreenReleaseStatus, Time},
    plan::Claim,
};

/// What a release names.
pub(super) fn claim(release: &BlueGreenRelease) -> Claim {
    let namespace = release.namespace().unwrap_or_default();
    let created = release.creation_timestamp();
    Claim::of(
        format!("{namespace}/{}", release.name_any()),
        release.uid().unwrap_or_default(),
        created.map_or(Time::from_millis(0), |created| created.0.into()),
        &release.spec,
        release
            .status
            .as_ref()
            .unwrap_or(&BlueGreenReleaseStatus::default()),
    )
}

/// What other releases name that come before this one, as far as the watch has shown them. A
/// release that was created earlier was shown earlier, so of two that are new one at least knows
/// of the other.
pub(super) fn before<W: World>(ctx: &Ctx<W>, release: &BlueGreenRelease) -> Vec<Claim> {
    let own = ctx.world.clouds().own_region();
    let ours = claim(release);
    let releases = ctx.releases.state();
    let claims = releases.iter().filter_map(|other| other.claim());
    claims
        .filter(|other| other.comes_before(&ours, own))
        .cloned()
        .collect()
}
