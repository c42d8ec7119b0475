//! The IAM policies of `docs/aws-iam.md` are exactly as wide as the controller needs.
//!
//! Releases go every way that a kind of fleet knows; the simulated cloud notes each call with the
//! resources that IAM would hold against a policy. A call that the page does not allow fails, and
//! so does what the page allows without need. Every policy is then changed for the worse, and each
//! change must be found.

mod audit;
mod page;
mod paths;
mod policy;

use audit::complaints;
use paths::Drive;

/// The sections of the page that have a policy, and nothing else on it may have one.
const EVERY: &str = "For every release";
const HOSTS: &str = "For fleets of kind `hosts`";
const EXISTING: &str = "For fleets of kind `existing`";

/// Drives releases and holds what they asked for against the policy of these sections.
async fn as_wide_as_needed(sections: &[&str], drives: impl IntoIterator<Item = Drive>) {
    let mut made = paths::Made::default();
    for drive in drives {
        drive.run(&mut made).await;
    }
    for (action, resource) in &made.calls {
        println!("{action} {}", resource.as_deref().unwrap_or("-"));
    }
    let statements = page::statements(&page::text(), sections, &made.account, &made.region);
    let found = complaints(&policy::parse(&statements), &made);
    assert!(found.is_empty(), "{}", found.join("\n"));
    let mutants = audit::mutants(&statements);
    for (what, statements) in &mutants {
        let found = complaints(&policy::parse(statements), &made);
        println!("{what}: {found:?}");
        assert!(!found.is_empty(), "nobody noticed: {what}");
    }
    assert!(mutants.len() >= statements.len() * 2, "{mutants:?}");
}

#[tokio::test(start_paused = true)]
async fn hosts_need_what_the_page_gives_them() {
    as_wide_as_needed(&[EVERY, HOSTS], paths::hosts()).await;
}

#[tokio::test(start_paused = true)]
async fn instances_of_others_need_what_the_page_gives_them() {
    as_wide_as_needed(&[EVERY], paths::existing(paths::Terminate::Never)).await;
}

#[tokio::test(start_paused = true)]
async fn instances_of_others_that_are_terminated_need_what_the_page_gives_them() {
    let drives = paths::existing(paths::Terminate::Instances);
    as_wide_as_needed(&[EVERY, EXISTING], drives).await;
}

#[test]
fn there_is_no_policy_on_the_page_that_nothing_is_held_against() {
    let mut sections = page::sections_with_policies(&page::text());
    sections.retain(|section| section != page::TRUST);
    assert_eq!(sections, [EVERY, HOSTS, EXISTING]);
}
