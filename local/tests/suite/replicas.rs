//! Two controllers, of which the one that leads is killed, halted for longer than its lease, or
//! told to end, at moments that the seed decides. Whatever happens, the release ends well, nothing
//! is done twice, and every request is served.

use std::time::Duration;

use bluegreen::api::Phase;
use bluegreen_cloud::change::doubled;
use jiff::Timestamp;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::harness::{Asked, Doom, Kill, Manifest, Moment, Point, Replica, Scene, World};

/// How long until somebody else leads, in virtual seconds: far more than a lease.
const LED: u64 = 60;

/// How long a lease lasts: the shipped default.
const LEASE: Duration = Duration::from_secs(15);

/// How long the product waits for an answer of the API server. A leader that was halted for longer
/// gives its write up when it goes on, and never hears that its intent has landed.
const GIVEN_UP: Duration = Duration::from_secs(10);

/// A lease that is over, with another leader at work, before that.
const SHORT_LEASE: Duration = Duration::from_secs(8);

/// Of how many calls, writes for the release and writes of the Lease one is the death of a leader.
/// Two leaders that die so have not finished the release.
const CALLS: usize = 30;
const WRITES: usize = 10;
const RENEWALS: usize = 10;

/// What the changes are of which each has its intent written before.
const CHANGES: [&str; 3] = ["RegisterTargets", "DeregisterTargets", "SendCommand"];

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

    fn start(&mut self, doom: Option<Doom>) {
        self.started += 1;
        let who = format!("replica-{}", self.started);
        let replica = Replica::start(&self.world.control, &who, self.lease, doom);
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
                leader.kill();
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

    /// One that is halted goes on when another leads and has had a second to act: at what time?
    async fn goes_on_too_late(&mut self, halted: Replica) -> Timestamp {
        self.world.leader(LED, |who| who != halted.who()).await;
        self.world.clock.sleep(Duration::from_secs(1)).await;
        halted.go_on();
        self.alive.push(halted);
        self.world.clock.now()
    }

    /// Waits until all of them have died.
    async fn died(&mut self) {
        let died = |_: &_| self.alive.iter().all(Replica::died);
        self.world.until("all of them died", 900, died).await;
        self.alive.clear();
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
    let world = World::new(scene.clone(), seed).await;
    let mut random = StdRng::seed_from_u64(world.seed);
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

/// A death that a controller comes to before it has finished the release.
fn death(random: &mut StdRng) -> Kill {
    let moments = [Moment::Before, Moment::After, Moment::Late];
    let points = [
        Point::Call(random.random_range(0..CALLS)),
        Point::Write(random.random_range(0..WRITES)),
        Point::Lease(random.random_range(0..RENEWALS)),
    ];
    Kill {
        moment: moments[random.random_range(0..moments.len())],
        point: points[random.random_range(0..points.len())],
    }
}

/// The first two controllers die around a request, of which the effect may come seconds after, and
/// a third one finishes what they began.
async fn doomed(scene: Scene, seed: u64) {
    let world = World::new(scene.clone(), seed).await;
    let mut random = StdRng::seed_from_u64(world.seed);
    let mut replicas = Replicas::new(&world, LEASE);
    for _ in 0..2 {
        let kill = death(&mut random);
        println!("one dies {kill}");
        replicas.start(Some(Doom::Killed(kill)));
    }
    world.apply(&Manifest::of(&scene)).await;
    replicas.died().await;
    let status = world.status().await;
    assert_ne!(status.phase, Phase::Released, "the dead have finished it");
    replicas.start(None);
    world.until_released(1_200).await;
    replicas.ended_well().await;
    world.end().await;
}

/// Everything that a leader asks for when nothing befalls it.
async fn undisturbed(scene: Scene, seed: u64) -> Vec<Asked> {
    let world = World::new(scene.clone(), seed).await;
    let mut replicas = Replicas::new(&world, SHORT_LEASE);
    replicas.start(None);
    world.apply(&Manifest::of(&scene)).await;
    world.until_released(900).await;
    replicas.ended_well().await;
    let asked = world.control.asked();
    world.end().await;
    asked
}

/// The writes of an intent to change something. Renewals of the Lease and Events may stand
/// between an intent and its change.
fn intents(mut asked: Vec<Asked>) -> Vec<Point> {
    asked.retain(|one| match one.point {
        Point::Call(_) => true,
        Point::Write(_) => !one.what.ends_with("events"),
        Point::Lease(_) => false,
    });
    let intended = |pair: &&[Asked]| pair[0].what == STATUS && begins(&pair[1]);
    let pairs: Vec<_> = asked.windows(2).filter(intended).collect();
    for change in CHANGES {
        let found = pairs.iter().any(|pair| pair[1].what == change);
        assert!(found, "{change} has no intent in {asked:#?}");
    }
    pairs.iter().map(|pair| pair[0].point).collect()
}

/// Whether a request begins a change in AWS.
fn begins(asked: &Asked) -> bool {
    matches!(asked.point, Point::Call(_)) && asked.changes()
}

/// The leader is halted when its intent to change something is written, and goes on when another
/// leads and has had a second to act. It hears that its intent has landed, and must not follow it.
async fn halted(scene: fn() -> Scene, seed: u64) {
    for point in intents(undisturbed(scene(), seed).await) {
        println!("the leader is halted when {point} is carried out");
        let world = World::new(scene(), seed).await;
        let mut replicas = Replicas::new(&world, SHORT_LEASE);
        replicas.start(Some(Doom::Halted(point)));
        world.apply(&Manifest::of(&scene())).await;
        world
            .until("it is halted", 900, |_| replicas.alive[0].is_halted())
            .await;
        replicas.start(None);
        let leader = replicas.alive.swap_remove(0);
        let before = leader.asked();
        let intent = before.iter().find(|asked| asked.point == point);
        let intent = intent.expect("it is halted at its intent");
        assert_eq!(intent.what, STATUS);
        let went_on = replicas.goes_on_too_late(leader).await;
        let unheard = Duration::try_from(went_on - intent.at).unwrap();
        println!("it goes on after {unheard:?}");
        assert!(unheard < GIVEN_UP, "it gave its intent up in {unheard:?}");
        world.until_released(1_200).await;
        let too_late = replicas.alive.iter().find(|one| one.who() == "replica-1");
        let asked = too_late.expect("it was put back").asked();
        let begun = asked[before.len()..].iter().find(|asked| begins(asked));
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
