//! The ControllerRevisions of a release: each holds one revision as it was when it began.
//!
//! They belong to the release, as those of a StatefulSet belong to it: Kubernetes' garbage
//! collector deletes them after it. Their data is immutable, so one that exists is never written
//! again.

use k8s_openapi::{
    api::apps::v1::ControllerRevision,
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, runtime::RawExtension},
};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
};
use tracing::warn;

use super::{
    Ctx, World,
    error::{Error, traced_call},
    events,
    memory::Revisions,
    report::FIELD_MANAGER,
};
use crate::api::{BlueGreenRelease, RELEASE_UID_LABEL, RevisionSnapshot};

/// So many of the UID's characters are in a name. It keeps releases apart that have the same name
/// one after the other.
const UID_IN_NAME: usize = 8;

/// Reads the revisions that are kept of a release. One that cannot be read is left out, and a
/// warning and an Event name it: the commands of the spec count in its place.
pub(super) async fn read<W: World>(
    ctx: &Ctx<W>,
    release: &BlueGreenRelease,
) -> Result<Revisions, Error> {
    let uid = uid(release)?;
    let labelled = ListParams::default().labels(&format!("{RELEASE_UID_LABEL}={uid}"));
    let listed = traced_call("listing the revisions", api(ctx, release)?.list(&labelled)).await?;
    let mut revisions = Revisions::new();
    for object in listed.items.iter().filter(|object| belongs(object, uid)) {
        if let Some((number, snapshot)) = understood(ctx, release, object) {
            revisions.insert(number, snapshot);
        }
    }
    Ok(revisions)
}

/// Creates one of a release's revisions, and says what is kept then: where it exists already, what
/// it holds.
///
/// # Errors
/// When an object of this name belongs to something else.
pub(super) async fn create<W: World>(
    ctx: &Ctx<W>,
    release: &BlueGreenRelease,
    number: u64,
    snapshot: &RevisionSnapshot,
) -> Result<RevisionSnapshot, Error> {
    let api = api(ctx, release)?;
    let object = object(release, number, snapshot)?;
    let params = PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    let created = traced_call("creating a revision", api.create(&params, &object)).await;
    let Err(error) = created else {
        return Ok(snapshot.clone());
    };
    if !error
        .status()
        .is_some_and(|status| status.is_already_exists())
    {
        return Err(error);
    }
    let name = object.name_any();
    let found = traced_call("reading a revision", api.get(&name)).await?;
    if !belongs(&found, uid(release)?) {
        return Err(Error::NameTaken {
            name,
            owner: owner(&found),
        });
    }
    let kept = understood(ctx, release, &found).map(|(_, kept)| kept);
    Ok(kept.unwrap_or_else(|| snapshot.clone()))
}

/// Deletes one of a release's revisions, where it is still there.
pub(super) async fn delete<W: World>(
    ctx: &Ctx<W>,
    release: &BlueGreenRelease,
    number: u64,
) -> Result<(), Error> {
    let name = name(release, number)?;
    let params = DeleteParams::default();
    let deleted = api(ctx, release)?;
    match traced_call("deleting a revision", deleted.delete(&name, &params)).await {
        Ok(_) => Ok(()),
        Err(error) => match error.status() {
            Some(status) if status.is_not_found() => Ok(()),
            Some(_) | None => Err(error),
        },
    }
}

fn api<W: World>(
    ctx: &Ctx<W>,
    release: &BlueGreenRelease,
) -> Result<Api<ControllerRevision>, Error> {
    let namespace = release.namespace().ok_or(Error::Incomplete("namespace"))?;
    Ok(Api::namespaced(ctx.client.clone(), &namespace))
}

fn uid(release: &BlueGreenRelease) -> Result<&str, Error> {
    let uid = release.metadata.uid.as_deref();
    uid.ok_or(Error::Incomplete("uid"))
}

/// As `shop-6f0c1c2e-7`.
fn name(release: &BlueGreenRelease, number: u64) -> Result<String, Error> {
    let uid: String = uid(release)?.chars().take(UID_IN_NAME).collect();
    Ok(format!("{}-{uid}-{number}", release.name_any()))
}

fn object(
    release: &BlueGreenRelease,
    number: u64,
    snapshot: &RevisionSnapshot,
) -> Result<ControllerRevision, Error> {
    let uid = uid(release)?.to_owned();
    let owner = release.controller_owner_ref(&());
    let mut owner = owner.ok_or(Error::Incomplete("name"))?;
    owner.block_owner_deletion = Some(true);
    let data = serde_json::to_value(snapshot).expect("a spec can be written as JSON");
    Ok(ControllerRevision {
        metadata: ObjectMeta {
            name: Some(name(release, number)?),
            namespace: release.namespace(),
            labels: Some([(RELEASE_UID_LABEL.to_owned(), uid)].into()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        data: RawExtension(data),
        // A revision begins for a change of the spec, of which there are fewer.
        revision: Some(i64::try_from(number).unwrap_or(i64::MAX)),
    })
}

/// Whether a release is the controller of an object.
fn belongs(object: &ControllerRevision, uid: &str) -> bool {
    let mut owners = object.owner_references().iter();
    owners.any(|owner| owner.uid == uid && owner.controller == Some(true))
}

/// What an object belongs to, in words.
fn owner(object: &ControllerRevision) -> String {
    let mut owners = object.owner_references().iter();
    let owner = owners.find(|owner| owner.controller == Some(true));
    owner.map_or_else(
        || "no controller".to_owned(),
        |owner| format!("{} {} (uid {})", owner.kind, owner.name, owner.uid),
    )
}

/// What an object holds, where this version of the controller understands it.
fn understood<W>(
    ctx: &Ctx<W>,
    release: &BlueGreenRelease,
    object: &ControllerRevision,
) -> Option<(u64, RevisionSnapshot)> {
    let snapshot = serde_json::from_value(object.data.0.clone());
    let snapshot = snapshot.map_err(|error| error.to_string());
    let number = object
        .revision
        .and_then(|number| u64::try_from(number).ok());
    let number = number.ok_or_else(|| "it has no number".to_owned());
    match number.and_then(|number| Ok((number, snapshot?))) {
        Ok(read) => Some(read),
        Err(error) => {
            let name = object.name_any();
            warn!(
                revision = name,
                error, "a revision cannot be read, and the spec's commands count"
            );
            let notice = events::revision_not_understood(&name, &error);
            ctx.notebook.note(release, vec![notice]);
            None
        }
    }
}
