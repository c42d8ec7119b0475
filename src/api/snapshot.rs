//! What a revision is made of, kept from the day when it began.
//!
//! A version is stopped, and after a failure started again, when the spec already describes
//! another one. So each revision's spec is kept in an `apps/v1` ControllerRevision that the release
//! owns, as StatefulSets keep theirs.

use serde::{Deserialize, Serialize};

use super::{BlueGreenReleaseSpec, StopCommand};

/// The label on a ControllerRevision with the UID of the release that it belongs to.
pub const RELEASE_UID_LABEL: &str = "bluegreen.dev/release-uid";

/// One revision, as the spec described it when it began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevisionSnapshot {
    /// The version. Absent where the version that was live before the first release is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The spec.
    pub spec: BlueGreenReleaseSpec,
}

impl StopCommand {
    /// Whether the registered port or the application's port is filled in somewhere.
    #[must_use]
    pub fn names_the_port(&self) -> bool {
        let named = |text: &String| {
            ["{{port}}", "{{applicationPort}}"]
                .iter()
                .any(|port| text.contains(port))
        };
        let command = self.command.as_ref();
        self.unit.as_ref().is_some_and(named)
            || command.is_some_and(|command| command.parameters.values().any(named))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::Command;

    #[test]
    fn a_stop_names_the_port_in_its_unit_or_in_a_parameter() {
        let mut stop = StopCommand {
            unit: Some("shop@{{port}}.service".to_owned()),
            command: None,
        };
        assert!(stop.names_the_port());
        stop.unit = Some("shop@{{applicationPort}}.service".to_owned());
        assert!(stop.names_the_port());
        stop.unit = Some("shop.service".to_owned());
        assert!(!stop.names_the_port());
        stop.unit = None;
        stop.command = Some(Command {
            document: "ours".to_owned(),
            parameters: BTreeMap::from([("which".to_owned(), "shop-{{port}}".to_owned())]),
        });
        assert!(stop.names_the_port());
    }
}
