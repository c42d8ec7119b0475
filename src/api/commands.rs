//! How revisions are started and stopped, and which stops may be under way, where only whoever may
//! write the spec can change it.
//!
//! A version is stopped, and on the way back started, long after the spec has begun to speak of
//! another. Status is no place to keep its commands: more people may write it than may say what
//! runs on a host. Metadata are, because a write of status does not touch them. For the same reason
//! a stop is noted there before it is sent: whoever leads next must not bring its target back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Command, StepKind, StopCommand, Time};

/// The annotation that holds [`NotedCommands`], as JSON.
pub const COMMANDS_ANNOTATION: &str = "bluegreen.dev/commands";

/// How revisions are started and stopped, as the spec said when each was begun, and which stops may
/// be under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NotedCommands {
    /// The object that they were noted for: a copy of it begins its revisions anew.
    pub uid: String,
    /// By the revision's number.
    pub revisions: BTreeMap<u64, RevisionCommands>,
    /// The stops that may be under way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stops: Vec<NotedStop>,
}

/// How one revision is started and stopped.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevisionCommands {
    /// What is filled in for `{{version}}`. Absent where nobody said what was live before the first
    /// release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How it is started.
    pub start: Command,
    /// How it is stopped.
    pub stop: StopCommand,
}

/// The end of some processes, which may be under way: it is noted before it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NotedStop {
    /// The id of the operation.
    pub operation: String,
    /// `Stop` for a command to hosts, `Terminate` for the end of instances.
    pub step: StepKind,
    /// Whose process it is that a command stops: the revision and its version. Commands for the same
    /// process of a target end the same one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub process: String,
    /// When it was noted. It was not asked for before.
    pub at: Time,
    /// The targets, each as `instance:port`. Where there is none any more, it is kept for the number at
    /// the end of the operation's id, which none after it may have again.
    pub targets: Vec<String>,
}

impl NotedCommands {
    /// What was noted for an object. A text that cannot be read says nothing: whoever may write
    /// it may write the spec too, which counts then.
    #[must_use]
    pub fn of(uid: &str, annotation: Option<&str>) -> Self {
        let noted = annotation.and_then(|text| serde_json::from_str::<Self>(text).ok());
        let ours = noted.filter(|noted| noted.uid == uid);
        ours.unwrap_or_else(|| Self {
            uid: uid.to_owned(),
            revisions: BTreeMap::new(),
            stops: Vec::new(),
        })
    }

    /// As the annotation holds it.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("it has text and numbers only, so JSON can hold it")
    }
}

impl RevisionCommands {
    /// How long they are in the annotation, in bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        serde_json::to_string(self).map_or(usize::MAX, |text| text.len())
    }
}

impl StopCommand {
    /// Whether the port is filled in somewhere.
    #[must_use]
    pub fn names_the_port(&self) -> bool {
        let named = |text: &String| text.contains("{{port}}");
        let command = self.command.as_ref();
        self.unit.as_ref().is_some_and(named)
            || command.is_some_and(|command| command.parameters.values().any(named))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted() -> NotedCommands {
        let start = Command {
            document: "BlueGreen-StartUnit".to_owned(),
            parameters: BTreeMap::new(),
        };
        let stop = StopCommand {
            unit: Some("shop@{{port}}.service".to_owned()),
            command: None,
        };
        let commands = RevisionCommands {
            version: Some("1.8.4".to_owned()),
            start,
            stop,
        };
        NotedCommands {
            uid: "u".to_owned(),
            revisions: BTreeMap::from([(7, commands)]),
            stops: vec![NotedStop {
                operation: "bg-u-r8-stop-1".to_owned(),
                step: StepKind::Stop,
                process: "7/1.8.4".to_owned(),
                at: Time::from_millis(1),
                targets: vec!["i-1:8080".to_owned()],
            }],
        }
    }

    #[test]
    fn what_is_noted_is_read_again_for_the_same_object_alone() {
        let text = noted().text();
        assert_eq!(NotedCommands::of("u", Some(&text)), noted());
        for (uid, text) in [
            ("another", Some(text.as_str())),
            ("u", Some("{}")),
            ("u", None),
        ] {
            let NotedCommands {
                uid: of,
                revisions,
                stops,
            } = NotedCommands::of(uid, text);
            assert_eq!(of, uid);
            assert!(revisions.is_empty() && stops.is_empty(), "{uid}: {text:?}");
        }
    }

    #[test]
    fn without_a_stop_under_way_none_is_named() {
        let mut quiet = noted();
        quiet.stops.clear();
        assert!(!quiet.text().contains("stops"), "{}", quiet.text());
        assert_eq!(NotedCommands::of("u", Some(&quiet.text())), quiet);
    }

    #[test]
    fn a_stop_names_the_port_in_its_unit_or_in_a_parameter() {
        let mut stop = noted().revisions[&7].stop.clone();
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
