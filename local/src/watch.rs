//! Takes snapshots of a release and shows them while it goes on.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    methods::Method,
    progress::Progress,
    scenario::PORT,
    view::{Requests, Row, Screen, Snapshot},
    world::World,
};

/// How often the display is made anew, in real time.
const FRAME: Duration = Duration::from_millis(100);
/// Over how many frames requests per second are counted.
const RATE_FRAMES: usize = 10;

/// Shows a release while it goes on.
pub struct Watch<'a> {
    /// The method.
    pub method: Method,
    /// Which of how many it is, from 1.
    pub position: (usize, usize),
    /// Where it happens.
    pub world: &'a World,
    /// What it says.
    pub progress: &'a Progress,
    /// Where it is shown.
    pub screen: &'a mut Screen,
    /// When it began.
    pub began: Timestamp,
    /// Served and failed at the last frames.
    pub counts: Vec<(Timestamp, u64, u64)>,
}

impl Watch<'_> {
    /// Shows frames until something has ended.
    pub async fn during<F: Future>(&mut self, something: F) -> F::Output {
        let mut something = std::pin::pin!(something);
        let mut frames = tokio::time::interval(FRAME);
        frames.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                ended = &mut something => return ended,
                _ = frames.tick() => {
                    let snapshot = self.snapshot();
                    self.screen.show(&snapshot);
                }
            }
        }
    }

    fn snapshot(&mut self) -> Snapshot {
        let now = self.world.clock.now();
        let seconds =
            |later: Timestamp, earlier: Timestamp| later.duration_since(earlier).as_secs_f64();
        let state = self.progress.state();
        let truth = self.world.monitor.hosts();
        let hosts = self.world.scene.hosts.iter().zip(&truth).zip(&state.hosts);
        let rows = hosts.map(|((host, truth), progress)| Row {
            id: host.id.clone(),
            target: truth.target.clone(),
            processes: truth
                .processes
                .iter()
                .map(|process| {
                    let stopping = if process.stopping { " (stopping)" } else { "" };
                    format!("{}{stopping}", process.version)
                })
                .collect(),
            in_flight: self.world.oracle.in_flight(&host.id, PORT),
            done: progress.done.clone(),
            doing: progress.doing.clone(),
            left: progress.until.map(|until| seconds(until, now)),
        });
        let rows = rows.collect();
        let totals = self.world.totals();
        if self.counts.len() == RATE_FRAMES {
            self.counts.remove(0);
        }
        self.counts.push((now, totals.served, totals.failed));
        let (since, served, failed) = self.counts[0];
        let time = seconds(now, since).max(0.1);
        Snapshot {
            method: self.method.name(),
            position: self.position,
            scale: self.world.clock.scale(),
            elapsed: seconds(now, self.began),
            message: state.message,
            hosts: rows,
            requests: Requests {
                served: totals.served,
                failed: totals.failed,
                in_flight: totals.unfinished,
                served_per_second: (totals.served - served) as f64 / time,
                failed_per_second: (totals.failed - failed) as f64 / time,
            },
        }
    }
}
