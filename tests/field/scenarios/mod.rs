//! The scenarios, by the kinds of fault. The names are those under which the faults are known.

mod before;
mod others;
mod service;
mod shared;
mod signals;
mod takeover;

use std::time::Duration;

use futures::future::LocalBoxFuture;

use crate::world::{Setup, World};

/// How a scenario went; an error ends it early.
pub(crate) type Outcome = Result<(), String>;

/// A fault and what is made of it.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) setup: fn() -> Setup,
    pub(crate) run: for<'a> fn(&'a World) -> LocalBoxFuture<'a, Outcome>,
}

/// All of them; those that take longest come first, since they run side by side.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "A1",
        about: "in place: the application that serves dies while the other host drains",
        setup: || Setup::in_place(2, 40),
        run: |world| Box::pin(service::a1(world)),
    },
    Scenario {
        name: "A2",
        about: "side by side: all new applications die while the old targets drain",
        setup: || Setup::side_by_side(2, 70),
        run: |world| Box::pin(service::a2(world)),
    },
    Scenario {
        name: "A3",
        about: "the new version becomes unhealthy while the old one is retained",
        setup: || Setup::side_by_side(2, 10),
        run: |world| Box::pin(service::a3(world)),
    },
    Scenario {
        name: "A4",
        about: "a target that is still to be replaced is deregistered by hand",
        setup: || Setup::in_place(2, 30),
        run: |world| Box::pin(service::a4(world)),
    },
    Scenario {
        name: "A5",
        about: "a release in the moment in which the targets are registered",
        setup: || Setup {
            registered: false,
            // Targets are `initial` for up to so long.
            check_interval: 25,
            ..Setup::in_place(2, 10)
        },
        run: |world| Box::pin(service::a5(world)),
    },
    Scenario {
        name: "A6",
        about: "the way back with one old instance stopped",
        setup: || Setup::in_place(3, 60),
        run: |world| Box::pin(takeover::a6(world)),
    },
    Scenario {
        name: "A7",
        about: "at rest: nothing is healthy, then nothing is registered",
        setup: || Setup::in_place(2, 10),
        run: |world| Box::pin(service::a7(world)),
    },
    Scenario {
        name: "A8",
        about: "nothing is healthy before the release",
        setup: || Setup::in_place(2, 10),
        run: |world| Box::pin(before::a8(world)),
    },
    Scenario {
        name: "A9",
        about: "cross-zone load balancing is off, and two hosts may be out at a time",
        setup: || Setup {
            // Its ids, in their order, begin with two of one zone.
            seed: 4,
            ..Setup::in_place(4, 10)
        },
        run: |world| Box::pin(before::a9(world)),
    },
    Scenario {
        name: "B1",
        about: "two ports, a fixed health check port, and a version that never listens",
        setup: || Setup::side_by_side(2, 10),
        run: |world| Box::pin(signals::b1(world)),
    },
    Scenario {
        name: "B2",
        about: "an answer about target health breaks off in the middle of a drain",
        setup: || Setup::side_by_side(2, 60),
        run: |world| Box::pin(signals::b2(world)),
    },
    Scenario {
        name: "B3",
        about: "answers break off when a release is first looked at",
        setup: || Setup::in_place(2, 10),
        run: |world| Box::pin(signals::b3(world)),
    },
    Scenario {
        name: "B4",
        about: "the deregistration delay is shorter than the requests",
        setup: || Setup::side_by_side(2, 0),
        run: |world| Box::pin(signals::b4(world)),
    },
    Scenario {
        name: "C1",
        about: "the same manifest in two namespaces",
        setup: || Setup::in_place(2, 10),
        run: |world| Box::pin(others::c1(world)),
    },
    Scenario {
        name: "C2",
        about: "a host joins between two releases, running and registered",
        setup: || Setup::side_by_side(2, 10),
        run: |world| Box::pin(others::c2(world)),
    },
    Scenario {
        name: "C3",
        about: "a target that was taken out is registered again by others",
        setup: || Setup::side_by_side(2, 10),
        run: |world| Box::pin(others::c3(world)),
    },
    Scenario {
        name: "C4",
        about: "one of the new instances is terminated while it is registered",
        setup: || Setup::in_place(2, 10),
        run: |world| Box::pin(takeover::c4(world)),
    },
    Scenario {
        name: "C5",
        about: "the version tag of an old instance is changed in mid-release",
        setup: || Setup::in_place(2, 20),
        run: |world| Box::pin(takeover::c5(world)),
    },
    Scenario {
        name: "D1",
        about: "the SSM agent of a host is offline before the release",
        setup: || Setup::in_place(2, 10),
        run: |world| Box::pin(before::d1(world)),
    },
    Scenario {
        name: "E1",
        about: "a probe whose expression takes all memory",
        setup: || Setup::in_place(2, 10),
        run: |world| Box::pin(shared::e1(world)),
    },
    Scenario {
        name: "E2",
        about: "sixty releases that name a missing target group",
        setup: || Setup::in_place(2, 10),
        run: |world| Box::pin(shared::e2(world)),
    },
    Scenario {
        name: "E3",
        about: "releases in regions that do not exist",
        setup: || Setup::in_place(2, 10),
        run: |world| Box::pin(shared::e3(world)),
    },
];

/// How long anything may take to begin: a watch event, a first look, a start.
const SOON: Duration = Duration::from_secs(30);

/// How long a release of short times may take. It needs a third of it on an idle
/// machine.
const RELEASED: Duration = Duration::from_secs(180);

/// How long requests may fail when what serves has died and something else can serve: two failed
/// checks of ELB (10 s), one look of the controller (5 s), the registration, and the nodes' learning
/// of it (2 s), with a reserve for a busy machine.
const TAKEN_OVER: Duration = Duration::from_secs(25);

/// How long requests may fail where a target can be put back without anything having died.
const PUT_BACK: Duration = Duration::from_secs(15);

/// How long requests may fail when nothing in the environment makes them: not at all; a client on a
/// busy machine may be late.
const NONE: Duration = Duration::from_secs(2);
