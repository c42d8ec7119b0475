//! Puts the AWS edge where the loop expects a cloud and the AWS edge expects an observer.

use std::{sync::Arc, time::Duration};

use super::{CloudProvider, Metrics};
use crate::cloud::{
    Error, Observer, Shared,
    aws::{AwsCloud, Clouds},
};

impl CloudProvider for Clouds {
    type Cloud = Shared<AwsCloud>;

    fn cloud(&self, region: Option<&str>) -> Result<Arc<Self::Cloud>, Error> {
        self.region(region)
    }

    fn own_region(&self) -> Option<&str> {
        self.own()
    }
}

impl Observer for Metrics {
    fn started(&self, operation: &'static str) {
        self.aws_started(operation);
    }

    fn finished(&self, operation: &'static str, result: &'static str, took: Duration) {
        self.aws_finished(operation, result, took);
    }

    fn held_back(&self, operation: &'static str) {
        self.aws_held_back(operation);
    }
}
