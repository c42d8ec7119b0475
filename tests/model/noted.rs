//! What is noted of stops, where the walk does not go: it knows no command that fails, and no clock
//! that goes on for minutes.

use std::collections::BTreeMap;

use bluegreen_api::{BlueGreenReleaseStatus, Duration, NotedCommands, NotedStop, StepKind, Time};
use bluegreen_plan::{
    CommandState, Failure, FailureKind, Instance, InstanceState, Invocation, Observation, Reading,
    Release, Step, TargetId, Witness, decide, decide_whatever_status_says,
    limits::{
        FENCE, LISTED_LATEST, NOTED_LONGEST, RESEND, TARGETS_MOST, TERMINATION_SHOWN_LATEST,
        WITNESSED_LONGEST,
    },
    needs,
};

use super::{
    explore::Planner,
    scenario::{self, Scenario, TICK},
    world::{Event, NOW, World},
};

const OPERATION: &str = "bg-u-r1-stop-7";
const A_MILLISECOND: Duration = Duration::from_millis(1);

fn id(port: u16) -> TargetId {
    TargetId {
        id: "i-0".to_owned(),
        port,
    }
}

fn noted(step: StepKind) -> NotedStop {
    NotedStop {
        operation: OPERATION.to_owned(),
        step,
        process: "0/v1".to_owned(),
        at: NOW,
        targets: vec![id(8080).to_string()],
    }
}

fn release(scenario: &Scenario, stops: Vec<NotedStop>) -> Release {
    Release {
        uid: "u".to_owned(),
        generation: 1,
        spec: scenario.spec.clone(),
        finalizer: true,
        commands: BTreeMap::new(),
        stops,
        deleting: false,
        request: None,
    }
}

/// What is read where the stop has come to a state.
fn seen(state: Reading<CommandState>, instance: InstanceState) -> Observation {
    Observation {
        began_at: NOW,
        fleet: Reading::Known(vec![Instance {
            id: "i-0".to_owned(),
            zone: "a".to_owned(),
            state: instance,
            address: None,
            version: None,
        }]),
        groups: Vec::new(),
        commands: BTreeMap::from([(OPERATION.to_owned(), state)]),
        probes: BTreeMap::new(),
        last_effect: None,
        witness: Witness::default(),
    }
}

fn ended(invocation: Invocation) -> Reading<CommandState> {
    let invocations = BTreeMap::from([("i-0".to_owned(), invocation)]);
    Reading::Known(CommandState::Sent(invocations))
}

fn failed(code: i32) -> Invocation {
    Invocation::Failed {
        code,
        stopped: None,
        output: String::new(),
    }
}

/// Whether a process that begins now, and goes on for so long, awaits the end of a stop that another
/// has noted.
fn awaits(stop: &NotedStop, seen: &Observation, at: Time) -> bool {
    let release = release(&scenario::side_by_side(), vec![stop.clone()]);
    let mut witness = Witness::default();
    witness.inherit(&release, NOW);
    witness.look(&release, seen, NOW);
    witness.look(&release, seen, at);
    // It is taken over once: what the process knows by now is newer than the note.
    witness.inherit(&release, at);
    witness.stopping(&id(8080))
}

/// It is awaited until then, and no longer.
#[track_caller]
fn awaited_until(stop: &NotedStop, seen: &Observation, until: Time) {
    let said = (stop, &seen.commands);
    if until > NOW {
        assert!(awaits(stop, seen, NOW), "{said:?}");
        assert!(awaits(stop, seen, until - A_MILLISECOND), "{said:?}");
    }
    assert!(!awaits(stop, seen, until), "{said:?}");
}

/// How long a stop may be under way.
fn longest() -> Duration {
    WITNESSED_LONGEST + scenario::side_by_side().spec.stop.grace_period
}

/// What is left of two stops, of which the first has come to an end; the other is still unknown.
fn left(first: Invocation, other: &NotedStop) -> Vec<String> {
    let mut seen = seen(ended(first), InstanceState::Running);
    let unknown = ended(Invocation::Running);
    seen.commands.insert(other.operation.clone(), unknown);
    let stops = vec![noted(StepKind::Stop), other.clone()];
    let release = release(&scenario::side_by_side(), stops);
    let mut witness = Witness::default();
    witness.inherit(&release, NOW);
    witness.look(&release, &seen, NOW);
    witness.commands().map(|(operation, _)| operation).collect()
}

/// A stop that has ended a process says nothing of one that was sent after it, to what runs on the port
/// by then, and nothing of one that has another unit stopped.
#[test]
fn a_stop_that_has_ended_ends_no_later_one_and_none_of_another_process() {
    let succeeded = || Invocation::Succeeded { stopped: None };
    let operation = |fence: &str| OPERATION.replace('7', fence);
    let earlier = NotedStop {
        operation: operation("6"),
        ..noted(StepKind::Stop)
    };
    assert!(left(succeeded(), &earlier).is_empty());
    let later = NotedStop {
        operation: operation("8"),
        ..noted(StepKind::Stop)
    };
    assert_eq!(left(succeeded(), &later), [operation("8")]);
    let another = NotedStop {
        process: "77/nope".to_owned(),
        ..earlier
    };
    assert_eq!(left(succeeded(), &another), [operation("6")]);
}

/// One that was told to stop before the command failed may be about to end; that another command was
/// refused since says nothing of it.
#[test]
fn a_refusal_makes_no_failure_forgotten() {
    let stop = noted(StepKind::Stop);
    let refused = NotedStop {
        operation: OPERATION.replace('7', "8"),
        ..stop.clone()
    };
    let mut seen = seen(ended(failed(1)), InstanceState::Running);
    let refusal = ended(failed(30));
    seen.commands.insert(refused.operation.clone(), refusal);
    let release = release(&scenario::side_by_side(), vec![stop, refused]);
    let mut witness = Witness::default();
    witness.inherit(&release, NOW);
    for passed in [Duration::ZERO, FENCE + LISTED_LATEST] {
        witness.look(&release, &seen, NOW + passed);
        assert!(witness.stopping(&id(8080)), "after {passed}");
    }
    assert_eq!(witness.commands().count(), 1, "{witness:?}");
}

/// Whoever has an instance terminated knows it, whether it has seen the target in a group or not.
#[test]
fn an_instance_that_this_process_has_terminated_is_not_brought_back() {
    let mut witness = Witness::looking_since(NOW);
    let instances = vec!["i-0".to_owned()];
    witness.acts(&Step::Terminate { instances }, NOW);
    assert!(witness.stopping(&id(8080)));
    assert!(witness.stopping(&id(8081)));
}

#[test]
fn what_another_has_sent_is_awaited_until_its_end_is_seen() {
    let at_last = NOW + longest();
    let listed = NOW + FENCE + LISTED_LATEST;
    let unavailable = Failure {
        kind: FailureKind::Unavailable,
        message: String::new(),
    };
    let undelivered = Invocation::NotDelivered {
        status: "Undeliverable".to_owned(),
    };
    for (state, until) in [
        (ended(Invocation::Succeeded { stopped: None }), NOW),
        // It may have been sent twice, and only one of the two is listed.
        (ended(failed(30)), listed),
        (ended(undelivered), listed),
        (Reading::Known(CommandState::Absent), listed),
        (ended(Invocation::Running), at_last),
        (ended(failed(1)), at_last),
        (Reading::Unknown(unavailable), at_last),
    ] {
        let seen = seen(state, InstanceState::Running);
        awaited_until(&noted(StepKind::Stop), &seen, until);
    }
}

#[test]
fn an_instance_that_another_may_have_terminated_is_awaited_while_a_reading_may_be_older() {
    let absent = || Reading::Known(CommandState::Absent);
    let runs = seen(absent(), InstanceState::Running);
    let shown = NOW + TERMINATION_SHOWN_LATEST;
    awaited_until(&noted(StepKind::Terminate), &runs, shown);
    let gone = seen(absent(), InstanceState::Terminated);
    awaited_until(&noted(StepKind::Terminate), &gone, NOW);
    // Its tags may be off: nothing is seen of it.
    let mut unseen = gone;
    unseen.fleet = Reading::Known(Vec::new());
    let at_last = NOW + WITNESSED_LONGEST;
    awaited_until(&noted(StepKind::Terminate), &unseen, at_last);
}

#[test]
fn an_old_note_is_none() {
    let old = NotedStop {
        at: NOW - longest(),
        ..noted(StepKind::Stop)
    };
    let seen = seen(ended(Invocation::Running), InstanceState::Running);
    awaited_until(&old, &seen, NOW);
}

/// A release that is followed until it stops the old version.
struct Story {
    scenario: Scenario,
    release: Release,
    status: BlueGreenReleaseStatus,
    world: World,
    now: Time,
    /// What becomes of every stop.
    stops_end: Option<Invocation>,
    planner: Planner,
}

impl Story {
    fn begin() -> Self {
        let scenario = Scenario {
            witnessed: true,
            ..scenario::side_by_side()
        };
        Self {
            world: World::begin(&scenario),
            release: release(&scenario, Vec::new()),
            scenario,
            status: BlueGreenReleaseStatus::default(),
            now: NOW,
            stops_end: None,
            planner: decide,
        }
    }

    fn observed(&self) -> Observation {
        let needs = needs(&self.release.spec, &self.status, self.now);
        let mut observation = self.world.observe(&self.scenario, &needs, false);
        observation.began_at = self.now;
        for (operation, state) in &mut observation.commands {
            if let (true, Reading::Known(CommandState::Sent(sent)), Some(end)) =
                (operation.contains("-stop-"), state, &self.stops_end)
            {
                sent.values_mut().for_each(|one| one.clone_from(end));
            }
        }
        let readings = observation.clone();
        let witness = &mut observation.witness;
        witness.look(&self.release, &readings, self.now);
        observation
    }

    /// Makes a pass, and lets what is due happen but for what becomes of a stop; or time pass, where
    /// nothing is due.
    fn go_on(&mut self) -> Option<Step> {
        let observation = self.observed();
        let decision = (self.planner)(&self.release, &self.status, &observation, self.now);
        self.status = decision.status;
        self.world.witness.clone_from(&observation.witness);
        match &decision.step {
            Some(
                step @ Step::Claim {
                    commands, stops, ..
                },
            ) => {
                self.world.witness.acts(step, self.now);
                self.release.commands.clone_from(commands);
                self.release.stops.clone_from(stops);
            }
            Some(step) => {
                self.world.witness.acts(step, self.now);
                assert_eq!(self.world.execute(&self.scenario, step), None, "{step:?}");
            }
            None => {
                let mut due = self.world.events(&self.scenario).into_iter();
                let next = due.find(|event| match event {
                    Event::Tick => false,
                    Event::Reach(index) => !self.world.commands[*index].stop,
                    Event::Healthy(..) | Event::Quiet(_) | Event::End(_) => true,
                });
                let event = next.unwrap_or(Event::Tick);
                assert_eq!(self.world.happen(&self.scenario, event), None, "{event:?}");
                if event == Event::Tick {
                    self.now = self.now + TICK;
                }
            }
        }
        decision.step
    }

    /// Goes on until the next pass sends a stop.
    fn until_noted() -> Self {
        let mut story = Self::begin();
        for _ in 0..200 {
            if let Some(Step::Claim { stops, .. }) = story.go_on()
                && !stops.is_empty()
            {
                return story;
            }
        }
        panic!("no stop is noted: {:#?}", story.status);
    }

    fn decides(&self) -> Option<Step> {
        (self.planner)(&self.release, &self.status, &self.observed(), self.now).step
    }

    /// Somebody writes into status from now on.
    fn lied_to(&mut self) -> &mut BlueGreenReleaseStatus {
        self.planner = decide_whatever_status_says;
        &mut self.status
    }
}

fn is_stop(step: &Step) -> bool {
    matches!(step, Step::Send(command) if command.kind == StepKind::Stop)
}

/// What is wrong with a note, and what makes it so.
type Spoilt<'a> = (&'a str, &'a dyn Fn(&mut NotedStop));

#[test]
fn a_stop_is_sent_with_the_operation_that_is_noted_and_noted_anew_where_it_cannot_be() {
    let story = Story::until_noted();
    let noted = story.release.stops[0].clone();
    let Some(Step::Send(command)) = story.decides() else {
        panic!("it is noted: {:?}", story.decides());
    };
    assert_eq!(command.operation, noted.operation);
    let unusable: [Spoilt<'_>; 5] = [
        ("too old", &|stop| stop.at = story.now - NOTED_LONGEST),
        ("another target", &|stop| {
            stop.targets = vec!["i-7:8080".to_owned()];
        }),
        ("another end", &|stop| stop.step = StepKind::Terminate),
        ("no operation", &|stop| {
            stop.operation = "stop it".to_owned()
        }),
        ("a fence beyond all others", &|stop| {
            stop.operation = format!("bg-u-r1-stop-{}", u64::MAX);
        }),
    ];
    for (what, spoil) in unusable {
        let mut story = Story::until_noted();
        spoil(&mut story.release.stops[0]);
        let step = story.go_on();
        assert!(matches!(step, Some(Step::Claim { .. })), "{what}: {step:?}");
        let step = story.go_on();
        assert!(step.as_ref().is_some_and(is_stop), "{what}: {step:?}");
    }
    // Something else was done since.
    let mut story = Story::until_noted();
    let fence = noted.operation.rsplit('-').next().unwrap();
    story.lied_to().fence = fence.parse().unwrap();
    let step = story.go_on();
    assert!(matches!(step, Some(Step::Claim { .. })), "{step:?}");
    assert_ne!(story.release.stops[0].operation, noted.operation);
}

#[test]
fn a_fence_that_no_planner_can_have_written_puts_a_stop_off_by_no_more_than_a_note() {
    let mut story = Story::until_noted();
    story.lied_to().fence = i64::MAX.unsigned_abs();
    story.release.stops.clear();
    let step = story.go_on();
    assert!(matches!(step, Some(Step::Claim { .. })), "{step:?}");
    let step = story.go_on();
    assert!(step.as_ref().is_some_and(is_stop), "{step:?}");
}

/// Two commands with one operation could not be told from each other.
#[test]
fn a_note_is_used_once_whatever_status_says_of_fences() {
    let mut story = Story::until_noted();
    let step = story.go_on();
    assert!(step.as_ref().is_some_and(is_stop), "{step:?}");
    story.now = story.now + TICK;
    let status = story.lied_to();
    status.fence = 0;
    let targets = status.targets.iter_mut();
    targets.for_each(|target| target.process = None);
    let used = story.release.stops[0].clone();
    let step = story.go_on();
    match step {
        // It is under way as well.
        Some(Step::Claim { stops, .. }) => {
            assert_eq!(stops[0], used);
            assert_ne!(stops[1].operation, used.operation);
        }
        step => panic!("{step:?}"),
    }
}

/// Whatever somebody sets the last fence to, and in whatever order.
#[test]
fn no_operation_gets_the_number_of_one_that_was_noted() {
    let mut story = Story::until_noted();
    story.lied_to();
    let mut numbers = Vec::new();
    let ahead = u64::try_from(NOW.as_millis()).unwrap() + 60_000;
    story.stops_end = Some(Invocation::Succeeded { stopped: None });
    for _ in 0..40 {
        story.status.fence = ahead;
        for target in &mut story.status.targets {
            target.process = None;
            target.steps.terminated = None;
        }
        if let Some(Step::Claim {
            noted: Some(noted), ..
        }) = story.go_on()
        {
            numbers.push(noted.rsplit('-').next().unwrap().parse::<u64>().unwrap());
        }
    }
    assert!(numbers.len() > 10, "{numbers:?}");
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert!(story.release.stops.len() <= 2, "{:?}", story.release.stops);
}

#[test]
fn what_another_has_noted_is_noted_anew_and_then_sent() {
    let mut story = Story::until_noted();
    let anothers = story.release.stops[0].operation.clone();
    story.world.change_process(&story.scenario);
    story.world.witness.inherit(&story.release, story.now);
    for _ in 0..100 {
        if let Some(Step::Send(command)) = story.go_on() {
            assert_ne!(command.operation, anothers);
            let noted = story.release.stops.iter();
            let noted: Vec<&String> = noted.map(|stop| &stop.operation).collect();
            assert!(noted.contains(&&command.operation), "{noted:?}");
            return;
        }
    }
    panic!("no stop is sent: {:#?}", story.status);
}

#[test]
fn what_is_noted_of_commands_stays_when_a_stop_is_noted_whatever_status_says_of_revisions() {
    let mut story = Story::until_noted();
    let noted = story.release.commands.clone();
    assert!(!noted.is_empty());
    story.release.stops.clear();
    let blue = story.lied_to().blue.as_mut().expect("it was adopted");
    blue.revision = 99;
    blue.version = Some("another".to_owned());
    match story.decides() {
        Some(Step::Claim {
            commands,
            noted: Some(_),
            ..
        }) => assert_eq!(commands, noted),
        step => panic!("{step:?}"),
    }
}

#[test]
fn stops_that_fail_for_an_hour_leave_two_notes() {
    let mut story = Story::until_noted();
    story.stops_end = Some(failed(1));
    let began = story.now;
    let mut sent = 0;
    while story.now < began + Duration::from_secs(3600) {
        sent += u64::from(story.go_on().as_ref().is_some_and(is_stop));
        assert!(story.release.stops.len() <= 2, "{:?}", story.release.stops);
        let asked = story.world.witness.commands().count();
        assert!(asked <= 2, "{asked} commands are asked about");
    }
    assert!(sent >= 3600 * 1000 / RESEND.as_millis() / 2, "{sent}");
}

/// The commands of two revisions may have half of the 256 KiB that the API server takes.
#[test]
fn the_notes_of_the_largest_release_have_room_beside_its_commands() {
    let target = |number: usize| format!("i-{number:017x}:65535");
    let note = |fence: u64| NotedStop {
        operation: format!("bg-{}-r999999999-terminate-{fence}", "u".repeat(36)),
        step: StepKind::Stop,
        process: format!("999999999/{}@9999999999", "v".repeat(128)),
        at: NOW,
        targets: (0..TARGETS_MOST).map(target).collect(),
    };
    let noted = NotedCommands {
        uid: "u".repeat(36),
        revisions: BTreeMap::new(),
        stops: vec![note(u64::MAX - 1), note(u64::MAX)],
    };
    let length = noted.text().len();
    assert!(length < 32 * 1024, "{length} bytes");
}
