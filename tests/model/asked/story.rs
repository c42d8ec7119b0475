//! One release, driven until it rests.

use bluegreen_api::{BlueGreenReleaseStatus, Direction, Phase, RequestOutcome, Time};
use bluegreen_plan::{
    CommandState, Decision, Failure, FailureKind, Invocation, Reading, Release, decide, needs,
};

use crate::{
    laws, object,
    scenario::{Scenario, TICK},
    world::{Event, Look, NOW, World},
};

/// A release that is driven until it rests. Everything that can happen by itself happens.
pub(super) struct Story {
    pub(super) scenario: Scenario,
    pub(super) release: Release,
    pub(super) status: BlueGreenReleaseStatus,
    pub(super) world: World,
    pub(super) now: Time,
    /// Start commands end with this exit code.
    pub(super) starts_fail: bool,
    /// The fleet cannot be read.
    pub(super) blind: bool,
}

impl Story {
    pub(super) fn of(scenario: Scenario) -> Self {
        let release = Release {
            uid: "u".to_owned(),
            generation: 1,
            spec: scenario.spec.clone(),
            finalizer: true,
            deleting: false,
            revisions: std::collections::BTreeMap::new(),
            request: None,
        };
        Self {
            world: World::begin(&scenario),
            scenario,
            release,
            status: BlueGreenReleaseStatus::default(),
            now: NOW,
            starts_fail: false,
            blind: false,
        }
    }

    pub(super) fn pass(&mut self) -> Decision {
        let needs = needs(&self.release.spec, &self.status, self.now);
        let mut observation = self.world.observe(&self.scenario, &needs, Look::Fresh);
        observation.began_at = self.now;
        if self.starts_fail {
            for state in observation.commands.values_mut() {
                let Reading::Known(CommandState::Sent(sent)) = state else {
                    continue;
                };
                for invocation in sent.values_mut() {
                    *invocation = Invocation::Failed {
                        code: 21,
                        stopped: None,
                        output: "no such file".to_owned(),
                    };
                }
            }
        }
        if self.blind {
            observation.fleet = Reading::Unknown(Failure {
                kind: FailureKind::Denied,
                message: "no permission".to_owned(),
            });
        }
        let decision = decide(&self.release, &self.status, &observation, self.now);
        let broken = laws::broken(&self.release, &self.status, &observation, &decision, None);
        assert_eq!(broken, None);
        self.status = decision.status.clone();
        if let Some(step) = &decision.step
            && !object::written(&mut self.release, step)
        {
            assert_eq!(self.world.execute(&self.scenario, step), None, "{step:?}");
        }
        decision
    }

    /// Makes a pass; then lets one thing happen that is due, or a tick pass. Says whether one has.
    pub(super) fn go_on(&mut self) -> bool {
        let step = self.pass().step;
        let due = self.world.events(&self.scenario);
        let event = due.into_iter().find(|event| *event != Event::Tick);
        if event.is_none() && step.is_some() {
            return false;
        }
        let event = event.unwrap_or(Event::Tick);
        assert_eq!(self.world.happen(&self.scenario, event), None, "{event:?}");
        if event == Event::Tick {
            self.now = self.now + TICK;
        }
        event == Event::Tick
    }

    pub(super) fn tick(&mut self) {
        while !self.go_on() {}
    }

    pub(super) fn until(&mut self, phase: Phase) {
        for _ in 0..200 {
            if self.status.phase == phase {
                return;
            }
            self.go_on();
        }
        panic!(
            "not {phase:?} but {:?}: {}",
            self.status.phase, self.status.message
        );
    }

    /// Asks, and returns the answer.
    pub(super) fn ask(&mut self, text: &str) -> (RequestOutcome, String) {
        self.release.request = Some(text.to_owned());
        self.pass();
        let last = self
            .status
            .last_request
            .as_ref()
            .expect("it is answered at once");
        (last.outcome, last.message.clone())
    }

    pub(super) fn accepted(&mut self, text: &str) -> String {
        let (outcome, message) = self.ask(text);
        assert_eq!(outcome, RequestOutcome::Accepted, "{text}: {message}");
        message
    }

    /// Asks for what is refused, and makes sure that nothing else has happened.
    pub(super) fn refused(&mut self, text: &str) -> String {
        let mut undisturbed = Self {
            scenario: self.scenario.clone(),
            release: self.release.clone(),
            status: self.status.clone(),
            world: self.world.clone(),
            ..*self
        };
        let usual = undisturbed.pass();
        let (outcome, message) = self.ask(text);
        assert_eq!(outcome, RequestOutcome::Refused, "{text}: {message}");
        let mut status = self.status.clone();
        status.last_request = usual.status.last_request.clone();
        assert_eq!(status, usual.status, "{text}");
        assert_eq!(self.world, undisturbed.world, "{text}");
        message
    }

    pub(super) fn reason(&self, condition: &str) -> Option<&str> {
        let mut conditions = self.status.conditions.iter();
        let found = conditions.find(|c| c.type_ == condition && c.status == "True");
        found.map(|condition| condition.reason.as_str())
    }

    pub(super) fn direction(&self) -> Option<Direction> {
        self.status.course.as_ref().map(|course| course.direction)
    }
}
