//! What can come after a state: what happens by itself, and what a pass of the controller does,
//! with every fault.

use std::{collections::BTreeMap, rc::Rc};

use bluegreen_api::{BlueGreenReleaseStatus, Phase, RevisionSnapshot};
use bluegreen_plan::{Observation, Step};

use super::{
    super::{
        how::{Ask, Fault, How},
        interned::Id,
        laws,
        scenario::Budget,
        world::{Event, Look, NOW},
    },
    Kept, Key, Meta, UNKNOWN, Walk,
    tables::StatusId,
};

/// What can come after a state with the faults that are left.
pub(super) struct After {
    pub(super) budget: Budget,
    /// Whether to work out also what comes of one fault more: `docs/states.md` has that too.
    pub(super) beyond: bool,
    pub(super) keys: Vec<(How, Option<Budget>, Key)>,
}

impl After {
    /// Adds a state, which is only worked out where that is asked for.
    pub(super) fn add(&mut self, how: How, key: impl FnOnce() -> Key) {
        if self.counts(how) {
            self.keys.push((how, how.paid(self.budget), key()));
        }
    }

    /// Whether it is to be worked out what comes of that.
    pub(super) fn counts(&self, how: How) -> bool {
        how.paid(self.budget).is_some() || self.beyond
    }
}

/// What a pass comes to.
pub(super) struct Passed {
    /// The invariant that the decision breaks.
    broken: Option<String>,
    written: StatusId,
    /// What is still to be answered.
    asked: Option<Ask>,
    phase: Phase,
    step: Option<Id<Step>>,
}

/// What is wrong, and with which reading, where it was none of the usual ones.
fn seen_as(look: Look, wrong: &str) -> String {
    match look {
        Look::Fresh => wrong.to_owned(),
        Look::Stale | Look::OldFleet | Look::Cut(..) | Look::NoGroup(_) | Look::NoFleet => {
            format!("{wrong}\n({look:?})")
        }
    }
}

/// What a step makes of the object's metadata.
fn claimed(meta: Meta, status: &BlueGreenReleaseStatus, step: Option<&Step>) -> Meta {
    match step {
        Some(Step::Claim { revisions }) => Meta {
            finalizer: true,
            kept: kept(status, revisions),
            ..meta
        },
        Some(Step::RemoveFinalizer) => Meta {
            finalizer: false,
            ..meta
        },
        Some(
            Step::Register { .. }
            | Step::Deregister { .. }
            | Step::Send(_)
            | Step::Terminate { .. },
        )
        | None => meta,
    }
}

/// What is kept of the revisions of the release. Others belong to the history.
fn kept(status: &BlueGreenReleaseStatus, revisions: &BTreeMap<u64, RevisionSnapshot>) -> Kept {
    let number = |snapshot: &RevisionSnapshot| {
        let version = snapshot.version.as_deref();
        version.map_or(UNKNOWN, |version| {
            version[1..].parse().expect("a version of the model")
        })
    };
    [&status.blue, &status.green].map(|revision| {
        let revision = revision.as_ref()?.revision;
        Some((revision, number(revisions.get(&revision)?)))
    })
}

impl Walk<'_> {
    /// Everything that can come after a state with the faults that are left.
    pub(super) fn successors(&mut self, key: Key, after: &mut After) -> Result<(), String> {
        let meta = self.meta(key);
        if meta.deleting && !meta.finalizer {
            return Ok(());
        }
        self.happen(key, after)?;
        self.pass(key, Look::Fresh, after)?;
        let world = &self.tables.worlds[key.world];
        let differs = world.before.is_some() || world.commands.iter().any(|sent| sent.fresh);
        let stale = differs.then_some(Look::Stale);
        let looks = world.misreadings(self.scenario);
        for look in stale.into_iter().chain(looks) {
            if after.counts(How::Pass { look, fault: None }) {
                self.pass(key, look, after)?;
            }
        }
        self.change_spec(key, after);
        self.meddle(key, after);
        self.ask(key, after);
        Ok(())
    }

    fn happen(&mut self, from: Key, after: &mut After) -> Result<(), String> {
        let meta = self.meta(from);
        for happened in self.tables.happened(from.world).iter() {
            let event = happened.what;
            if let Some(harm) = &happened.harm {
                return Err(format!("{event:?}: {harm}"));
            }
            let (status, failures) = match event {
                Event::Tick => (self.tables.aged(from.status), 0),
                Event::Healthy(..)
                | Event::Sick(..)
                | Event::Reach(_)
                | Event::Quiet(_)
                | Event::End(_) => (from.status, meta.failures),
            };
            after.add(How::Happen(event), || {
                self.key(status, happened.after, Meta { failures, ..meta })
            });
        }
        Ok(())
    }

    /// What the planner decides on what is seen.
    fn decided(&mut self, key: Key, observation: Id<Observation>) -> Rc<Passed> {
        let seen = (key.status, key.meta, observation);
        if let Some(known) = self.passed.get(&seen) {
            return Rc::clone(known);
        }
        let (meta, release) = &self.tables.metas[key.meta];
        let status = &self.tables.statuses[key.status];
        let observation = &self.tables.observations[observation];
        let decision = (self.planner)(release, status, observation, NOW);
        let broken = laws::broken(release, status, observation, &decision, self.but);
        if let Some(notes) = &mut self.notes {
            notes.decided(status, &decision);
        }
        let asked = meta.asked;
        let phase = decision.status.phase;
        let written = self.tables.status(decision.status);
        let (written, asked) = self.answered(written, asked);
        let passed = Rc::new(Passed {
            broken,
            written,
            asked,
            phase,
            step: decision.step.map(|step| self.tables.step(step)),
        });
        self.passed.insert(seen, Rc::clone(&passed));
        passed
    }

    fn pass(&mut self, from: Key, look: Look, after: &mut After) -> Result<(), String> {
        let observation = self.tables.seen(from.status, from.world, from.meta, look);
        let passed = self.decided(from, observation);
        let meta = self.meta(from);
        if let Some(broken) = &passed.broken {
            return Err(seen_as(look, broken));
        }
        let worlds = self.tables.done(from.world, passed.step);
        if let (Some(step), Some(harm)) = (passed.step, &worlds.harm) {
            let harm = format!("{:?}: {harm}", self.tables.steps[step]);
            return Err(seen_as(look, &harm));
        }
        let remembered = Meta {
            asked: passed.asked,
            ..claimed(
                meta,
                &self.tables.statuses[passed.written],
                passed.step.map(|step| &self.tables.steps[step]),
            )
        };
        let mut reached = |fault, world, meta| {
            after.add(How::Pass { look, fault }, || {
                let key = self.key(passed.written, world, meta);
                let noted = self.notes.as_ref().map(|_| (from, key, passed.phase));
                self.said.extend(noted);
                key
            });
        };
        if passed.step.is_none() {
            reached(None, worlds.done, remembered);
            return Ok(());
        }
        let with_failures = |failures, meta| Meta { failures, ..meta };
        let succeeded = with_failures(0, remembered);
        let undone = Meta {
            finalizer: meta.finalizer,
            kept: meta.kept,
            ..succeeded
        };
        let lost = with_failures(meta.failures + 1, remembered);
        reached(None, worlds.done, succeeded);
        reached(Some(Fault::CrashBefore), from.world, undone);
        reached(Some(Fault::CrashAfter), worlds.crashed_after, succeeded);
        reached(Some(Fault::LostReply), worlds.done, lost);
        Ok(())
    }
}
