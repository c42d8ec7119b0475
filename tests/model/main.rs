//! The planner, checked exhaustively against a model of AWS and of the API server.
//!
//! `world.rs` is AWS and the hosts as the planner sees them; `canon.rs` makes equal states equal;
//! `explore.rs` walks every state breadth first, with a budget of two of each fault, and then
//! asks from which states an end can be reached; `laws.rs` says what must hold;
//! `mutants.rs` holds planners that are broken on purpose, each of which must be caught.
//!
//! The function that is called is the product's own `plan::decide`: nothing of it is repeated
//! here. What the walk proves, it proves for fleets as small as these.

mod canon;
mod explore;
mod laws;
mod mutants;
mod scenario;
mod world;

use std::io::Write;

use explore::{explore, explore_but};
use scenario::Scenario;

/// Prints a figure also where the test passes: the harness catches what `println!` prints.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "model: {line}");
}

fn holds(scenario: &Scenario) {
    let name = scenario.name;
    let report = explore(scenario, bluegreen_plan::decide);
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
}

#[test]
fn every_mutant_is_caught() {
    for mutants::Mutant {
        name,
        planner,
        scenario,
    } in mutants::all()
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
fn the_fleets_on_which_mutants_are_caught_hold_without_them() {
    holds(&scenario::small(scenario::in_place()));
    holds(&scenario::small(scenario::side_by_side()));
    holds(&scenario::small(scenario::early_finish()));
    holds(&scenario::gated());
    holds(&scenario::several());
}
