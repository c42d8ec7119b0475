//! Reads and writes the Lease. Every write carries the version that was read: of two candidates
//! one is refused.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams, runtime::watcher};
use tracing::{debug, info};

use super::{LeaseOptions, rules};
use crate::controller::{
    error::{Error, call},
    report::FIELD_MANAGER,
};

/// How long the last word of a leader may take. The next one waits for it, and a process that is
/// told to end has little time.
const GIVING_BACK: Duration = Duration::from_secs(2);

/// How often it is said. Between a reading and the write that follows it, a renewal of our own may
/// land that nobody waited for, and somebody may put a label on the lease: each is met once.
const GIVEN_BACK: u32 = 3;

/// The Lease on the API server.
pub(super) struct LeaseObject<'a> {
    pub(super) api: Api<Lease>,
    options: &'a LeaseOptions,
}

/// How a write ended.
pub(super) enum Written {
    /// It is on the server, as this.
    Landed(Box<Lease>),
    /// Somebody else wrote it since it was read.
    Beaten,
}

impl<'a> LeaseObject<'a> {
    pub(super) fn new(client: Client, options: &'a LeaseOptions) -> Self {
        Self {
            api: Api::namespaced(client, &options.namespace),
            options,
        }
    }

    pub(super) async fn read(&self) -> Result<Option<Lease>, Error> {
        call("reading the lease", self.api.get_opt(&self.options.name)).await
    }

    pub(super) async fn create(&self) -> Result<Written, Error> {
        let mut lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.options.name.clone()),
                namespace: Some(self.options.namespace.clone()),
                ..ObjectMeta::default()
            },
            spec: None,
        };
        self.hold(&mut lease, 0);
        let params = parameters();
        let answer = self.api.create(&params, &lease);
        written(call("creating the lease", answer).await)
    }

    /// Takes a lease that nobody holds any more.
    pub(super) async fn take(&self, lease: &Lease) -> Result<Written, Error> {
        let mut lease = lease.clone();
        self.hold(&mut lease, 1);
        self.replace("taking the lease", lease).await
    }

    /// Renews a lease that is ours.
    pub(super) async fn renew(&self, lease: &Lease) -> Result<Written, Error> {
        let mut lease = lease.clone();
        let spec = lease.spec.get_or_insert_default();
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        self.replace("renewing the lease", lease).await
    }

    /// Gives the lease back, so that the next leader need not wait for its end. Where this fails
    /// it has to.
    pub(super) async fn give_back(&self, lease: &Lease) {
        match tokio::time::timeout(GIVING_BACK, self.release(lease)).await {
            Ok(Ok(Written::Landed(_))) => info!("the lease was given back"),
            Ok(Ok(Written::Beaten)) => debug!("the lease was not given back: others write it"),
            Ok(Err(error)) => info!(%error, "the lease was not given back; it ends by itself"),
            Err(_) => info!("the lease was not given back in time; it ends by itself"),
        }
    }

    /// Writes that nobody holds the lease, for as long as it is ours.
    async fn release(&self, lease: &Lease) -> Result<Written, Error> {
        let mut lease = lease.clone();
        for _ in 0..GIVEN_BACK {
            let spec = lease.spec.get_or_insert_default();
            spec.holder_identity = Some(String::new());
            spec.renew_time = Some(MicroTime(Timestamp::now()));
            let written = self.replace("giving the lease back", lease).await?;
            let Written::Beaten = written else {
                return Ok(written);
            };
            lease = match self.read().await? {
                Some(found) if rules::holder(&found) == Some(&self.options.identity) => found,
                Some(_) | None => break,
            };
        }
        Ok(Written::Beaten)
    }

    /// Makes a lease ours.
    fn hold(&self, lease: &mut Lease, transitions: i32) {
        let now = MicroTime(Timestamp::now());
        let seconds = self.options.duration.as_secs();
        let spec = lease.spec.get_or_insert_default();
        let before = spec.lease_transitions.unwrap_or_default();
        *spec = LeaseSpec {
            holder_identity: Some(self.options.identity.clone()),
            lease_duration_seconds: Some(i32::try_from(seconds).unwrap_or(i32::MAX)),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            lease_transitions: Some(before.saturating_add(transitions)),
            ..LeaseSpec::default()
        };
    }

    async fn replace(&self, verb: &'static str, mut lease: Lease) -> Result<Written, Error> {
        // The server keeps its own.
        lease.metadata.managed_fields = None;
        let params = parameters();
        let answer = self.api.replace(&self.options.name, &params, &lease);
        written(call(verb, answer).await)
    }

    /// What a person should read of a request that failed.
    pub(super) fn complaint(&self, error: &Error) -> String {
        let LeaseOptions {
            namespace, name, ..
        } = self.options;
        match error.status() {
            Some(status) if status.is_forbidden() => format!(
                "no permission for the lease {name} in namespace {namespace}: {}; grant get, \
                 list, watch and update on it and create on leases (the Helm chart's role does), \
                 or run a single controller with --leader-election=false",
                status.message
            ),
            Some(status) if status.is_not_found() => format!(
                "namespace {namespace} for the lease {name} does not exist: {}; create it, or \
                 choose another with --lease-namespace",
                status.message
            ),
            Some(_) | None => {
                format!("{error}; the lease is {namespace}/{name}; it is tried again")
            }
        }
    }

    /// What a person should read of a request that was not answered.
    pub(super) fn late(&self, within: Duration) -> String {
        let LeaseOptions {
            namespace, name, ..
        } = self.options;
        format!(
            "the API server did not answer within {within:?} about the lease {namespace}/{name}; \
             it is tried again"
        )
    }

    /// What a person should read of a watch that failed.
    pub(super) fn watch_complaint(&self, error: &watcher::Error) -> String {
        let LeaseOptions {
            namespace, name, ..
        } = self.options;
        format!("watching the lease {namespace}/{name} failed: {error}; it is tried again")
    }
}

fn parameters() -> PostParams {
    PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    }
}

fn written(answer: Result<Lease, Error>) -> Result<Written, Error> {
    match answer {
        Ok(lease) => Ok(Written::Landed(Box::new(lease))),
        Err(error) => match error.status() {
            // 409 is both "conflict" and "already exists"; 404 on a replace: it was deleted.
            Some(status) if status.code == 409 => Ok(Written::Beaten),
            Some(status) if status.is_not_found() && is_lease(status) => Ok(Written::Beaten),
            Some(_) | None => Err(error),
        },
    }
}

/// A namespace that does not exist is 404 too, and nobody's victory.
fn is_lease(status: &kube::core::Status) -> bool {
    status
        .details
        .as_ref()
        .is_some_and(|details| details.kind == "leases")
}
