//! The cloud that this process works in.
//!
//! The AWS edge is not part of this branch. Until it is merged every release is told so, and
//! nothing is read or changed.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::Arc,
};

use bluegreen::{
    api::{InstanceSelector, TargetGroupRef, Time},
    cloud::{Cloud, Error, TargetGroup, TargetGroupArn},
    controller::CloudProvider,
    plan::{CommandState, FailureKind, Health, Instance, SendCommand, TargetId},
};

/// No cloud at all.
#[derive(Debug)]
pub(crate) struct NoClouds;

/// Cannot be made.
#[derive(Debug)]
pub(crate) enum NoCloud {}

fn none() -> Error {
    Error::new(FailureKind::Rejected, "this build has no connection to AWS")
}

impl CloudProvider for NoClouds {
    type Cloud = NoCloud;

    fn cloud(&self, _: Option<&str>) -> Result<Arc<NoCloud>, Error> {
        Err(none())
    }

    async fn addresses(
        &self,
        _: Option<&str>,
        _: &[String],
    ) -> Result<HashMap<String, IpAddr>, Error> {
        Err(none())
    }
}

impl Cloud for NoCloud {
    async fn instances(
        &self,
        _: &InstanceSelector,
        _: Option<&str>,
    ) -> Result<Vec<Instance>, Error> {
        match *self {}
    }

    async fn target_group(&self, _: &TargetGroupRef) -> Result<TargetGroup, Error> {
        match *self {}
    }

    async fn target_health(&self, _: &TargetGroupArn) -> Result<BTreeMap<TargetId, Health>, Error> {
        match *self {}
    }

    async fn register(&self, _: &TargetGroupArn, _: &[TargetId]) -> Result<(), Error> {
        match *self {}
    }

    async fn deregister(&self, _: &TargetGroupArn, _: &[TargetId]) -> Result<(), Error> {
        match *self {}
    }

    async fn send(&self, _: &SendCommand) -> Result<(), Error> {
        match *self {}
    }

    async fn command(&self, _: &str, _: Time) -> Result<CommandState, Error> {
        match *self {}
    }

    async fn terminate(&self, _: &[String]) -> Result<(), Error> {
        match *self {}
    }
}
