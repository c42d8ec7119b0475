//! The clouds of a process: one for each region that a release names.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use aws_config::{Region, SdkConfig};
use bytes::Bytes;

use super::{
    AwsCloud, config,
    config::AwsSettings,
    http::{self, BoxError},
};
use crate::{
    cloud::{Budgets, Error, Observer, Shared},
    plan::FailureKind,
};

/// More than AWS has regions. Regions come from users, and each keeps some memory.
const REGIONS: usize = 64;

/// One shared cloud for each region, made when it is first asked for and kept, so that its rate
/// budgets and its coalescing hold for all releases.
pub struct Clouds {
    config: SdkConfig,
    observer: Arc<dyn Observer>,
    rate_factor: f64,
    regions: Mutex<HashMap<String, Arc<Shared<AwsCloud>>>>,
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

    /// The cloud of a region; `None` is the controller's own region. Talks to nobody.
    ///
    /// # Errors
    /// [`FailureKind::Rejected`] where no region is known, or too many are in use.
    pub fn region(&self, region: Option<&str>) -> Result<Arc<Shared<AwsCloud>>, Error> {
        let name = region
            .or_else(|| self.config.region().map(Region::as_ref))
            .ok_or_else(|| {
                Error::new(
                    FailureKind::Rejected,
                    "no AWS region is known; set spec.aws.region, or AWS_REGION for the controller",
                )
            })?;
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cloud) = regions.get(name) {
            return Ok(Arc::clone(cloud));
        }
        if regions.len() >= REGIONS {
            return Err(Error::new(
                FailureKind::Rejected,
                format!(
                    "AWS region {name}: the controller is in use for {REGIONS} regions already; \
                     check spec.aws.region, or run another controller"
                ),
            ));
        }
        let config = self
            .config
            .to_builder()
            .region(Region::new(name.to_owned()))
            .build();
        let cloud = Arc::new(Shared::new(AwsCloud::new(
            &config,
            Budgets::times(self.rate_factor),
            Arc::clone(&self.observer),
        )));
        regions.insert(name.to_owned(), Arc::clone(&cloud));
        Ok(cloud)
    }
}
