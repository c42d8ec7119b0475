//! The releases that are disturbed by nothing but a kill.

use std::time::Duration;

use bluegreen::api::Phase;
use bluegreen_app::app::HealthBehaviour;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::harness::{Asked, Behaviour, Kill, Manifest, NEW, OLD, Scene, World};

use super::end::{End, repeated_deregistrations};

/// One seed for all: a run with a kill is the undisturbed one up to there.
const SEED: u64 = 300;
/// More than a restart in a cluster takes, and less than an operation timeout, so that what was
/// under way at the kill is still to come.
const BACK_AFTER: Duration = Duration::from_secs(3);
/// How long everything may take.
const PATIENCE: u64 = 900;
/// How long it is watched after it has come to its end, which is longer than a controller that is
/// killed at the very end takes to come back and look.
const AFTERMATH: Duration = Duration::from_secs(12);

/// A release, and what a person does about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub(super) scene: fn() -> Scene,
    /// Fields of the spec that are set.
    pub(super) fields: &'static [(&'static str, &'static str)],
    pub(super) turn: Option<Turn>,
    pub(super) goal: Phase,
}

/// A person does something, once something is true of the world.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    pub(super) when: Sign,
    pub(super) what: Request,
}

/// What a person sees. Each lasts for longer than a controller takes to come back, so that the
/// release is at the same point with and without a kill.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sign {
    /// Every new target is registered, and not healthy yet.
    Registered,
    /// An old target is draining.
    Draining,
    /// No old target is registered any more.
    Drained,
    /// The release has come to its end.
    Released,
}

/// What a person does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Request {
    /// Sets `spec.version` back.
    Back,
    /// Deletes the release.
    Delete,
}

impl Case {
    /// Goes forward to the end.
    pub(super) const fn forward(scene: fn() -> Scene) -> Self {
        Self {
            scene,
            fields: &[],
            turn: None,
            goal: Phase::Released,
        }
    }

    /// With a new version that never becomes healthy.
    pub(super) const fn failing(scene: fn() -> Scene) -> Self {
        Self {
            scene,
            fields: &[("health.timeout", "30s")],
            turn: None,
            goal: Phase::RolledBack,
        }
    }

    /// With a person's request on the way.
    pub(super) const fn turned(scene: fn() -> Scene, when: Sign, what: Request) -> Self {
        Self {
            turn: Some(Turn { when, what }),
            ..Self::forward(scene)
        }
    }

    /// With drained processes kept alive for so long.
    pub(super) const fn retaining(self) -> Self {
        Self {
            fields: &[("retain", "40s")],
            ..self
        }
    }

    fn manifest(&self, scene: &Scene) -> Manifest {
        let fields = self.fields.iter();
        fields.fold(Manifest::of(scene), |manifest, (path, value)| {
            manifest.with(path, Value::from(*value))
        })
    }

    /// Plays it, with a kill or without.
    pub(super) async fn play(&self, kill: Option<Kill>) -> Played {
        let scene = (self.scene)();
        let manifest = self.manifest(&scene);
        let world = World::new(scene, SEED).await;
        let reviving = match kill {
            Some(kill) => Some(world.start_doomed(kill, BACK_AFTER)),
            None => {
                world.start();
                None
            }
        };
        world.apply(&manifest).await;
        let turned = match self.turn {
            Some(turn) => Some(turn.happen(&world, manifest).await),
            None => None,
        };
        self.come_to_an_end(&world).await;
        world.clock.sleep(AFTERMATH).await;
        let status = world.status().await;
        let controllers = 1 + usize::from(kill.is_some());
        if world.control.starts() != controllers {
            world.fail("the kill did not happen", &status);
        }
        let repeated = repeated_deregistrations(&world);
        if !repeated.is_empty() {
            world.fail(&format!("deregistered twice: {repeated:?}"), &status);
        }
        let unproven = world.stopped_without_proof();
        if !unproven.is_empty() {
            let what = format!("no proof of drain was on record before these: {unproven:#?}");
            world.fail(&what, &status);
        }
        // A controller that is killed at the last moment is not back before the world ends.
        let back_in_time = world.clock.now() - SignedDuration::from_secs(4);
        let mut asked = world.control.asked();
        asked.retain(|asked| asked.at < back_in_time);
        let played = Played {
            end: End::of(&world).await,
            asked,
            turned,
        };
        drop(reviving);
        world.end().await;
        played
    }

    async fn come_to_an_end(&self, world: &World) {
        match self.turn.map(|turn| turn.what) {
            Some(Request::Delete) => world.until_gone(PATIENCE).await,
            Some(Request::Back) => {
                world.until_released(PATIENCE).await;
            }
            None => {
                let goal =
                    |status: &bluegreen::api::BlueGreenReleaseStatus| status.phase == self.goal;
                world.until(self.goal.as_str(), PATIENCE, goal).await;
            }
        }
    }
}

/// What came of a case.
pub(super) struct Played {
    pub(super) end: End,
    /// What the first controller asked for.
    pub(super) asked: Vec<Asked>,
    /// When the person did something.
    pub(super) turned: Option<Timestamp>,
}

impl Turn {
    async fn happen(self, world: &World, manifest: Manifest) -> Timestamp {
        match self.when {
            Sign::Released => {
                world.until_released(PATIENCE).await;
            }
            Sign::Registered | Sign::Draining | Sign::Drained => {
                let what = format!("{:?}", self.when);
                world
                    .until_shown(&what, PATIENCE, |world| self.when.shows(world))
                    .await;
            }
        }
        match self.what {
            Request::Back => world.apply(&manifest.with("version", json!(OLD))).await,
            Request::Delete => world.delete().await,
        }
        world.clock.now()
    }
}

impl Sign {
    fn shows(self, world: &World) -> bool {
        let group = &world.built.groups[0];
        let targets = world.targets(group);
        let count = |wanted: &str| targets.iter().filter(|(_, state)| state == wanted).count();
        match self {
            Self::Registered => count("initial") == world.scene.hosts,
            Self::Draining => count("draining") > 0,
            Self::Drained => {
                let old = format!(":{}", world.scene.ports[0]);
                let new = targets.iter().filter(|(target, _)| !target.ends_with(&old));
                new.count() == targets.len() && count("healthy") == world.scene.hosts
            }
            Self::Released => false,
        }
    }
}

/// A scene in which the new version never becomes healthy.
pub(super) fn never_healthy(scene: Scene) -> Scene {
    scene.behaving(NEW, |behaviour| Behaviour {
        health: HealthBehaviour::NeverHealthy,
        ..behaviour
    })
}
