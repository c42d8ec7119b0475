//! What was worked out already.
//!
//! Of each scenario there are few worlds, and many fewer statuses than states: the walk meets the
//! same status in many worlds, and the same world under many statuses. So both are known by
//! numbers, and everything that depends on a few of them alone is worked out once: what happens to
//! a world, what is read of it, what an effect does to it, how a status grows older, and what the
//! planner decides. That is sound since each of these is a pure function of what it is kept under;
//! the planner has no clock, no random number and no state.

use std::{collections::BTreeMap, rc::Rc};

use bluegreen_api::{BlueGreenReleaseSpec, BlueGreenReleaseStatus, NotedStop, RevisionCommands};
use bluegreen_plan::{
    EffectFailure, Failure, FailureKind, Needs, Observation, Release, Step, Witness, needs,
};

use super::{
    super::{
        canon,
        how::Ask,
        interned::{Id, Interned, Known, hash},
        lies::{self, Lie},
        scenario::{Scenario, version},
        world::{Deed, Event, Harm, NOW, World},
    },
    Meta, Noted,
};

/// A status, but for the numbers of its operations.
pub(super) type StatusId = Id<BlueGreenReleaseStatus>;
pub(super) type WorldId = Id<World>;
pub(super) type MetaId = Id<(Meta, Release)>;

/// What is noted of stops, but for the numbers of the operations.
pub(super) type StopsId = Id<Vec<NotedStop>>;

type Operations = Id<canon::Operations>;
type Numbers = Id<canon::Numbers>;

/// Something that happens to a world by itself, or that others do to it, and what comes of it.
pub(super) struct Happened<T> {
    pub(super) what: T,
    pub(super) after: WorldId,
    pub(super) harm: Harm,
}

/// What decides what a process reads.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Look {
    world: WorldId,
    needs: Id<Needs>,
    version: u8,
    finalizer: bool,
    /// What is noted of stops, where the process has just begun and takes it over.
    inherited: Option<StopsId>,
    failures: u8,
    stale: bool,
}

/// What decides what a pass does to a world.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Act {
    world: WorldId,
    observation: Id<Observation>,
    step: Option<Id<Step>>,
}

/// What a pass does to a world.
pub(super) struct Done {
    /// With what the process has seen meanwhile.
    pub(super) done: WorldId,
    /// The process has crashed before it acted, or after: what it has seen is lost with it.
    pub(super) crashed_before: WorldId,
    pub(super) crashed_after: WorldId,
    pub(super) harm: Harm,
}

pub(super) struct Tables<'a> {
    scenario: &'a Scenario,
    pub(super) statuses: Interned<BlueGreenReleaseStatus>,
    pub(super) worlds: Interned<World>,
    pub(super) metas: Interned<(Meta, Release)>,
    pub(super) observations: Interned<Observation>,
    pub(super) steps: Interned<Step>,
    noted: Interned<Vec<NotedStop>>,
    known: Interned<canon::Operations>,
    numbers: Interned<canon::Numbers>,
    needs: Interned<Needs>,
    open: Known<(StopsId, WorldId), StopsId>,
    knows: Known<(StatusId, StopsId), Operations>,
    numbered: Known<(Operations, WorldId), (WorldId, Numbers)>,
    renumbered: Known<(StatusId, Numbers), StatusId>,
    renumbered_stops: Known<(StopsId, Numbers), StopsId>,
    aged: Known<StatusId, StatusId>,
    lied: Known<(StatusId, Lie), Option<StatusId>>,
    happened: Known<WorldId, Rc<[Happened<Event>]>>,
    meddled: Known<WorldId, Rc<[Happened<Deed>]>>,
    met: Known<Meta, MetaId>,
    needed: Known<(StatusId, u8), Id<Needs>>,
    seen: Known<Look, Id<Observation>>,
    done: Known<Act, Rc<Done>>,
}

impl<'a> Tables<'a> {
    pub(super) fn new(scenario: &'a Scenario) -> Self {
        Self {
            scenario,
            statuses: Interned::new(),
            worlds: Interned::new(),
            metas: Interned::new(),
            observations: Interned::new(),
            steps: Interned::new(),
            noted: Interned::new(),
            known: Interned::new(),
            numbers: Interned::new(),
            needs: Interned::new(),
            open: Known::default(),
            knows: Known::default(),
            numbered: Known::default(),
            renumbered: Known::default(),
            renumbered_stops: Known::default(),
            aged: Known::default(),
            lied: Known::default(),
            happened: Known::default(),
            meddled: Known::default(),
            met: Known::default(),
            needed: Known::default(),
            seen: Known::default(),
            done: Known::default(),
        }
    }

    /// The number of a status that was written.
    pub(super) fn status(&mut self, mut status: BlueGreenReleaseStatus) -> StatusId {
        canon::canonical_status(self.scenario, &mut status);
        let hash = hash(&(
            (status.revision, status.fence, status.failed_generation),
            &status.last_request,
            (&status.blue, &status.green, &status.course, &status.targets),
        ));
        self.statuses.intern(hash, status)
    }

    pub(super) fn world(&mut self, mut world: World) -> WorldId {
        canon::canonical_world(self.scenario, &mut world);
        self.worlds.take(world)
    }

    /// The number of what is noted of stops.
    pub(super) fn stops(&mut self, mut stops: Vec<NotedStop>) -> StopsId {
        canon::canonical_stops(&mut stops);
        self.noted.take(stops)
    }

    /// What is noted of stops, without what nobody asks of it any more in a world.
    pub(super) fn open(&mut self, stops: StopsId, world: WorldId) -> StopsId {
        if let Some(known) = self.open.get(&(stops, world)) {
            return *known;
        }
        let mut open = self.noted[stops].clone();
        canon::forget_ended_stops(self.scenario, &mut open, &self.worlds[world]);
        let open = self.stops(open);
        self.open.insert((stops, world), open);
        open
    }

    pub(super) fn meta(&mut self, meta: Meta) -> MetaId {
        if let Some(known) = self.met.get(&meta) {
            return *known;
        }
        let mut spec = self.scenario.spec.clone();
        spec.version = version(meta.version);
        let release = Release {
            commands: commands(&spec, meta.noted),
            stops: self.noted[meta.stops].clone(),
            uid: "u".to_owned(),
            generation: i64::from(meta.generation),
            spec,
            finalizer: meta.finalizer,
            deleting: meta.deleting,
            request: meta.asked.map(Ask::text),
        };
        let met = self.metas.intern(hash(&meta), (meta, release));
        self.met.insert(meta, met);
        met
    }

    pub(super) fn step(&mut self, step: Step) -> Id<Step> {
        self.steps.intern(hash(&format!("{step:?}")), step)
    }

    /// Gives the operations of a status, of a world and of what is noted of stops their numbers.
    pub(super) fn number(
        &mut self,
        status: StatusId,
        world: WorldId,
        stops: StopsId,
    ) -> (StatusId, WorldId, StopsId) {
        let known = *self.knows.entry((status, stops)).or_insert_with(|| {
            let operations = canon::Operations::of(&self.statuses[status], &self.noted[stops]);
            self.known.take(operations)
        });
        let (world, numbers) = *self.numbered.entry((known, world)).or_insert_with(|| {
            let mut world = self.worlds[world].clone();
            let numbers = canon::number_operations(&self.known[known], &mut world);
            (self.worlds.take(world), self.numbers.take(numbers))
        });
        let status = match self.renumbered.get(&(status, numbers)) {
            Some(known) => *known,
            None => {
                let mut renumbered = self.statuses[status].clone();
                canon::renumber(&mut renumbered, &self.numbers[numbers]);
                let renumbered = self.status(renumbered);
                self.renumbered.insert((status, numbers), renumbered);
                renumbered
            }
        };
        let stops = match self.renumbered_stops.get(&(stops, numbers)) {
            Some(known) => *known,
            None => {
                let mut renumbered = self.noted[stops].clone();
                canon::renumber_stops(&mut renumbered, &self.numbers[numbers]);
                let renumbered = self.stops(renumbered);
                self.renumbered_stops.insert((stops, numbers), renumbered);
                renumbered
            }
        };
        (status, world, stops)
    }

    /// A status after a tick.
    pub(super) fn aged(&mut self, status: StatusId) -> StatusId {
        if let Some(known) = self.aged.get(&status) {
            return *known;
        }
        let mut aged = self.statuses[status].clone();
        canon::age(&mut aged);
        let aged = self.status(aged);
        self.aged.insert(status, aged);
        aged
    }

    /// A status into which a lie was written; `None` where the API server refuses that.
    pub(super) fn lied(&mut self, status: StatusId, lie: Lie) -> Option<StatusId> {
        if let Some(known) = self.lied.get(&(status, lie)) {
            return *known;
        }
        let mut lied = self.statuses[status].clone();
        lies::write(self.scenario, &mut lied, lie);
        let lied = lies::accepted(&lied).then(|| self.status(lied));
        self.lied.insert((status, lie), lied);
        lied
    }

    /// What can happen to a world by itself, and what comes of it.
    pub(super) fn happened(&mut self, world: WorldId) -> Rc<[Happened<Event>]> {
        if let Some(known) = self.happened.get(&world) {
            return Rc::clone(known);
        }
        let before = self.worlds[world].clone();
        let events = before.events(self.scenario).into_iter().map(|event| {
            let mut after = before.clone();
            let harm = after.happen(self.scenario, event);
            if event == Event::Tick {
                canon::age_witness(&mut after);
            }
            Happened {
                what: event,
                after: self.world(after),
                harm,
            }
        });
        let happened: Rc<[_]> = events.collect();
        self.happened.insert(world, Rc::clone(&happened));
        happened
    }

    /// What others can do to a world, and what comes of it.
    pub(super) fn meddled(&mut self, world: WorldId) -> Rc<[Happened<Deed>]> {
        if let Some(known) = self.meddled.get(&world) {
            return Rc::clone(known);
        }
        let before = self.worlds[world].clone();
        let deeds = before.deeds().into_iter().map(|deed| {
            let mut after = before.clone();
            after.meddle(deed);
            Happened {
                what: deed,
                after: self.world(after),
                harm: None,
            }
        });
        let meddled: Rc<[_]> = deeds.collect();
        self.meddled.insert(world, Rc::clone(&meddled));
        meddled
    }

    /// What a process reads of a world.
    pub(super) fn seen(
        &mut self,
        status: StatusId,
        world: WorldId,
        meta: MetaId,
        stale: bool,
    ) -> Id<Observation> {
        let (meta, release) = &self.metas[meta];
        let needs = *self
            .needed
            .entry((status, meta.version))
            .or_insert_with(|| {
                let needs = needs(&release.spec, &self.statuses[status], NOW);
                self.needs.intern(hash(&format!("{needs:?}")), needs)
            });
        let begins = self.scenario.witnessed && self.worlds[world].witness == Witness::default();
        let look = Look {
            world,
            needs,
            version: meta.version,
            finalizer: meta.finalizer,
            inherited: begins.then_some(meta.stops),
            failures: meta.failures,
            stale,
        };
        *self.seen.entry(look).or_insert_with(|| {
            let mut world = self.worlds[world].clone();
            if begins {
                world.witness.inherit(release, NOW);
            }
            let mut observation = world.observe(self.scenario, &self.needs[needs], stale);
            observation.last_effect = failing(*meta);
            if self.scenario.witnessed {
                let readings = observation.clone();
                observation.witness.look(release, &readings, NOW);
            }
            let hash = hash(&format!("{observation:?}"));
            self.observations.intern(hash, observation)
        })
    }

    /// What a pass does to a world, in which it has seen something.
    pub(super) fn done(
        &mut self,
        world: WorldId,
        observation: Id<Observation>,
        step: Option<Id<Step>>,
    ) -> Rc<Done> {
        let act = Act {
            world,
            observation,
            step,
        };
        if let Some(known) = self.done.get(&act) {
            return Rc::clone(known);
        }
        let mut before = self.worlds[world].clone();
        let mut done = before.clone();
        let witness = &self.observations[observation].witness;
        done.witness.clone_from(witness);
        let mut after = before.clone();
        let harm = step.and_then(|step| {
            let step = &self.steps[step];
            if self.scenario.witnessed {
                done.witness.acts(step, NOW);
            } else {
                done.witness.notes(step);
            }
            after.ask_for(self.scenario, step);
            done.execute(self.scenario, step)
        });
        before.change_process(self.scenario);
        after.change_process(self.scenario);
        let worked_out = Rc::new(Done {
            done: self.world(done),
            crashed_before: self.world(before),
            crashed_after: self.world(after),
            harm,
        });
        self.done.insert(act, Rc::clone(&worked_out));
        worked_out
    }
}

/// How the revisions that were noted are started and stopped: all in the same way.
fn commands(spec: &BlueGreenReleaseSpec, noted: Noted) -> BTreeMap<u64, RevisionCommands> {
    let Some(hosts) = &spec.fleet.hosts else {
        return BTreeMap::new();
    };
    let commands = |number: u8| RevisionCommands {
        version: Some(version(number)),
        start: hosts.start.clone(),
        stop: hosts.stop.clone(),
    };
    let noted = noted.into_iter().flatten();
    noted
        .map(|(revision, number)| (revision, commands(number)))
        .collect()
}

/// What a process remembers of an effect whose reply was lost.
fn failing(meta: Meta) -> Option<EffectFailure> {
    (meta.failures > 0).then(|| EffectFailure {
        intent: String::new(),
        failure: Failure {
            kind: FailureKind::Unavailable,
            message: "no reply".to_owned(),
        },
        failures: u32::from(meta.failures),
        at: NOW,
    })
}
