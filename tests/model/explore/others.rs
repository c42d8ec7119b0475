//! What others do in the walk: whoever registers targets and takes off tags, whoever writes a
//! status by hand, and people who ask for something or change the spec.

use super::{How, Key, Meta, State, Walk, lies, people};

impl Walk<'_> {
    pub(super) fn meddle(&mut self, (status, world, meta): &State, after: &mut Vec<(How, Key)>) {
        if self.scenario.budget.others == 0 {
            return;
        }
        for deed in world.deeds() {
            let mut world = world.clone();
            world.meddle(deed);
            let key = self.key((status.clone(), world, *meta));
            after.push((How::Others(deed), key));
        }
    }

    pub(super) fn lie(&mut self, (status, world, meta): &State, after: &mut Vec<(How, Key)>) {
        if self.scenario.budget.lies == 0 {
            return;
        }
        for lie in lies::all(status) {
            let mut status = status.clone();
            lies::write(self.scenario, &mut status, lie);
            let meta = Meta {
                lied: true,
                ..*meta
            };
            let key = self.key((status, world.clone(), meta));
            after.push((How::Lied(lie), key));
        }
    }

    pub(super) fn ask(&mut self, (status, world, meta): &State, after: &mut Vec<(How, Key)>) {
        if meta.deleting {
            return;
        }
        for (how, ask) in people::asks(self.scenario, status, meta.asked) {
            let meta = Meta {
                asked: Some(ask),
                ..*meta
            };
            let key = self.key((status.clone(), world.clone(), meta));
            after.push((how, key));
        }
    }

    pub(super) fn change_spec(
        &mut self,
        (status, world, meta): &State,
        after: &mut Vec<(How, Key)>,
    ) {
        // Two changes at most: the budget says so, and generations stay small.
        if meta.deleting || meta.generation > self.scenario.budget.spec_change {
            return;
        }
        let generation = meta.generation + 1;
        for wanted in (1..=3).filter(|wanted| *wanted != meta.version) {
            let meta = Meta {
                version: wanted,
                generation,
                ..*meta
            };
            let key = self.key((status.clone(), world.clone(), meta));
            after.push((How::SpecChange(wanted), key));
        }
        if self.scenario.may_delete {
            let meta = Meta {
                generation,
                deleting: true,
                ..*meta
            };
            let key = self.key((status.clone(), world.clone(), meta));
            after.push((How::Delete, key));
        }
    }
}
