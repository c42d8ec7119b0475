//! The API server goes away, refuses, or forgets.

use std::time::Duration;

use bluegreen::api::Phase;
use bluegreen_registry::{Effect, Fault, Verb};

use super::{ends_released, in_phase};
use crate::harness::{Scene, World};

const PHASES: [Phase; 3] = [Phase::Starting, Phase::Draining, Phase::Stopping];

/// Does something to the API server in each phase of a release; it must not matter.
async fn in_each_phase(seed: u64, hurt: impl AsyncFn(&World)) {
    for phase in PHASES {
        let (world, _) = in_phase(Scene::side_by_side().short(), seed, phase).await;
        hurt(&world).await;
        ends_released(world).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_away_for_a_minute() {
    in_each_phase(450, async |world| {
        world.control.api_down(true);
        world.clock.sleep(Duration::from_secs(60)).await;
        world.control.api_down(false);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn conflicts() {
    in_each_phase(451, async |world| {
        let conflict = Fault::new(Effect::Conflict).verb(Verb::Update);
        world.registry.faults().inject(conflict.times(5));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn writes_whose_replies_are_lost() {
    in_each_phase(452, async |world| {
        let lost = Fault::new(Effect::DisconnectAfter).verb(Verb::Update);
        world.registry.faults().inject(lost.times(3));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_history_that_is_forgotten_while_the_watch_is_cut() {
    in_each_phase(453, async |world| {
        world
            .registry
            .faults()
            .inject(Fault::new(Effect::CloseWatch).times(1));
        world
            .registry
            .faults()
            .inject(Fault::new(Effect::Expired).verb(Verb::Watch).times(2));
        world.registry.compact();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_loses_and_repeats_events() {
    in_each_phase(454, async |world| {
        world
            .registry
            .faults()
            .inject(Fault::new(Effect::DropEvent).times(3));
        world
            .registry
            .faults()
            .inject(Fault::new(Effect::DuplicateEvent).times(3));
    })
    .await;
}
