//! Which resources the registry serves: a fixed few, and those that CustomResourceDefinitions
//! define.
//!
//! A catalog is a value: it is made anew when a definition changes and never changed itself.

mod builtin;
pub(crate) mod event_view;

use std::sync::Arc;

use serde_json::Value;

use crate::{schema::Schema, status::GroupResource, table::Column};

/// What sets a resource's behaviour apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Model {
    /// Holds namespaced objects; they go when it goes.
    Namespace,
    Lease,
    /// A snapshot that a controller keeps of what it rolls out. Its data never changes.
    ControllerRevision,
    /// Stored once, as `v1` has it, and served as `v1` and as `events.k8s.io/v1`.
    Event(EventView),
    /// A CustomResourceDefinition; its kinds' objects go when it goes.
    Definition,
    /// Defined by a CustomResourceDefinition.
    Custom,
}

/// Which of the two forms of an Event a resource speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventView {
    Core,
    Events,
}

/// A resource in one version.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    pub(crate) model: Model,
    /// Under which name the objects are stored; the same for all versions.
    pub(crate) storage: Arc<str>,
    /// Whether `status` is written through its own path only.
    pub(crate) has_status: bool,
    pub(crate) schema: Arc<Schema>,
    /// The schema as it was written, for OpenAPI.
    pub(crate) published_schema: Value,
    pub(crate) columns: Vec<Column>,
    /// Further field paths that a field selector may name.
    pub(crate) selectable: Vec<String>,
    /// Whether the definition is being deleted, so that no object may be created.
    pub(crate) terminating: bool,
}

impl Resource {
    /// How errors name the resource.
    pub(crate) fn group_resource(&self) -> GroupResource {
        GroupResource {
            group: self.group.clone(),
            resource: self.plural.clone(),
        }
    }

    /// `group/version`, or the version alone for the core group.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Whether the server counts changes of what users ask for in `metadata.generation`.
    pub(crate) fn counts_generations(&self) -> bool {
        match self.model {
            Model::Definition | Model::Custom => true,
            Model::Namespace | Model::Lease | Model::ControllerRevision | Model::Event(_) => false,
        }
    }

    /// Whether an update of an object that is not there creates it.
    pub(crate) fn is_created_by_update(&self) -> bool {
        match self.model {
            Model::Lease | Model::Event(_) => true,
            Model::Namespace | Model::ControllerRevision | Model::Definition | Model::Custom => {
                false
            }
        }
    }

    /// Whether an update may leave out the resource version.
    pub(crate) fn allows_unconditional_update(&self) -> bool {
        match self.model {
            Model::Namespace | Model::ControllerRevision | Model::Event(_) => true,
            Model::Lease | Model::Definition | Model::Custom => false,
        }
    }
}

/// All resources, in the order in which discovery names them.
#[derive(Debug)]
pub(crate) struct Catalog {
    resources: Vec<Arc<Resource>>,
}

impl Catalog {
    /// The fixed resources and those that the stored definitions define.
    pub(crate) fn new<'a>(definitions: impl Iterator<Item = &'a Value>) -> Self {
        let mut resources = builtin::resources();
        for definition in definitions {
            resources.extend(crate::crd::resources(definition));
        }
        Self {
            resources: resources.into_iter().map(Arc::new).collect(),
        }
    }

    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.resources.iter().find(|resource| {
            resource.group == group && resource.version == version && resource.plural == plural
        })
    }

    /// The resource of a kind, which an owner reference names by `group/version` and kind.
    pub(crate) fn of_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Resource>> {
        self.resources
            .iter()
            .find(|resource| resource.kind == kind && resource.api_version() == api_version)
    }

    /// Whether a group's version is there without a definition.
    pub(crate) fn is_built_in(&self, group: &str, version: &str) -> bool {
        self.of(group, version)
            .any(|resource| resource.model != Model::Custom)
    }

    /// The resource under which objects with this storage name are kept.
    pub(crate) fn stored_as(&self, storage: &str) -> Option<&Arc<Resource>> {
        self.resources
            .iter()
            .find(|resource| *resource.storage == *storage)
    }

    /// The named groups in order, each with its versions in order.
    pub(crate) fn groups(&self) -> Vec<(String, Vec<String>)> {
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for resource in &self.resources {
            if resource.group.is_empty() {
                continue;
            }
            let version = resource.version.clone();
            match groups.iter_mut().find(|(name, _)| *name == resource.group) {
                Some((_, versions)) if versions.contains(&version) => {}
                Some((_, versions)) => versions.push(version),
                None => groups.push((resource.group.clone(), vec![version])),
            }
        }
        groups
    }

    /// The resources of one group and version.
    pub(crate) fn of<'a>(
        &'a self,
        group: &'a str,
        version: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Resource>> + 'a {
        self.resources
            .iter()
            .filter(move |resource| resource.group == group && resource.version == version)
    }
}
