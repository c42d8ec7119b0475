//! What others do in the walk: they register targets and take off tags, and users ask for something
//! or change the spec.

use super::{
    super::{how::How, people, world::Deed},
    Key, Meta, Walk,
    after::After,
};

impl Walk<'_> {
    pub(super) fn meddle(&mut self, from: Key, after: &mut After) {
        if self.scenario.deeds.is_empty() {
            return;
        }
        let meta = self.meta(from);
        let status = &self.tables.statuses[from.status];
        let seen = status.blue.is_some() || status.green.is_some();
        for meddled in self.tables.meddled(from.world).iter() {
            // A target that was deregistered before the release has seen it is not its target.
            if !seen && matches!(meddled.what, Deed::Deregister(..)) {
                continue;
            }
            after.add(How::Others(meddled.what), || {
                self.key(from.status, meddled.after, meta)
            });
        }
    }

    pub(super) fn ask(&mut self, from: Key, after: &mut After) {
        let meta = self.meta(from);
        if meta.deleting {
            return;
        }
        let status = &self.tables.statuses[from.status];
        for (how, ask) in people::asks(self.scenario, status, meta.asked) {
            let meta = Meta {
                asked: Some(ask),
                ..meta
            };
            after.add(how, || self.key(from.status, from.world, meta));
        }
    }

    pub(super) fn change_spec(&mut self, from: Key, after: &mut After) {
        let meta = self.meta(from);
        // Two changes at most: the budget says so, and generations stay small.
        if meta.deleting || meta.generation > self.scenario.budget.spec_change {
            return;
        }
        let generation = meta.generation + 1;
        for wanted in (1..=3).filter(|wanted| *wanted != meta.version) {
            let meta = Meta {
                version: wanted,
                generation,
                ..meta
            };
            after.add(How::SpecChange(wanted), || {
                self.key(from.status, from.world, meta)
            });
        }
        if self.scenario.may_delete {
            let meta = Meta {
                generation,
                deleting: true,
                ..meta
            };
            after.add(How::Delete, || self.key(from.status, from.world, meta));
        }
    }
}
