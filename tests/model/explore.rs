//! The walk: every state, breadth first, and the way back from every end.

mod after;
mod others;
mod report;
mod tables;

use std::{rc::Rc, time::Instant};

use bluegreen_api::{BlueGreenReleaseStatus, Phase, Time};
use bluegreen_plan::{Decision, Observation, Release};

use super::{
    graph,
    how::{Ask, How},
    interned::{Id, Known},
    laws,
    scenario::{Budget, Scenario},
    states::Notes,
    world::{Event, Harm, World},
};
use after::{After, Passed};
pub(super) use report::Report;
use tables::{MetaId, StatusId, Tables, WorldId};

/// A planner.
pub(super) type Planner = fn(&Release, &BlueGreenReleaseStatus, &Observation, Time) -> Decision;

/// More states than this are a mistake in the model.
const STATES_MOST: usize = 8_000_000;

/// What the API server holds besides status, and what the process remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Meta {
    version: u8,
    generation: u8,
    finalizer: bool,
    /// The revisions that are kept as ControllerRevisions.
    kept: Kept,
    deleting: bool,
    /// How many effects have failed in a row, as far as the process still holds back for it.
    failures: u8,
    /// What a person asks for, until it is answered.
    asked: Option<Ask>,
}

/// The number of a version that nobody knows.
const UNKNOWN: u8 = 0;

/// The revisions that are kept, with the numbers of their versions: the two of the release. Those of
/// its history are kept too, but the model has no history.
type Kept = [Option<(u64, u8)>; 2];

/// A state but for the faults that may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    status: StatusId,
    world: WorldId,
    meta: MetaId,
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
    /// The next node that differs in nothing but its budget.
    next: Option<u32>,
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
    tables: Tables<'a>,
    /// What the planner decided on what was seen.
    passed: Known<(StatusId, MetaId, Id<Observation>), Rc<Passed>>,
    nodes: Vec<Node>,
    /// The first of the nodes that differ in nothing but their budget.
    known: Known<Key, u32>,
    /// Transitions without a fault.
    edges: Vec<(u32, u32)>,
    /// Those of them in which a person lets the release go on.
    helped: Vec<(u32, u32)>,
    ends: Vec<u32>,
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
            tables: Tables::new(scenario),
            passed: Known::default(),
            nodes: Vec::new(),
            known: Known::default(),
            edges: Vec::new(),
            helped: Vec::new(),
            ends: Vec::new(),
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
            kept: Kept::default(),
            deleting: false,
            failures: 0,
            asked: None,
        };
        let status = self.tables.status(BlueGreenReleaseStatus::default());
        let world = self.tables.world(World::begin(self.scenario));
        let begin = self.key(status, world, meta);
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

    fn meta(&self, key: Key) -> Meta {
        self.tables.metas[key.meta].0
    }

    /// The number of a state.
    fn key(&mut self, status: StatusId, world: WorldId, mut meta: Meta) -> Key {
        let (status, asked) = self.answered(status, meta.asked);
        meta.asked = asked;
        let (status, world) = self.tables.number(status, world);
        let meta = self.tables.meta(meta);
        Key {
            status,
            world,
            meta,
        }
    }

    /// Forgets a request that was answered. It says nothing more, and may be made again: in other
    /// words, which the model does not have.
    fn answered(&mut self, status: StatusId, asked: Option<Ask>) -> (StatusId, Option<Ask>) {
        let last = |ask: Ask| {
            let last = self.tables.statuses[status].last_request.as_ref();
            last.is_some_and(|last| last.text == ask.text())
        };
        if !asked.is_some_and(last) {
            return (status, asked);
        }
        let mut answered = self.tables.statuses[status].clone();
        answered.last_request = None;
        (self.tables.status(answered), None)
    }

    /// Takes a state in, unless one that can do at least as much is there already.
    fn reach(&mut self, key: Key, budget: Budget, from: u32, depth: u32, how: How) {
        self.transitions += 1;
        let next = u32::try_from(self.nodes.len()).expect("fewer than 2^32 states");
        let mut to = *self.known.entry(key).or_insert(next);
        while to != next && !self.nodes[to as usize].budget.covers(budget) {
            to = *self.nodes[to as usize].next.get_or_insert(next);
        }
        if to == next {
            self.nodes.push(Node {
                key,
                budget,
                depth,
                from,
                how,
                next: None,
            });
        }
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
            | How::Asked(_) => self.edges.push((from, to)),
        }
    }

    /// Reaches everything that can come after a state with the faults that are left.
    fn expand(&mut self, index: u32) -> Harm {
        let node = self.nodes[index as usize];
        if let Some(wrong) = self.end(index) {
            return Some(wrong);
        }
        let mut after = After {
            budget: node.budget,
            beyond: self.notes.is_some(),
            keys: Vec::new(),
        };
        if let Err(harm) = self.successors(node.key, &mut after) {
            return Some(harm);
        }
        self.note_carried(node.key, &after.keys);
        for (how, left, key) in after.keys {
            if let Some(budget) = left {
                self.reach(key, budget, index, node.depth + 1, how);
            }
        }
        None
    }

    /// Notes what happens to a state without a pass.
    fn note_carried(&mut self, from: Key, after: &[(How, Option<Budget>, Key)]) {
        if self.notes.is_some() {
            let carried = after.iter().filter(|(how, ..)| match how {
                How::Begin | How::Pass { .. } => false,
                How::Happen(_)
                | How::Others(_)
                | How::SpecChange(_)
                | How::Delete
                | How::Asked(_)
                | How::Helped(_) => true,
            });
            self.carried.extend(carried.map(|(.., to)| (from, *to)));
        }
    }

    /// Takes note of an end. Answers what is wrong with it.
    fn end(&mut self, index: u32) -> Harm {
        let key = self.nodes[index as usize].key;
        let (_, release) = &self.tables.metas[key.meta];
        let status = &self.tables.statuses[key.status];
        let world = &self.tables.worlds[key.world];
        if !laws::ended(release, status, world) {
            return None;
        }
        self.ends.push(index);
        self.promoted |= laws::promoted(release, status);
        let settled = world.events(self.scenario) == [Event::Tick];
        if !settled || release.deleting {
            return None;
        }
        laws::wrong_end(self.scenario, status, world, self.but)
    }

    /// A state from which no end can be reached when faults stop and people let it go on.
    fn stuck(&self) -> Option<u32> {
        self.cannot_reach(self.ends.clone(), self.edges.iter().chain(&self.helped))
    }

    /// A state in which a release is paused, and a stop that was intended cannot be finished
    /// without a person.
    fn left_half_done(&self) -> Option<u32> {
        let half_done = |node: &Node| {
            let status = &self.tables.statuses[node.key.status];
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
            let world = &self.tables.worlds[node.key.world];
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
        lines.push(format!("{:#?}", self.tables.statuses[status].targets));
        lines.push(format!("{:?}", self.tables.statuses[status].course));
        lines.join("\n")
    }
}
