//! One request for several things that are asked for at nearly the same time.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time};
use tracing::{Instrument, Span};

use super::{Caller, Error};
use crate::plan::FailureKind;

/// How long the first caller waits for others. A reconcile asks for all its groups at once, and
/// those that a timer or a restart wakes come within milliseconds.
const WINDOW: Duration = Duration::from_millis(5);

type Answers<V> = Vec<oneshot::Sender<Result<V, Error>>>;

/// What is asked for, and is not sent yet.
#[derive(Debug)]
struct Open<K, V> {
    waiting: BTreeMap<K, Answers<V>>,
    caller: Caller,
}

/// Collects what is asked for and reads it together. The read runs in a task of its own.
#[derive(Debug)]
pub(super) struct Batch<K, V> {
    most: usize,
    open: Arc<Mutex<Vec<Open<K, V>>>>,
}

impl<K, V> Batch<K, V>
where
    K: Clone + Ord + Hash + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Reads at most so many things together, all of them for callers of one namespace and one
    /// urgency: what is wrong with one of them costs requests, and those are its neighbours' alone.
    pub(super) fn of(most: usize) -> Self {
        Self {
            most,
            open: Arc::default(),
        }
    }

    /// The answer for one key. `read` is called with all keys of a batch, and answers each of them;
    /// only that of the first caller of a batch is used.
    pub(super) async fn get<R, F>(&self, key: K, caller: &Caller, read: R) -> Result<V, Error>
    where
        R: FnOnce(Caller, Vec<K>) -> F + Send + 'static,
        F: Future<Output = HashMap<K, Result<V, Error>>> + Send + 'static,
    {
        let (answer, receiver) = oneshot::channel();
        let leads = self.join(key, caller, answer);
        if leads {
            let open = Arc::clone(&self.open);
            let together = async move {
                time::sleep(WINDOW).await;
                let Some(batch) = take(&open) else { return };
                let keys = batch.waiting.keys().cloned().collect();
                let mut answers = read(batch.caller, keys).await;
                for (key, waiting) in batch.waiting {
                    let answer = answers.remove(&key).unwrap_or_else(|| Err(broken_off()));
                    for asker in waiting {
                        // A caller that went away does not mind.
                        let _ = asker.send(answer.clone());
                    }
                }
            };
            tokio::spawn(together.instrument(Span::current()));
        }
        // The task went down with a panic or with the runtime.
        receiver.await.unwrap_or_else(|_| Err(broken_off()))
    }

    /// Whether the caller is the first of a batch.
    fn join(&self, key: K, caller: &Caller, answer: oneshot::Sender<Result<V, Error>>) -> bool {
        let mut batches = lock(&self.open);
        let fits = |batch: &&mut Open<K, V>| {
            let room = batch.waiting.len() < self.most || batch.waiting.contains_key(&key);
            room && batch.caller == *caller
        };
        if let Some(batch) = batches.iter_mut().find(fits) {
            batch.waiting.entry(key).or_default().push(answer);
            return false;
        }
        batches.push(Open {
            waiting: BTreeMap::from([(key, vec![answer])]),
            caller: caller.clone(),
        });
        true
    }
}

/// The oldest batch, without the keys that are not waited for any more.
fn take<K: Ord, V>(open: &Mutex<Vec<Open<K, V>>>) -> Option<Open<K, V>> {
    let mut batches = lock(open);
    if batches.is_empty() {
        return None;
    }
    let mut batch = batches.remove(0);
    drop(batches);
    let waiting = mem::take(&mut batch.waiting);
    let open = |askers: &Answers<V>| askers.iter().any(|asker| !asker.is_closed());
    batch.waiting = waiting
        .into_iter()
        .filter(|(_, askers)| open(askers))
        .collect();
    (!batch.waiting.is_empty()).then_some(batch)
}

fn broken_off() -> Error {
    Error::new(
        FailureKind::Unavailable,
        "a read that others shared was broken off; it is tried again",
    )
}

/// The list is whole at every point, so a panic elsewhere spoils nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::Urgency;

    type Seen = Arc<Mutex<Vec<(Urgency, Vec<u32>)>>>;

    async fn ask(batch: &Batch<u32, u32>, seen: &Seen, key: u32, urgency: Urgency) -> u32 {
        let seen = Arc::clone(seen);
        let read = move |caller: Caller, keys: Vec<u32>| {
            lock(&seen).push((caller.urgency, keys.clone()));
            async move { keys.into_iter().map(|key| (key, Ok(key * 2))).collect() }
        };
        let caller = Caller::new("shop", urgency);
        batch.get(key, &caller, read).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_for_within_a_few_milliseconds_is_one_read() {
        let (batch, seen) = (Batch::of(2), Seen::default());
        let ask = |key, urgency| ask(&batch, &seen, key, urgency);
        let answers = futures::join!(
            ask(1, Urgency::Idle),
            ask(2, Urgency::First),
            ask(1, Urgency::Idle),
            ask(3, Urgency::Idle),
            ask(4, Urgency::Idle),
        );
        assert_eq!(answers, (2, 4, 2, 6, 8));
        ask(5, Urgency::Idle).await;
        let expected = [
            (Urgency::Idle, vec![1, 3]),
            (Urgency::First, vec![2]),
            (Urgency::Idle, vec![4]),
            (Urgency::Idle, vec![5]),
        ];
        assert_eq!(*lock(&seen), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_read_for_callers_who_went_away() {
        let (batch, seen) = (Batch::of(3), Seen::default());
        let asked = ask(&batch, &seen, 1, Urgency::Idle);
        assert!(
            time::timeout(Duration::from_millis(1), asked)
                .await
                .is_err()
        );
        assert_eq!(ask(&batch, &seen, 2, Urgency::Idle).await, 4);
        assert_eq!(*lock(&seen), [(Urgency::Idle, vec![2])]);
    }
}
