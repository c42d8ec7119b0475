//! What a test waits for, and what it says when that does not come.

use std::time::Duration;

use bluegreen::api::{BlueGreenReleaseStatus, Phase, Reason};
use jiff::Timestamp;

use super::world::World;

/// How often a test looks at a status.
const LOOK: Duration = Duration::from_millis(500);

/// A proof of drain that was on record at some time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Drained {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) version: String,
    pub(super) at: Timestamp,
}

impl World {
    /// Waits until the status shows something, for at most so many virtual seconds.
    pub(crate) async fn until(
        &self,
        what: &str,
        seconds: u64,
        holds: impl Fn(&BlueGreenReleaseStatus) -> bool,
    ) -> BlueGreenReleaseStatus {
        let end = self.clock.now() + jiff::SignedDuration::from_secs(seconds.try_into().unwrap());
        loop {
            let status = self.status().await;
            self.listen(&status);
            self.judged(&status);
            if holds(&status) {
                return status;
            }
            if self.clock.now() > end {
                self.fail(&format!("not within {seconds} s: {what}"), &status);
            }
            self.clock.sleep(LOOK).await;
        }
    }

    /// Watches for so many virtual seconds that nothing goes wrong, whatever the status shows.
    pub(crate) async fn watch(&self, seconds: u64) {
        let end = self.clock.now() + jiff::SignedDuration::from_secs(seconds.try_into().unwrap());
        while self.clock.now() < end {
            let status = self.status().await;
            self.listen(&status);
            self.judged(&status);
            if self.failed() > 0 {
                self.fail("a request was not served", &status);
            }
            self.clock.sleep(LOOK).await;
        }
    }

    /// Waits until the version of the spec is live and nothing is left to do.
    pub(crate) async fn until_released(&self, seconds: u64) -> BlueGreenReleaseStatus {
        let generation = self.release().await.unwrap().metadata.generation;
        self.until("it is released", seconds, |status| {
            status.phase == Phase::Released && status.observed_generation == generation
        })
        .await
    }

    /// Waits until a person has to act, for this reason; returns what the person reads.
    pub(crate) async fn until_stalled(&self, reason: Reason, seconds: u64) -> String {
        let status = self.until(reason.as_str(), seconds, |status| {
            condition(status, "Stalled").is_some_and(|(_, why, _)| why == reason.as_str())
        });
        let status = status.await;
        assert!(condition(&status, "Reconciling").is_none(), "never both");
        let (is, _, message) = condition(&status, "Stalled").unwrap();
        assert_eq!(is, "True");
        assert_eq!(condition(&status, "Ready").unwrap().0, "False");
        message
    }

    /// Waits until the object is gone.
    pub(crate) async fn until_gone(&self, seconds: u64) {
        let end = self.clock.now() + jiff::SignedDuration::from_secs(seconds.try_into().unwrap());
        while let Some(release) = self.release().await {
            let status = release.status.unwrap_or_default();
            self.listen(&status);
            self.judged(&status);
            if self.clock.now() > end {
                self.fail(&format!("not gone within {seconds} s"), &status);
            }
            self.clock.sleep(LOOK).await;
        }
    }

    /// Waits until something is true of the world.
    pub(crate) async fn until_true(&self, what: &str, seconds: u64, holds: impl Fn(&Self) -> bool) {
        let end = self.clock.now() + jiff::SignedDuration::from_secs(seconds.try_into().unwrap());
        while !holds(self) {
            if self.clock.now() > end {
                let status = self.status().await;
                self.fail(&format!("not within {seconds} s: {what}"), &status);
            }
            self.clock.sleep(Duration::from_millis(500)).await;
        }
    }

    /// The same, watching the status meanwhile.
    pub(crate) async fn until_shown(
        &self,
        what: &str,
        seconds: u64,
        holds: impl Fn(&Self) -> bool,
    ) {
        self.until(what, seconds, |_| holds(self)).await;
    }

    /// Notes what a person who watches would have seen.
    pub(super) fn listen(&self, status: &BlueGreenReleaseStatus) {
        let line = format!("{}: {}", status.phase.as_str(), status.message);
        let mut told = self.told.lock().unwrap();
        if !told.last().is_some_and(|last| last.ends_with(&line)) {
            told.push(format!("{} {line}", self.clock.now()));
        }
        drop(told);
        let proofs = status.targets.iter().filter_map(|target| {
            Some(Drained {
                host: target.id.clone(),
                port: target.port,
                version: target.version.clone()?,
                at: target.steps.drained.as_ref()?.at.timestamp(),
            })
        });
        self.drained.lock().unwrap().extend(proofs);
    }

    pub(super) fn judged(&self, status: &BlueGreenReleaseStatus) {
        let violations = self.judge.violations();
        if !violations.is_empty() {
            self.fail(&violations.join("\n"), status);
        }
    }

    /// Ends the test with the whole story.
    pub(crate) fn fail(&self, what: &str, status: &BlueGreenReleaseStatus) -> ! {
        let mutations: Vec<_> = self.mutations().iter().map(ToString::to_string).collect();
        let processes: Vec<_> = self
            .apps
            .events()
            .iter()
            .map(|e| format!("{} {:?} {}:{} {}", e.at, e.what, e.host, e.port, e.version))
            .collect();
        panic!(
            "{what}\n\nBLUEGREEN_SEED={}, began {}, now {}, {} controllers\n\nwhat was seen:\n{}\n\n\
             changes in AWS:\n{}\n\nprocesses:\n{}\n\nrequests that failed:\n{}\n\nstatus:\n{}\n\ntruth:\n{}",
            self.seed,
            self.began,
            self.clock.now(),
            self.control.starts(),
            self.told.lock().unwrap().join("\n"),
            mutations.join("\n"),
            processes.join("\n"),
            self.oracle.summary().failures.join("\n"),
            serde_json::to_string_pretty(status).unwrap(),
            self.cloud.state()["targetGroups"],
        );
    }
}

/// A condition's status, reason and message.
pub(crate) fn condition(
    status: &BlueGreenReleaseStatus,
    type_: &str,
) -> Option<(String, String, String)> {
    let mut conditions = status.conditions.iter();
    let found = conditions.find(|condition| condition.type_ == type_)?;
    Some((
        found.status.clone(),
        found.reason.clone(),
        found.message.clone(),
    ))
}
