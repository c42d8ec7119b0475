//! The planner, checked exhaustively against a model of AWS and of the API server.
//!
//! `world.rs` is AWS and the hosts as the planner sees them; `canon.rs` makes equal states equal;
//! `explore.rs` walks every state breadth first, with a budget of two of each fault, and then
//! asks from which states an end can be reached; `laws.rs` says what must hold;
//! `mutants/` holds planners that are broken on purpose, each of which must be caught;
//! `asked.rs` follows single releases through what people ask for, with the words that they read;
//! `field.rs` walks what befalls fleets in the field, each fault alone;
//! `noise.rs` changes and tears statuses at random;
//! `object.rs` is what these make of a step that is about the object;
//! `states.rs` writes down what targets and releases went through.
//!
//! The function that is called is the product's own `plan::decide`: nothing of it is repeated
//! here. What the walk proves, it proves for fleets as small as these.

mod asked;
mod canon;
mod explore;
mod field;
mod graph;
mod how;
mod interned;
mod laws;
mod mutants;
mod noise;
mod object;
mod owners;
mod people;
mod preflight;
mod scenario;
mod states;
mod world;

use std::{io::Write, path::Path, sync::LazyLock};

use explore::{Report, explore, explore_but, explore_noting};
use scenario::Scenario;
use states::Notes;

/// Prints a figure also where the test passes: the harness catches what `println!` prints.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "model: {line}");
}

fn holds(scenario: &Scenario) {
    let name = scenario.name;
    let report = explore(scenario, bluegreen_plan::decide_unchecked);
    say(&format!("{name}: {report}"));
    if let Some(violation) = report.violation {
        panic!("{name}: {violation}");
    }
}

#[test]
fn recreating_in_place_holds_with_deletion_at_any_moment() {
    holds(&scenario::in_place());
}

#[test]
fn side_by_side_holds() {
    holds(&scenario::side_by_side());
}

#[test]
fn several_target_groups_hold() {
    holds(&scenario::two_groups());
}

#[test]
fn instances_of_others_hold() {
    holds(&scenario::existing());
}

#[test]
fn early_finish_holds() {
    holds(&scenario::early_finish());
    holds(&scenario::small(scenario::quiet_at_once()));
}

#[test]
fn what_people_ask_for_is_survived() {
    holds(&scenario::asked(1, scenario::in_place()));
    holds(&scenario::asked(2, scenario::side_by_side()));
}

#[test]
fn every_mutant_is_caught() {
    for mutants::Mutant {
        name,
        planner,
        scenario,
    } in mutants::all().into_iter().chain(mutants::people())
    {
        let report = explore(&scenario, planner);
        let violation = report.violation.as_deref();
        let first = violation.and_then(|story| story.lines().next());
        say(&format!(
            "mutant that {name}: {}",
            first.unwrap_or("NOT CAUGHT")
        ));
        assert!(
            violation.is_some(),
            "the walk does not find out a planner that {name}"
        );
    }
}

#[test]
fn some_mistakes_are_found_out_by_one_invariant_alone() {
    for (
        code,
        mutants::Mutant {
            name,
            planner,
            scenario,
        },
    ) in mutants::alone()
    {
        let report = explore(&scenario, planner);
        let violation = report.violation.unwrap_or_default();
        let first = violation.lines().next().unwrap_or("NOT CAUGHT");
        say(&format!("mutant that {name}: {first}"));
        assert!(
            first.starts_with(&format!("{code}: ")),
            "{code} does not find out a planner that {name}: {violation}"
        );
        let report = explore_but(&scenario, planner, Some(code));
        assert_eq!(
            report.violation, None,
            "something else than {code} finds out a planner that {name}"
        );
        say(&format!("without {code}: {report}"));
    }
}

#[test]
fn who_does_not_look_after_those_that_serve_is_found_out() {
    for (code, mutant) in mutants::service() {
        let violation = explore(&mutant.scenario, mutant.planner).violation;
        let violation = violation.unwrap_or_default();
        let first = violation.lines().next().unwrap_or("NOT CAUGHT");
        say(&format!("mutant that {}: {first}", mutant.name));
        assert!(
            first.starts_with(&format!("{code}: ")),
            "{code} does not find out a planner that {}: {violation}",
            mutant.name
        );
    }
}

/// The walks of the small fleets, which two tests look at.
static SMALL: LazyLock<Vec<(&'static str, Report, Notes)>> = LazyLock::new(|| {
    let scenarios = [
        scenario::small(scenario::in_place()),
        scenario::small(scenario::side_by_side()),
        scenario::small(scenario::early_finish()),
        scenario::gated(),
        scenario::several(),
        scenario::promoted(),
        scenario::held(),
    ];
    let walks = scenarios.iter().map(|scenario| {
        let (report, notes) = explore_noting(scenario, bluegreen_plan::decide_unchecked);
        say(&format!("{}, small: {report}", scenario.name));
        (scenario.name, report, notes)
    });
    walks.collect()
});

#[test]
fn the_fleets_on_which_mutants_are_caught_hold_without_them() {
    for (name, report, _) in SMALL.iter() {
        assert_eq!(report.violation, None, "{name}");
    }
}

#[test]
fn the_page_about_states_is_what_the_walk_has_seen() {
    let mut all = Notes::default();
    for (_, _, notes) in SMALL.iter() {
        all.join(notes);
    }
    let page = all.page();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/states.md");
    if std::env::var_os("BLUEGREEN_BLESS").is_some() {
        std::fs::write(&path, &page).expect("docs/ is writable");
    }
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        checked_in == page,
        "docs/states.md is not what the walk sees now; look at what has changed, and write it with \
         BLUEGREEN_BLESS=1 cargo test -p bluegreen-plan --test model states\n{page}"
    );
}

#[test]
fn what_others_do_to_tags_and_registrations_is_survived() {
    holds(&scenario::meddled(scenario::side_by_side()));
}
