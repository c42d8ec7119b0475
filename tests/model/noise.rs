//! Status as anybody's text: releases during which random parts of it are changed, torn out, or
//! exchanged with each other, again and again, while one controller goes on in another's place.
//!
//! `lies.rs` tells few lies at every moment; this tells any lie at some moments. The planner must
//! not panic over it, and nothing that has requests is stopped.

use std::env;

use bluegreen_api::{BlueGreenReleaseStatus, Time};
use bluegreen_plan::{Release, decide_whatever_status_says, needs};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Map, Value, json};

use super::{
    lies, object, say,
    scenario::{self, Scenario, TICK},
    world::{Event, Harm, NOW, World},
};

/// Releases in each scenario.
const RELEASES: u64 = 400;

/// Passes in each release.
const PASSES: usize = 150;

/// Words that somebody might write: the ends of what can be said, and what means something to a
/// shell.
const WORDS: [&str; 14] = [
    "",
    "v1",
    "v2",
    "i-0",
    "i-1",
    "g0",
    "0s",
    "999999999h999999999h",
    "1970-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "-009999-01-02T00:00:00Z",
    "bg-u-r0-stop-18446744073709551615",
    "bg-u-r1-start-7",
    "v1; systemctl stop app-$(reboot)",
];

/// Among them a fence that may be, a minute ahead of the clock.
const NUMBERS: [u64; 9] = [
    0,
    1,
    2,
    8080,
    9999,
    65535,
    1_000_060_000,
    u32::MAX as u64,
    i64::MAX as u64,
];

/// Once in so many passes another process goes on.
const CRASH: u32 = 12;

/// Once in so many passes a reading is stale.
const STALE: u32 = 8;

/// A release in a world that somebody makes noise about.
struct Noisy {
    scenario: Scenario,
    random: StdRng,
    release: Release,
    status: BlueGreenReleaseStatus,
    world: World,
    now: Time,
    /// How many changes of status the API server would have taken.
    taken: u64,
}

impl Noisy {
    fn of(scenario: &Scenario, seed: u64) -> Self {
        let mut scenario = scenario::lied_to(scenario.clone());
        scenario.witnessed = true;
        let release = Release {
            uid: "u".to_owned(),
            generation: 1,
            spec: scenario.spec.clone(),
            commands: std::collections::BTreeMap::new(),
            stops: Vec::new(),
            finalizer: false,
            deleting: false,
            request: None,
        };
        Self {
            world: World::begin(&scenario),
            scenario,
            random: StdRng::seed_from_u64(seed),
            release,
            status: BlueGreenReleaseStatus::default(),
            now: NOW,
            taken: 0,
        }
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        (!all.is_empty()).then(|| &all[self.random.random_range(0..all.len())])
    }

    fn chance(&mut self, one_in: u32) -> bool {
        self.random.random_range(0..one_in) == 0
    }

    fn go_on(&mut self) -> Harm {
        if self.chance(4) {
            self.make_noise();
        }
        if self.chance(CRASH) {
            self.world.change_process(&self.scenario);
            self.world.witness.inherit(&self.release, self.now);
        }
        let harm = self.pass();
        if harm.is_some() {
            return harm;
        }
        let events = self.world.events(&self.scenario);
        let event = *self.one_of(&events).expect("a tick can always pass");
        if event == Event::Tick {
            self.now = self.now + TICK;
        }
        self.world.happen(&self.scenario, event)
    }

    fn pass(&mut self) -> Harm {
        let spec = &self.release.spec;
        let needs = needs(spec, &self.status, self.now);
        let stale = self.random.random_range(0..STALE) == 0;
        let mut observation = self.world.observe(&self.scenario, &needs, stale);
        observation.began_at = self.now;
        let readings = observation.clone();
        let release = &self.release;
        observation.witness.look(release, &readings, self.now);
        self.world.witness.clone_from(&observation.witness);
        let decision =
            decide_whatever_status_says(&self.release, &self.status, &observation, self.now);
        self.status = decision.status;
        assert!(
            taken(&self.status),
            "the API server refuses {:#?}",
            self.status
        );
        let step = decision.step?;
        self.world.witness.acts(&step, self.now);
        if object::written(&mut self.release, &step) {
            return None;
        }
        self.world.execute(&self.scenario, &step)
    }

    /// Changes something in status, as far as the API server takes it.
    fn make_noise(&mut self) {
        let mut text = serde_json::to_value(&self.status).expect("status is JSON");
        for _ in 0..self.random.random_range(1..4) {
            self.change(&mut text);
        }
        let read = serde_json::from_value::<BlueGreenReleaseStatus>(text);
        if let Ok(status) = read
            && taken(&status)
        {
            self.status = status;
            self.taken += 1;
        }
    }

    fn change(&mut self, value: &mut Value) {
        match value {
            Value::Object(fields) => self.change_one_of(fields),
            Value::Array(items) if !items.is_empty() => self.change_items(items),
            Value::String(text) => {
                let word = *self.one_of(&WORDS).expect("there are words");
                word.clone_into(text);
            }
            Value::Number(_) => *value = json!(self.one_of(&NUMBERS)),
            Value::Bool(flag) => *flag = !*flag,
            Value::Null | Value::Array(_) => {}
        }
    }

    fn change_one_of(&mut self, fields: &mut Map<String, Value>) {
        let names: Vec<String> = fields.keys().cloned().collect();
        let Some(name) = self.one_of(&names) else {
            return;
        };
        if self.chance(8) {
            fields.remove(name);
        } else if let Some(field) = fields.get_mut(name) {
            self.change(field);
        }
    }

    /// Changes an item; or tells of one what is true of another; or tears one out, or doubles it.
    fn change_items(&mut self, items: &mut Vec<Value>) {
        let one = self.random.random_range(0..items.len());
        let other = items[self.random.random_range(0..items.len())].clone();
        match self.random.random_range(0..8) {
            0 => drop(items.remove(one)),
            1 => {
                let mut doubled = other;
                self.change(&mut doubled);
                items.push(doubled);
            }
            2 | 3 => {
                if let (Value::Object(to), Value::Object(from)) = (&mut items[one], &other) {
                    let names: Vec<&String> = from.keys().collect();
                    if let Some(name) = self.one_of(&names) {
                        to.insert((*name).clone(), from[*name].clone());
                    }
                }
            }
            _ => self.change(&mut items[one]),
        }
    }
}

/// Whether a harm must not come of a lie.
pub(super) fn never(harm: &str) -> bool {
    let what = ["is stopped", "leaves no healthy target", "no such port"];
    what.iter().any(|what| harm.contains(what))
}

/// Whether the API server takes a status.
fn taken(status: &BlueGreenReleaseStatus) -> bool {
    let numbers = [status.fence, status.revision];
    lies::accepted(status) && numbers.iter().all(|number| i64::try_from(*number).is_ok())
}

/// The seeds: all, or the one that is to be run again.
fn seeds() -> Vec<u64> {
    match env::var("BLUEGREEN_SEED") {
        Ok(seed) => vec![seed.parse().expect("BLUEGREEN_SEED is a whole number")],
        Err(_) => (0..RELEASES).collect(),
    }
}

#[test]
fn no_noise_in_status_stops_what_has_requests() {
    for scenario in [
        scenario::in_place(),
        scenario::side_by_side(),
        scenario::early_finish(),
        scenario::existing(),
    ] {
        let mut taken = 0;
        for seed in seeds() {
            let mut noisy = Noisy::of(&scenario, seed);
            // The harness shows it where the planner panics.
            println!("{}: BLUEGREEN_SEED={seed}", scenario.name);
            for pass in 0..PASSES {
                let harm = noisy.go_on().filter(|harm| never(harm));
                let status = &noisy.status;
                assert_eq!(
                    harm, None,
                    "{}, BLUEGREEN_SEED={seed}, pass {pass}: {status:#?}",
                    scenario.name
                );
            }
            taken += noisy.taken;
        }
        say(&format!("{}: {taken} changes of status", scenario.name));
    }
}
