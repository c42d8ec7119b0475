//! The loop against an API server and a cloud that are in memory and keep a journal of all they
//! are asked.
//!
//! The planner is a plain function pointer and cannot carry a journal with it, so the journal is
//! the thread's. All tests here run on a current-thread runtime with a paused clock.

mod cached;
mod cloud;
mod confirmed;
mod election;
mod logs;
mod page;
mod pass;
mod planner;
mod revisions;
mod running;
mod server;
mod traces;
mod transitions;
mod watched;

use std::{cell::RefCell, sync::Arc, time::Duration};

use kube::{
    Client,
    runtime::{controller::Action, reflector},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Authority, Clock, Ctx, Decide, Metrics, Outside, Planner,
    cached::Cached,
    error::Error,
    memory::Memory,
    publisher::{Entries, notebook},
    reconcile::reconcile,
};
use crate::{
    api::{self, Time},
    plan,
};
use cloud::{FakeCloud, FakeProbe};
use server::Server;

thread_local! {
    static JOURNAL: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn note(entry: impl Into<String>) {
    JOURNAL.with_borrow_mut(|journal| journal.push(entry.into()));
}

fn take_journal() -> Vec<String> {
    JOURNAL.take()
}

/// A clock that runs with tokio's.
#[derive(Debug, Clone, Copy)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Time {
        Time::from_millis(1_800_000_000_000) + api::Duration::from(self.0.elapsed())
    }

    fn real(&self, duration: api::Duration) -> Duration {
        duration.into()
    }
}

type FakeWorld = Outside<FakeCloud, TokioClock, FakeProbe>;

fn world(cloud: &FakeCloud) -> FakeWorld {
    Outside {
        clouds: cloud.clone(),
        clock: TokioClock(Instant::now()),
        probe: FakeProbe,
    }
}

struct Harness {
    ctx: Arc<Ctx<FakeWorld>>,
    server: Server,
    cloud: FakeCloud,
    entries: Entries,
}

impl Harness {
    fn new(decide: Decide) -> Self {
        take_journal();
        let server = Server::with_release();
        let cloud = FakeCloud::default();
        let metrics = Arc::new(Metrics::default());
        let (notebook, entries) = notebook(Arc::clone(&metrics));
        let ctx = Arc::new(Ctx {
            client: Client::new(server.service(), "games"),
            releases: reflector::store().0,
            world: Arc::new(world(&cloud)),
            planner: Planner {
                decide,
                needs: |_, _, _| plan::Needs::default(),
            },
            notebook,
            metrics,
            memory: Memory::default(),
            authority: Authority::alone(),
            stop: CancellationToken::new(),
        });
        Self {
            ctx,
            server,
            cloud,
            entries,
        }
    }

    /// The object as the cache has it when it is up to date.
    fn cached(&self) -> Arc<Cached> {
        Arc::new(serde_json::from_value(self.server.object()).unwrap())
    }

    async fn pass(&self) -> Result<Action, Error> {
        reconcile(self.cached(), Arc::clone(&self.ctx)).await
    }
}

fn after(duration: Duration) -> Action {
    Action::requeue(duration)
}
