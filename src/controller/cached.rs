//! What the cache keeps of a release: who it is, whether it has changed, what is counted, and which
//! targets it names.
//!
//! Whoever decides or writes reads the object from the API server first, so a whole object in the
//! cache would be of use to nobody, and it is large: its managed fields alone are several times
//! what a user writes. The reduction happens while a list or an event is read, so that whole
//! objects exist one at a time. What is cached cannot be written back: it has no spec, and it
//! does not implement `Serialize`.

use std::{borrow::Cow, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, core::DeserializeGuard};
use serde::Deserialize;

use super::{context::Guarded, memory::Face, metrics::Counted, owners};
use crate::{api::BlueGreenRelease, plan::Claim};

/// A release as the cache has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "Guarded")]
pub(super) struct Cached {
    metadata: ObjectMeta,
    content: Option<Content>,
}

/// What an object says that can be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Content {
    face: Face,
    counted: Counted,
    claim: Arc<Claim>,
}

impl Cached {
    /// How it looks; nothing, where it is not a release that this version understands.
    pub(super) fn face(&self) -> Option<Face> {
        self.content.as_ref().map(|content| content.face)
    }

    /// What the gauges count of it; nothing, where it is not a release that this version
    /// understands.
    pub(super) fn counted(&self) -> Option<Counted> {
        self.content.as_ref().map(|content| content.counted)
    }

    /// What it names; nothing, where it is not a release that this version understands.
    pub(super) fn claim(&self) -> Option<&Claim> {
        self.content.as_ref().map(|content| &*content.claim)
    }
}

impl From<Guarded> for Cached {
    fn from(object: Guarded) -> Self {
        let content = match &object {
            DeserializeGuard(Ok(release)) => Some(Content {
                face: Face::of(release),
                counted: Counted::of(release.status.as_ref()),
                claim: Arc::new(owners::claim(release)),
            }),
            DeserializeGuard(Err(_)) => None,
        };
        Self {
            metadata: identity(object.meta()),
            content,
        }
    }
}

/// What kube needs to queue an object, to go on watching after it, and to refer to it in an Event.
fn identity(metadata: &ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        uid: metadata.uid.clone(),
        resource_version: metadata.resource_version.clone(),
        generation: metadata.generation,
        ..ObjectMeta::default()
    }
}

impl Resource for Cached {
    type DynamicType = <BlueGreenRelease as Resource>::DynamicType;
    type Scope = <BlueGreenRelease as Resource>::Scope;

    fn kind(dt: &Self::DynamicType) -> Cow<'_, str> {
        BlueGreenRelease::kind(dt)
    }

    fn group(dt: &Self::DynamicType) -> Cow<'_, str> {
        BlueGreenRelease::group(dt)
    }

    fn version(dt: &Self::DynamicType) -> Cow<'_, str> {
        BlueGreenRelease::version(dt)
    }

    fn plural(dt: &Self::DynamicType) -> Cow<'_, str> {
        BlueGreenRelease::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
