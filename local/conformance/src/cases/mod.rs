//! The cases, by area.

mod apply;
mod definitions;
mod deletion;
mod discovery;
mod events;
mod leases;
mod objects;
mod owners;
mod patches;
mod reads;
mod refusals;
mod releases;
mod revisions;
mod tables;
mod validation;
mod watches;

use std::{fmt, sync::LazyLock};

use futures::future::LocalBoxFuture;

use crate::{Api, Feature, Outcome, Releases};

/// One thing that a server must do.
pub struct Case {
    /// What it is about.
    pub area: &'static str,
    /// What the server must do, as a name.
    pub name: &'static str,
    /// What the server must have for it.
    pub needs: &'static [Feature],
    /// The releases of Kubernetes whose answers it expects.
    pub releases: Releases,
    pub(crate) run: fn(Api) -> LocalBoxFuture<'static, Outcome>,
}

impl fmt::Debug for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Case({self})")
    }
}

impl fmt::Display for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}::{}", self.area, self.name)
    }
}

/// The cases of one area, with what each needs of a server, and from and until which minor release
/// of Kubernetes it holds: `name [Cel] from 25 until 33`.
macro_rules! cases {
    ($area:literal: $($name:ident $([$($feature:ident),+])? $(from $from:literal)? $(until $until:literal)?),+ $(,)?) => {
        pub(super) const CASES: &[$crate::Case] = &[
            $($crate::Case {
                area: $area,
                name: stringify!($name),
                needs: &[$($($crate::Feature::$feature),+)?],
                releases: $crate::Releases::ALL$(.from($from))?$(.until($until))?,
                run: |api| Box::pin($name(api)),
            }),+
        ];
    };
}
use cases as list;

static ALL: LazyLock<Vec<&'static Case>> = LazyLock::new(|| {
    let areas = [
        objects::CASES,
        reads::CASES,
        watches::CASES,
        patches::CASES,
        apply::CASES,
        deletion::CASES,
        owners::CASES,
        validation::CASES,
        tables::CASES,
        leases::CASES,
        revisions::CASES,
        events::CASES,
        definitions::CASES,
        discovery::CASES,
        refusals::CASES,
        releases::CASES,
    ];
    areas.into_iter().flatten().collect()
});

/// All cases.
#[must_use]
pub fn cases() -> &'static [&'static Case] {
    &ALL
}
