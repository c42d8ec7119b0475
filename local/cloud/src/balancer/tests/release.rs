//! Whole releases by hand under load: the careful order drops nothing, the careless ones do.

use bluegreen_app::load;

use super::*;
use crate::oracle::ProcessEnd;

struct Release {
    world: World,
    blue: Application,
    load: load::Load,
}

async fn under_load(knobs: Knobs, seed: u64) -> Release {
    let world = World::seeded(knobs, seed).await;
    let blue = world.start_app(1, app::Config::default());
    world.register(0, 1, host(1));
    world.seconds(60.0).await;
    let load = load::Load::start(
        world.net.clone(),
        world.clock.clone(),
        load::Config {
            keep_alive_workers: 4,
            new_connection_workers: 2,
            seed,
            ..load::Config::against(vec![node(1), node(2)])
        },
    );
    let green = app::Config {
        version: "2.0.0".to_owned(),
        ..app::Config::default()
    };
    world.start_app(2, green);
    world.register(0, 2, host(2));
    world.seconds(60.0).await;
    Release { world, blue, load }
}

#[tokio::test(start_paused = true)]
async fn the_careful_order_drops_nothing() {
    for seed in [SEED, 12, 13] {
        let release = under_load(Knobs::default(), seed).await;
        release.world.drain(1, 120);
        release.world.seconds(120.0).await;
        release.world.remove(1);
        release.world.seconds(45.0).await;
        assert_eq!(release.world.oracle.in_flight("i-1", 8080), 0);
        release.blue.terminate().await;
        assert_eq!(release.blue.running.await.unwrap().unwrap().code, 143);
        release.world.seconds(30.0).await;
        let report = release.load.stop(Duration::from_secs(60)).await;
        let totals = &report.totals;
        assert_eq!(
            (totals.failed, totals.unfinished),
            (0, 0),
            "seed {seed}: {:?}",
            report.failures
        );
        let by_version = &totals.by_version;
        assert!(
            by_version.values().all(|served| *served > 100),
            "seed {seed}: {by_version:?}"
        );
        assert_eq!(by_version.len(), 2);
        let counters = release.world.oracle.counters();
        assert!(counters.routed_to_withdrawn.requests > 0, "nodes are late");
        assert_eq!(counters.routed_to_withdrawn.failed, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn stopping_right_after_deregistering_drops_requests() {
    let release = under_load(Knobs::default(), SEED).await;
    release.world.drain(1, 120);
    release.blue.terminate().await;
    release.world.oracle.process_signalled("i-1", 8080);
    release.world.seconds(60.0).await;
    let report = release.load.stop(Duration::from_secs(60)).await;
    let dropped = report.totals.by_status[&502];
    assert!(dropped > 10, "{:?}", report.totals);
    // The rest was in flight already, and broken off when the shutdown timeout was over.
    let late = release.world.oracle.counters().routed_to_withdrawn;
    assert!((10..=dropped).contains(&late.failed), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn a_delay_shorter_than_the_longest_requests_cuts_them_off() {
    let release = under_load(immediate(), SEED).await;
    release.world.drain(1, 5);
    release.world.seconds(5.0).await;
    release.world.remove(1);
    let end = ProcessEnd::Terminated;
    release.world.oracle.process_stopped("i-1", 8080, end);
    release.blue.terminate().await;
    release.world.seconds(30.0).await;
    let report = release.load.stop(Duration::from_secs(60)).await;
    assert!(report.totals.by_status[&502] > 0, "{:?}", report.totals);
    let failures = release.world.oracle.failures();
    let elapsed = Some(crate::oracle::Failure::DelayElapsed);
    assert!(failures.iter().all(|record| record.failure == elapsed));
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_counts() {
    let mut counts = Vec::new();
    for _ in 0..2 {
        let release = under_load(Knobs::default(), SEED).await;
        release.world.drain(1, 120);
        release.blue.terminate().await;
        release.world.seconds(60.0).await;
        let report = release.load.stop(Duration::from_secs(60)).await;
        counts.push(report.totals);
    }
    assert_eq!(counts[0], counts[1], "seed {SEED}");
}
