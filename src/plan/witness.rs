//! What this very process has seen of the targets of a release.
//!
//! Status is the controller's memory, and whoever may write it may write a lie into it. A lie may
//! put a release off; it must not stop a process that has requests. So a stop needs, besides the
//! proof in status, what the process that asks for it has seen with its own eyes. It is lost with
//! the process: the next one looks anew, which puts a stop off by as long as that takes
//! (`docs/adr/0007`). Only the stops that may be under way are not: they are noted before they are
//! asked for, and the next one reads the note.

use std::collections::BTreeMap;

use super::{
    CommandState, Group, InstanceState, Invocation, Observation, Reading, Release, Step, TargetId,
    converge::fence_of,
    drain::settle,
    limits::{DRAIN_MARGIN, FENCE, LISTED_LATEST, TERMINATION_SHOWN_LATEST, WITNESSED_LONGEST},
    record::EXIT_KILLED,
};
use bluegreen_api::{
    BlueGreenReleaseSpec, DrainTimeoutPolicy, Duration, NotedStop, StepKind, Time,
};

/// How long after it began an effect may not be shown: a call takes an operation timeout at the most,
/// and a reading is no older than that.
const SHOWN_LATEST: Duration = FENCE.times(2);

/// What one process has seen of the targets of a release, look by look.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Witness {
    /// Since when it looks.
    since: Option<Time>,
    /// The same, while a reading may not show yet what a process before this one did at its end.
    successor_since: Option<Time>,
    /// The targets of the fleet that a group has listed since then.
    targets: BTreeMap<TargetId, Sighting>,
    /// The stops that it, or one before it, has sent to a target, while it knows no end of them.
    stops: BTreeMap<TargetId, Vec<SentStop>>,
    /// The instances whose end it, or one before it, has asked for, and when at the latest.
    ending: BTreeMap<String, Time>,
    /// The operation that it has noted and not sent yet.
    noted: Option<String>,
    /// What it has lately deregistered, from which group of the spec: a reading may not show it yet.
    deregistered: BTreeMap<(usize, TargetId), Time>,
}

/// A stop that may be on its way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct SentStop {
    operation: String,
    /// Whose process it stops.
    process: String,
    /// It was not sent before.
    since: Time,
    /// It was not sent after that.
    at: Time,
}

/// What was seen of a target.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Sighting {
    /// For each group that has listed it: since when it sends nothing new there; `None` while it
    /// does.
    withdrawn: BTreeMap<String, Option<Time>>,
    /// Since when the application is quiet, and what it had served then.
    quiet: Option<(Time, u64)>,
    /// Nothing is in flight on it: once seen, that holds until a group lists it again.
    drained: bool,
    /// When this process has registered it.
    registered: Option<Time>,
}

impl Witness {
    /// One that has looked since a time, and has seen no target listed.
    #[must_use]
    pub fn looking_since(time: Time) -> Self {
        Self {
            since: Some(time),
            ..Self::default()
        }
    }

    /// One that is sure of some targets: that nothing is in flight on them. For the model, whose
    /// walks of an honest status show that the proofs in it suffice by themselves.
    #[must_use]
    pub fn sure_of(targets: impl IntoIterator<Item = TargetId>, since: Time) -> Self {
        let sure = Sighting {
            drained: true,
            ..Sighting::default()
        };
        let targets = targets.into_iter().map(|id| (id, sure.clone()));
        Self {
            since: Some(since),
            targets: targets.collect(),
            ..Self::default()
        }
    }

    /// Takes over what is noted of the stops that a process before this one may have sent: before its
    /// first look. From then on it knows better.
    pub fn inherit(&mut self, release: &Release, now: Time) {
        if self.since.is_some() {
            return;
        }
        self.stops.clear();
        self.ending.clear();
        let longest = stop_longest(&release.spec);
        for stop in release.stops.iter().filter(|s| now < s.at + longest) {
            let targets = stop.targets.iter().filter_map(|text| text.parse().ok());
            for target in targets {
                let target: TargetId = target;
                if stop.step == StepKind::Terminate {
                    self.ending.insert(target.id, now);
                    continue;
                }
                let sent = SentStop {
                    operation: stop.operation.clone(),
                    process: stop.process.clone(),
                    since: stop.at,
                    at: now,
                };
                self.stops.entry(target).or_default().push(sent);
            }
        }
    }

    /// Takes a look. One that failed in part tells nothing.
    pub fn look(&mut self, release: &Release, observation: &Observation, now: Time) {
        let longest = stop_longest(&release.spec);
        self.stops.retain(|target, stops| {
            stops.retain(|stop| now < stop.at + longest && !stop.is_over(target, observation, now));
            let ended = stops.iter().filter(|s| s.has_stopped(target, observation));
            let ended: Vec<SentStop> = ended.cloned().collect();
            stops.retain(|stop| !ended.iter().any(|ended| ended.ends(stop)));
            let failed = |stop: &SentStop| stop.has_failed(target, observation);
            keep_last(stops, |stop| failed(stop).then(|| stop.process.clone()));
            !stops.is_empty()
        });
        self.ending.retain(|instance, at| {
            let known = match state(observation, instance) {
                Some(InstanceState::Terminated | InstanceState::Running) => true,
                Some(InstanceState::Pending | InstanceState::Stopped) | None => false,
            };
            let over = known && now >= *at + TERMINATION_SHOWN_LATEST;
            now < *at + WITNESSED_LONGEST && !over
        });
        self.deregistered.retain(|_, at| now < *at + SHOWN_LATEST);
        let Some(groups) = groups(observation) else {
            return;
        };
        if self.since.is_none() {
            self.since = Some(now);
            // Our finalizer comes before the first effect, and nobody who writes status can take it
            // off: without it, none was made before.
            self.successor_since = Some(now).filter(|_| release.finalizer);
        }
        self.successor_since = self.successor_since.filter(|at| now < *at + SHOWN_LATEST);
        for group in &groups {
            self.look_at_group(group, observation, now);
        }
        for (id, sighting) in &mut self.targets {
            sighting.look_at_probe(observation, id);
        }
        self.conclude(&release.spec, &groups, observation, now);
        let forgettable = |sighting: &Sighting| {
            let since = sighting.withdrawn.values().copied();
            let since = since.chain(sighting.registered.map(Some));
            let mut since = since.map(|at| at.is_some_and(|at| now >= at + WITNESSED_LONGEST));
            since.all(|long| long)
        };
        self.targets.retain(|_, sighting| !forgettable(sighting));
    }

    /// Takes note of an effect that is about to be made. A reading may be older than that, and status
    /// may say that it was never made: what is registered counts as in service from then on, what is
    /// deregistered as out of it, and a target whose stop is on its way must not come into service.
    pub fn acts(&mut self, step: &Step, now: Time) {
        self.notes(step);
        match step {
            Step::Send(command) if command.kind == StepKind::Stop => {
                for target in command.targets() {
                    let stop = SentStop {
                        operation: command.operation.clone(),
                        process: command.process.clone(),
                        since: now,
                        at: now,
                    };
                    self.stops.entry(target).or_default().push(stop);
                }
            }
            Step::Terminate { instances } => {
                let ending = instances.iter().map(|instance| (instance.clone(), now));
                self.ending.extend(ending);
            }
            Step::Register { group: _, targets } => {
                for target in targets {
                    let sighting = self.targets.entry(target.clone()).or_default();
                    sighting.comes_back(now);
                }
            }
            Step::Deregister { group, targets } => {
                let lately = targets.iter().map(|target| ((*group, target.clone()), now));
                self.deregistered.extend(lately);
            }
            Step::Send(_) | Step::Claim { .. } | Step::RemoveFinalizer => {}
        }
    }

    /// Takes note of what is about to be noted, and of a note that is used: each is used once, and by
    /// the process that wrote it.
    pub fn notes(&mut self, step: &Step) {
        match step {
            Step::Claim { noted, .. } => self.noted.clone_from(noted),
            Step::Send(_) | Step::Terminate { .. } => self.noted = None,
            Step::Register { .. } | Step::Deregister { .. } | Step::RemoveFinalizer => {}
        }
    }

    /// Whether this process has noted an operation, and has not sent it.
    pub(super) fn has_noted(&self, operation: &str) -> bool {
        self.noted.as_deref() == Some(operation)
    }

    /// The stops whose end it wants to know: operation id, and since when it may have been sent.
    pub fn commands(&self) -> impl Iterator<Item = (String, Time)> {
        let operation = |stop: &SentStop| (stop.operation.clone(), stop.since);
        self.stops.values().flatten().map(operation)
    }

    /// Whether a target may have been deregistered from a group so lately that a reading does not
    /// show it: by this process, or by the one before it, whose effects nobody remembers. That it
    /// was registered again since changes nothing: the reading may be of before.
    pub(super) fn may_have_left(&self, group: usize, target: &TargetId) -> bool {
        self.successor_since.is_some() || self.deregistered.contains_key(&(group, target.clone()))
    }

    /// When the first of those is certain to be shown.
    pub(super) fn shown_at(&self) -> Option<Time> {
        let own = self.deregistered.values().copied();
        let first = own.chain(self.successor_since).min();
        first.map(|at| at + SHOWN_LATEST)
    }

    /// Whether a stop may be on its way to a target: this process, or one before it, has sent it.
    #[must_use]
    pub fn stopping(&self, target: &TargetId) -> bool {
        self.stopping_since(target).is_some()
    }

    /// Since when the last of these is on its way, as far as this process can tell.
    pub(super) fn stopping_since(&self, target: &TargetId) -> Option<Time> {
        let stops = self.stops.get(target).into_iter().flatten();
        let ending = self.ending.get(&target.id).copied();
        stops.map(|stop| stop.at).chain(ending).max()
    }

    /// Whether it knows that what is noted was sent to a target, and knows no end of it.
    pub(super) fn sent(&self, noted: &NotedStop, target: &TargetId) -> bool {
        if noted.step == StepKind::Terminate {
            return self.ending.contains_key(&target.id);
        }
        let mut stops = self.stops.get(target).into_iter().flatten();
        stops.any(|stop| stop.operation == noted.operation)
    }

    fn look_at_group(&mut self, group: &Group, observation: &Observation, now: Time) {
        let ours = |id: &TargetId| match &observation.fleet {
            Reading::Known(fleet) => fleet.iter().any(|instance| instance.id == id.id),
            Reading::Unknown(_) => true,
        };
        for id in group.targets.keys() {
            let known = self.targets.contains_key(id);
            if group.listed(id).is_some() && (known || ours(id)) {
                let sighting = self.targets.entry(id.clone()).or_default();
                sighting.withdrawn.entry(group.name.clone()).or_default();
            }
        }
        for (id, sighting) in &mut self.targets {
            let Some(since) = sighting.withdrawn.get_mut(&group.name) else {
                continue;
            };
            if group.registered(id) {
                *since = None;
                sighting.quiet = None;
                sighting.drained = false;
            } else {
                since.get_or_insert(now);
            }
        }
    }

    fn conclude(
        &mut self,
        spec: &BlueGreenReleaseSpec,
        groups: &[&Group],
        observation: &Observation,
        now: Time,
    ) {
        let drained: Vec<TargetId> = self
            .targets
            .keys()
            .filter(|id| {
                self.over_at(spec, groups, id).is_some_and(|at| now >= at)
                    || self.quiet_enough(spec, groups, observation, id)
            })
            .cloned()
            .collect();
        for id in drained {
            if let Some(sighting) = self.targets.get_mut(&id) {
                sighting.drained = true;
            }
        }
    }

    /// Since when a group sends nothing new to a target, as far as was seen.
    fn withdrawn_since(&self, group: &Group, id: &TargetId) -> Option<Time> {
        let sighting = self.targets.get(id);
        let since = match sighting.and_then(|sighting| sighting.withdrawn.get(&group.name)) {
            Some(since) => *since,
            None => self.since,
        };
        // A reading in which it is not listed yet may be older than its registration.
        let registered = sighting.and_then(|sighting| sighting.registered);
        since.max(since.and(registered.map(|at| at + FENCE)))
    }

    /// When the load balancer has let everything end: every group has let its own delay pass, and
    /// what late nodes may have sent has had the same. `None` while a group still lists the target.
    fn over_at(
        &self,
        spec: &BlueGreenReleaseSpec,
        groups: &[&Group],
        id: &TargetId,
    ) -> Option<Time> {
        let ends = groups.iter().map(|group| {
            let gone = group.listed(id).is_none();
            let since = self.withdrawn_since(group, id).filter(|_| gone)?;
            let settle = settle(spec, group.load_balancer);
            let late = if group.delay < settle {
                group.delay
            } else {
                Duration::ZERO
            };
            Some(since + (settle + late).max(FENCE))
        });
        let ends: Option<Vec<Time>> = ends.collect();
        ends?.into_iter().max()
    }

    /// Whether the application itself was quiet for long enough, after settle.
    fn quiet_enough(
        &self,
        spec: &BlueGreenReleaseSpec,
        groups: &[&Group],
        observation: &Observation,
        id: &TargetId,
    ) -> bool {
        let settled = groups.iter().map(|group| {
            let settle = settle(spec, group.load_balancer);
            let since = self.withdrawn_since(group, id)?;
            Some(since + settle.max(FENCE))
        });
        let settled: Option<Vec<Time>> = settled.collect();
        let settled = settled.and_then(|times| times.into_iter().max());
        let quiet = self.targets.get(id).and_then(|sighting| sighting.quiet);
        let reading = observation.probes.get(id).and_then(Reading::known);
        match (&spec.drain.in_flight, settled, quiet, reading) {
            (Some(in_flight), Some(settled), Some((since, _)), Some(reading)) => {
                spec.drain.early_finish && reading.at >= since.max(settled) + in_flight.quiet_for
            }
            _ => false,
        }
    }

    /// The targets of the fleet that a group has listed since it looks.
    pub(super) fn seen(&self) -> impl Iterator<Item = &TargetId> {
        self.targets.keys()
    }

    /// From when on this process may have a target stopped, as far as that can be told; `None`
    /// while it cannot.
    pub(super) fn vouches_from(
        &self,
        spec: &BlueGreenReleaseSpec,
        groups: &[&Group],
        id: &TargetId,
    ) -> Option<Time> {
        if self
            .targets
            .get(id)
            .is_some_and(|sighting| sighting.drained)
        {
            return self.since;
        }
        let given_up = || {
            let ends = groups.iter().map(|group| {
                let settle = settle(spec, group.load_balancer);
                let since = self.withdrawn_since(group, id)?;
                Some(since + group.delay + settle + DRAIN_MARGIN)
            });
            let ends: Option<Vec<Time>> = ends.collect();
            ends?.into_iter().max()
        };
        let over = self.over_at(spec, groups, id);
        match spec.drain.on_timeout {
            DrainTimeoutPolicy::Hold => over,
            DrainTimeoutPolicy::Proceed => over.or_else(given_up),
        }
    }

    /// Every operation that it knows. For the model.
    pub fn operations(&self) -> impl Iterator<Item = &String> {
        let stops = self.stops.values().flatten();
        stops.map(|stop| &stop.operation).chain(&self.noted)
    }

    /// Gives the operations that it knows other ids. For the model, which numbers them anew.
    pub fn each_operation(&mut self, f: &mut impl FnMut(&mut String)) {
        let stops = self.stops.values_mut().flatten();
        let operations = stops.map(|stop| &mut stop.operation);
        operations.chain(&mut self.noted).for_each(f);
    }

    /// Lets all that was seen be as old as a function makes it. For the model, in which time stands
    /// still.
    pub fn each_time(&mut self, f: &mut impl FnMut(&mut Time)) {
        self.since.as_mut().map(&mut *f);
        self.successor_since.as_mut().map(&mut *f);
        for stop in self.stops.values_mut().flatten() {
            f(&mut stop.since);
            f(&mut stop.at);
        }
        self.ending.values_mut().for_each(&mut *f);
        self.deregistered.values_mut().for_each(&mut *f);
        for sighting in self.targets.values_mut() {
            for since in sighting.withdrawn.values_mut().flatten() {
                f(since);
            }
            if let Some((since, _)) = &mut sighting.quiet {
                f(since);
            }
            sighting.registered.as_mut().map(&mut *f);
        }
    }
}

impl SentStop {
    /// Whether it will have no effect any more. One that failed may have told the process to stop
    /// before it did, so it is not over until another one has stopped it.
    fn is_over(&self, target: &TargetId, observation: &Observation, now: Time) -> bool {
        // It may have been sent twice, and the second is not listed yet.
        let listed = now >= self.at + FENCE + LISTED_LATEST;
        let nothing_done = match self.state(observation) {
            Some(CommandState::Absent) => true,
            Some(CommandState::Sent(sent)) => {
                let end = sent.get(&target.id);
                end.is_some_and(Invocation::did_nothing)
            }
            None => false,
        };
        listed && nothing_done
    }

    /// A host that has seen a fence refuses what comes with a lower one.
    fn fence(&self) -> u64 {
        fence_of(&self.operation).parse().unwrap_or(u64::MAX)
    }

    /// Whether another one is over with this one, which has ended its process: one for the same process
    /// that a host refuses from now on, for its fence is no higher.
    fn ends(&self, other: &Self) -> bool {
        other.process == self.process && other.fence() <= self.fence()
    }

    /// Whether it has ended the process.
    fn has_stopped(&self, target: &TargetId, observation: &Observation) -> bool {
        match self.state(observation) {
            Some(CommandState::Sent(sent)) => match sent.get(&target.id) {
                Some(Invocation::Succeeded { .. }) => true,
                Some(Invocation::Failed { code, .. }) => *code == EXIT_KILLED,
                Some(Invocation::Running | Invocation::NotDelivered { .. }) | None => false,
            },
            Some(CommandState::Absent) | None => false,
        }
    }

    /// Whether it ended without success, and may have told the process to stop before.
    fn has_failed(&self, target: &TargetId, observation: &Observation) -> bool {
        match self.state(observation) {
            Some(CommandState::Sent(sent)) => sent.get(&target.id).is_some_and(|end| match end {
                Invocation::Failed { .. } => !end.did_nothing(),
                Invocation::Running
                | Invocation::Succeeded { .. }
                | Invocation::NotDelivered { .. } => false,
            }),
            Some(CommandState::Absent) | None => false,
        }
    }

    fn state<'a>(&self, observation: &'a Observation) -> Option<&'a CommandState> {
        let reading = observation.commands.get(&self.operation);
        reading.and_then(Reading::known)
    }
}

impl Sighting {
    /// From now on everything may be sent to it again, whatever a reading says that is older.
    fn comes_back(&mut self, now: Time) {
        self.registered = Some(now);
        self.withdrawn.values_mut().for_each(|since| *since = None);
        self.quiet = None;
        self.drained = false;
    }

    /// A row of quiet readings ends with one that is not, and with one that was not made.
    fn look_at_probe(&mut self, observation: &Observation, id: &TargetId) {
        let reading = observation.probes.get(id).and_then(Reading::known);
        self.quiet = match (reading, self.quiet) {
            (Some(reading), Some((since, served))) if reading.in_flight == 0 => {
                let same = served == reading.served;
                Some((if same { since } else { reading.at }, reading.served))
            }
            (Some(reading), None) if reading.in_flight == 0 => Some((reading.at, reading.served)),
            (Some(_) | None, _) => None,
        };
    }
}

/// Of those with the same key, keeps the last: where stops fail for hours, each says no more than any
/// other of the same process, and has to be asked about.
fn keep_last<T, K: Ord>(all: &mut Vec<T>, key: impl Fn(&T) -> Option<K>) {
    let mut last = BTreeMap::new();
    for (index, one) in all.iter().enumerate() {
        key(one).map(|key| last.insert(key, index));
    }
    let mut index = 0;
    all.retain(|one| {
        let keep = key(one).is_none_or(|key| last.get(&key) == Some(&index));
        index += 1;
        keep
    });
}

/// How long a stop may be under way at the longest: whatever a unit takes, SIGKILL comes after the
/// grace period.
pub(super) fn stop_longest(spec: &BlueGreenReleaseSpec) -> Duration {
    WITNESSED_LONGEST + spec.stop.grace_period
}

/// The state in which an instance is seen.
fn state(observation: &Observation, instance: &str) -> Option<InstanceState> {
    let mut fleet = observation.fleet.known()?.iter();
    fleet.find(|one| one.id == instance).map(|one| one.state)
}

/// The target groups, where all of them were read.
fn groups(observation: &Observation) -> Option<Vec<&Group>> {
    observation.groups.iter().map(Reading::known).collect()
}
