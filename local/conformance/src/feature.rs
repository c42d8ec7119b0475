//! What a server may lack.

use std::fmt;

/// Something that cases need and that not every server has. Most came with a release of
/// Kubernetes; a server that is older answers otherwise, and its answer is not what users see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// Rules in CEL: `x-kubernetes-validations`.
    Cel,
    /// `fieldValidation`: unknown and repeated fields are warned of or refused.
    FieldValidation,
    /// `sendInitialEvents`: a watch that lists first.
    StreamingLists,
    /// All of discovery in one document.
    AggregatedDiscovery,
    /// `/openapi/v3`.
    OpenApiV3,
    /// Field selectors on fields that a definition names.
    SelectableFields,
    /// Owners of fields that were written through a subresource say so.
    SubresourceOwners,
    /// What an update leaves alone is not held against it.
    Ratcheting,
    /// Namespaces carry their name as a label.
    NamespaceLabel,
    /// A cause says which kind of fault it is, and at which place of a list.
    PreciseCauses,
    /// Somebody empties and removes namespaces that are deleted: the controller manager does.
    NamespaceController,
    /// Dependents go with their owners, and deletions in the foreground end: the controller manager
    /// does both.
    GarbageCollector,
    /// The server can be made to forget its history now.
    Forgetting,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Cel,
        Self::FieldValidation,
        Self::StreamingLists,
        Self::AggregatedDiscovery,
        Self::OpenApiV3,
        Self::SelectableFields,
        Self::SubresourceOwners,
        Self::Ratcheting,
        Self::NamespaceLabel,
        Self::PreciseCauses,
        Self::NamespaceController,
        Self::GarbageCollector,
        Self::Forgetting,
    ];

    /// The first minor release of Kubernetes 1 that has it without being asked; `None` for what is
    /// no matter of age.
    #[must_use]
    pub fn since(self) -> Option<u32> {
        match self {
            Self::NamespaceLabel => Some(21),
            Self::SubresourceOwners => Some(22),
            Self::OpenApiV3 => Some(24),
            Self::Cel | Self::FieldValidation | Self::PreciseCauses => Some(25),
            Self::AggregatedDiscovery => Some(27),
            Self::Ratcheting => Some(30),
            Self::SelectableFields => Some(31),
            Self::StreamingLists => Some(32),
            Self::NamespaceController | Self::GarbageCollector | Self::Forgetting => None,
        }
    }

    /// What a server of this minor release lacks for its age.
    pub fn younger_than(minor: u32) -> impl Iterator<Item = Self> {
        let is_younger = move |feature: &Self| feature.since().is_some_and(|since| since > minor);
        Self::ALL.into_iter().filter(is_younger)
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Cel => "rules in CEL",
            Self::FieldValidation => "field validation",
            Self::StreamingLists => "streaming lists",
            Self::AggregatedDiscovery => "aggregated discovery",
            Self::OpenApiV3 => "OpenAPI v3",
            Self::SelectableFields => "selectable fields",
            Self::SubresourceOwners => "owners of subresources",
            Self::Ratcheting => "ratcheting validation",
            Self::NamespaceLabel => "the name label of namespaces",
            Self::PreciseCauses => "precise causes",
            Self::NamespaceController => "a namespace controller",
            Self::GarbageCollector => "a garbage collector",
            Self::Forgetting => "forgetting on demand",
        };
        formatter.write_str(name)?;
        match self.since() {
            Some(minor) => write!(formatter, " (Kubernetes 1.{minor})"),
            None => Ok(()),
        }
    }
}
