//! The walk: every state, breadth first, and the way back from every end.

mod others;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    rc::Rc,
    time::Instant,
};

use bluegreen_api::{BlueGreenReleaseStatus, Phase, Time};
use bluegreen_plan::{
    Decision, EffectFailure, Failure, FailureKind, Observation, Release, Step, Witness, needs,
};

use super::{
    canon, graph,
    how::{Ask, Fault, How},
    interned::{Interned, hash},
    laws, lies, people,
    scenario::{Budget, Scenario, version},
    states::Notes,
    world::{Event, Harm, NOW, World},
};

/// A planner.
pub(super) type Planner = fn(&Release, &BlueGreenReleaseStatus, &Observation, Time) -> Decision;

/// More states than this are a mistake in the model.
const STATES_MOST: usize = 6_000_000;

/// What the walk found.
#[derive(Debug)]
pub(super) struct Report {
    /// States, counted once for each incomparable budget that is left in them.
    pub(super) states: usize,
    /// States that differ in more than the budget.
    pub(super) distinct: usize,
    pub(super) transitions: usize,
    pub(super) depth: u32,
    pub(super) ends: usize,
    pub(super) seconds: f64,
    pub(super) violation: Option<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} states ({} without the budgets), {} transitions, depth {}, {} ends, {:.1} s",
            self.states, self.distinct, self.transitions, self.depth, self.ends, self.seconds
        )
    }
}

/// What the API server holds besides status, and what the process remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Meta {
    version: u8,
    generation: u8,
    finalizer: bool,
    deleting: bool,
    /// How many effects have failed in a row, as far as the process still holds back for it.
    failures: u8,
    /// What a person asks for, until it is answered.
    asked: Option<Ask>,
    /// Whether somebody has written a lie into status.
    lied: bool,
}

/// A state but for the faults that may still happen. Status and world are numbers of interned
/// values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    status: u32,
    world: u32,
    meta: Meta,
}

/// A state.
#[derive(Debug, Clone, Copy)]
struct Node {
    key: Key,
    budget: Budget,
    depth: u32,
    /// Where it was reached from, and how, for the story of a violation.
    from: u32,
    how: How,
}

type State = (BlueGreenReleaseStatus, World, Meta);

/// Where there was a lie in status, only what cannot be taken back counts: a document refuses to
/// start a version beside another, and the load balancer does not send to what does not answer.
fn what_counts(meta: Meta, harm: Harm) -> Harm {
    harm.filter(|harm| !meta.lied || harm.contains("is stopped"))
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

struct Walk<'a> {
    scenario: &'a Scenario,
    planner: Planner,
    /// The invariant that is not asked.
    but: Option<&'static str>,
    /// What is noted for `docs/states.md`, where it is asked for.
    notes: Option<Notes>,
    /// Passes, with the phase that each wrote; and everything else that happened.
    said: Vec<(Key, Key, Phase)>,
    carried: Vec<(Key, Key)>,
    statuses: Interned<BlueGreenReleaseStatus>,
    worlds: Interned<World>,
    nodes: Vec<Node>,
    /// The nodes that differ in nothing but their budget.
    known: HashMap<Key, Vec<u32>>,
    /// What can come after a state, worked out once for all budgets.
    after: HashMap<Key, Rc<[(How, Key)]>>,
    /// Transitions without a fault.
    edges: Vec<(u32, u32)>,
    /// Those of them in which a person lets the release go on.
    helped: Vec<(u32, u32)>,
    ends: Vec<u32>,
    ended: HashSet<Key>,
    /// Whether an end was seen in which the first version that was asked for is live.
    promoted: bool,
    transitions: usize,
}

/// Walks every state of a scenario and asks every invariant.
pub(super) fn explore(scenario: &Scenario, planner: Planner) -> Report {
    explore_but(scenario, planner, None)
}

/// Walks every state of a scenario and asks every invariant but one.
pub(super) fn explore_but(
    scenario: &Scenario,
    planner: Planner,
    but: Option<&'static str>,
) -> Report {
    Walk::new(scenario, planner, but, None).walk().0
}

/// Walks every state of a scenario, and notes what targets and releases go through.
pub(super) fn explore_noting(scenario: &Scenario, planner: Planner) -> (Report, Notes) {
    let walk = Walk::new(scenario, planner, None, Some(Notes::default()));
    let (report, notes) = walk.walk();
    (report, notes.expect("what is asked for is noted"))
}

impl<'a> Walk<'a> {
    fn new(
        scenario: &'a Scenario,
        planner: Planner,
        but: Option<&'static str>,
        notes: Option<Notes>,
    ) -> Self {
        Self {
            scenario,
            planner,
            but,
            notes,
            said: Vec::new(),
            carried: Vec::new(),
            statuses: Interned::new(),
            worlds: Interned::new(),
            nodes: Vec::new(),
            known: HashMap::new(),
            after: HashMap::new(),
            edges: Vec::new(),
            helped: Vec::new(),
            ends: Vec::new(),
            ended: HashSet::new(),
            promoted: false,
            transitions: 0,
        }
    }

    fn walk(mut self) -> (Report, Option<Notes>) {
        let began = Instant::now();
        let violation = self.run();
        let report = Report {
            states: self.nodes.len(),
            distinct: self.known.len(),
            transitions: self.transitions,
            depth: self.nodes.last().map_or(0, |node| node.depth),
            ends: self.ends.len(),
            seconds: began.elapsed().as_secs_f64(),
            violation,
        };
        if let (Some(notes), Some(begin)) = (&mut self.notes, self.nodes.first()) {
            notes.followed(begin.key, &self.said, &self.carried);
        }
        (report, self.notes)
    }
}

impl Walk<'_> {
    fn run(&mut self) -> Option<String> {
        let meta = Meta {
            version: 2,
            generation: 1,
            finalizer: false,
            deleting: false,
            failures: 0,
            asked: None,
            lied: false,
        };
        let world = World::begin(self.scenario);
        let begin = self.key((BlueGreenReleaseStatus::default(), world, meta));
        self.reach(begin, self.scenario.budget, u32::MAX, 0, How::Begin);
        let mut next = 0;
        while next < self.nodes.len() {
            let index = u32::try_from(next).expect("fewer than 2^32 states");
            if let Some(harm) = self.expand(index) {
                return Some(format!("{harm}\n{}", self.story(index)));
            }
            if self.nodes.len() > STATES_MOST {
                return Some(format!("more than {STATES_MOST} states"));
            }
            next += 1;
        }
        if !self.promoted {
            return Some("the release is never promoted, whatever happens".to_owned());
        }
        if let Some(index) = self.stuck() {
            return Some(format!(
                "L1: no end can be reached from here\n{}",
                self.story(index)
            ));
        }
        self.left_half_done().map(|index| {
            let story = self.story(index);
            format!("L1: a stop that was intended is not finished while it is paused\n{story}")
        })
    }

    fn release(&self, meta: Meta) -> Release {
        let mut spec = self.scenario.spec.clone();
        spec.version = version(meta.version);
        Release {
            uid: "u".to_owned(),
            generation: i64::from(meta.generation),
            spec,
            finalizer: meta.finalizer,
            deleting: meta.deleting,
            request: meta.asked.map(Ask::text),
        }
    }

    /// The number of a state.
    fn key(&mut self, (mut status, mut world, mut meta): State) -> Key {
        canon::canonical(self.scenario, &mut status, &mut world);
        people::forget_what_is_answered(&mut status, &mut meta.asked);
        let status_hash = hash(&(
            (status.revision, status.fence, status.failed_generation),
            &status.last_request,
            (&status.blue, &status.green, &status.course, &status.targets),
        ));
        let world_hash = hash(&world);
        Key {
            status: self.statuses.intern(status_hash, status),
            world: self.worlds.intern(world_hash, world),
            meta,
        }
    }

    /// Takes a state in, unless one that can do at least as much is there already.
    fn reach(&mut self, key: Key, budget: Budget, from: u32, depth: u32, how: How) {
        self.transitions += 1;
        let same = self.known.entry(key).or_default();
        let covering = same
            .iter()
            .copied()
            .find(|index| self.nodes[*index as usize].budget.covers(budget));
        let to = covering.unwrap_or_else(|| {
            let index = u32::try_from(self.nodes.len()).expect("fewer than 2^32 states");
            same.push(index);
            self.nodes.push(Node {
                key,
                budget,
                depth,
                from,
                how,
            });
            index
        });
        if how.fault() || from == u32::MAX || from == to {
            return;
        }
        match how {
            How::Helped(_) => self.helped.push((from, to)),
            How::Begin
            | How::Pass { .. }
            | How::Happen(_)
            | How::Others(_)
            | How::SpecChange(_)
            | How::Delete
            | How::Asked(_)
            | How::Lied(_) => self.edges.push((from, to)),
        }
    }

    /// Reaches everything that can come after a state with the faults that are left.
    fn expand(&mut self, index: u32) -> Harm {
        let node = self.nodes[index as usize];
        let after = match self.after.get(&node.key) {
            Some(after) => Rc::clone(after),
            None => match self.successors(node.key) {
                Ok(after) => {
                    let after: Rc<[(How, Key)]> = after.into();
                    self.note_carried(node.key, &after);
                    self.after.insert(node.key, Rc::clone(&after));
                    after
                }
                Err(harm) => return Some(harm),
            },
        };
        if self.ended.contains(&node.key) {
            self.ends.push(index);
        }
        for (how, key) in after.iter().copied() {
            if let Some(budget) = how.paid(node.budget) {
                self.reach(key, budget, index, node.depth + 1, how);
            }
        }
        None
    }

    /// Notes what happens to a state without a pass.
    fn note_carried(&mut self, from: Key, after: &[(How, Key)]) {
        if self.notes.is_some() {
            let carried = after.iter().filter(|(how, _)| match how {
                How::Begin | How::Pass { .. } => false,
                How::Happen(_)
                | How::Others(_)
                | How::SpecChange(_)
                | How::Delete
                | How::Asked(_)
                | How::Helped(_)
                | How::Lied(_) => true,
            });
            self.carried.extend(carried.map(|(_, to)| (from, *to)));
        }
    }

    /// Everything that can come after a state, whatever it costs.
    fn successors(&mut self, key: Key) -> Result<Vec<(How, Key)>, String> {
        let status = self.statuses.values[key.status as usize].clone();
        let world = self.worlds.values[key.world as usize].clone();
        let release = self.release(key.meta);
        let mut after = Vec::new();
        if laws::ended(&release, &status, &world) {
            self.ended.insert(key);
            self.promoted |= laws::promoted(&release, &status);
            let settled = world.events(self.scenario).len() == 1;
            let wrong = laws::wrong_end(self.scenario, &status, &world, self.but);
            let asked = settled && !release.deleting && !key.meta.lied;
            if let (true, Some(wrong)) = (asked, wrong) {
                return Err(wrong);
            }
        }
        if release.deleting && !release.finalizer {
            return Ok(after);
        }
        let state = (status, world, key.meta);
        self.happen(&state, &mut after)?;
        self.pass(key, &release, &state, false, &mut after)?;
        let world = &state.1;
        if world.before.is_some() || world.commands.iter().any(|sent| sent.fresh) {
            self.pass(key, &release, &state, true, &mut after)?;
        }
        self.change_spec(&state, &mut after);
        self.meddle(&state, &mut after);
        self.ask(&state, &mut after);
        self.lie(&state, &mut after);
        Ok(after)
    }

    fn happen(&mut self, state: &State, after: &mut Vec<(How, Key)>) -> Result<(), String> {
        for event in state.1.events(self.scenario) {
            let (mut status, mut world, mut meta) = state.clone();
            let harm = world.happen(self.scenario, event);
            if let Some(harm) = what_counts(meta, harm) {
                return Err(format!("{event:?}: {harm}"));
            }
            if event == Event::Tick {
                canon::age(&mut status, &mut world);
                meta.failures = 0;
            }
            let key = self.key((status, world, meta));
            after.push((How::Happen(event), key));
        }
        Ok(())
    }

    fn pass(
        &mut self,
        from: Key,
        release: &Release,
        (status, world, meta): &State,
        stale: bool,
        after: &mut Vec<(How, Key)>,
    ) -> Result<(), String> {
        let needs = needs(&release.spec, status, NOW);
        let mut observation = world.observe(self.scenario, release, &needs, stale);
        observation.last_effect = failing(*meta);
        let witnessed = self.scenario.witnessed;
        if witnessed {
            let readings = observation.clone();
            observation.witness.look(&release.spec, &readings, NOW);
        }
        let decision = (self.planner)(release, status, &observation, NOW);
        let broken = laws::broken(release, status, &observation, &decision, self.but);
        if let Some(broken) = broken.filter(|_| !meta.lied) {
            return Err(broken);
        }
        if let Some(notes) = &mut self.notes {
            notes.decided(status, &decision);
        }
        let mut done = world.clone();
        done.witness.clone_from(&observation.witness);
        let mut remembered = *meta;
        match &decision.step {
            Some(Step::AddFinalizer) => remembered.finalizer = true,
            Some(Step::RemoveFinalizer) => remembered.finalizer = false,
            Some(step) => {
                let harm = done.execute(self.scenario, step);
                if let Some(harm) = what_counts(*meta, harm) {
                    return Err(format!("{step:?}: {harm}"));
                }
            }
            None => {}
        }
        let written = decision.status;
        let succeeded = decision.step.is_some();
        let failures = if succeeded { 0 } else { meta.failures };
        let passed = Meta {
            failures,
            ..remembered
        };
        let phase = written.phase;
        let key = self.key((written.clone(), done.clone(), passed));
        after.push((How::Pass { stale, fault: None }, key));
        self.said
            .extend(self.notes.as_ref().map(|_| (from, key, phase)));
        if !succeeded {
            return Ok(());
        }
        let mut fault = |walk: &mut Self, fault, world: &World, meta| {
            let key = walk.key((written.clone(), world.clone(), meta));
            let noted = walk.notes.as_ref().map(|_| (from, key, phase));
            walk.said.extend(noted);
            after.push((
                How::Pass {
                    stale,
                    fault: Some(fault),
                },
                key,
            ));
        };
        // What the process has seen is lost with it.
        let [mut undone, mut crashed] = [world.clone(), done.clone()];
        if witnessed {
            undone.witness = Witness::default();
            crashed.witness = Witness::default();
        }
        fault(
            self,
            Fault::CrashBefore,
            &undone,
            Meta {
                failures: 0,
                ..*meta
            },
        );
        fault(self, Fault::CrashAfter, &crashed, passed);
        let failures = meta.failures + 1;
        fault(
            self,
            Fault::LostReply,
            &done,
            Meta {
                failures,
                ..remembered
            },
        );
        Ok(())
    }

    /// A state from which no end can be reached when faults stop and people let it go on.
    fn stuck(&self) -> Option<u32> {
        // A lie may put an end off for ever.
        let lied = self.nodes.iter().enumerate();
        let lied = lied.filter(|(_, node)| node.key.meta.lied);
        let lied = lied.map(|(index, _)| u32::try_from(index).expect("fewer than 2^32 states"));
        let goals = self.ends.iter().copied().chain(lied).collect();
        self.cannot_reach(goals, self.edges.iter().chain(&self.helped))
    }

    /// A state in which a release is paused, and a stop that was intended cannot be finished
    /// without a person.
    fn left_half_done(&self) -> Option<u32> {
        let half_done = |node: &Node| {
            let status = &self.statuses.values[node.key.status as usize];
            let course = status.course.as_ref();
            course.is_some_and(|course| course.paused_at.is_some())
                && status.targets.iter().any(laws::stopping)
        };
        let others = self.nodes.iter().enumerate();
        let others = others.filter(|(_, node)| !half_done(node));
        let goals = others.map(|(index, _)| u32::try_from(index).expect("fewer than 2^32 states"));
        self.cannot_reach(goals.collect(), self.edges.iter())
    }

    /// A state from which none of the goals can be reached: of several the deepest, which tells
    /// most.
    fn cannot_reach<'e>(
        &self,
        goals: Vec<u32>,
        edges: impl Iterator<Item = &'e (u32, u32)>,
    ) -> Option<u32> {
        graph::cannot_reach(self.nodes.len(), goals, edges)
    }

    /// How a state was reached.
    fn story(&self, index: u32) -> String {
        let mut lines = Vec::new();
        let last = index;
        let mut index = index;
        while index != u32::MAX {
            let node = self.nodes[index as usize];
            let world = &self.worlds.values[node.key.world as usize];
            lines.push(format!(
                "{:>3} {:?}\n      {}",
                node.depth,
                node.how,
                graph::tell(world)
            ));
            index = node.from;
        }
        lines.reverse();
        let status = self.nodes[last as usize].key.status;
        lines.push(format!(
            "{:#?}",
            self.statuses.values[status as usize].targets
        ));
        lines.push(format!(
            "{:?}",
            self.statuses.values[status as usize].course
        ));
        lines.join("\n")
    }
}
