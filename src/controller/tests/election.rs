//! Several candidates for one lease, on the embedded registry, in virtual time.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bluegreen_net::Clock;
use bluegreen_registry::Registry;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;
use tokio::time::{Instant, sleep};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tower::{ServiceExt, service_fn};

use crate::{
    cloud::OPERATION_TIMEOUT,
    controller::{
        Authority, LeaseOptions, Metrics, Standing,
        election::{Election, Ended},
    },
};

const LEASE: Duration = Duration::from_secs(15);

/// How often the test looks who may act.
const LOOK: Duration = Duration::from_millis(50);

/// One candidate. Dropping it is SIGKILL.
struct Candidate {
    authority: Authority,
    line: Arc<Line>,
    standing: Arc<Standing>,
    works: Arc<Mutex<Vec<Instant>>>,
    shutdown: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Candidate {
    /// Its work lasts for `lasts` longer than it should.
    fn start(registry: &Registry, identity: &str, lasts: Duration) -> Self {
        Self::start_on(Line::default(), registry, identity, lasts)
    }

    fn start_on(line: Line, registry: &Registry, identity: &str, lasts: Duration) -> Self {
        let line = Arc::new(line);
        let client = client(registry, &line);
        let (authority, shutdown) = (Authority::elected(), CancellationToken::new());
        let (standing, works) = (Arc::<Standing>::default(), Arc::<Mutex<Vec<_>>>::default());
        let options = LeaseOptions {
            namespace: "default".to_owned(),
            name: "bluegreen-controller".to_owned(),
            identity: identity.to_owned(),
            duration: LEASE,
        };
        let task = {
            let (authority, shutdown) = (authority.clone(), shutdown.clone());
            let (standing, works) = (Arc::clone(&standing), Arc::clone(&works));
            async move {
                let metrics = Metrics::default();
                let election = Election {
                    client,
                    options: &options,
                    authority: &authority,
                    standing: &standing,
                    metrics: &metrics,
                    shutdown,
                };
                let work = |stop: CancellationToken| {
                    works.lock().unwrap().push(Instant::now());
                    async move {
                        stop.cancelled().await;
                        sleep(lasts).await;
                        Ok(Ended::Complete)
                    }
                };
                election.run(work).await.unwrap();
            }
        };
        Self {
            authority,
            line,
            standing,
            works,
            shutdown,
            task: AbortOnDropHandle::new(tokio::spawn(task)),
        }
    }

    fn acts(&self) -> bool {
        self.authority.outlasts(OPERATION_TIMEOUT)
    }

    fn works(&self) -> usize {
        self.works.lock().unwrap().len()
    }
}

/// The way of one candidate to the server.
#[derive(Default)]
struct Line {
    /// Nothing gets through.
    down: AtomicBool,
    /// The next write lands, and its answer is not heard.
    deaf: Mutex<Option<Deaf>>,
}

/// Why an answer is not heard.
#[derive(Clone, Copy)]
enum Deaf {
    /// The connection breaks.
    Broken,
    /// It takes longer than anybody waits.
    Late,
}

fn client(registry: &Registry, line: &Arc<Line>) -> Client {
    let (registry, line) = (registry.clone(), Arc::clone(line));
    let service = service_fn(move |request: http::Request<kube::client::Body>| {
        let (registry, line) = (registry.clone(), Arc::clone(&line));
        async move {
            if line.down.load(Ordering::Relaxed) {
                return Err(Box::<dyn std::error::Error + Send + Sync>::from("refused"));
            }
            let writes = request.method() != http::Method::GET;
            let deaf = line.deaf.lock().unwrap().take_if(|_| writes);
            let answer = registry.oneshot(request).await?;
            match deaf {
                None => Ok(answer),
                Some(Deaf::Broken) => Err("broken".into()),
                Some(Deaf::Late) => std::future::pending().await,
            }
        }
    });
    Client::new(service, "default")
}

fn registry() -> Registry {
    let builder = Registry::builder(Clock::stepped()).seed(1);
    builder.in_memory().unwrap()
}

fn leases(registry: &Registry) -> Api<Lease> {
    Api::default_namespaced(client(registry, &Arc::default()))
}

async fn lease(registry: &Registry) -> Lease {
    leases(registry).get("bluegreen-controller").await.unwrap()
}

async fn delete(registry: &Registry) {
    leases(registry)
        .delete("bluegreen-controller", &DeleteParams::default())
        .await
        .unwrap();
}

async fn patch(registry: &Registry, patch: serde_json::Value) {
    let patch = Patch::Merge(patch);
    leases(registry)
        .patch("bluegreen-controller", &PatchParams::default(), &patch)
        .await
        .unwrap();
}

async fn label(registry: &Registry) {
    let labels = json!({ "by": "a-person" });
    patch(registry, json!({ "metadata": { "labels": labels } })).await;
}

/// Waits until a condition holds, and sees to it that at no time two candidates may act.
async fn until(candidates: &[&Candidate], condition: impl Fn() -> bool) -> Duration {
    let began = Instant::now();
    loop {
        let acting = candidates
            .iter()
            .filter(|candidate| candidate.acts())
            .count();
        assert!(acting <= 1, "two may act at the same time");
        if condition() {
            return began.elapsed();
        }
        assert!(began.elapsed() < LEASE * 10, "it never came true");
        sleep(LOOK).await;
    }
}

/// A registry with a lease that nobody holds, one who leads and one who stands by.
async fn two() -> (Registry, Candidate, Candidate) {
    let registry = registry();
    let lease = json!({ "metadata": { "name": "bluegreen-controller" }, "spec": {} });
    let lease = serde_json::from_value(lease).unwrap();
    leases(&registry)
        .create(&Default::default(), &lease)
        .await
        .unwrap();
    let leader = Candidate::start(&registry, "first", Duration::ZERO);
    until(&[&leader], || leader.works() == 1).await;
    let standby = Candidate::start(&registry, "second", Duration::ZERO);
    let standing = Arc::clone(&standby.standing);
    until(&[&leader, &standby], || standing.ready().0).await;
    assert_eq!(standby.standing.ready().1, "ok, standing by; first leads");
    (registry, leader, standby)
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_told_to_end_hands_over_within_a_second() {
    let (_registry, leader, standby) = two().await;
    sleep(LEASE * 4).await;
    assert_eq!(standby.works(), 0, "the lease is renewed");
    leader.shutdown.cancel();
    let took = until(&[&leader, &standby], || standby.works() == 1).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    leader.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_renewal_whose_answer_is_not_heard_does_not_hold_up_a_handover() {
    for deaf in [Deaf::Broken, Deaf::Late] {
        let (registry, leader, standby) = two().await;
        let before = lease(&registry).await;
        *leader.line.deaf.lock().unwrap() = Some(deaf);
        while lease(&registry).await == before {
            sleep(LOOK).await;
        }
        leader.shutdown.cancel();
        let took = until(&[&leader, &standby], || standby.works() == 1).await;
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_label_on_the_lease_does_not_hold_up_a_handover() {
    let (registry, leader, standby) = two().await;
    label(&registry).await;
    leader.shutdown.cancel();
    let took = until(&[&leader, &standby], || standby.works() == 1).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_another_holds_is_not_given_back() {
    let (registry, leader, _standby) = two().await;
    patch(&registry, json!({ "spec": { "holderIdentity": "third" } })).await;
    leader.shutdown.cancel();
    leader.task.await.unwrap();
    let spec = lease(&registry).await.spec.unwrap();
    assert_eq!(spec.holder_identity.as_deref(), Some("third"));
}

#[tokio::test(start_paused = true)]
async fn work_that_has_not_ended_is_not_handed_over() {
    let registry = registry();
    let slow = Candidate::start(&registry, "slow", Duration::from_secs(4));
    until(&[&slow], || slow.works() == 1).await;
    let standby = Candidate::start(&registry, "second", Duration::ZERO);
    sleep(LEASE).await;
    slow.shutdown.cancel();
    let took = until(&[&slow, &standby], || standby.works() == 1).await;
    assert!(took >= Duration::from_secs(4), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_kill_the_standby_takes_over_within_the_lease_and_not_before() {
    let (_registry, leader, standby) = two().await;
    let authority = leader.authority.clone();
    drop(leader);
    let took = until(&[&standby], || standby.works() == 1).await;
    assert!(took <= LEASE + Duration::from_secs(1), "{took:?}");
    assert!(
        !authority.outlasts(Duration::ZERO),
        "what the dead one had begun may still land"
    );
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_stops_before_another_begins_and_stands_by() {
    let (_registry, leader, standby) = two().await;
    leader.line.down.store(true, Ordering::Relaxed);
    until(&[&leader, &standby], || standby.works() == 1).await;
    assert!(!leader.acts());
    leader.line.down.store(false, Ordering::Relaxed);
    let standing = Arc::clone(&leader.standing);
    until(&[&leader, &standby], || {
        standing.ready() == (true, "ok, standing by; second leads".to_owned())
    })
    .await;
    standby.shutdown.cancel();
    until(&[&leader, &standby], || leader.works() == 2).await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_shorter_than_the_lease_ends_no_term() {
    let (_registry, leader, standby) = two().await;
    for candidate in [&leader, &standby] {
        candidate.line.down.store(true, Ordering::Relaxed);
    }
    sleep(LEASE - Duration::from_secs(5)).await;
    for candidate in [&leader, &standby] {
        candidate.line.down.store(false, Ordering::Relaxed);
    }
    until(&[&leader, &standby], || leader.acts()).await;
    sleep(LEASE * 2).await;
    assert_eq!((leader.works(), standby.works()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_somebody_deletes_makes_no_second_leader() {
    let (registry, leader, standby) = two().await;
    let third = Candidate::start(&registry, "third", Duration::ZERO);
    for _ in 0..3 {
        delete(&registry).await;
        let all = [&leader, &standby, &third];
        until(&all, || all.iter().all(|candidate| !candidate.acts())).await;
        until(&all, || all.iter().any(|candidate| candidate.acts())).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_label_on_the_lease_ends_no_term() {
    let (registry, leader, standby) = two().await;
    label(&registry).await;
    sleep(LEASE * 3).await;
    assert!(leader.acts());
    assert_eq!((leader.works(), standby.works()), (1, 0));
    let lease = lease(&registry).await;
    assert!(lease.metadata.labels.unwrap().contains_key("by"));
    let spec = lease.spec.unwrap();
    assert_eq!(spec.holder_identity.as_deref(), Some("first"));
    assert_eq!(spec.lease_transitions, Some(1));
}

/// A leader whose lease was deleted and who cannot know yet.
async fn unknowing() -> (Registry, Candidate) {
    let (registry, leader, _) = two().await;
    leader.line.down.store(true, Ordering::Relaxed);
    delete(&registry).await;
    (registry, leader)
}

#[tokio::test(start_paused = true)]
async fn who_creates_the_lease_waits_even_if_it_does_not_hear_that_it_did() {
    for deaf in [Deaf::Broken, Deaf::Late] {
        let (registry, leader) = unknowing().await;
        let line = Line::default();
        *line.deaf.lock().unwrap() = Some(deaf);
        let creator = Candidate::start_on(line, &registry, "third", Duration::ZERO);
        let took = until(&[&leader, &creator], || creator.works() == 1).await;
        assert!(took >= LEASE, "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_lease_is_not_handed_over_before_it_may_be_acted_on() {
    let (registry, leader) = unknowing().await;
    let creator = Candidate::start(&registry, "third", Duration::ZERO);
    sleep(Duration::from_secs(1)).await;
    let next = Candidate::start(&registry, "fourth", Duration::ZERO);
    creator.shutdown.cancel();
    let took = until(&[&leader, &creator, &next], || next.works() == 1).await;
    assert!(took >= LEASE - Duration::from_secs(1), "{took:?}");
    creator.task.await.unwrap();
    assert_eq!(creator.works.lock().unwrap().len(), 0);
}
