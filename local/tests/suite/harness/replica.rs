//! Controllers of which one works at a time: the one that holds the Lease.

use std::{sync::Arc, time::Duration};

use bluegreen::controller::{self, Authority, LeaseOptions};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    controller::{Control, end_in_order},
    life::{Asked, Doom, Life},
    world::World,
};

/// The Lease of the replicas.
const LEASE: &str = "bluegreen-controller";

/// How often to look who leads.
const LOOK: Duration = Duration::from_millis(10);

/// One of several controllers.
pub(crate) struct Replica {
    who: String,
    life: Arc<Life>,
    shutdown: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Replica {
    /// Starts a controller that stands for election to a lease of that duration, and may be
    /// doomed.
    pub(crate) fn start(
        control: &Control,
        who: &str,
        duration: Duration,
        doom: Option<Doom>,
    ) -> Self {
        let life = Arc::new(Life::until(doom));
        let authority = Authority::elected();
        let lease = LeaseOptions {
            namespace: "default".to_owned(),
            name: LEASE.to_owned(),
            identity: who.to_owned(),
            duration,
        };
        let parts = control.parts(&life, authority, Some(lease));
        let shutdown = CancellationToken::new();
        let run = controller::run(parts, shutdown.clone());
        let halted = life.halted();
        let task = tokio::spawn(async move {
            if let Err(error) = while_not(halted, run).await {
                panic!("the controller ended: {error}");
            }
        });
        life.is_of(task.abort_handle());
        Self {
            who: who.to_owned(),
            life,
            shutdown,
            task: AbortOnDropHandle::new(task),
        }
    }

    pub(crate) fn who(&self) -> &str {
        &self.who
    }

    /// Whether it was killed. One that ended otherwise was not.
    pub(crate) fn died(&self) -> bool {
        self.life.is_dead()
    }

    /// Does to it what SIGKILL does: also what it left to tasks of their own asks nothing more.
    pub(crate) fn kill(self) {
        self.life.end();
    }

    /// Does to it what SIGSTOP does: what it has sent is on its way, and it does nothing more.
    pub(crate) fn halt(&self) {
        self.life.halt(true);
    }

    /// Does to it what SIGCONT does.
    pub(crate) fn go_on(&self) {
        self.life.halt(false);
    }

    /// Whether it is halted.
    pub(crate) fn is_halted(&self) -> bool {
        *self.life.halted().borrow()
    }

    /// Everything that it has asked for, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.life.asked()
    }

    /// Ends it in order.
    pub(crate) async fn end(self) {
        end_in_order(&self.shutdown, self.task).await;
    }
}

/// Runs something while it is not halted. The passes over releases are tasks of their own and are
/// not run by this, so their requests wait as well; only their timers go on.
async fn while_not<F: Future>(mut halted: watch::Receiver<bool>, run: F) -> F::Output {
    const OPEN: &str = "whoever may halt it outlives it";
    let mut run = std::pin::pin!(run);
    loop {
        halted.wait_for(|halted| !halted).await.expect(OPEN);
        tokio::select! {
            biased;
            now = halted.wait_for(|halted| *halted) => {
                now.expect(OPEN);
            }
            ended = &mut run => return ended,
        }
    }
}

impl World {
    /// Who leads, once it is one of those that are meant; for at most so many virtual seconds.
    pub(crate) async fn leader(&self, seconds: u64, meant: impl Fn(&str) -> bool) -> String {
        let leases: Api<Lease> = Api::default_namespaced(self.client());
        let end = self.clock.now() + jiff::SignedDuration::from_secs(seconds.try_into().unwrap());
        loop {
            let lease = leases.get_opt(LEASE).await.unwrap();
            let holder = lease.and_then(|lease| lease.spec?.holder_identity);
            if let Some(holder) = holder
                && meant(&holder)
            {
                return holder;
            }
            if self.clock.now() > end {
                let status = self.status().await;
                self.fail(&format!("none of them leads within {seconds} s"), &status);
            }
            self.clock.sleep(LOOK).await;
        }
    }
}
