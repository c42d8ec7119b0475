//! What becomes of requests while their target is deregistered.

use tokio::io::AsyncReadExt;

use super::*;
use crate::{
    oracle::{Failure, ProcessEnd, Truth},
    topology::{HealthFailure, NodeHealth},
};

#[tokio::test(start_paused = true)]
async fn requests_in_flight_are_completed_within_the_delay() {
    let world = World::new(immediate()).await;
    let _app = world.healthy_app(1).await;
    let long = world.get_later(node(1), "/work?ms=20000").await;
    world.drain(1, 30);
    world.seconds(1.0).await;
    assert_eq!(world.oracle.in_flight("i-1", 8080), 1);
    assert_eq!(long.await.unwrap().status, 200);
    assert_eq!(world.oracle.counters().failed, 0);
    assert_eq!(world.oracle.in_flight("i-1", 8080), 0);
    assert_eq!(world.get(node(1), "/").await.status, 503);
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_at_the_end_of_the_delay_is_502_at_that_instant() {
    let world = World::new(immediate()).await;
    let _app = world.healthy_app(1).await;
    let long = world.get_later(node(1), "/work?ms=60000").await;
    let until = world.drain(1, 30);
    let answer = long.await.unwrap();
    assert_eq!(answer.status, 502);
    assert_at(answer.ended, until);
    let failures = world.oracle.failures();
    assert_eq!(failures[0].failure, Some(Failure::DelayElapsed));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_has_begun_is_broken_off_at_the_end_of_the_delay() {
    let world = World::new(immediate()).await;
    let _app = world.healthy_app(1).await;
    let long = world.get_later(node(1), "/stream?ms=60000&parts=60").await;
    let until = world.drain(1, 30);
    let answer = long.await.unwrap();
    assert_eq!((answer.status, answer.body), (200, None));
    assert_at(answer.ended, until);
    let failures = world.oracle.failures();
    assert_eq!(failures[0].failure, Some(Failure::DelayElapsed));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_registered_again_keeps_what_is_in_flight() {
    let world = World::new(immediate()).await;
    let _app = world.healthy_app(1).await;
    let long = world.get_later(node(1), "/work?ms=50000").await;
    world.drain(1, 30);
    world.seconds(10.0).await;
    world.set_phase(1, TargetPhase::Registering);
    world.seconds(2.0).await;
    world.set_phase(1, TargetPhase::Active);
    assert_eq!(long.await.unwrap().status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_registered_again_is_checked_again() {
    let knobs = Knobs {
        unchecked_in_fail_open: false,
        ..immediate()
    };
    let world = World::new(knobs).await;
    let _app = world.healthy_app(1).await;
    world.drain(1, 30);
    world.seconds(1.0).await;
    world.undrain(1);
    world.seconds(0.01).await;
    assert_eq!(world.get(node(1), "/").await.status, 503);
    world.seconds(10.0).await;
    assert_eq!(world.get(node(1), "/").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_never_learned_of_the_drain_forgets_what_it_thought() {
    let knobs = Knobs {
        unchecked_in_fail_open: false,
        ..immediate()
    };
    let mut world = World::new(knobs).await;
    let _app = world.healthy_app(1).await;
    let long = world.get_later(node(1), "/work?ms=5000").await;
    world.reports();
    // Both changes come before any node looks.
    world.drain(1, 30);
    world.undrain(1);
    world.seconds(0.01).await;
    assert_eq!(world.get(node(1), "/").await.status, 503);
    world.seconds(10.0).await;
    assert_eq!(world.get(node(1), "/").await.status, 200);
    let lives: Vec<u64> = world.reports().iter().map(|report| report.life).collect();
    assert_eq!(lives, [2, 2], "each node reports the new life");
    assert_eq!(long.await.unwrap().status, 200, "in flight goes on");
}

#[tokio::test(start_paused = true)]
async fn a_dead_process_that_is_registered_again_never_becomes_healthy() {
    for seed in 0..20 {
        let mut world = World::seeded(Knobs::default(), seed).await;
        let app = world.start_app(1, app::Config::default());
        world.register(0, 1, host(1));
        world.seconds(60.0).await;
        assert_eq!(world.reports().len(), 2, "seed {seed}");
        app.signals.send(app::Signal::Kill).await.unwrap();
        // No node may have found out: a drain of 0 to 19 s, and nodes that are 1 to 40 s late.
        world.drain(1, 300);
        world.seconds(f64::from(u32::try_from(seed).unwrap())).await;
        world.undrain(1);
        world.seconds(600.0).await;
        let reports = world.reports();
        let of_new_life: Vec<&NodeHealth> = reports
            .iter()
            .filter(|report| report.life == 2)
            .map(|report| &report.health)
            .collect();
        let failed = NodeHealth::Unhealthy(HealthFailure::Failed);
        assert_eq!(of_new_life, [&failed, &failed], "seed {seed}: {reports:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_delay_what_is_in_flight_is_cut_off_when_the_node_learns_of_it() {
    let world = World::new(immediate()).await;
    let _app = world.healthy_app(1).await;
    let long = world.get_later(node(1), "/work?ms=60000").await;
    world.remove(1);
    let removed = world.clock.now();
    let answer = long.await.unwrap();
    assert_eq!(answer.status, 502);
    assert_at(answer.ended, removed);
}

#[tokio::test(start_paused = true)]
async fn taking_a_group_out_of_a_rule_drains_nothing() {
    let world = World::new(immediate()).await;
    let _app = world.healthy_app(1).await;
    let long = world.get_later(node(1), "/work?ms=40000").await;
    world.change(|topology| {
        topology.target_groups.push(Arc::new(group("green")));
        topology.load_balancers[0].listeners[0].rules[0].action = forward(&[("green", 1)]);
    });
    world.seconds(1.0).await;
    assert_eq!(world.get(node(1), "/").await.status, 503, "green is empty");
    assert_eq!(long.await.unwrap().status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_registered_target_that_gets_sigterm_gives_502_on_new_and_on_pooled_connections() {
    let world = World::new(immediate()).await;
    let app = world.healthy_app(1).await;
    // One request leaves an idle connection in the pool of node 1; another keeps the process
    // alive for a while.
    world.get(node(1), "/").await;
    let long = world.get_later(node(2), "/work?ms=5000").await;
    app.terminate().await;
    world.oracle.process_signalled("i-1", 8080);
    world.seconds(0.1).await;
    assert_eq!(world.get(node(1), "/pooled").await.status, 502);
    assert_eq!(world.get(node(1), "/new").await.status, 502);
    assert_eq!(long.await.unwrap().status, 200);
    let kinds: Vec<_> = world
        .oracle
        .failures()
        .iter()
        .map(|record| record.failure.unwrap())
        .collect();
    assert_eq!(
        kinds,
        [Failure::ConnectionClosed, Failure::ConnectionRefused]
    );
    assert_eq!(world.oracle.counters().signalled_while_registered, 1);
    let explained = world.oracle.summary().failures;
    assert!(
        explained[1].contains("i-1:8080, which was registered")
            && explained[1].contains("was sent SIGTERM 0.1 s before"),
        "{explained:?}"
    );
    assert_eq!(app.running.await.unwrap().unwrap().code, 143);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_killed_with_requests_in_flight_is_flagged() {
    let world = World::new(immediate()).await;
    let app = world.healthy_app(1).await;
    let long = world.get_later(node(1), "/work?ms=60000").await;
    app.signals.send(app::Signal::Kill).await.unwrap();
    let in_flight = world
        .oracle
        .process_stopped("i-1", 8080, ProcessEnd::Killed);
    assert_eq!(in_flight, 1);
    assert_eq!(long.await.unwrap().status, 502);
    let interrupted = world.oracle.interrupted();
    assert_eq!((interrupted[0].in_flight, interrupted[0].failed), (1, 1));
    assert_eq!(world.oracle.counters().lost_with_process, 1);
}

#[tokio::test(start_paused = true)]
async fn the_truth_at_routing_is_recorded_however_late_the_node_is() {
    let knobs = Knobs {
        propagation: Propagation::exactly(Duration::from_secs(7)),
        ..immediate()
    };
    let world = World::new(knobs).await;
    let _app = world.start_app(1, app::Config::default());
    world.register(0, 1, host(1));
    world.seconds(18.0).await;
    world.drain(1, 5);
    world.seconds(2.0).await;
    world.register(0, 2, host(2));
    world.seconds(2.0).await;
    assert_eq!(world.get(node(1), "/").await.status, 200);
    world.seconds(2.0).await;
    world.remove(1);
    assert_eq!(world.get(node(1), "/").await.status, 200);
    world.seconds(1.1).await;
    assert_eq!(world.get(node(1), "/").await.status, 503);
    let records = world.oracle.recent();
    let truths: Vec<_> = records
        .iter()
        .map(|record| record.routing.as_ref().map(|routing| routing.truth))
        .collect();
    assert!(
        matches!(
            truths[..],
            [
                Some(Truth::Draining { seconds: draining }),
                Some(Truth::Gone { seconds: gone }),
                None
            ] if (3.9..4.1).contains(&draining) && (5.9..6.1).contains(&gone)
        ),
        "{truths:?}"
    );
    let withdrawn = world.oracle.counters().routed_to_withdrawn;
    assert_eq!((withdrawn.requests, withdrawn.failed), (2, 0));
    assert!((5.9..6.1).contains(&withdrawn.longest_seconds));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_becomes_free_during_the_drain_is_closed() {
    let world = World::new(immediate()).await;
    let (closed, mut closings) = mpsc::channel(10);
    let clock = world.clock.clone();
    let _server = scripted(&world.net, host(1), move |mut stream| {
        let (closed, clock) = (closed.clone(), clock.clone());
        async move {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let is_check = buffer.starts_with(b"GET /health");
            clock.sleep(Duration::from_secs(3)).await;
            failures::write_ok(&mut stream).await;
            let ended = stream.read(&mut buffer).await;
            if !is_check && ended.is_ok_and(|count| count == 0) {
                closed.send(clock.now()).await.unwrap();
            }
        }
    });
    world.register(0, 1, host(1));
    world.seconds(14.0).await;
    let request = world.get_later(node(1), "/").await;
    world.drain(1, 300);
    let answer = request.await.unwrap();
    assert_eq!(answer.status, 200);
    assert_at(closings.recv().await.unwrap(), answer.ended);
}

#[tokio::test(start_paused = true)]
async fn idle_connections_of_a_draining_target_are_closed_or_kept_as_the_knob_says() {
    for (idle_connections, expected) in [
        (IdleConnections::CloseAtOnce, 5.0),
        (IdleConnections::KeepUntilIdle, 60.0),
    ] {
        let knobs = Knobs {
            idle_connections,
            ..immediate()
        };
        let world = World::new(knobs).await;
        let (closed, mut closings) = mpsc::channel(10);
        let clock = world.clock.clone();
        let _server = scripted(&world.net, host(1), move |mut stream| {
            let (closed, clock) = (closed.clone(), clock.clone());
            async move {
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).await.unwrap_or(0) > 0 {
                    failures::write_ok(&mut stream).await;
                    // Health checks come and go on connections of their own.
                    if buffer.starts_with(b"GET /health") {
                        return;
                    }
                }
                closed.send(clock.now()).await.unwrap();
            }
        });
        world.register(0, 1, host(1));
        world.seconds(11.0).await;
        assert_eq!(world.get(node(1), "/").await.status, 200);
        let idle_since = world.clock.now();
        world.seconds(5.0).await;
        world.drain(1, 300);
        let closed_at = closings.recv().await.unwrap();
        let idle = closed_at.duration_since(idle_since).as_secs_f64();
        assert!(
            (idle - expected).abs() < 0.01,
            "{idle_connections:?}: {idle}"
        );
    }
}
