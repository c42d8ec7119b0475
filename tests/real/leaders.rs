//! Two controllers for one release, as processes. The one that leads is killed, halted for longer
//! than its lease, or told to end, at a moment that the seed decides, again and again. Whatever
//! happens, the release ends well, nothing is done twice, and no request fails.
//!
//! `BLUEGREEN_LEADERS` says how many releases are made so, `BLUEGREEN_SEED` with which seed the
//! first of them is; by default 50, from 1.

use std::{env, time::Duration};

use futures::{StreamExt, stream};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use super::{
    Real,
    field::{Field, LEASE, LOOK, NEW_VERSION, define},
    rbac,
    report::{Side, Suite, bounded},
    servers::Cluster,
};

/// How many releases are made.
const RELEASES: u64 = 50;

/// How many at the same time. They mostly wait.
const AT_ONCE: usize = 6;

/// How many changes a release makes: four for each of two hosts.
const CHANGES: usize = 8;

/// With more releases than this each fate has to have occurred.
const FEW: u64 = 10;

/// How long to wait for the first leader, or for a change: far more than a lease.
const LED: Duration = Duration::from_secs(90);

/// How long it may take until another leads where a lease is given back: far less than the lease,
/// however slow the machine is, since whoever waits for its end waits for most of it.
const HANDED_OVER: Duration = LEASE.checked_div(2).expect("two is not zero");

/// How long it may take where nobody gives the lease back. A standby that has just been started
/// counts the lease from when it first sees it; then it needs a read and a write, and a second more
/// where one of them fails. Less than two leases, so that one who waits twice is found out.
const TAKEN_OVER: Duration = LEASE.saturating_add(Duration::from_secs(8));

/// What becomes of a leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// SIGKILL.
    Killed,
    /// SIGSTOP, and SIGCONT when another leads and has had a second to act.
    Halted,
    /// SIGTERM.
    Told,
}

const FATES: [Fate; 3] = [Fate::Killed, Fate::Halted, Fate::Told];

/// What a release had to bear: after how many changes, how long after, and what.
#[derive(Debug, Clone, Copy)]
struct Incident {
    after: usize,
    later: Duration,
    fate: Fate,
}

fn incidents(seed: u64) -> [Incident; 2] {
    let mut random = StdRng::seed_from_u64(seed);
    let mut incident = |from: usize, to: usize| Incident {
        after: random.random_range(from..to),
        // A change is decided, written and made within some milliseconds.
        later: Duration::from_micros(random.random_range(0..40_000)),
        fate: FATES[random.random_range(0..FATES.len())],
    };
    [incident(0, CHANGES / 2), incident(CHANGES / 2, CHANGES)]
}

pub(crate) async fn suite(real: &Real, suite: &mut Suite) {
    let number = |name: &str, default| {
        let text = env::var(name).ok();
        text.map_or(default, |text| text.parse().expect("a number"))
    };
    let first = number("BLUEGREEN_SEED", 1);
    let releases = number("BLUEGREEN_LEADERS", RELEASES);
    let cluster = Cluster::start(real).await;
    define(&cluster).await;
    let mut slots: Vec<u8> = (0..AT_ONCE as u8).collect();
    let slots = std::sync::Mutex::new(&mut slots);
    let outcomes = stream::iter(first..first + releases)
        .map(|seed| {
            let (slots, cluster) = (&slots, &cluster);
            async move {
                let slot = slots.lock().unwrap().pop().expect("as many as run at once");
                let handovers = Outcome::of(real, cluster, seed, slot).await;
                slots.lock().unwrap().push(slot);
                (seed, handovers)
            }
        })
        .buffer_unordered(AT_ONCE);
    let mut outcomes = std::pin::pin!(outcomes);
    let mut changes = Vec::new();
    while let Some((seed, outcome)) = outcomes.next().await {
        let name = format!("seed {seed}: {}", outcome.incidents);
        match outcome.result {
            Ok(took) => {
                changes.extend(took);
                suite.passed(Side::Real, &name, outcome.took);
            }
            Err(why) => suite.real_failed(&name, &why),
        }
    }
    let rights = "the chart's roles are enough for all of them";
    suite
        .case(Side::Real, rights, async {
            rbac::nothing_was_refused(&cluster);
        })
        .await;
    for fate in FATES {
        let same = changes.iter().filter(|(of, _)| *of == fate);
        let mut took: Vec<Duration> = same.map(|(_, took)| *took).collect();
        took.sort();
        if let (Some(shortest), Some(longest)) = (took.first(), took.last()) {
            let times = took.len();
            println!(
                "leaders: {fate:?} {times} times; another led after {shortest:?} to {longest:?}"
            );
        } else if releases > FEW {
            suite.real_failed(
                &format!("{fate:?}"),
                "it befell no leader of a good release",
            );
        }
    }
}

/// How a release ended.
struct Outcome {
    incidents: String,
    took: Duration,
    /// What befell its leaders, and how long it took until another led.
    result: Result<Vec<(Fate, Duration)>, String>,
}

impl Outcome {
    async fn of(real: &Real, cluster: &Cluster, seed: u64, slot: u8) -> Self {
        let began = Instant::now();
        let incidents = incidents(seed);
        let result = bounded(release(real, cluster, seed, slot, incidents)).await;
        Self {
            incidents: incidents
                .map(|Incident { after, fate, .. }| format!("{fate:?} after {after} changes"))
                .join(", "),
            took: began.elapsed(),
            result: result.map_err(|why| format!("{why}\n{}", logs(real, &namespace(seed)))),
        }
    }
}

fn namespace(seed: u64) -> String {
    format!("release-{seed}")
}

/// What the controllers of a namespace have written.
fn logs(real: &Real, namespace: &str) -> String {
    let mut logs = String::new();
    for entry in std::fs::read_dir(real.folder.path()).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(&format!("{namespace}-")) {
            let log = std::fs::read_to_string(entry.path()).unwrap_or_default();
            logs.push_str(&format!("{name}:\n{log}\n"));
        }
    }
    logs
}

async fn release(
    real: &Real,
    cluster: &Cluster,
    seed: u64,
    slot: u8,
    incidents: [Incident; 2],
) -> Vec<(Fate, Duration)> {
    let namespace = namespace(seed);
    let field = Field::build(cluster, &namespace, seed, slot).await;
    let leases: Api<Lease> = Api::namespaced(cluster.client().await, &namespace);
    let kubeconfig = field.account(real, cluster).await;
    let mut names = ["first", "second", "third", "fourth"].into_iter();
    let mut start = || field.controller(real, &kubeconfig, names.next().expect("four are enough"));
    let mut controllers = vec![start(), start()];
    field.apply(cluster, NEW_VERSION).await;
    let mut took = Vec::new();
    for Incident { after, later, fate } in incidents {
        let (leader, _) = another(&leases, None, LED).await;
        until(|| field.changes().len() >= after, "so many changes").await;
        sleep(later).await;
        let index = controllers.iter().position(|one| one.who == leader);
        let index = index.unwrap_or_else(|| panic!("{leader} leads and is not ours"));
        let began = Instant::now();
        let next = |within| another(&leases, Some(&leader), within);
        match fate {
            Fate::Killed => {
                controllers.remove(index).end(Signal::KILL).await;
                let (_, at) = next(TAKEN_OVER).await;
                took.push((fate, at - began));
                controllers.push(start());
            }
            Fate::Halted => {
                controllers[index].signal(Signal::STOP);
                let (_, at) = next(TAKEN_OVER).await;
                took.push((fate, at - began));
                sleep(Duration::from_secs(1)).await;
                controllers[index].signal(Signal::CONT);
            }
            Fate::Told => {
                controllers[index].signal(Signal::TERM);
                // The first lease is new, and not given back before it was acted on.
                let new = after == 0;
                let (_, at) = next(if new { TAKEN_OVER } else { HANDED_OVER }).await;
                took.push((fate, at - began));
                let status = controllers.remove(index).wait().await;
                assert!(status.success(), "{leader} ended with {status}");
                controllers.push(start());
            }
        }
    }
    field.until_released(NEW_VERSION).await;
    for controller in &mut controllers {
        let status = controller.end(Signal::TERM).await;
        assert!(status.success(), "{status}");
    }
    let doubled = field.doubled();
    assert!(doubled.is_empty(), "{doubled:#?}");
    assert_eq!(field.changes().len(), CHANGES, "{:#?}", field.changes());
    field.close().await;
    took
}

/// Waits until somebody leads who is not `than`; who, and since when.
async fn another(leases: &Api<Lease>, than: Option<&str>, within: Duration) -> (String, Instant) {
    let began = Instant::now();
    loop {
        let lease = leases.get_opt("bluegreen-controller").await.unwrap();
        let holder = lease.and_then(|lease| lease.spec?.holder_identity);
        let who = holder.as_deref().and_then(|holder| holder.split_once('_'));
        if let Some((who, _)) = who
            && than != Some(who)
        {
            return (who.to_owned(), Instant::now());
        }
        assert!(
            began.elapsed() < within,
            "nobody else leads after {within:?}"
        );
        sleep(LOOK).await;
    }
}

async fn until(condition: impl Fn() -> bool, what: &str) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < LED * 2, "it never came to {what}");
        sleep(LOOK / 4).await;
    }
}
