//! What is noted of stops, where the walk does not go: it knows no command that fails, and no clock
//! that goes on for minutes.

mod inherited;

use std::collections::BTreeMap;

use bluegreen_api::{
    BlueGreenReleaseStatus, Color, Duration, NotedCommands, NotedStop, Process, StepKind, Time,
};
use bluegreen_plan::{
    CommandState, Invocation, Observation, Reading, Release, Step, TargetId, decide,
    decide_whatever_status_says,
    limits::{FENCE, NOTED_LONGEST, RESEND, TARGETS_MOST},
    needs,
};

use super::{
    explore::Planner,
    object,
    scenario::{self, Scenario, TICK},
    world::{Event, NOW, World},
};

const OPERATION: &str = "bg-u-r1-stop-7";

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

fn failed(code: i32) -> Invocation {
    Invocation::Failed {
        code,
        stopped: None,
        output: String::new(),
    }
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
        let Some(step) = &decision.step else {
            self.let_happen();
            return None;
        };
        self.world.witness.acts(step, self.now);
        if !object::written(&mut self.release, step) {
            assert_eq!(self.world.execute(&self.scenario, step), None, "{step:?}");
        }
        decision.step
    }

    fn let_happen(&mut self) {
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

/// A stop that is said to have been sent, and to be unknown to Systems Manager, is a new one all the same.
#[test]
fn no_stop_is_sent_with_an_operation_that_only_status_names() {
    for made_up in ["bg-u-r1-start-7", "bg-u-r1-stop-7"] {
        let mut story = Story::until_noted();
        story.release.stops.clear();
        let leaving = story.lied_to().targets.iter_mut();
        for target in leaving.filter(|target| target.color == Color::Blue) {
            target.process = Some(Process {
                operation: made_up.to_owned(),
                step: StepKind::Stop,
                requested_at: NOW + Duration::from_secs(86_400),
                sent_at: NOW - TICK,
                running_at: None,
            });
        }
        let noted = match story.go_on() {
            Some(Step::Claim { noted, .. }) => noted.expect("it is noted"),
            step => panic!("{step:?}"),
        };
        assert_ne!(noted, made_up);
        match story.go_on() {
            Some(Step::Send(command)) => assert_eq!(command.operation, noted),
            step => panic!("{step:?}"),
        }
    }
}

/// A stop that was sent twice may reach the host once more: a start that has its number, as status says,
/// is not sent again.
#[test]
fn no_start_has_the_number_of_a_stop_whatever_status_says() {
    let mut story = Story::begin();
    let first = loop {
        let decided = decide(&story.release, &story.status, &story.observed(), story.now);
        if let Some(Step::Send(command)) = decided.step {
            // The process ends before it is sent.
            story.status = decided.status;
            break command.operation;
        }
        story.go_on();
    };
    story.now = story.now + FENCE;
    let again = |story: &Story| match story.decides() {
        Some(Step::Send(command)) => command.operation,
        step => panic!("{step:?}"),
    };
    assert_eq!(again(&story), first);
    let number = |operation: &str| {
        operation
            .rsplit('-')
            .next()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    assert_eq!(number(&first) % 2, 1);
    let of_a_stop = number(&first) - 1;
    for target in &mut story.lied_to().targets {
        if let Some(process) = &mut target.process {
            process.operation = format!("bg-u-r1-start-{of_a_stop}");
        }
    }
    assert!(number(&again(&story)) > of_a_stop);
}

#[test]
fn a_unit_that_has_the_host_for_itself_is_stopped_when_nothing_of_the_host_is_registered() {
    let mut story = Story::until_noted();
    assert!(story.decides().as_ref().is_some_and(is_stop));
    // What the spec says by now is about another version.
    let stop = &mut story.release.spec.fleet.hosts.as_mut().unwrap().stop;
    stop.unit = Some("app.service".to_owned());
    assert!(story.decides().as_ref().is_some_and(is_stop));
    for commands in story.release.commands.values_mut() {
        commands.stop.unit = Some("app.service".to_owned());
    }
    story.planner = decide_whatever_status_says;
    let step = story.decides();
    assert!(!step.as_ref().is_some_and(is_stop), "{step:?}");
}

/// A stop that nobody has seen arrive is sent again as it was, while its note can be relied on.
#[test]
fn a_stop_that_did_not_arrive_is_sent_again_and_without_its_note_as_a_new_one() {
    for (what, spoil) in [
        ("nothing", None),
        ("too old", Some(NOTED_LONGEST)),
        ("taken away", Some(Duration::ZERO)),
    ] {
        let mut story = Story::until_noted();
        let first = story.release.stops[0].operation.clone();
        let decided = decide(&story.release, &story.status, &story.observed(), story.now);
        assert!(decided.step.as_ref().is_some_and(is_stop));
        // The process ends before it is sent.
        story.status = decided.status;
        story.now = story.now + FENCE.max(TICK);
        match spoil {
            None => {}
            Some(Duration::ZERO) => story.release.stops.clear(),
            Some(age) => story.release.stops[0].at = story.now - age,
        }
        let mut sent = None;
        for _ in 0..2 {
            if let Some(Step::Send(command)) = story.go_on() {
                sent.get_or_insert(command.operation);
            }
        }
        let sent = sent.unwrap_or_else(|| panic!("{what}: nothing is sent"));
        assert_eq!(sent == first, spoil.is_none(), "{what}: {sent}");
    }
}

#[test]
fn the_commands_of_a_revision_that_is_being_stopped_stay_whatever_status_names() {
    let mut story = Story::until_noted();
    let step = story.go_on();
    assert!(step.as_ref().is_some_and(is_stop), "{step:?}");
    let noted = story.release.commands[&0].clone();
    let status = story.lied_to();
    for (revision, number) in [(&mut status.blue, 9), (&mut status.green, 3)] {
        revision.as_mut().expect("both are known").revision = number;
    }
    match story.decides() {
        Some(Step::Claim { commands, .. }) => {
            assert_eq!(commands.get(&0), Some(&noted));
            assert!(commands.contains_key(&9) && commands.contains_key(&3));
        }
        step => panic!("{step:?}"),
    }
}

#[test]
fn of_two_times_for_an_operation_the_earlier_is_asked_for() {
    let mut story = Story::until_noted();
    story.go_on();
    let status = story.lied_to();
    let index = status.targets.iter().position(|t| t.color == Color::Blue);
    let mut twin = status.targets[index.expect("it leaves")].clone();
    twin.revision = 77;
    let asked_at = NOW + Duration::from_secs(86_400);
    twin.process.as_mut().expect("it is stopped").requested_at = asked_at;
    status.targets.insert(0, twin);
    let needs = needs(&story.release.spec, &story.status, story.now).commands;
    assert_eq!(needs.len(), 1, "{needs:?}");
    assert!(needs[0].1 < asked_at);
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
