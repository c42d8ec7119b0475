//! What was worked out already.
//!
//! Of each scenario there are few worlds, and many fewer statuses than states: the walk meets the
//! same status in many worlds, and the same world under many statuses. So both are known by
//! numbers, and everything that depends on a few of them alone is worked out once: what happens to
//! a world, what is read of it, what an effect does to it, how a status grows older, and what the
//! planner decides. That is sound since each of these is a pure function of what it is kept under;
//! the planner has no clock, no random number and no state.

use std::{collections::BTreeMap, rc::Rc};

use bluegreen_api::{BlueGreenReleaseSpec, BlueGreenReleaseStatus, RevisionSnapshot};
use bluegreen_plan::{
    EffectFailure, Failure, FailureKind, Needs, Observation, Release, Step, needs,
};

use super::{
    super::{
        canon,
        how::Ask,
        interned::{Id, Interned, Known, hash},
        scenario::{Scenario, version},
        world::{Deed, Event, Harm, Look, NOW, World},
    },
    Kept, Meta, UNKNOWN,
};

/// A status, but for the numbers of its operations.
pub(super) type StatusId = Id<BlueGreenReleaseStatus>;
pub(super) type WorldId = Id<World>;
pub(super) type MetaId = Id<(Meta, Release)>;

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
struct Seen {
    world: WorldId,
    needs: Id<Needs>,
    failures: u8,
    look: Look,
}

/// What decides what a pass does to a world.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Act {
    world: WorldId,
    step: Option<Id<Step>>,
}

/// What a pass does to a world.
pub(super) struct Done {
    pub(super) done: WorldId,
    /// The process has crashed and did not see the calls return.
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
    known: Interned<canon::Operations>,
    numbers: Interned<canon::Numbers>,
    needs: Interned<Needs>,
    knows: Known<StatusId, Operations>,
    numbered: Known<(Operations, WorldId), (WorldId, Numbers)>,
    renumbered: Known<(StatusId, Numbers), StatusId>,
    aged: Known<StatusId, StatusId>,
    happened: Known<WorldId, Rc<[Happened<Event>]>>,
    meddled: Known<WorldId, Rc<[Happened<Deed>]>>,
    met: Known<Meta, MetaId>,
    needed: Known<(StatusId, u8), Id<Needs>>,
    seen: Known<Seen, Id<Observation>>,
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
            known: Interned::new(),
            numbers: Interned::new(),
            needs: Interned::new(),
            knows: Known::default(),
            numbered: Known::default(),
            renumbered: Known::default(),
            aged: Known::default(),
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

    pub(super) fn world(&mut self, world: World) -> WorldId {
        self.worlds.take(world)
    }

    pub(super) fn meta(&mut self, meta: Meta) -> MetaId {
        if let Some(known) = self.met.get(&meta) {
            return *known;
        }
        let mut spec = self.scenario.spec.clone();
        spec.version = version(meta.version);
        let release = Release {
            revisions: revisions(&spec, meta.kept),
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

    /// Gives the operations of a status and of a world their numbers.
    pub(super) fn number(&mut self, status: StatusId, world: WorldId) -> (StatusId, WorldId) {
        let known = *self.knows.entry(status).or_insert_with(|| {
            let operations = canon::Operations::of(&self.statuses[status]);
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
        (status, world)
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

    /// What can happen to a world by itself, and what comes of it.
    pub(super) fn happened(&mut self, world: WorldId) -> Rc<[Happened<Event>]> {
        if let Some(known) = self.happened.get(&world) {
            return Rc::clone(known);
        }
        let before = self.worlds[world].clone();
        let events = before.events(self.scenario).into_iter().map(|event| {
            let mut after = before.clone();
            let harm = after.happen(self.scenario, event);
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
        let deeds = before.deeds(self.scenario).into_iter().map(|deed| {
            let mut after = before.clone();
            after.meddle(self.scenario, deed);
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
        look: Look,
    ) -> Id<Observation> {
        let (meta, release) = &self.metas[meta];
        let needs = *self
            .needed
            .entry((status, meta.version))
            .or_insert_with(|| {
                let needs = needs(&release.spec, &self.statuses[status], NOW);
                self.needs.intern(hash(&format!("{needs:?}")), needs)
            });
        let seen = Seen {
            world,
            needs,
            failures: meta.failures,
            look,
        };
        *self.seen.entry(seen).or_insert_with(|| {
            let world = &self.worlds[world];
            let mut observation = world.observe(self.scenario, &self.needs[needs], look);
            observation.last_effect = failing(*meta);
            let hash = hash(&format!("{observation:?}"));
            self.observations.intern(hash, observation)
        })
    }

    /// What a pass does to a world.
    pub(super) fn done(&mut self, world: WorldId, step: Option<Id<Step>>) -> Rc<Done> {
        let act = Act { world, step };
        if let Some(known) = self.done.get(&act) {
            return Rc::clone(known);
        }
        let mut done = self.worlds[world].clone();
        let mut crashed = done.clone();
        let harm = step.and_then(|step| {
            let step = &self.steps[step];
            crashed.ask_for(self.scenario, step);
            done.execute(self.scenario, step)
        });
        let worked_out = Rc::new(Done {
            done: self.world(done),
            crashed_after: self.world(crashed),
            harm,
        });
        self.done.insert(act, Rc::clone(&worked_out));
        worked_out
    }
}

/// The revisions that are kept. But for the version, the spec never changes in the model.
fn revisions(spec: &BlueGreenReleaseSpec, kept: Kept) -> BTreeMap<u64, RevisionSnapshot> {
    let snapshot = |number: u8| RevisionSnapshot {
        version: (number != UNKNOWN).then(|| version(number)),
        spec: BlueGreenReleaseSpec {
            version: version(number),
            ..spec.clone()
        },
    };
    let kept = kept.into_iter().flatten();
    kept.map(|(revision, number)| (revision, snapshot(number)))
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
