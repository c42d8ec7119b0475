//! What a process makes of the notes of the one before it.

use std::collections::BTreeMap;

use bluegreen_api::{Duration, NotedStop, StepKind, Time};
use bluegreen_plan::{
    CommandState, Failure, FailureKind, Instance, InstanceState, Invocation, Observation, Reading,
    Step, Witness,
    limits::{FENCE, LISTED_LATEST, TERMINATION_SHOWN_LATEST, WITNESSED_LONGEST},
};

use super::{OPERATION, failed, id, noted, release};
use crate::{scenario, world::NOW};

const A_MILLISECOND: Duration = Duration::from_millis(1);

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
    awaited_until(&noted(StepKind::Terminate), &gone, shown);
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
