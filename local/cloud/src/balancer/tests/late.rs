//! How late nodes are.

use rand::SeedableRng;

use super::{super::config::LateConfig, *};

fn late(
    source: watch::Receiver<Arc<Topology>>,
    clock: &Clock,
    propagation: Propagation,
    seed: u64,
) -> LateConfig {
    let rng = StdRng::seed_from_u64(seed);
    LateConfig::new(source, "lb".to_owned(), clock.clone(), propagation, rng)
}

fn add_target(topology: &watch::Sender<Arc<Topology>>, number: u8) {
    topology.send_modify(|published| {
        let topology = Arc::make_mut(published);
        topology.version += 1;
        Arc::make_mut(&mut topology.target_groups[0])
            .targets
            .push(Target {
                key: key(number),
                life: 1,
                address: host(number),
                zone: "a".to_owned(),
                phase: TargetPhase::Active,
            });
    });
}

#[tokio::test(start_paused = true)]
async fn delays_are_seconds_and_rarely_up_to_forty() {
    let mut delays = Vec::new();
    for seed in 0..400 {
        let clock = Clock::stepped();
        let (sender, receiver) = watch::channel(Arc::new(topology_with(&[node(1)])));
        let mut configs = late(receiver, &clock, Propagation::default(), seed);
        assert_eq!(configs.next().await.unwrap().version, 1, "at once");
        let before = clock.now();
        add_target(&sender, 1);
        assert_eq!(configs.next().await.unwrap().version, 2);
        delays.push(clock.now().duration_since(before).as_secs_f64());
    }
    assert!(delays.iter().all(|delay| (1.0..40.1).contains(delay)));
    let unusual = delays.iter().filter(|delay| **delay > 15.01).count();
    assert!((8..40).contains(&unusual), "{unusual} of 400");
}

#[tokio::test(start_paused = true)]
async fn changes_come_in_order_and_one_at_a_time() {
    for seed in 0..50 {
        let clock = Clock::stepped();
        let (sender, receiver) = watch::channel(Arc::new(topology_with(&[node(1)])));
        let mut configs = late(receiver, &clock, Propagation::default(), seed);
        configs.next().await.unwrap();
        let publisher = {
            let clock = clock.clone();
            tokio::spawn(async move {
                for number in 1..=5 {
                    add_target(&sender, number);
                    clock.sleep(Duration::from_secs(1)).await;
                }
            })
        };
        for version in 2..=6 {
            let config = configs.next().await.unwrap();
            assert_eq!(config.version, version, "seed {seed}");
        }
        publisher.await.unwrap();
        assert!(configs.next().await.is_none(), "nothing can follow");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_that_does_not_concern_the_load_balancer_is_no_change() {
    let clock = Clock::stepped();
    let (sender, receiver) = watch::channel(Arc::new(topology_with(&[node(1)])));
    let mut configs = late(receiver, &clock, Propagation::IMMEDIATE, 1);
    configs.next().await.unwrap();
    sender.send_modify(|published| {
        let topology = Arc::make_mut(published);
        topology.version += 1;
        topology.target_groups.push(Arc::new(group("elsewhere")));
    });
    let nothing = clock.timeout(Duration::from_secs(60), configs.next()).await;
    assert!(nothing.is_err());
}

#[tokio::test(start_paused = true)]
async fn nodes_learn_the_same_change_at_different_times() {
    let world = World::new(Knobs::default()).await;
    let _app = world.start_app(1, app::Config::default());
    world.register(0, 1, host(1));
    world.seconds(60.0).await;
    let before = world.clock.now();
    world.drain(1, 300);
    let mut learned = Vec::new();
    for node in [node(1), node(2)] {
        // Each node is asked from its own world's beginning: time does not turn back.
        while world.get(node, "/").await.status == 200 {
            world.seconds(0.1).await;
            assert!(world.clock.now().duration_since(before).as_secs() < 50);
        }
        learned.push(world.clock.now().duration_since(before).as_secs_f64());
    }
    assert!(learned.iter().all(|delay| *delay > 1.0), "{learned:?}");
    assert!(world.oracle.counters().routed_to_withdrawn.requests > 10);
}
