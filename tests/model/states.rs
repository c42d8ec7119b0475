//! `docs/states.md`: what a target and a release go through, as the walk has seen it.
//!
//! Nothing here says what can follow on what: that is collected from the planner's decisions. The
//! page is checked in and compared, as `crds/` is.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write,
    hash::Hash,
};

use bluegreen_api::{BlueGreenReleaseStatus, Phase, Reason, StepKind, TargetStatus};
use bluegreen_plan::{Decision, Step};

/// What the record of a target says of it, in the order of its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum State {
    None,
    Known,
    Starting,
    Registering,
    Registered,
    Healthy,
    Withdrawing,
    Deregistered,
    Drained,
    Unproven,
    Stopping,
    Terminated,
}

impl State {
    const ALL: [Self; 11] = [
        Self::Known,
        Self::Starting,
        Self::Registering,
        Self::Registered,
        Self::Healthy,
        Self::Withdrawing,
        Self::Deregistered,
        Self::Drained,
        Self::Unproven,
        Self::Stopping,
        Self::Terminated,
    ];

    fn of(target: &TargetStatus) -> Self {
        let steps = &target.steps;
        let process = target.process.as_ref();
        let stopping = process.is_some_and(|p| match p.step {
            StepKind::Stop | StepKind::Terminate => !p.undone,
            StepKind::Start | StepKind::Register | StepKind::Deregister => false,
        });
        let starting = process.is_some_and(|p| p.running_at.is_none() && !p.undone);
        if steps.terminated.is_some() {
            Self::Terminated
        } else if stopping {
            Self::Stopping
        } else if steps.drained.is_some() {
            Self::Drained
        } else if steps.unproven.is_some() {
            Self::Unproven
        } else if steps.deregistered.is_some() {
            Self::Deregistered
        } else if !target.drain.is_empty() {
            Self::Withdrawing
        } else if steps.healthy.is_some() {
            Self::Healthy
        } else if steps.registered.is_some() {
            Self::Registered
        } else if !target.registrations.is_empty() {
            Self::Registering
        } else if starting {
            Self::Starting
        } else {
            Self::Known
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::None => "[*]",
            Self::Known => "Known",
            Self::Starting => "Starting",
            Self::Registering => "Registering",
            Self::Registered => "Registered",
            Self::Healthy => "Healthy",
            Self::Withdrawing => "Withdrawing",
            Self::Deregistered => "Deregistered",
            Self::Drained => "Drained",
            Self::Unproven => "Unproven",
            Self::Stopping => "Stopping",
            Self::Terminated => "Terminated",
        }
    }

    /// What in the record makes it so.
    fn when(self) -> &'static str {
        match self {
            Self::None => "no record",
            Self::Known => "a record; where the controller starts the process, it was seen to run",
            Self::Starting => "`process.step` is `Start`, and `process.runningAt` is absent",
            Self::Registering => "`registrations`, some of which are only intended",
            Self::Registered => "`steps.registered`: every group lists it",
            Self::Healthy => "`steps.healthy`: it passed the health gate in every group",
            Self::Withdrawing => "`drain`: a group was asked to deregister it, or did so",
            Self::Deregistered => "`steps.deregistered`: no group sends to it any more",
            Self::Drained => "`steps.drained`: nothing is in flight, with the proof",
            Self::Unproven => "`steps.unproven`: `drain.onTimeout` is `Proceed`, and time is up",
            Self::Stopping => "`process.step` is `Stop` or `Terminate`: there is no way back",
            Self::Terminated => "`steps.terminated`: its process, or its instance, has ended",
        }
    }
}

/// What moves a target: an effect that concerns it, or something that was seen.
const SEEN: &str = "a reading";

/// What the walks have seen.
#[derive(Debug, Default)]
pub(super) struct Notes {
    targets: BTreeMap<(State, State), BTreeSet<&'static str>>,
    reasons: BTreeMap<&'static str, BTreeSet<String>>,
    conditions: BTreeMap<String, BTreeSet<String>>,
    phases: BTreeSet<(&'static str, &'static str)>,
}

impl Notes {
    /// Notes what a decision makes of the targets and says of the release.
    pub(super) fn decided(&mut self, before: &BlueGreenReleaseStatus, decision: &Decision) {
        let after = &decision.status;
        let same = |a: &TargetStatus, b: &TargetStatus| {
            (a.revision, a.port, &a.id) == (b.revision, b.port, &b.id)
        };
        for target in &after.targets {
            let earlier = before.targets.iter().find(|t| same(t, target));
            let from = earlier.map_or(State::None, State::of);
            self.moved(from, State::of(target), by(decision, target));
        }
        for target in &before.targets {
            if !after.targets.iter().any(|t| same(t, target)) {
                self.moved(State::of(target), State::None, "a new release");
            }
        }
        for condition in &after.conditions {
            let reasons = if condition.type_ == "Ready" {
                self.reasons.entry(after.phase.as_str()).or_default()
            } else {
                let told = format!("{}={}", condition.type_, condition.status);
                self.conditions.entry(told).or_default()
            };
            if !reasons.contains(&condition.reason) {
                reasons.insert(condition.reason.clone());
            }
        }
    }

    fn moved(&mut self, from: State, to: State, by: &'static str) {
        if from != to {
            self.targets.entry((from, to)).or_default().insert(by);
        }
    }

    /// Notes which phase follows on which. `said` are the passes, with the phase that each wrote;
    /// `carried` is everything else that happens, and leaves status as it is.
    pub(super) fn followed<K: Copy + Eq + Hash>(
        &mut self,
        begin: K,
        said: &[(K, K, Phase)],
        carried: &[(K, K)],
    ) {
        let mut after: HashMap<K, Vec<K>> = HashMap::new();
        for (from, to) in carried {
            after.entry(*from).or_default().push(*to);
        }
        let first = said.iter().map(|(_, to, phase)| (*to, *phase));
        let mut open: Vec<(K, Phase)> = first.chain([(begin, Phase::default())]).collect();
        let mut at: HashMap<K, Vec<Phase>> = HashMap::new();
        while let Some((key, phase)) = open.pop() {
            let phases = at.entry(key).or_default();
            if phases.contains(&phase) {
                continue;
            }
            phases.push(phase);
            open.extend(after.get(&key).into_iter().flatten().map(|to| (*to, phase)));
        }
        for (from, _, phase) in said {
            for before in at.get(from).into_iter().flatten() {
                if before != phase {
                    self.phases.insert((before.as_str(), phase.as_str()));
                }
            }
        }
    }

    /// Takes in what another walk has seen.
    pub(super) fn join(&mut self, other: &Self) {
        for (edge, by) in &other.targets {
            self.targets.entry(*edge).or_default().extend(by);
        }
        for (phase, reasons) in &other.reasons {
            let known = self.reasons.entry(phase).or_default();
            known.extend(reasons.iter().cloned());
        }
        for (told, reasons) in &other.conditions {
            let known = self.conditions.entry(told.clone()).or_default();
            known.extend(reasons.iter().cloned());
        }
        self.phases.extend(&other.phases);
    }

    /// The page.
    pub(super) fn page(&self) -> String {
        let mut page = HEAD.to_owned();
        page.push_str("\n```mermaid\nstateDiagram-v2\n");
        for ((from, to), by) in &self.targets {
            let by = by.iter().copied().collect::<Vec<_>>().join(", ");
            let _ = writeln!(page, "    {} --> {} : {by}", from.word(), to.word());
        }
        page.push_str("```\n\n| state | in the record of the target |\n|---|---|\n");
        for state in State::ALL {
            let _ = writeln!(page, "| {} | {} |", state.word(), state.when());
        }
        let met = |state: &State| self.targets.keys().any(|(_, to)| to == state);
        let unmet = State::ALL.into_iter().filter(|state| !met(state));
        let unmet: Vec<_> = unmet.map(State::word).collect();
        let _ = writeln!(page, "\n{NOT_MET}: {}.", listed(&unmet));
        page.push_str(RELEASE);
        page.push_str("\n```mermaid\nstateDiagram-v2\n    [*] --> Pending\n");
        for (from, to) in &self.phases {
            let _ = writeln!(page, "    {from} --> {to}");
        }
        page.push_str("```\n\n| phase | reasons of `Ready` with which it was seen |\n|---|---|\n");
        for (phase, reasons) in &self.reasons {
            let reasons: Vec<_> = reasons.iter().map(String::as_str).collect();
            let _ = writeln!(page, "| {phase} | {} |", reasons.join(", "));
        }
        page.push_str("\n| condition | reasons with which it was seen |\n|---|---|\n");
        for (told, reasons) in &self.conditions {
            let reasons: Vec<_> = reasons.iter().map(String::as_str).collect();
            let _ = writeln!(page, "| {told} | {} |", reasons.join(", "));
        }
        let seen = || self.reasons.values().chain(self.conditions.values());
        let met = |reason: &Reason| seen().any(|r| r.contains(reason.as_str()));
        let unmet = Reason::ALL.into_iter().filter(|reason| !met(reason));
        let unmet: Vec<_> = unmet.map(Reason::as_str).collect();
        let _ = writeln!(page, "\n{NOT_MET}: {}.", listed(&unmet));
        page
    }
}

/// What a decision does about a target.
fn by(decision: &Decision, target: &TargetStatus) -> &'static str {
    let is = |id: &bluegreen_plan::TargetId| id.id == target.id && id.port == target.port;
    let process = target.process.as_ref();
    match &decision.step {
        Some(Step::Register { targets, .. }) if targets.iter().any(is) => "Register",
        Some(Step::Deregister { targets, .. }) if targets.iter().any(is) => "Deregister",
        Some(Step::Send(command)) if process.is_some_and(|p| p.operation == command.operation) => {
            command.kind.as_str()
        }
        Some(Step::Terminate { instances }) if instances.contains(&target.id) => "Terminate",
        Some(
            Step::Claim { .. }
            | Step::RemoveFinalizer
            | Step::Register { .. }
            | Step::Deregister { .. }
            | Step::Send(_)
            | Step::Terminate { .. },
        )
        | None => SEEN,
    }
}

fn listed(words: &[&str]) -> String {
    match words {
        [] => "none".to_owned(),
        words => words.join(", "),
    }
}

const HEAD: &str = "\
<!-- Generated by tests/model; see there. Not edited by hand. -->

# States

What targets and releases go through, collected from the planner's decisions in the exhaustive walk
of its small fleets (`tests/model`): every transition below was seen there, with crashes, lost
replies, stale readings and changes of the spec, and no other was. A test compares this page;
`BLUEGREEN_BLESS=1 cargo test -p bluegreen-plan --test model states` writes it.

## A target

An arrow bears the effect that is intended in the same write of status, or says that a reading
alone moved the target. Going back, a target that lives is registered again from wherever it was.
";

const RELEASE: &str = "
## A release

`status.phase`, from one write of status to the next. What a phase waits for, and until when, is in
`status.message` and `status.next`. A release that a person must mend says so with `Stalled`; each
such reason has its entry in `runbook.md`.
";

const NOT_MET: &str = "Not met in the walk, which knows no such trouble";
