//! What is remembered of each object between two passes, in the process only.
//!
//! Losing it costs a reconcile, a retry or a reading, never correctness: all that a decision must
//! know after a restart is in status and in the ControllerRevisions. None of it is written to
//! status: a count that changes with each failure would make every write wake the next.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    io,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::ResourceExt;
use tokio::time::Instant;

use super::backoff::backoff;
use crate::{
    api::{BlueGreenRelease, FINALIZER, RevisionSnapshot, Time},
    cloud::TargetGroupArn,
    plan::{EffectFailure, Failure, Group, Reading},
};

/// The revisions that are kept as ControllerRevisions, by number.
pub(super) type Revisions = BTreeMap<u64, RevisionSnapshot>;

/// What is remembered, by UID. A name can be given again to another object; a UID cannot.
#[derive(Debug, Default)]
pub(super) struct Memory {
    objects: Mutex<HashMap<String, Entry>>,
}

#[derive(Debug, Default)]
struct Entry {
    rest: Option<Rest>,
    effect: Option<EffectFailure>,
    failures: u32,
    effects: u32,
    revisions: Option<Revisions>,
    groups: Option<Groups>,
    confirms: bool,
}

/// A reading of a release's target groups.
#[derive(Debug, Clone)]
pub(super) struct Groups {
    /// When it was begun.
    pub(super) began_at: Time,
    /// The generation of the spec that names the groups.
    pub(super) generation: i64,
    /// What was read, with the ARNs, in the order of the spec.
    pub(super) read: Vec<(Reading<Group>, Option<TargetGroupArn>)>,
}

/// Nothing can be true before `until`, as long as the object looks like `face`. The instant is
/// the process's own, so that a wall clock that is set back does not make a rest longer.
#[derive(Debug)]
struct Rest {
    until: Instant,
    face: Face,
    watched: Vec<(SocketAddr, bool)>,
}

/// What is left of a rest.
#[derive(Debug)]
pub(super) struct Left {
    /// For so long nothing can be true.
    pub(super) time: Duration,
    /// Unless one of these ports changes: what they were, open or not.
    pub(super) watched: Vec<(SocketAddr, bool)>,
}

/// So many effects may follow each other without a rest. A batch needs a handful.
const EFFECTS_IN_A_ROW: u32 = 20;

/// The wait after each effect beyond that: a planner that never rests must not become a loop that
/// uses up the account's request limits.
const BETWEEN_EFFECTS: Duration = Duration::from_secs(1);

/// A digest of all of an object that a decision can depend on. Labels and managed fields are not
/// in it. The cache keeps it in place of the object, and so does the memory; two faces that are
/// the same by chance would cost a wait until the planner wanted to look anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Face(u64);

impl Face {
    /// An object's face.
    pub(super) fn of(object: &BlueGreenRelease) -> Self {
        let mut digest = Digest::default();
        let metadata = &object.metadata;
        metadata.generation.hash(&mut digest.0);
        metadata.deletion_timestamp.is_some().hash(&mut digest.0);
        object
            .finalizers()
            .iter()
            .any(|name| name == FINALIZER)
            .hash(&mut digest.0);
        object.annotations().hash(&mut digest.0);
        serde_json::to_writer(&mut digest, &object.status)
            .expect("a status that was read from JSON can be written as JSON");
        Self(digest.0.finish())
    }
}

#[derive(Default)]
struct Digest(DefaultHasher);

impl io::Write for Digest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Memory {
    /// For how long nothing can be true for this object: a wake-up before then that shows nothing
    /// new, as the one that our own status write causes, is to be ignored.
    pub(super) fn rest(&self, uid: &str, face: Face) -> Option<Left> {
        let objects = self.lock();
        let rest = objects.get(uid)?.rest.as_ref()?;
        let time = rest.until.saturating_duration_since(Instant::now());
        (!time.is_zero() && rest.face == face).then(|| Left {
            time,
            watched: rest.watched.clone(),
        })
    }

    /// A pass begins: until it ends well, every wake-up counts.
    pub(super) fn begin(&self, uid: &str) {
        self.lock().entry(uid.to_owned()).or_default().rest = None;
    }

    /// A pass ended well, and nothing can be true for this long unless one of the ports changes.
    pub(super) fn end(
        &self,
        uid: &str,
        face: Face,
        rest: Duration,
        watched: Vec<(SocketAddr, bool)>,
    ) {
        let mut objects = self.lock();
        let entry = objects.entry(uid.to_owned()).or_default();
        entry.failures = 0;
        entry.effects = 0;
        entry.rest = Some(Rest {
            until: Instant::now() + rest,
            face,
            watched,
        });
    }

    /// A pass ended with an effect. Says how long to wait before the next: not at all, in every
    /// plan that makes sense.
    pub(super) fn acted(&self, uid: &str) -> Duration {
        let mut objects = self.lock();
        let entry = objects.entry(uid.to_owned()).or_default();
        entry.failures = 0;
        entry.effects = entry.effects.saturating_add(1);
        if entry.effects > EFFECTS_IN_A_ROW {
            BETWEEN_EFFECTS
        } else {
            Duration::ZERO
        }
    }

    /// A pass failed, or its decision was dropped. Says how long to wait before the next.
    pub(super) fn failed(&self, uid: &str) -> Duration {
        let mut objects = self.lock();
        let entry = objects.entry(uid.to_owned()).or_default();
        entry.rest = None;
        entry.failures = entry.failures.saturating_add(1);
        backoff(uid, entry.failures)
    }

    /// The revisions that are kept, where this process has read or written them. They are
    /// immutable, and nothing but the controller writes them.
    pub(super) fn revisions(&self, uid: &str) -> Option<Revisions> {
        self.lock().get(uid)?.revisions.clone()
    }

    /// The revisions were read or written.
    pub(super) fn keep_revisions(&self, uid: &str, revisions: Revisions) {
        let mut objects = self.lock();
        objects.entry(uid.to_owned()).or_default().revisions = Some(revisions);
    }

    /// The revisions may have changed, or are not needed for now: they are read again before the
    /// next decision that may rest on them.
    pub(super) fn drop_revisions(&self, uid: &str) {
        if let Some(entry) = self.lock().get_mut(uid) {
            entry.revisions = None;
        }
    }

    /// A reading of the target groups that was begun between these times. A clock that is set back
    /// puts one into the future, which is then not used.
    pub(super) fn groups(&self, uid: &str, since: Time, until: Time) -> Option<Groups> {
        let objects = self.lock();
        let groups = objects.get(uid)?.groups.as_ref()?;
        (since <= groups.began_at && groups.began_at <= until).then(|| groups.clone())
    }

    /// What was decided takes a target away, and the fleet was not read for it: the next pass reads
    /// the fleet, and may use this reading of the target groups.
    pub(super) fn confirm(&self, uid: &str, groups: Groups) {
        let mut objects = self.lock();
        let entry = objects.entry(uid.to_owned()).or_default();
        entry.groups = Some(groups);
        entry.confirms = true;
    }

    /// Whether this pass confirms what the one before it decided.
    pub(super) fn confirms(&self, uid: &str) -> bool {
        let mut objects = self.lock();
        let entry = objects.get_mut(uid);
        entry.is_some_and(|entry| std::mem::take(&mut entry.confirms))
    }

    /// Keeps a reading of the target groups, or forgets the one that was kept.
    pub(super) fn keep_groups(&self, uid: &str, groups: Option<Groups>) {
        if let Some(entry) = self.lock().get_mut(uid) {
            entry.groups = groups;
        }
    }

    /// An effect was made.
    pub(super) fn effect_succeeded(&self, uid: &str) {
        if let Some(entry) = self.lock().get_mut(uid) {
            entry.effect = None;
        }
    }

    /// An effect failed; with [`FailureKind::Unavailable`](crate::plan::FailureKind) it may have
    /// been made all the same.
    pub(super) fn effect_failed(&self, uid: &str, intent: String, failure: Failure, at: Time) {
        let mut objects = self.lock();
        let entry = objects.entry(uid.to_owned()).or_default();
        let before = entry.effect.as_ref().map_or(0, |effect| effect.failures);
        entry.effect = Some(EffectFailure {
            intent,
            failure,
            failures: before.saturating_add(1),
            at,
        });
    }

    /// What became of the last effect, where it failed.
    pub(super) fn last_effect(&self, uid: &str) -> Option<EffectFailure> {
        self.lock().get(uid)?.effect.clone()
    }

    /// The object is gone.
    pub(super) fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// A panic while the lock was held leaves at worst an entry that is not up to date, which
    /// costs a pass: nothing that would justify to stop.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }
}
