//! What the loop has to be given: the cloud, the clock and the probe.

use std::sync::Arc;

use super::{Clock, Probe};
use crate::cloud::{Cloud, Error};

/// Hands out the cloud of a region.
pub trait CloudProvider: Send + Sync + 'static {
    /// A region of the cloud.
    type Cloud: Cloud;

    /// The cloud of a region; of the controller's own, where none is named. Talks to nobody.
    ///
    /// # Errors
    /// When no region is known.
    fn cloud(&self, region: Option<&str>) -> Result<Arc<Self::Cloud>, Error>;

    /// The controller's own region, where one is known.
    fn own_region(&self) -> Option<&str>;
}

/// The three together, so that the loop has one type parameter instead of three.
pub trait World: Send + Sync + 'static {
    /// Hands out clouds.
    type Clouds: CloudProvider;
    /// Tells the time.
    type Clock: Clock;
    /// Asks applications what is in flight.
    type Probe: Probe;

    /// Hands out clouds.
    fn clouds(&self) -> &Self::Clouds;
    /// Tells the time.
    fn clock(&self) -> &Self::Clock;
    /// Asks applications what is in flight.
    fn probe(&self) -> &Self::Probe;
}

/// A [`World`] of three parts.
#[derive(Debug, Clone)]
pub struct Outside<P, K, B> {
    /// Hands out clouds.
    pub clouds: P,
    /// Tells the time.
    pub clock: K,
    /// Asks applications what is in flight.
    pub probe: B,
}

impl<P: CloudProvider, K: Clock, B: Probe> World for Outside<P, K, B> {
    type Clouds = P;
    type Clock = K;
    type Probe = B;

    fn clouds(&self) -> &P {
        &self.clouds
    }

    fn clock(&self) -> &K {
        &self.clock
    }

    fn probe(&self) -> &B {
        &self.probe
    }
}
