//! What SSM knows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::document::{Document, Filled};
use crate::wire::ApiError;

/// The documents that are shipped for users, and the one that AWS has.
const SHIPPED: [(&str, &str); 3] = [
    (
        super::START_UNIT,
        include_str!("../../../../aws/documents/BlueGreen-StartUnit.json"),
    ),
    (
        super::STOP_UNIT,
        include_str!("../../../../aws/documents/BlueGreen-StopUnit.json"),
    ),
    ("AWS-RunShellScript", include_str!("run_shell_script.json")),
];

/// Documents, commands and agents.
#[derive(Debug)]
pub(crate) struct Ssm {
    pub(super) documents: BTreeMap<String, Versions>,
    /// In the order in which they were sent.
    pub(super) commands: Vec<Sent>,
    /// Instances whose agent does not answer, and since when.
    pub(crate) offline: BTreeMap<String, Timestamp>,
}

/// The versions of a document; the first is version 1.
#[derive(Debug, Clone)]
pub(super) struct Versions {
    pub(super) all: Vec<Document>,
    /// The number of the version that runs where none is named. A new version does not change it.
    pub(super) default: usize,
}

impl Versions {
    pub(super) fn first(document: Document) -> Self {
        Self {
            all: vec![document],
            default: 1,
        }
    }

    /// The number of a version that is named as `$DEFAULT`, `$LATEST`, by its number or not at all.
    pub(super) fn number(&self, version: Option<&str>) -> Result<usize, ApiError> {
        let number = match version {
            None | Some("" | "$DEFAULT") => Some(self.default),
            Some("$LATEST") => Some(self.all.len()),
            Some(number) => number.parse().ok(),
        };
        let exists = number.filter(|number| (1..=self.all.len()).contains(number));
        exists.ok_or_else(|| {
            ApiError::sender(
                "InvalidDocumentVersion",
                "The document version is not valid or does not exist.",
            )
        })
    }
}

impl Default for Ssm {
    fn default() -> Self {
        let document = |content| Document::parse(content).expect("a shipped document is valid");
        let documents = SHIPPED
            .into_iter()
            .map(|(name, content)| (name.to_owned(), Versions::first(document(content))));
        Self {
            documents: documents.collect(),
            commands: Vec::new(),
            offline: BTreeMap::new(),
        }
    }
}

/// A command that was sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) id: String,
    pub(super) document: String,
    /// As the caller named it.
    pub(super) document_version: String,
    pub(super) filled: Filled,
    pub(super) comment: String,
    pub(super) requested: Timestamp,
    /// How long an agent may take to fetch it, in seconds.
    pub(super) delivery_timeout: u64,
    pub(super) max_concurrency: String,
    pub(super) max_errors: String,
    pub(super) targets: Value,
    /// The instances that were named, as opposed to found by tags.
    pub(super) named: Vec<String>,
    pub(super) visible_from: Timestamp,
    pub(crate) invocations: BTreeMap<String, Invocation>,
}

/// A command on one instance.
#[derive(Debug, Clone)]
pub(crate) struct Invocation {
    pub(crate) status: Status,
    pub(super) started: Option<Timestamp>,
    pub(super) ended: Option<Timestamp>,
    /// -1 until there is one.
    pub(crate) exit: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Where an invocation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Pending,
    InProgress,
    Success,
    Failed,
    Cancelling,
    Cancelled,
    DeliveryTimedOut,
    ExecutionTimedOut,
    /// Not sent any more because too many others failed.
    Terminated,
}

impl Status {
    /// The coarse status.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::InProgress => "InProgress",
            Self::Success => "Success",
            Self::Failed => "Failed",
            Self::Cancelling => "Cancelling",
            Self::Cancelled | Self::Terminated => "Cancelled",
            Self::DeliveryTimedOut | Self::ExecutionTimedOut => "TimedOut",
        }
    }

    /// The detailed status.
    pub(crate) fn details(self) -> &'static str {
        match self {
            Self::DeliveryTimedOut => "DeliveryTimedOut",
            Self::ExecutionTimedOut => "ExecutionTimedOut",
            Self::Terminated => "Terminated",
            Self::Pending
            | Self::InProgress
            | Self::Success
            | Self::Failed
            | Self::Cancelling
            | Self::Cancelled => self.name(),
        }
    }

    pub(crate) fn is_final(self) -> bool {
        match self {
            Self::Pending | Self::InProgress | Self::Cancelling => false,
            Self::Success
            | Self::Failed
            | Self::Cancelled
            | Self::DeliveryTimedOut
            | Self::ExecutionTimedOut
            | Self::Terminated => true,
        }
    }

    /// Whether it counts towards MaxErrors.
    pub(super) fn is_error(self) -> bool {
        matches!(
            self,
            Self::Failed | Self::DeliveryTimedOut | Self::ExecutionTimedOut
        )
    }
}

impl Ssm {
    pub(super) fn versions(&self, name: &str) -> Result<&Versions, ApiError> {
        // A document may be named by its ARN.
        let name = name
            .rsplit_once(":document/")
            .map_or(name, |(_, name)| name);
        self.documents.get(name).ok_or_else(|| {
            ApiError::sender(
                "InvalidDocument",
                format!("Document with name {name} does not exist."),
            )
        })
    }

    /// A version of a document; without one the default version.
    pub(super) fn document(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<&Document, ApiError> {
        let versions = self.versions(name)?;
        let number = versions.number(version)?;
        Ok(&versions.all[number - 1])
    }

    pub(crate) fn command(&self, id: &str) -> Option<&Sent> {
        self.commands.iter().find(|sent| sent.id == id)
    }

    pub(super) fn command_mut(&mut self, id: &str) -> Option<&mut Sent> {
        self.commands.iter_mut().find(|sent| sent.id == id)
    }

    pub(crate) fn all(&self) -> &[Sent] {
        &self.commands
    }

    /// The commands that listings show by now, the last first.
    pub(super) fn listed(&self, now: Timestamp) -> impl Iterator<Item = &Sent> {
        let visible = move |sent: &&Sent| sent.visible_from <= now;
        self.commands.iter().rev().filter(visible)
    }

    pub(super) fn invocation_mut(
        &mut self,
        command: &str,
        instance: &str,
    ) -> Option<&mut Invocation> {
        self.command_mut(command)?.invocations.get_mut(instance)
    }
}

impl Sent {
    /// The status of the command as a whole.
    pub(super) fn status(&self) -> Status {
        let statuses: Vec<Status> = self.invocations.values().map(|one| one.status).collect();
        let any = |wanted: Status| statuses.contains(&wanted);
        if statuses.iter().all(|status| *status == Status::Pending) && !statuses.is_empty() {
            return Status::Pending;
        }
        if any(Status::Cancelling) {
            return Status::Cancelling;
        }
        if statuses.iter().any(|status| !status.is_final()) {
            return Status::InProgress;
        }
        // The worst that happened to one happened to the command.
        let worst = [
            Status::ExecutionTimedOut,
            Status::DeliveryTimedOut,
            Status::Failed,
            Status::Cancelled,
            Status::Terminated,
        ];
        worst
            .into_iter()
            .find(|status| any(*status))
            .unwrap_or(Status::Success)
    }
}
