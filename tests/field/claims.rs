//! Whether a release has claimed what was not so: `Ready=True` or `TargetsHealthy=True` while what
//! serves is dead. A condition may be old, within a bound.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    releases::Place,
    sample::{Sample, Target, named},
};

/// How old a condition may be while a release is in progress.
const IN_PROGRESS: Duration = Duration::from_secs(15);

/// The same at rest.
const AT_REST: Duration = Duration::from_secs(60);

/// How much longer a process may be dead that ELB calls healthy: it takes two checks, and their
/// results take a moment to be shown.
const UNSEEN: Duration = Duration::from_secs(30);

/// How much later the suite may see a change itself.
const SAMPLING: Duration = Duration::from_secs(2);

/// Since when each thing is as it should not be.
#[derive(Default)]
struct Wrongs(BTreeMap<String, (Instant, Duration)>);

impl Wrongs {
    fn take(&mut self, sample: &Sample) {
        let mut now: BTreeMap<String, Duration> = BTreeMap::new();
        for target in sample.registered() {
            let word = &sample.targets[&target];
            if word != "healthy" {
                now.insert(format!("{} is not healthy", named(&target)), Duration::ZERO);
            }
            if !sample.lives(&target) {
                now.insert(format!("{} is dead", named(&target)), UNSEEN);
            }
        }
        if sample.registered().is_empty() {
            now.insert("no target is registered".to_owned(), Duration::ZERO);
        }
        self.0.retain(|what, _| now.contains_key(what));
        for (what, more) in now {
            self.0.entry(what).or_insert((sample.at, more));
        }
    }

    /// What was wrong for longer than a claim may be old.
    fn unforgivable(&self, at: Instant, claimed: Instant, rests: bool) -> Option<String> {
        self.0.iter().find_map(|(what, (since, more))| {
            // Whoever claims it anew has just looked.
            let (age, bound) = if claimed > *since {
                (claimed - *since, IN_PROGRESS)
            } else if rests {
                (at - *since, AT_REST)
            } else {
                (at - *since, IN_PROGRESS)
            };
            (age > bound + *more + SAMPLING)
                .then(|| format!("although {what}, for {:.0} s", age.as_secs_f64()))
        })
    }
}

/// Every false claim, once.
pub(crate) fn false_claims(samples: &[Sample]) -> Vec<String> {
    let mut wrongs = Wrongs::default();
    let mut claimed: BTreeMap<(Place, &str), Instant> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for sample in samples {
        wrongs.take(sample);
        let serving = serving(sample);
        for (place, said) in &sample.releases {
            for condition in ["Ready", "TargetsHealthy"] {
                let key = (place.clone(), condition);
                if !said.is(condition) {
                    claimed.remove(&key);
                    continue;
                }
                let since = *claimed.entry(key).or_insert(sample.at);
                // While a release is in progress, something of it is not healthy as a rule.
                if condition == "TargetsHealthy" && !serving.is_empty() {
                    continue;
                }
                if let Some(why) = wrongs.unforgivable(sample.at, since, said.rests()) {
                    let why = why.split(", for ").next().unwrap_or_default().to_owned();
                    found.insert(format!("{}: {condition}=True {why}", place.name));
                }
            }
        }
    }
    found.into_iter().collect()
}

/// The targets that serve.
fn serving(sample: &Sample) -> Vec<Target> {
    let mut serving = sample.healthy();
    serving.retain(|target| sample.lives(target));
    serving
}
