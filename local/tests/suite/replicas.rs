//! Two controllers, of which the one that leads is killed, halted for longer than its lease, or
//! told to end, at moments that the seed decides. Whatever happens, the release ends well, nothing
//! is done twice, and every request is served.

use std::time::Duration;

use bluegreen_cloud::change::doubled;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::harness::{Kill, Manifest, Moment, Point, Replica, Scene, World};

/// How long until somebody else leads, in virtual seconds: far more than a lease.
const LED: u64 = 60;

/// How long a lease lasts: the shipped default.
const LEASE: Duration = Duration::from_secs(15);

/// A lease that is over, with another leader at work, before a write of status is given up after
/// 10 s. Only so does the halted leader hear that its intent has landed when it goes on.
const SHORT_LEASE: Duration = Duration::from_secs(8);

/// How many calls a release makes at least before its end, and how many writes.
const CALLS: usize = 60;
const WRITES: usize = 20;

/// How many changes a release makes at least, each with its intent written before.
const CHANGES: usize = 4;

/// What a write of status is called.
const STATUS: &str = "PUT status";

/// What becomes of a leader.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Killed,
    Halted,
    Told,
}

const FATES: [Fate; 3] = [Fate::Killed, Fate::Halted, Fate::Told];

/// The replicas of a world.
struct Replicas<'a> {
    world: &'a World,
    lease: Duration,
    alive: Vec<Replica>,
    started: usize,
}

impl<'a> Replicas<'a> {
    fn new(world: &'a World, lease: Duration) -> Self {
        Self {
            world,
            lease,
            alive: Vec::new(),
            started: 0,
        }
    }

    fn start(&mut self, kill: Option<Kill>) {
        self.started += 1;
        let who = format!("replica-{}", self.started);
        let replica = Replica::start(&self.world.control, &who, self.lease, kill);
        self.alive.push(replica);
    }

    /// The one that leads, taken out of the others. One that has died may still hold the lease.
    async fn leader(&mut self) -> Replica {
        let alive = |who: &str| self.alive.iter().any(|one| one.who() == who);
        let leader = self.world.leader(LED, alive).await;
        let mut whose = self.alive.iter();
        let index = whose.position(|one| one.who() == leader);
        self.alive
            .swap_remove(index.expect("only these replicas are there"))
    }

    async fn befalls(&mut self, fate: Fate) {
        let leader = self.leader().await;
        match fate {
            Fate::Killed => {
                drop(leader);
                self.start(None);
            }
            Fate::Halted => {
                leader.halt();
                self.goes_on_too_late(leader).await;
            }
            Fate::Told => {
                leader.end().await;
                self.start(None);
            }
        }
    }

    /// One that is halted goes on when another leads and has had a second to act.
    async fn goes_on_too_late(&mut self, halted: Replica) {
        self.world.leader(LED, |who| who != halted.who()).await;
        self.world.clock.sleep(Duration::from_secs(1)).await;
        halted.go_on();
        self.alive.push(halted);
    }

    /// Ends them all, and asks that every change was made once.
    async fn ended_well(self) {
        for replica in self.alive {
            replica.end().await;
        }
        let changes = self.world.mutations();
        let doubled = doubled(&changes);
        assert!(doubled.is_empty(), "{doubled:#?}\n{changes:#?}");
    }
}

/// Three times something befalls whoever leads.
async fn befallen(scene: Scene, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let world = World::new(scene.clone(), seed).await;
    let mut replicas = Replicas::new(&world, LEASE);
    replicas.start(None);
    replicas.start(None);
    world.apply(&Manifest::of(&scene)).await;
    for _ in 0..3 {
        let later = Duration::from_millis(random.random_range(0..40_000));
        world.clock.sleep(later).await;
        let fate = FATES[random.random_range(0..FATES.len())];
        println!("{}: {fate:?}", world.clock.now());
        replicas.befalls(fate).await;
    }
    world.until_released(1_200).await;
    replicas.ended_well().await;
    world.end().await;
}

/// The first two leaders die around a request, of which the effect may come seconds after.
async fn doomed(scene: Scene, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let world = World::new(scene.clone(), seed).await;
    let mut replicas = Replicas::new(&world, LEASE);
    for _ in 0..2 {
        let moments = [Moment::Before, Moment::After, Moment::Late];
        let kill = Kill {
            moment: moments[random.random_range(0..moments.len())],
            point: if random.random() {
                Point::Call(random.random_range(0..CALLS))
            } else {
                Point::Write(random.random_range(0..WRITES))
            },
        };
        println!("one dies {kill}");
        replicas.start(Some(kill));
    }
    world.apply(&Manifest::of(&scene)).await;
    replicas.start(None);
    world.until_released(1_200).await;
    replicas.alive.retain(|replica| !replica.is_over());
    replicas.ended_well().await;
    world.end().await;
}

/// The leader is halted when its intent to change something is written, and goes on when another
/// has read that intent and has done it.
async fn halted(scene: fn() -> Scene, seed: u64) {
    let asked = {
        let world = World::new(scene(), seed).await;
        let mut replicas = Replicas::new(&world, SHORT_LEASE);
        replicas.start(None);
        world.apply(&Manifest::of(&scene())).await;
        world.until_released(900).await;
        replicas.ended_well().await;
        let asked = world.control.asked();
        world.end().await;
        asked
    };
    let intents: Vec<Point> = asked
        .windows(2)
        .filter(|pair| pair[0].what == STATUS && matches!(pair[1].point, Point::Call(_)))
        .filter(|pair| pair[1].changes())
        .map(|pair| pair[0].point)
        .collect();
    assert!(intents.len() >= CHANGES, "{intents:?} of {asked:#?}");
    for point in intents {
        let kill = Kill {
            moment: Moment::Halted,
            point,
        };
        println!("the leader is {kill}");
        let world = World::new(scene(), seed).await;
        let mut replicas = Replicas::new(&world, SHORT_LEASE);
        replicas.start(Some(kill));
        world.apply(&Manifest::of(&scene())).await;
        world
            .until("it is halted", 900, |_| replicas.alive[0].is_halted())
            .await;
        replicas.start(None);
        let leader = replicas.alive.swap_remove(0);
        let before = leader.asked().len();
        replicas.goes_on_too_late(leader).await;
        world.until_released(1_200).await;
        let too_late = replicas.alive.iter().find(|one| one.who() == "replica-1");
        let asked = too_late.expect("it was put back").asked();
        let intent = asked.iter().find(|asked| asked.point == point);
        assert_eq!(intent.map(|asked| asked.what.as_str()), Some(STATUS));
        let begun = asked[before..]
            .iter()
            .find(|asked| matches!(asked.point, Point::Call(_)) && asked.changes());
        assert!(begun.is_none(), "another leads, and it begins {begun:?}");
        replicas.ended_well().await;
        world.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_is_halted_between_intent_and_change_in_place() {
    halted(in_place, 700).await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_is_halted_between_intent_and_change_side_by_side() {
    halted(side_by_side, 800).await;
}

fn in_place() -> Scene {
    Scene::in_place().short()
}

fn side_by_side() -> Scene {
    Scene::side_by_side().short()
}

#[tokio::test(start_paused = true)]
async fn leaders_are_lost_in_place() {
    for seed in 300..313 {
        befallen(in_place(), seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn leaders_are_lost_side_by_side() {
    for seed in 400..413 {
        befallen(side_by_side(), seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn leaders_die_around_their_requests_in_place() {
    for seed in 500..513 {
        doomed(in_place(), seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn leaders_die_around_their_requests_side_by_side() {
    for seed in 600..613 {
        doomed(side_by_side(), seed).await;
    }
}
