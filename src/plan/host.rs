//! Whether commands can reach the hosts, looked at before anything is taken out of service: the SSM
//! agents, and the documents with their parameters.

use std::collections::BTreeMap;

use super::{
    Document, Failure, FailureKind, Reading,
    converge::STOP_UNIT,
    pass::Pass,
    preflight::{Preflight, Problem},
    world::World,
};
use bluegreen_api::{BlueGreenReleaseSpec, Hosts, Reason};

/// The parameters with which `BlueGreen-StopUnit` is sent.
pub(super) const STOP_UNIT_PARAMETERS: [&str; 5] =
    ["unit", "port", "gracePeriod", "fence", "executionTimeout"];

/// The documents that the spec's commands run.
pub(super) fn documents(spec: &BlueGreenReleaseSpec) -> Vec<String> {
    let Some(hosts) = &spec.fleet.hosts else {
        return Vec::new();
    };
    let stop = hosts.stop.command.as_ref();
    let stop = stop.map_or(STOP_UNIT, |command| command.document.as_str());
    let mut names = vec![hosts.start.document.clone(), stop.to_owned()];
    names.dedup();
    names
}

/// Whether commands can reach every host, and will be taken there.
pub(super) fn check(pass: &Pass<'_>, world: &World<'_>, hosts: &Hosts) -> Preflight {
    match &pass.observation.agents {
        Reading::Known(online) => {
            let away = world.running().find(|host| !online.contains(&host.id));
            if let Some(away) = away {
                return problem(
                    Reason::AgentNotOnline,
                    format!(
                        "the SSM agent of instance {} is not online, so no command can reach it; start the agent and look at the instance's role, or take the tags off the instance",
                        away.id
                    ),
                );
            }
        }
        Reading::Unknown(failure) => {
            if let Some(unknown) = unknown(failure) {
                return unknown;
            }
        }
    }
    let empty = BTreeMap::new();
    let stop = hosts.stop.command.as_ref();
    let given = [
        Some((&hosts.start.document, &hosts.start.parameters)),
        stop.map(|command| (&command.document, &command.parameters)),
    ];
    let missing = given.into_iter().flatten().chain(
        pass.observation
            .documents
            .keys()
            .filter(|name| *name == STOP_UNIT && stop.is_none())
            .map(|name| (name, &empty)),
    );
    for (name, parameters) in missing {
        match pass.observation.documents.get(name) {
            None => {}
            Some(Reading::Unknown(failure)) => {
                if let Some(unknown) = unknown(failure) {
                    return unknown;
                }
            }
            Some(Reading::Known(document)) => {
                let own = name == STOP_UNIT && stop.is_none();
                if let Some(message) = unsuitable(name, document, parameters, own) {
                    return problem(Reason::DocumentUnsuitable, message);
                }
            }
        }
    }
    Preflight::Ready
}

/// Why a document would refuse the parameters.
fn unsuitable(
    name: &str,
    document: &Document,
    given: &BTreeMap<String, String>,
    own: bool,
) -> Option<String> {
    if let Some(reason) = &document.unusable {
        return Some(format!(
            "SSM document {name} cannot be used: {reason}; create it anew as a Command document"
        ));
    }
    let is_given = |name: &str| match own {
        true => STOP_UNIT_PARAMETERS.contains(&name),
        false => given.contains_key(name),
    };
    let mut taken = document.parameters.iter();
    if let Some((missing, _)) = taken.find(|(name, required)| **required && !is_given(name)) {
        return Some(format!(
            "SSM document {name} needs parameter {missing}, which the spec does not give; add it to the command's parameters"
        ));
    }
    let unknown = match own {
        true => STOP_UNIT_PARAMETERS
            .into_iter()
            .find(|name| !document.parameters.contains_key(*name)),
        false => given
            .keys()
            .map(String::as_str)
            .find(|name| !document.parameters.contains_key(*name)),
    };
    unknown.map(|unknown| {
        let known: Vec<&str> = document.parameters.keys().map(String::as_str).collect();
        let fix = match own {
            true => "; install aws/documents/BlueGreen-StopUnit.json of this version",
            false => "",
        };
        format!(
            "SSM document {name} takes no parameter {unknown}; it takes {}{fix}",
            known.join(", ")
        )
    })
}

/// What a reading that failed means here; `None` where it was not made.
fn unknown(failure: &Failure) -> Option<Preflight> {
    let message = failure.message.clone();
    Some(match failure.kind {
        FailureKind::NotAsked => return None,
        FailureKind::Denied => problem(Reason::AccessDenied, message),
        FailureKind::NotFound | FailureKind::Rejected => {
            problem(Reason::DocumentUnsuitable, message)
        }
        FailureKind::Throttled | FailureKind::Unavailable => {
            Preflight::NotYet(format!("waiting to read AWS: {message}"))
        }
    })
}

fn problem(reason: Reason, message: String) -> Preflight {
    Preflight::Problem(Problem { reason, message })
}
