//! Which of several controllers acts: the one that holds a Lease.
//!
//! A candidate watches the Lease and takes it when it is given back, or when its holder has not
//! renewed it for as long as it said (`rules.rs`). The holder renews it, works, and gives it back
//! when it is told to end. Where it cannot renew it in time it stops working before the lease
//! ends, and becomes a candidate again; no restart is needed for that.
//!
//! What makes two leaders at once harmless is not here: [`Authority`] lets nothing begin that the
//! lease might not outlast, every status is written with the version that was read, and the
//! planner looks twice before it stops anything.

mod lease;
mod rules;

use std::{
    hash::{BuildHasher, RandomState},
    pin::pin,
    time::Duration,
};

use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Client,
    runtime::{WatchStreamExt, watcher::watch_object},
};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    StartError,
    authority::{Authority, Moment},
    error::Error,
    metrics::Metrics,
    standing::{Stage, Standing},
};
use lease::{LeaseObject, Written};
use rules::{Claim, Sight};

/// A lease is renewed so many times before it would end. Where three renewals in a row fail, less of
/// it is left than an operation may take, and nothing more is begun.
const RENEWALS: u32 = 5;

/// The pause before a candidate asks a server again that has refused or failed.
const AGAIN: Duration = Duration::from_secs(1);

/// The Lease to hold, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseOptions {
    /// The Lease's namespace.
    pub namespace: String,
    /// The Lease's name.
    pub name: String,
    /// The name of this process; no other one may have the same, not even the one that ran in the
    /// same place before. See [`identity`].
    pub identity: String,
    /// How long the lease lasts from a renewal: 10 s or more.
    pub duration: Duration,
}

/// A name for this process: where it runs, and something that no other process there has.
#[must_use]
pub fn identity(place: &str) -> String {
    // The keys of a hash map are random in each process.
    let random = RandomState::new().hash_one(std::process::id());
    format!("{place}_{random:016x}")
}

/// How the work of a leader ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Nothing of it is under way any more.
    Complete,
    /// Some of it may still be under way.
    Abandoned,
}

/// What a leader's term needs besides the lease.
pub(super) struct Election<'a> {
    pub(super) client: Client,
    pub(super) options: &'a LeaseOptions,
    pub(super) authority: &'a Authority,
    pub(super) standing: &'a Standing,
    pub(super) metrics: &'a Metrics,
    pub(super) shutdown: CancellationToken,
}

/// Why a term ended before the process was told to end.
enum Lost {
    /// It could not be renewed in time.
    Expired,
    /// Another took it, which it can only after it had expired.
    Taken(String),
}

impl Election<'_> {
    /// Works whenever it leads, until the shutdown.
    ///
    /// `work` has to end soon after its token is cancelled.
    pub(super) async fn run<F, W>(&self, work: F) -> Result<(), StartError>
    where
        F: Fn(CancellationToken) -> W,
        W: Future<Output = Result<Ended, StartError>>,
    {
        let object = LeaseObject::new(self.client.clone(), self.options);
        loop {
            let elected = tokio::select! {
                elected = self.acquire(&object) => elected,
                () = self.shutdown.cancelled() => return Ok(()),
            };
            let Elected { mut lease, acts_at } = elected;
            let stop = self.shutdown.child_token();
            let term = async {
                tokio::select! {
                    () = sleep_until(acts_at) => {}
                    // Whoever was given a lease would act at once.
                    () = stop.cancelled() => return Ok(if Instant::now() < acts_at {
                        Ended::Abandoned
                    } else {
                        Ended::Complete
                    }),
                }
                self.metrics.leads(true);
                work(stop.clone()).await
            };
            let mut term = pin!(term);
            let lost = tokio::select! {
                ended = &mut term => {
                    self.authority.ended();
                    self.metrics.leads(false);
                    // What was abandoned may still land: nobody may act before the lease ends.
                    if matches!(ended, Ok(Ended::Complete)) {
                        object.give_back(&lease).await;
                    }
                    return ended.map(|_| ());
                }
                lost = self.keep(&object, &mut lease) => lost,
            };
            self.authority.ended();
            self.metrics.leads(false);
            match lost {
                Lost::Expired => warn!("the lease could not be renewed in time; standing by"),
                Lost::Taken(holder) => warn!(holder, "the lease is not ours any more; standing by"),
            }
            stop.cancel();
            term.await?;
        }
    }

    /// Waits until the lease is ours.
    async fn acquire(&self, object: &LeaseObject<'_>) -> Elected {
        let mut sight = Sight::default();
        let changes = watch_object(object.api.clone(), &self.options.name).default_backoff();
        let mut changes = pin!(changes);
        let mut acts_at = Instant::now();
        loop {
            let until = match sight.claim(&self.options.identity, Instant::now()) {
                Claim::Look => Instant::now() + AGAIN,
                Claim::Wait { until } => until,
                Claim::Create => {
                    // A lease that was not there may have been deleted under a leader who does not
                    // know yet. Where no answer is heard, a lease that is found to be ours may
                    // still be this one.
                    acts_at = Instant::now() + self.options.duration;
                    match self.claimed(object, object.create(), acts_at).await {
                        Some(elected) => return elected,
                        None => Instant::now() + AGAIN,
                    }
                }
                Claim::Take(lease) => {
                    match self.claimed(object, object.take(&lease), acts_at).await {
                        Some(elected) => return elected,
                        None => Instant::now() + AGAIN,
                    }
                }
            };
            let found = tokio::select! {
                change = changes.next() => match change {
                    Some(found) => found.map_err(|error| object.watch_complaint(&error)),
                    None => continue,
                },
                () = sleep_until(until) => {
                    object.read().await.map_err(|error| object.complaint(&error))
                }
            };
            match found {
                Ok(found) => {
                    sight = sight.look(found.as_ref(), self.options.duration, Instant::now());
                    self.stand_by(&sight);
                }
                Err(complaint) => {
                    self.standing.trouble(&complaint);
                    sleep(AGAIN).await;
                }
            }
        }
    }

    /// The election, if the lease was written.
    async fn claimed(
        &self,
        object: &LeaseObject<'_>,
        write: impl Future<Output = Result<Written, Error>>,
        acts_at: Instant,
    ) -> Option<Elected> {
        let began = Moment::now();
        match write.await {
            Ok(Written::Landed(lease)) => Some(self.elected(*lease, began, acts_at)),
            Ok(Written::Beaten) => {
                debug!("another was faster");
                None
            }
            Err(error) => {
                self.standing.trouble(&object.complaint(&error));
                None
            }
        }
    }

    fn elected(&self, lease: Lease, began: Moment, acts_at: Instant) -> Elected {
        let options = self.options;
        self.standing.no_trouble();
        self.standing.enters(Stage::Elected);
        info!(
            lease = format!("{}/{}", options.namespace, options.name),
            identity = options.identity,
            "leading"
        );
        let wait = acts_at.saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            info!("the lease is new; the first step is made in {wait:.1?}");
        }
        self.authority.begun(began, options.duration, acts_at);
        Elected { lease, acts_at }
    }

    fn stand_by(&self, sight: &Sight) {
        self.standing.no_trouble();
        if let Some(holder) = sight.holder()
            && holder != self.options.identity
        {
            let leader = holder.to_owned();
            if self.standing.enters(Stage::StandingBy { leader }) {
                info!(holder, "standing by");
            }
        }
    }

    /// Renews the lease until it is lost.
    async fn keep(&self, object: &LeaseObject<'_>, lease: &mut Lease) -> Lost {
        let every = self.options.duration / RENEWALS;
        // The election was a little earlier; this only paces the renewals.
        let mut renewed = Moment::now();
        loop {
            sleep_until(renewed.after(every)).await;
            loop {
                let began = Moment::now();
                let written = timeout(every, object.renew(lease)).await;
                match written {
                    Ok(Ok(Written::Landed(new))) => {
                        *lease = *new;
                        self.authority.renewed(began);
                        self.standing.no_trouble();
                        renewed = began;
                        break;
                    }
                    Ok(Ok(Written::Beaten)) => {
                        if let Some(lost) = self.look_again(object, lease, every).await {
                            return lost;
                        }
                    }
                    Ok(Err(error)) => self.standing.trouble(&object.complaint(&error)),
                    Err(_) => self.standing.trouble(&object.late(every)),
                }
                // Nothing may begin any more, and nothing that was begun is under way.
                if self.authority.expired() {
                    return Lost::Expired;
                }
                sleep(every / 4).await;
            }
        }
    }

    /// Somebody else wrote the lease: another candidate, or a person who put a label on it.
    async fn look_again(
        &self,
        object: &LeaseObject<'_>,
        lease: &mut Lease,
        within: Duration,
    ) -> Option<Lost> {
        match timeout(within, object.read()).await {
            Ok(Ok(Some(found))) => match rules::holder(&found) {
                Some(holder) if holder == self.options.identity => {
                    *lease = found;
                    None
                }
                holder => Some(Lost::Taken(holder.unwrap_or("nobody").to_owned())),
            },
            Ok(Ok(None)) => Some(Lost::Taken("nobody: it was deleted".to_owned())),
            Ok(Err(error)) => {
                self.standing.trouble(&object.complaint(&error));
                None
            }
            Err(_) => {
                self.standing.trouble(&object.late(within));
                None
            }
        }
    }
}

/// An election that was won.
struct Elected {
    lease: Lease,
    /// When to begin.
    acts_at: Instant,
}
