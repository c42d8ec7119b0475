//! How many calls to AWS a release makes, by what it does and by phase.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use bluegreen::api::Phase;
use jiff::Timestamp;

use crate::harness::{Manifest, Scene, World, calls};

/// The calls of a release: by operation, and by the phase in which they were made.
struct Table {
    phases: Vec<(Timestamp, Phase)>,
    cells: BTreeMap<String, BTreeMap<usize, usize>>,
}

impl Table {
    /// Counts what was called from the first of the phases on until the last of them.
    fn of(world: &World, phases: Vec<(Timestamp, Phase)>) -> Self {
        let (first, last) = (phases[0].0, phases[phases.len() - 1].0);
        let mut cells: BTreeMap<String, BTreeMap<usize, usize>> = BTreeMap::new();
        for call in calls(&world.cloud) {
            if call.at < first || call.at > last {
                continue;
            }
            let phase = phases.iter().rposition(|(since, _)| *since <= call.at);
            let operation = call.action.rsplit(':').next().unwrap_or_default();
            let row = cells.entry(operation.to_owned()).or_default();
            *row.entry(phase.unwrap_or(0)).or_default() += 1;
        }
        Self { phases, cells }
    }

    fn total(&self) -> usize {
        self.cells.values().flat_map(BTreeMap::values).sum()
    }

    fn print(&self) {
        print!("{:32}", "");
        let columns = self.phases.len() - 1;
        for (_, phase) in &self.phases[..columns] {
            print!("{:>12}", phase.as_str());
        }
        println!("{:>12}", "all");
        let mut rows: Vec<_> = self.cells.iter().collect();
        rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.values().sum::<usize>()));
        for (operation, row) in rows {
            print!("{operation:32}");
            for column in 0..columns {
                print!("{:>12}", row.get(&column).copied().unwrap_or_default());
            }
            println!("{:>12}", row.values().sum::<usize>());
        }
        println!("{:>1$}", self.total(), 32 + 12 * (columns + 1));
    }
}

/// Releases once, and counts.
async fn released(what: &str, scene: Scene, manifest: Manifest, seed: u64) -> usize {
    let world = World::new(scene, seed).await;
    world.start();
    world.clock.sleep(Duration::from_secs(5)).await;
    let phases: Mutex<Vec<(Timestamp, Phase)>> = Mutex::default();
    world.apply(&manifest).await;
    phases
        .lock()
        .unwrap()
        .push((world.clock.now(), Phase::Preflight));
    let ended = world.until("it is released", 1_800, |status| {
        let mut phases = phases.lock().unwrap();
        if phases.last().is_none_or(|(_, last)| *last != status.phase) {
            phases.push((world.clock.now(), status.phase));
        }
        status.phase == Phase::Released
    });
    ended.await;
    let table = Table::of(&world, phases.into_inner().unwrap());
    println!("{what}, seed {seed}: {} calls", table.total());
    table.print();
    world.end().await;
    table.total()
}

/// So many releases, and the calls of each on average.
async fn on_average(what: &str, seeds: std::ops::Range<u64>, scene: Scene) -> usize {
    let scene = Scene {
        hosts: 2,
        latency: (0.01, 0.01),
        ..scene.calm()
    };
    let manifest = match scene.reachable {
        true => Manifest::of(&scene).early_finish(),
        false => Manifest::of(&scene),
    };
    let (count, mut all) = (seeds.clone().count(), 0);
    for seed in seeds {
        all += released(what, scene.clone(), manifest.clone(), seed).await;
    }
    println!("{what}: {} calls on average", all / count);
    all / count
}

// How many readings it takes until a target is healthy depends on when the nodes learn of it.

#[tokio::test(start_paused = true)]
async fn in_place_with_a_probe_a_release_of_two_hosts_makes_120_calls() {
    let calls = on_average("in place with a probe", 600..608, Scene::in_place()).await;
    assert!(calls <= 120, "{calls} calls");
}

#[tokio::test(start_paused = true)]
async fn with_two_ports_a_release_of_two_hosts_makes_90_calls() {
    let calls = on_average("two ports", 608..616, Scene::side_by_side()).await;
    assert!(calls <= 90, "{calls} calls");
}

#[tokio::test(start_paused = true)]
async fn where_no_host_can_be_reached_a_release_of_two_hosts_makes_200_calls() {
    let scene = Scene {
        reachable: false,
        ..Scene::in_place()
    };
    let calls = on_average("in place, not reachable", 616..620, scene).await;
    assert!(calls <= 200, "{calls} calls");
}
