//! One read for everybody who wants to know the same at the same time.
//!
//! A caller gets an answer to a question that was put after the caller asked. So callers who
//! arrive while a read is under way do not share it: they share the next one, which begins when
//! it ends. For any number of callers there is one read under way for each key, and one to come.
//!
//! The read runs in a task of its own. A caller that goes away takes nothing with it.

use std::{
    collections::HashMap,
    fmt::Debug,
    hash::Hash,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;
use tracing::{Instrument, Span};

use super::{Caller, Error};
use crate::plan::FailureKind;

type Answer<V> = Arc<Result<V, Error>>;
type Waiting<V> = Vec<Asker<V>>;

/// Who waits for an answer.
#[derive(Debug)]
struct Asker<V> {
    answer: oneshot::Sender<Answer<V>>,
    caller: Caller,
    /// What it asks for. The first of those who share a read has it in its trace and on its log
    /// lines; to the others it is a time in which they wait.
    span: Span,
}

/// Reads of one kind, told apart by their key.
#[derive(Debug)]
pub(super) struct Coalesce<K, V> {
    /// The keys with a read under way, and who waits for the next one. The owner of the task
    /// removes the key.
    flights: Arc<Mutex<HashMap<K, Waiting<V>>>>,
}

impl<K, V> Default for Coalesce<K, V> {
    fn default() -> Self {
        Self {
            flights: Arc::default(),
        }
    }
}

impl<K, V> Coalesce<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The answer to `read`, put after this call began. It is read for the most urgent of those
    /// who share it.
    pub(super) async fn get<R, F>(&self, key: &K, caller: &Caller, read: R) -> Result<V, Error>
    where
        R: Fn(Caller) -> F + Send + Sync + 'static,
        F: Future<Output = Result<V, Error>> + Send + 'static,
    {
        let (answer, receiver) = oneshot::channel();
        let span = Span::current();
        let caller = Asker {
            answer,
            caller: caller.clone(),
            span,
        };
        let leads = {
            let mut flights = lock(&self.flights);
            match flights.get_mut(key) {
                Some(waiting) => {
                    waiting.push(caller);
                    None
                }
                None => {
                    flights.insert(key.clone(), Vec::new());
                    Some(caller)
                }
            }
        };
        if let Some(caller) = leads {
            let landing = Landing {
                flights: Arc::clone(&self.flights),
                key: key.clone(),
                landed: false,
            };
            tokio::spawn(fly(landing, vec![caller], read));
        }
        match receiver.await {
            Ok(answer) => Result::clone(&answer),
            // The task went down with a panic or with the runtime.
            Err(_) => Err(Error::new(
                FailureKind::Unavailable,
                "a read that others shared was broken off; it is tried again",
            )),
        }
    }
}

/// Reads until nobody waits any more.
async fn fly<K, V, R, F>(mut landing: Landing<K, V>, first: Waiting<V>, read: R)
where
    K: Eq + Hash,
    R: Fn(Caller) -> F,
    F: Future<Output = Result<V, Error>>,
{
    let mut waiting = first;
    loop {
        let urgent = waiting.iter().map(|asker| &asker.caller);
        let Some(caller) = urgent.min_by_key(|caller| caller.urgency).cloned() else {
            return;
        };
        let first = waiting.first();
        let span = first.map_or_else(Span::none, |asker| asker.span.clone());
        let answer = Arc::new(read(caller).instrument(span).await);
        for caller in waiting {
            // A caller that went away does not mind.
            let _ = caller.answer.send(Arc::clone(&answer));
        }
        waiting = landing.next();
        if waiting.is_empty() {
            return;
        }
    }
}

/// The key of a flight. It goes when nobody waits any more, or when the flight ends by a panic or
/// with the runtime; then whoever waits is told, because its sender goes with the key.
struct Landing<K: Eq + Hash, V> {
    flights: Arc<Mutex<HashMap<K, Waiting<V>>>>,
    key: K,
    /// The key has been given back: it may be another flight's already.
    landed: bool,
}

impl<K: Eq + Hash, V> Landing<K, V> {
    /// Who has come to wait meanwhile, without those who went away. Where that is nobody, the
    /// key is given back.
    fn next(&mut self) -> Waiting<V> {
        let mut flights = lock(&self.flights);
        let mut waiting = flights
            .get_mut(&self.key)
            .map(mem::take)
            .unwrap_or_default();
        waiting.retain(|caller| !caller.answer.is_closed());
        if waiting.is_empty() {
            flights.remove(&self.key);
            self.landed = true;
        }
        waiting
    }
}

impl<K: Eq + Hash, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        if !self.landed {
            lock(&self.flights).remove(&self.key);
        }
    }
}

/// The map is whole at every point, so a panic elsewhere spoils nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use tokio::time::{self, Instant};

    use super::*;
    use crate::cloud::Urgency;

    type Numbers = Coalesce<&'static str, usize>;

    fn caller() -> Caller {
        Caller::new("shop", Urgency::InProgress)
    }

    /// A read that takes a second and answers how many reads had begun when it began.
    async fn ask(reads: &Numbers, begun: &Arc<AtomicUsize>) -> Result<usize, Error> {
        let begun = Arc::clone(begun);
        let read = move |_| {
            let number = begun.fetch_add(1, Ordering::SeqCst);
            async move {
                time::sleep(Duration::from_secs(1)).await;
                Ok(number)
            }
        };
        reads.get(&"key", &caller(), read).await
    }

    #[tokio::test(start_paused = true)]
    async fn thousands_of_callers_cost_two_reads_and_each_gets_one_that_began_after_it_asked() {
        let (reads, begun) = (Arc::new(Numbers::default()), Arc::new(AtomicUsize::new(0)));
        let mut callers = Vec::new();
        for number in 0..5000 {
            let (reads, begun) = (Arc::clone(&reads), Arc::clone(&begun));
            callers.push(tokio::spawn(async move {
                let seen = begun.load(Ordering::SeqCst);
                let answer = ask(&reads, &begun).await.unwrap();
                assert!(answer >= seen, "caller {number} got an old reading");
            }));
            tokio::task::yield_now().await;
        }
        for caller in callers {
            caller.await.unwrap();
        }
        assert_eq!(begun.load(Ordering::SeqCst), 2);
        assert!(lock(&reads.flights).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_goes_away_leaves_the_followers_their_answer() {
        let (reads, begun) = (Arc::new(Numbers::default()), Arc::new(AtomicUsize::new(0)));
        let leader = tokio::spawn({
            let (reads, begun) = (Arc::clone(&reads), Arc::clone(&begun));
            async move { ask(&reads, &begun).await }
        });
        tokio::task::yield_now().await;
        let follower = tokio::spawn({
            let (reads, begun) = (Arc::clone(&reads), Arc::clone(&begun));
            async move { ask(&reads, &begun).await }
        });
        tokio::task::yield_now().await;
        leader.abort();
        let begin = Instant::now();
        assert_eq!(follower.await.unwrap().unwrap(), 1);
        assert_eq!(begin.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_read_for_callers_who_went_away() {
        let (reads, begun) = (Numbers::default(), Arc::default());
        let patience = Duration::from_millis(500);
        let (first, second) = futures::join!(
            ask(&reads, &begun),
            time::timeout(patience, ask(&reads, &begun))
        );
        assert_eq!(first.unwrap(), 0);
        assert!(second.is_err());
        time::sleep(Duration::from_secs(10)).await;
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        assert_eq!(ask(&reads, &begun).await.unwrap(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_panics_is_an_unavailable_answer_and_the_next_one_works() {
        let (reads, begun) = (Numbers::default(), Arc::default());
        let caller = caller();
        let broken = |_| async {
            time::sleep(Duration::from_secs(1)).await;
            panic!("a test breaks this read");
        };
        let (leader, follower) =
            futures::join!(reads.get(&"key", &caller, broken), ask(&reads, &begun));
        assert_eq!(leader.unwrap_err().kind(), FailureKind::Unavailable);
        assert_eq!(follower.unwrap_err().kind(), FailureKind::Unavailable);
        assert_eq!(ask(&reads, &begun).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_shared_like_any_answer() {
        let reads = Numbers::default();
        let caller = caller();
        let denied = |_| async { Err(Error::new(FailureKind::Denied, "no")) };
        let (first, second) = futures::join!(
            reads.get(&"key", &caller, denied),
            reads.get(&"key", &caller, denied)
        );
        assert_eq!(first.unwrap_err().kind(), FailureKind::Denied);
        assert_eq!(second.unwrap_err().kind(), FailureKind::Denied);
    }

    #[tokio::test(start_paused = true)]
    async fn the_most_urgent_of_those_who_share_a_read_is_the_one_that_it_is_made_for() {
        let reads = Coalesce::default();
        let read = |caller: Caller| async move {
            time::sleep(Duration::from_secs(1)).await;
            Ok(caller.urgency)
        };
        let ask = |urgency| {
            let (reads, caller) = (&reads, Caller::new("shop", urgency));
            async move { reads.get(&"key", &caller, read).await.unwrap() }
        };
        let (first, second, third) =
            futures::join!(ask(Urgency::Idle), ask(Urgency::Idle), ask(Urgency::First));
        assert_eq!(first, Urgency::Idle);
        assert_eq!([second, third], [Urgency::First; 2]);
    }
}
