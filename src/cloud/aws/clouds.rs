//! The clouds of a process: one for each region that a release names.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_config::SdkConfig;
use bytes::Bytes;
use tokio::time::Instant;

use super::{
    AwsCloud, config,
    config::AwsSettings,
    http::{self, BoxError},
    regions,
};
use crate::{
    cloud::{Budgets, Error, Observer, Shared, error::cut},
    plan::FailureKind,
};

/// How many regions are in use at the same time, the controller's own aside. Each keeps some memory
/// and connections, and regions come from users.
const REGIONS: usize = 16;

/// A region that nobody has asked for in this time is let go when another one is needed. By then
/// its budgets are full again, so that nothing is lost with them.
const IDLE: Duration = Duration::from_secs(600);

/// As much as a message shows of a region's name.
const LONGEST_NAME: usize = 40;

type Region = Arc<Shared<AwsCloud>>;

/// One shared cloud for each region, made when it is first asked for and kept, so that its rate
/// budgets and its coalescing hold for all releases.
pub struct Clouds {
    config: SdkConfig,
    observer: Arc<dyn Observer>,
    rate_factor: f64,
    regions: Mutex<Regions>,
}

#[derive(Default)]
struct Regions {
    own: Option<Region>,
    others: HashMap<String, (Instant, Region)>,
}

impl Clouds {
    /// Finds region and credentials where AWS's tools find them, and connects to nothing but
    /// the machine's own metadata service.
    pub async fn connect(settings: &AwsSettings, observer: Arc<dyn Observer>) -> Self {
        Self::new(config::load(settings).await, observer)
    }

    /// Talks to a service in this process in place of AWS: the SDK's requests are handed to it
    /// as they would go over the wire, signed with made-up credentials. Reads neither the
    /// environment nor a file. An `Err` of the service is a connection that broke.
    pub fn in_memory<F, R>(region: &str, service: F, observer: Arc<dyn Observer>) -> Self
    where
        F: Fn(::http::Request<Bytes>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<::http::Response<Bytes>, BoxError>> + Send + 'static,
    {
        Self::new(config::in_memory(region, service), observer)
    }

    pub(super) fn new(config: SdkConfig, observer: Arc<dyn Observer>) -> Self {
        Self {
            config,
            observer,
            rate_factor: 1.0,
            regions: Mutex::default(),
        }
    }

    /// Asks AWS so many times as often as by default, which is about a third of what an account's
    /// documented limits allow. For clouds that are made from now on.
    #[must_use]
    pub fn with_rate_factor(self, rate_factor: f64) -> Self {
        Self {
            rate_factor,
            ..self
        }
    }

    /// Asks `fence` before each request goes out; where it says no, the request is not sent and
    /// fails. For clouds that are made from now on. Credentials are fetched without it.
    #[must_use]
    pub fn with_fence(self, fence: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        let config = match self.config.http_client() {
            Some(client) => self
                .config
                .to_builder()
                .http_client(http::fenced(client, Arc::new(fence)))
                .build(),
            None => self.config,
        };
        Self { config, ..self }
    }

    /// The controller's own region, where one is known.
    #[must_use]
    pub fn own(&self) -> Option<&str> {
        self.config.region().map(aws_config::Region::as_ref)
    }

    /// The cloud of a region; `None` is the controller's own region, which is always to be had.
    /// Talks to nobody.
    ///
    /// # Errors
    /// [`FailureKind::Rejected`] where no region is known, where AWS has no such region in the
    /// partition of the controller's own, or where too many are in use.
    pub fn region(&self, region: Option<&str>) -> Result<Arc<Shared<AwsCloud>>, Error> {
        let own = self.own();
        let name = region.or(own).ok_or_else(|| {
            Error::new(
                FailureKind::Rejected,
                "no AWS region is known; set spec.aws.region, or AWS_REGION for the controller",
            )
        })?;
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        if own == Some(name) {
            let cloud = regions.own.get_or_insert_with(|| self.make(name));
            return Ok(Arc::clone(cloud));
        }
        check(name, own)?;
        let now = Instant::now();
        if let Some((asked, cloud)) = regions.others.get_mut(name) {
            *asked = now;
            return Ok(Arc::clone(cloud));
        }
        if regions.others.len() >= REGIONS {
            regions.others.retain(|_, (asked, cloud)| {
                now.saturating_duration_since(*asked) < IDLE || Arc::strong_count(cloud) > 1
            });
        }
        if regions.others.len() >= REGIONS {
            return Err(Error::new(
                FailureKind::Rejected,
                format!(
                    "AWS region {name}: the controller is in use for {REGIONS} other regions \
                     already; check spec.aws.region, or run another controller for this region"
                ),
            ));
        }
        let cloud = self.make(name);
        regions
            .others
            .insert(name.to_owned(), (now, Arc::clone(&cloud)));
        Ok(cloud)
    }

    fn make(&self, name: &str) -> Region {
        let region = aws_config::Region::new(name.to_owned());
        let config = self.config.to_builder().region(region).build();
        Arc::new(Shared::new(AwsCloud::new(
            &config,
            Budgets::times(self.rate_factor),
            Arc::clone(&self.observer),
        )))
    }
}

/// Whether AWS has a region, in the partition of the controller's own region where that is known.
fn check(name: &str, own: Option<&str>) -> Result<(), Error> {
    let at_home = own.and_then(regions::partition_of);
    let found = regions::partition_of(name);
    if found.is_some_and(|found| at_home.is_none_or(|home| home.0 == found.0)) {
        return Ok(());
    }
    let name = cut(name.to_owned(), LONGEST_NAME);
    let (partition, known) = at_home.unwrap_or(regions::DEFAULT);
    Err(Error::new(
        FailureKind::Rejected,
        format!(
            "AWS region {name}: there is no such region in the partition {partition}; correct \
             spec.aws.region, or leave it out for the controller's own; this version knows {}",
            known.join(", ")
        ),
    ))
}
