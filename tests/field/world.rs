//! The world of a scenario: a stage and a controller, each a process as a user has it, a load, and
//! samples of what was said and what was true.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    aws::Aws,
    claims,
    load::{self, Load},
    process::{Process, READY},
    programs::{self, Programs},
    releases::{Place, Releases},
    sample::{Said, Sample, Target, named},
};

/// How often the suite looks.
const LOOK: Duration = Duration::from_millis(200);

/// After so many looks in a row that failed, the stage is given up.
const FAILURES: usize = 3;

/// How long the old version may take to be in service at first: start, registration, two checks.
const IN_SERVICE: Duration = Duration::from_secs(90);

/// What a scenario starts with.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) hosts: usize,
    /// The deregistration delay, in seconds.
    pub(crate) delay: u64,
    /// The ports on which the application may listen.
    pub(crate) ports: &'static [u16],
    /// Whether the hosts are registered, and healthy, when the scenario begins.
    pub(crate) registered: bool,
    /// Between two health checks of a node, in seconds.
    pub(crate) check_interval: u64,
    pub(crate) seed: u64,
}

impl Setup {
    /// Recreate in place.
    pub(crate) fn in_place(hosts: usize, delay: u64) -> Self {
        Self {
            hosts,
            delay,
            ports: &[8080],
            registered: true,
            check_interval: 5,
            seed: 1,
        }
    }

    /// Side by side.
    pub(crate) fn side_by_side(hosts: usize, delay: u64) -> Self {
        Self {
            ports: &[8080, 8081],
            ..Self::in_place(hosts, delay)
        }
    }
}

/// The world of a scenario.
pub(crate) struct World {
    pub(crate) aws: Aws,
    pub(crate) releases: Releases,
    pub(crate) load: Load,
    /// The ids of the hosts that were there from the beginning.
    pub(crate) hosts: Vec<String>,
    began: Instant,
    began_at: Timestamp,
    folder: PathBuf,
    directory: PathBuf,
    followed: Arc<Mutex<BTreeSet<Place>>>,
    samples: Arc<Mutex<Vec<Sample>>>,
    latest: watch::Receiver<Option<Sample>>,
    faults: Mutex<Vec<String>>,
    notes: Mutex<Vec<(Instant, String)>>,
    sampling: AbortOnDropHandle<()>,
    controller: Mutex<Process>,
    stage: Process,
}

/// What a world was when it ended.
pub(crate) struct Ended {
    /// What was not right.
    pub(crate) faults: Vec<String>,
    /// What happened, a line each.
    pub(crate) story: Vec<String>,
}

impl World {
    /// Starts everything. `number` tells the worlds of this process apart.
    pub(crate) async fn start(
        tried: &Programs,
        setup: &Setup,
        folder: &Path,
        number: u8,
    ) -> Result<Self, String> {
        fs::create_dir_all(folder.join("tmp")).map_err(|error| error.to_string())?;
        let (stage, said) = programs::stage(tried, setup, folder, number).await?;
        let text = |pointer: &str| {
            let found = said.pointer(pointer).and_then(Value::as_str);
            found
                .map(str::to_owned)
                .ok_or(format!("the stage does not say its {pointer}"))
        };
        let aws = Aws {
            endpoint: text("/endpoint")?,
            group: text("/stage/targetGroup")?,
            subnet: text("/stage/subnets/0")?,
        };
        let releases = Releases {
            server: text("/registry")?,
        };
        let kubeconfig = text("/kubeconfig")?;
        let region = text("/region")?;
        let controller = programs::controller(tried, folder, &kubeconfig, &region, &aws.endpoint);
        let hosts = said["stage"]["hosts"].as_array().into_iter().flatten();
        let hosts = hosts.filter_map(|host| host["id"].as_str().map(str::to_owned));
        let followed = Arc::new(Mutex::new(BTreeSet::from([Place::usual()])));
        let samples = Arc::default();
        let (sender, latest) = watch::channel(None);
        let sampling = tokio::spawn(follow(
            aws.clone(),
            releases.clone(),
            Arc::clone(&followed),
            setup.ports,
            Arc::clone(&samples),
            sender,
        ));
        let world = Self {
            load: Load::start(programs::nodes(&said)),
            hosts: hosts.collect(),
            directory: PathBuf::from(text("/directory")?),
            aws,
            releases,
            began: Instant::now(),
            began_at: Timestamp::now(),
            folder: folder.to_owned(),
            followed,
            samples,
            latest,
            faults: Mutex::default(),
            notes: Mutex::default(),
            sampling: AbortOnDropHandle::new(sampling),
            controller: Mutex::new(controller),
            stage,
        };
        if setup.registered {
            let all = setup.hosts;
            world
                .until("the old version is in service", IN_SERVICE, |sample| {
                    sample.healthy().len() == all
                })
                .await?;
            // The load begins with the stage, before anything is in service.
            world.until_served().await?;
        }
        Ok(Self {
            began: Instant::now(),
            began_at: Timestamp::now(),
            ..world
        })
    }

    async fn until_served(&self) -> Result<(), String> {
        let from = Instant::now();
        while from.elapsed() < IN_SERVICE {
            let records = self.load.since(from);
            if records.len() >= 10
                && records[records.len() - 10..]
                    .iter()
                    .all(|one| !one.failed())
            {
                return Ok(());
            }
            sleep(LOOK).await;
        }
        Err("the application is not served by the load balancer".to_owned())
    }

    /// Waits until a sample that is taken from now on is so, and gives it.
    pub(crate) async fn until(
        &self,
        what: &str,
        within: Duration,
        is: impl Fn(&Sample) -> bool,
    ) -> Result<Sample, String> {
        let mut latest = self.latest.clone();
        let asked = Instant::now();
        let looking = async {
            loop {
                let sample = latest.borrow_and_update().clone();
                let sample = sample.filter(|sample| sample.at >= asked && is(sample));
                if let Some(sample) = sample {
                    return Some(sample);
                }
                if latest.changed().await.is_err() {
                    return None;
                }
            }
        };
        match timeout(within, looking).await {
            Ok(Some(sample)) => Ok(sample),
            Ok(None) => Err("the stage cannot be asked any more".to_owned()),
            Err(_) => Err(format!("not within {} s: {what}", within.as_secs())),
        }
    }

    /// The same, where it is a fault when it does not come about.
    pub(crate) async fn expect_within(
        &self,
        what: &str,
        within: Duration,
        is: impl Fn(&Sample) -> bool,
    ) -> Option<Sample> {
        match self.until(what, within, is).await {
            Ok(sample) => Some(sample),
            Err(why) => {
                self.fault(why);
                None
            }
        }
    }

    /// Lets time pass, in which something must hold at each sample.
    pub(crate) async fn holds(&self, what: &str, during: Duration, is: impl Fn(&Sample) -> bool) {
        let broken = self.until(what, during, |sample| !is(sample)).await;
        if broken.is_ok() {
            self.fault(format!("it did not hold: {what}"));
        }
    }

    /// The samples since then.
    pub(crate) fn samples_since(&self, from: Instant) -> Vec<Sample> {
        let samples = lock(&self.samples);
        let later = samples.iter().filter(|sample| sample.at >= from);
        later.cloned().collect()
    }

    pub(crate) async fn now(&self) -> Result<Sample, String> {
        self.until("a sample is taken", READY, |_| true).await
    }

    /// Something is not right. The scenario goes on.
    pub(crate) fn fault(&self, what: String) {
        self.note(&format!("FAULT: {what}"));
        lock(&self.faults).push(what);
    }

    pub(crate) fn expect(&self, is: bool, what: impl FnOnce() -> String) {
        if !is {
            self.fault(what());
        }
    }

    /// Writes into the story what the scenario does.
    pub(crate) fn note(&self, what: &str) {
        lock(&self.notes).push((Instant::now(), what.to_owned()));
    }

    /// Follows one more release.
    pub(crate) fn follow(&self, place: &Place) {
        lock(&self.followed).insert(place.clone());
    }

    /// That every outage since then was shorter than the bound.
    pub(crate) fn expect_no_outage(&self, since: Instant, longer_than: Duration) {
        let outages = load::outages(&self.load.since(since));
        let longest = outages.iter().max_by_key(|outage| outage.lasted());
        if let Some(outage) = longest.filter(|outage| outage.lasted() > longer_than) {
            let at = self.seconds(outage.from);
            self.fault(format!(
                "every request failed for {:.1} s from {at:.1} s on; at most {:.1} s are the environment's",
                outage.lasted().as_secs_f64(),
                longer_than.as_secs_f64()
            ));
        }
    }

    /// That not one request failed since then.
    pub(crate) fn expect_no_failure(&self, since: Instant) {
        let records = self.load.since(since);
        let failed: Vec<String> = records
            .iter()
            .filter(|record| record.failed())
            .map(|record| {
                let answer = match &record.answer {
                    Ok(status) => status.to_string(),
                    Err(why) => why.clone(),
                };
                format!("{answer} at {:.1} s", self.seconds(record.ended))
            })
            .collect();
        self.expect(failed.is_empty(), || {
            let some = failed[..failed.len().min(5)].join(", ");
            format!(
                "{} of {} requests failed: {some}",
                failed.len(),
                records.len()
            )
        });
    }

    /// That a release, or an Event, names what is meant.
    pub(crate) async fn expect_told(&self, said: &Said, names: &[&str]) {
        let events = self.releases.events().await;
        let told = names
            .iter()
            .any(|name| said.says(&[name]) || events.iter().any(|event| event.contains(name)));
        self.expect(told, || {
            let names = names.join(" or ");
            format!(
                "no message and no Event names {names}: {}",
                said.all_words()
            )
        });
    }

    /// Kills the application on a port with SIGKILL.
    pub(crate) fn kill(&self, target: &Target) -> Result<(), String> {
        self.note(&format!("SIGKILL to the application on {}", named(target)));
        let unit = format!(
            "hosts/{}/run/units/snackgame@{}.service/main",
            target.0, target.1
        );
        let file = self.directory.join(unit);
        let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let text = fs::read_to_string(&file).map_err(|error| wrong(&error))?;
        let pid = text.trim().parse().ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| wrong(&"has no process id"))?;
        kill_process(pid, Signal::KILL).map_err(|error| wrong(&error))
    }

    /// Tells the application on a port what its health check is to say.
    pub(crate) async fn health(&self, target: &Target, good: bool) -> Result<(), String> {
        let word = if good { "restore" } else { "fail" };
        self.note(&format!("POST /health/{word} to {}", named(target)));
        let address = self.now().await?.address(target)?;
        let request = crate::http::Request {
            method: "POST",
            url: &format!("http://{address}/health/{word}"),
            ..Default::default()
        };
        request.send().await?.good("health").map(drop)
    }

    /// The version that answers on a port.
    pub(crate) async fn version(&self, target: &Target) -> String {
        let asked = async {
            let address = self.now().await?.address(target)?;
            let request = crate::http::Request {
                method: "GET",
                url: &format!("http://{address}/"),
                ..Default::default()
            };
            request.send().await?.good("version")
        };
        match asked.await {
            Ok(body) => body.trim().trim_start_matches("version ").to_owned(),
            Err(_) => "nothing".to_owned(),
        }
    }

    /// The controller's process: its id, unless it has ended.
    pub(crate) fn controller(&self) -> Option<u32> {
        lock(&self.controller).id()
    }

    /// What the controller has written.
    pub(crate) fn log(&self) -> String {
        lock(&self.controller).log()
    }

    /// When the scenario began.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    fn seconds(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.began).as_secs_f64()
    }

    /// Ends everything, and says what was not right.
    pub(crate) async fn end(mut self) -> Ended {
        let samples = self.samples_since(self.began);
        let mut story = self.story(&samples).await;
        let mut faults = std::mem::take(&mut *lock(&self.faults));
        faults.extend(claims::false_claims(&samples));
        drop(self.sampling);
        drop(self.load);
        let controller = self
            .controller
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        for (who, process) in [
            ("the controller", controller),
            ("the stage", &mut self.stage),
        ] {
            if let Err(why) = process.finish(Signal::TERM).await {
                faults.push(format!("{who}: {why}"));
            }
        }
        faults.extend(programs::left_behind(&self.folder.join("tmp")).await);
        story.push(lock(&self.controller).last_words());
        Ended { faults, story }
    }

    /// What happened, in order: what was said, what was true, what was done.
    async fn story(&self, samples: &[Sample]) -> Vec<String> {
        let mut lines: Vec<(f64, String)> = Vec::new();
        let mut before = None;
        for sample in samples {
            let at = self.seconds(sample.at);
            lines.extend(sample.changes(before).into_iter().map(|line| (at, line)));
            before = Some(sample);
        }
        for change in self.aws.changes().await {
            let at = change.at.duration_since(self.began_at).as_secs_f64();
            let (who, action) = (&change.who, &change.action);
            lines.push((at, format!("{who} {action} {}", change.about())));
        }
        for outage in load::outages(&self.load.since(self.began)) {
            let lasted = outage.lasted().as_secs_f64();
            lines.push((
                self.seconds(outage.from),
                format!("every request fails, for {lasted:.1} s"),
            ));
        }
        for (at, note) in lock(&self.notes).iter() {
            lines.push((self.seconds(*at), format!("-- {note}")));
        }
        lines.retain(|(at, _)| *at >= 0.0);
        lines.sort_by(|a, b| a.0.total_cmp(&b.0));
        let told = lines
            .into_iter()
            .map(|(at, line)| format!("{at:7.1} s  {line}"));
        let events = self.releases.events().await;
        let events = events
            .into_iter()
            .map(|event| format!("    Event  {event}"));
        told.chain(events).collect()
    }
}

/// Takes samples until the stage does not answer any more.
async fn follow(
    aws: Aws,
    releases: Releases,
    followed: Arc<Mutex<BTreeSet<Place>>>,
    ports: &'static [u16],
    samples: Arc<Mutex<Vec<Sample>>>,
    latest: watch::Sender<Option<Sample>>,
) {
    let mut failures = 0;
    while failures < FAILURES {
        let places = lock(&followed).clone();
        match Sample::take(&aws, &releases, &places, ports).await {
            Ok(sample) => {
                failures = 0;
                lock(&samples).push(sample.clone());
                latest.send_replace(Some(sample));
            }
            Err(why) => {
                failures += 1;
                eprintln!("a sample cannot be taken: {why}");
            }
        }
        sleep(LOOK).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whatever panics while it holds one of these leaves it whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many of each there are.
pub(crate) fn counted<T: Ord>(things: impl IntoIterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for thing in things {
        *counts.entry(thing).or_default() += 1;
    }
    counts
}
