//! What is so at one moment: what the releases say of themselves, and what is true.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use futures::future::join_all;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    aws::Aws,
    http,
    releases::{Place, Releases},
};

/// An instance's port.
pub(crate) type Target = (String, u16);

/// A target as it is written everywhere.
pub(crate) fn named((id, port): &Target) -> String {
    format!("{id}:{port}")
}

/// What a release says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Said {
    pub(crate) phase: String,
    pub(crate) message: String,
    /// The conditions: type, status, reason and message.
    pub(crate) conditions: BTreeMap<String, (bool, String, String)>,
    /// Whether all of that is about the spec as it is now.
    pub(crate) current: bool,
    pub(crate) revision: u64,
    /// The version that is live.
    pub(crate) live: String,
    /// Why the last release that ended did so.
    pub(crate) ended_because: String,
}

impl Said {
    fn of(object: &Value) -> Self {
        let status = &object["status"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let conditions = status["conditions"].as_array().cloned();
        let conditions = conditions.unwrap_or_default();
        let conditions = conditions.iter().map(|condition| {
            let is = condition["status"] == "True";
            let (reason, message) = (text(&condition["reason"]), text(&condition["message"]));
            (text(&condition["type"]), (is, reason, message))
        });
        Self {
            phase: text(&status["phase"]),
            message: text(&status["message"]),
            conditions: conditions.collect(),
            current: status["observedGeneration"] == object["metadata"]["generation"],
            revision: status["revision"].as_u64().unwrap_or_default(),
            live: text(&status["blue"]["version"]),
            ended_because: text(&status["history"][0]["reason"]),
        }
    }

    /// Whether a condition is true, of the spec as it is now.
    pub(crate) fn is(&self, condition: &str) -> bool {
        let is = self.conditions.get(condition);
        self.current && is.is_some_and(|(is, _, _)| *is)
    }

    pub(crate) fn ready(&self) -> bool {
        self.is("Ready")
    }

    /// Whether nothing is in progress.
    pub(crate) fn rests(&self) -> bool {
        let phases = ["Released", "RolledBack", "Stalled", "Paused"];
        phases.contains(&self.phase.as_str())
    }

    pub(crate) fn in_phase(&self, phase: &str) -> bool {
        self.current && self.phase == phase
    }

    /// Whether it says, in phase, reasons and messages, all of these words.
    pub(crate) fn says(&self, words: &[&str]) -> bool {
        let text = self.all_words();
        words.iter().all(|word| text.contains(word))
    }

    /// Everything that it says.
    pub(crate) fn all_words(&self) -> String {
        let mut text = format!("{}: {}", self.phase, self.message);
        for (name, (is, reason, message)) in &self.conditions {
            text.push_str(&format!("; {name}={is} {reason}: {message}"));
        }
        if !self.ended_because.is_empty() {
            text.push_str(&format!("; history: {}", self.ended_because));
        }
        text
    }

    /// The phase, the message, and the conditions without their messages.
    fn headline(&self) -> String {
        let mut text = format!("{}: {}", self.phase, self.message);
        for (name, (is, reason, message)) in &self.conditions {
            text.push_str(&format!("; {name}={is} {reason}"));
            if name == "Stalled" && *message != self.message {
                text.push_str(&format!(" ({message})"));
            }
        }
        text
    }

    /// The reason of a condition that is true.
    pub(crate) fn reason(&self, condition: &str) -> &str {
        let found = self.conditions.get(condition);
        found.map_or("", |(is, reason, _)| if *is { reason } else { "" })
    }
}

/// One look.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) at: Instant,
    /// The releases that are followed, where they exist.
    pub(crate) releases: BTreeMap<Place, Said>,
    /// The targets of the group, with ELB's word for each.
    pub(crate) targets: BTreeMap<Target, String>,
    /// The instances: state, zone and address.
    pub(crate) instances: BTreeMap<String, Instance>,
    /// The ports on which a process takes connections.
    pub(crate) alive: BTreeSet<Target>,
}

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(crate) state: String,
    pub(crate) zone: String,
    pub(crate) address: IpAddr,
}

impl Sample {
    /// Looks.
    pub(crate) async fn take(
        aws: &Aws,
        releases: &Releases,
        places: &BTreeSet<Place>,
        ports: &[u16],
    ) -> Result<Self, String> {
        let at = Instant::now();
        let state = aws.state().await?;
        let said = join_all(places.iter().map(|place| async move {
            let object = releases.get(place).await?;
            Ok::<_, String>((place.clone(), object.as_ref().map(Said::of)))
        }));
        let instances = instances(&state);
        let sites = instances.iter().filter(|(_, one)| one.state == "running");
        let sites = sites.flat_map(|(id, one)| {
            let each = ports.iter();
            each.map(|port| ((id.clone(), *port), SocketAddr::new(one.address, *port)))
        });
        let alive = join_all(sites.map(|(target, address)| async move {
            http::listens(address).await.then_some(target)
        }));
        let (said, alive) = tokio::join!(said, alive);
        let mut releases = BTreeMap::new();
        for one in said {
            let (place, said) = one?;
            if let Some(said) = said {
                releases.insert(place, said);
            }
        }
        Ok(Self {
            at,
            releases,
            targets: targets(&state, &aws.group),
            instances,
            alive: alive.into_iter().flatten().collect(),
        })
    }

    /// What the release of most scenarios says.
    pub(crate) fn usual(&self) -> Said {
        self.release(&Place::usual())
    }

    pub(crate) fn release(&self, place: &Place) -> Said {
        self.releases.get(place).cloned().unwrap_or_default()
    }

    /// The targets with one of these words of ELB.
    pub(crate) fn with(&self, words: &[&str]) -> Vec<Target> {
        let found = self.targets.iter();
        found
            .filter(|(_, word)| words.contains(&word.as_str()))
            .map(|(target, _)| target.clone())
            .collect()
    }

    /// The targets that are registered, and not being withdrawn.
    pub(crate) fn registered(&self) -> Vec<Target> {
        let found = self.targets.iter();
        found
            .filter(|(_, word)| *word != "draining")
            .map(|(target, _)| target.clone())
            .collect()
    }

    pub(crate) fn healthy(&self) -> Vec<Target> {
        self.with(&["healthy"])
    }

    pub(crate) fn draining(&self) -> Vec<Target> {
        self.with(&["draining"])
    }

    pub(crate) fn lives(&self, target: &Target) -> bool {
        self.alive.contains(target)
    }

    pub(crate) fn address(&self, target: &Target) -> Result<SocketAddr, String> {
        let instance = self.instances.get(&target.0);
        let instance = instance.ok_or_else(|| format!("there is no instance {}", target.0))?;
        Ok(SocketAddr::new(instance.address, target.1))
    }

    /// A line for each thing that is otherwise than it was.
    pub(crate) fn changes(&self, before: Option<&Self>) -> Vec<String> {
        let mut lines = Vec::new();
        for (place, said) in &self.releases {
            if before.and_then(|before| before.releases.get(place)) != Some(said) {
                let Place { namespace, name } = place;
                lines.push(format!("{namespace}/{name}  {}", said.headline()));
            }
        }
        let truth = self.truth();
        if before.map(Self::truth).as_ref() != Some(&truth) {
            lines.push(format!("truth  {truth}"));
        }
        lines
    }

    fn truth(&self) -> String {
        let targets = self.targets.iter().map(|(target, word)| {
            let life = if self.lives(target) { "" } else { " (dead)" };
            format!("{} {word}{life}", named(target))
        });
        let others = self.alive.iter();
        let others = others
            .filter(|target| !self.targets.contains_key(*target))
            .map(|target| format!("{} not registered, alive", named(target)));
        let halted = self.instances.iter();
        let halted = halted
            .filter(|(_, one)| one.state != "running")
            .map(|(id, one)| format!("{id} {}", one.state));
        let all: Vec<String> = targets.chain(others).chain(halted).collect();
        all.join(", ")
    }
}

fn instances(state: &Value) -> BTreeMap<String, Instance> {
    let listed = state["instances"].as_array().into_iter().flatten();
    let found = listed.filter_map(|instance| {
        let one = Instance {
            state: instance["state"].as_str()?.to_owned(),
            zone: instance["zone"].as_str()?.to_owned(),
            address: instance["address"].as_str()?.parse().ok()?,
        };
        Some((instance["id"].as_str()?.to_owned(), one))
    });
    found.collect()
}

fn targets(state: &Value, group: &str) -> BTreeMap<Target, String> {
    let groups = state["targetGroups"].as_array().into_iter().flatten();
    let listed = groups
        .filter(|one| one["arn"] == group)
        .flat_map(|one| one["targets"].as_array().into_iter().flatten());
    let found = listed.filter_map(|target| {
        let port = u16::try_from(target["port"].as_u64()?).ok()?;
        let word = target["state"].as_str()?.to_owned();
        Some(((target["id"].as_str()?.to_owned(), port), word))
    });
    found.collect()
}
