//! Fuzzed and torn statuses: releases during which random parts of status are changed, torn out, or
//! exchanged with each other, again and again.
//!
//! The controller alone writes status, and trusts it. Three things hold all the same: the planner does
//! not panic, nothing outside of the fleet and of the target groups is touched, and no target is stopped
//! that AWS shows in service in the same observation.

use std::{collections::BTreeSet, env};

use bluegreen_api::{BlueGreenReleaseSpec, BlueGreenReleaseStatus, StepKind, TargetStatus, Time};
use bluegreen_plan::{Observation, Release, Step, TargetId, decide_unchecked, needs};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Map, Value, json};

use super::{
    object, say,
    scenario::{self, Scenario, TICK},
    world::{Event, Harm, Look, NOW, World},
};

/// Releases in each scenario.
const RELEASES: u64 = 400;

/// Passes in each release.
const PASSES: usize = 150;

/// Words that mean something in a status, the ends of what can be written, and what means something
/// to a shell.
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

/// Once in so many passes a reading is stale.
const STALE: u32 = 8;

/// A release whose status is fuzzed.
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
        let mut scenario = scenario.clone();
        // The unit of a fleet with one port need not name it: whatever port status speaks of, the same
        // process ends.
        if let Some(hosts) = &mut scenario.spec.fleet.hosts
            && hosts.ports.len() == 1
        {
            hosts.stop.unit = Some("app.service".to_owned());
        }
        let release = Release {
            uid: "u".to_owned(),
            generation: 1,
            spec: scenario.spec.clone(),
            revisions: std::collections::BTreeMap::new(),
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
        if let Some(harm) = self.pass() {
            return Some(harm);
        }
        let events = self.world.events(&self.scenario);
        let event = *self.one_of(&events).expect("a tick can always pass");
        if event == Event::Tick {
            self.now = self.now + TICK;
        }
        // What comes of a false status on a host is not asked: a proof may be forged too.
        self.world.happen(&self.scenario, event);
        None
    }

    fn pass(&mut self) -> Harm {
        let spec = &self.release.spec;
        let needs = needs(spec, &self.status, self.now);
        let stale = self.random.random_range(0..STALE) == 0;
        let look = if stale { Look::Stale } else { Look::Fresh };
        let mut observation = self.world.observe(&self.scenario, &needs, look);
        observation.began_at = self.now;
        let decision = decide_unchecked(&self.release, &self.status, &observation, self.now);
        let status = decision.status;
        assert!(one_record_each(&status), "{:#?}", status.targets);
        // A number that has reached its end cannot grow: the API server refuses the write, and without
        // it there is no effect.
        if !taken(&status) {
            return None;
        }
        self.status = status;
        let step = decision.step?;
        if object::written(&mut self.release, &step) {
            return None;
        }
        self.world.execute(&self.scenario, &step);
        forbidden(&self.release.spec, &observation, &step)
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

/// What a step must not do whatever is in status.
fn forbidden(spec: &BlueGreenReleaseSpec, observation: &Observation, step: &Step) -> Harm {
    let groups = spec.traffic.registration.target_groups.len();
    let (ids, ends) = match step {
        Step::Claim { .. } | Step::RemoveFinalizer => return None,
        Step::Register { group, targets } | Step::Deregister { group, targets } => {
            if *group >= groups {
                return Some(format!("the spec names no target group number {group}"));
            }
            (targets.clone(), false)
        }
        Step::Send(command) => {
            let port = command.port;
            let ids = command.instances.iter().cloned();
            let ids = ids.map(|id| TargetId { id, port }).collect();
            (ids, command.kind == StepKind::Stop)
        }
        Step::Terminate { instances } => {
            let port = spec.fleet.existing.as_ref().map_or(0, |fleet| fleet.port);
            let ids = instances.iter().cloned();
            (ids.map(|id| TargetId { id, port }).collect(), true)
        }
    };
    let stranger = ids.iter().find(|id| !of_the_fleet(spec, observation, id));
    let stranger = stranger.map(|id| format!("{id} is not of the fleet"));
    stranger.or_else(|| {
        let served = ids.iter().filter(|_| ends);
        let mut served = served.filter_map(|id| in_service(spec, observation, id));
        served
            .next()
            .map(|id| format!("{id} is stopped, and AWS shows it in service"))
    })
}

fn of_the_fleet(spec: &BlueGreenReleaseSpec, observation: &Observation, id: &TargetId) -> bool {
    let ports = match (&spec.fleet.hosts, &spec.fleet.existing) {
        (Some(hosts), _) => hosts.ports.clone(),
        (None, existing) => existing.iter().map(|fleet| fleet.port).collect(),
    };
    let fleet = observation.fleet.known();
    let found = fleet.is_some_and(|fleet| fleet.iter().any(|instance| instance.id == id.id));
    found && ports.contains(&id.port)
}

/// A target that a group lists as registered and that ends with another one: the same, or any of its
/// instance where that is terminated, or where the unit is the only one.
fn in_service(
    spec: &BlueGreenReleaseSpec,
    observation: &Observation,
    ends: &TargetId,
) -> Option<TargetId> {
    let hosts = spec.fleet.hosts.as_ref();
    let alone = hosts.is_some_and(|hosts| hosts.stop.names_the_port());
    let groups = observation.groups.iter().filter_map(|group| group.known());
    let mut registered = groups.flat_map(|group| {
        let targets = group.targets.keys();
        targets.filter(|id| group.registered(id))
    });
    registered
        .find(|id| id.id == ends.id && (!alone || id.port == ends.port))
        .cloned()
}

/// Whether the API server takes a status.
fn taken(status: &BlueGreenReleaseStatus) -> bool {
    let mut numbers = [status.fence, status.revision].into_iter();
    one_record_each(status) && numbers.all(|number| i64::try_from(number).is_ok())
}

/// Whether there is one record for each revision, instance and port.
fn one_record_each(status: &BlueGreenReleaseStatus) -> bool {
    let key = |target: &TargetStatus| (target.revision, target.id.clone(), target.port);
    let keys: BTreeSet<_> = status.targets.iter().map(key).collect();
    keys.len() == status.targets.len()
}

/// The seeds: all, or the one that is to be run again.
fn seeds() -> Vec<u64> {
    match env::var("BLUEGREEN_SEED") {
        Ok(seed) => vec![seed.parse().expect("BLUEGREEN_SEED is a whole number")],
        Err(_) => (0..RELEASES).collect(),
    }
}

#[test]
fn no_status_makes_the_planner_panic_leave_its_fleet_or_stop_what_is_in_service() {
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
                let harm = noisy.go_on();
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
