//! The controller's edge to AWS against an AWS that we did not write: every request that it makes
//! goes over a socket to moto, and aws-cli sets up what it reads and reads what it has changed.
//!
//! Moto keeps AWS's records and has no data plane: nothing drains, no health is checked, no
//! command runs. What a release does with those is tested on the simulated cloud. What moto has
//! wrong is in [`lacking`], where each entry is checked to be so still.

pub(crate) mod account;
mod commands;
mod edge;
mod groups;
mod instances;
mod lacking;
mod moto;
mod refusals;
mod roles;
mod targets;

use std::{collections::BTreeSet, fmt::Debug, fs};

use bluegreen::{
    api::{InstanceSelector, TargetGroupRef},
    cloud::Error,
    plan::{FailureKind, TargetId},
};
use regex::Regex;

use self::moto::Moto;
use super::{
    Real,
    report::{Side, Suite},
};

pub(crate) async fn suite(real: &Real, suite: &mut Suite) {
    let mut moto = Moto::start(real).await;
    moto.warm_up().await;
    groups::suite(&moto, suite).await;
    targets::suite(&moto, suite).await;
    instances::suite(&moto, suite).await;
    commands::suite(&moto, suite).await;
    refusals::suite(&moto, suite).await;
    lacking::suite(&moto, suite).await;
    let asked = moto.asked.take();
    moto.end().await;
    let all = async { assert_eq!(asked, documented(real)) };
    suite
        .case(Side::Real, "every operation of docs/aws-iam.md", all)
        .await;
    refusals::without_server(real, suite).await;
    roles::suite(real, suite).await;
}

/// The operations that the controller's role is to be allowed; `local/tests/suite/iam` holds that
/// the controller makes no others. How it gets the role is not among them.
fn documented(real: &Real) -> BTreeSet<String> {
    let page = fs::read_to_string(real.tools.project.join("docs/aws-iam.md")).unwrap();
    let action = Regex::new(r#""(?:elasticloadbalancing|ec2|ssm):([A-Za-z]+)""#).unwrap();
    let actions = action.captures_iter(&page);
    actions.map(|action| action[1].to_owned()).collect()
}

fn by_name(name: &str) -> TargetGroupRef {
    TargetGroupRef {
        name: Some(name.to_owned()),
        arn: None,
    }
}

fn by_arn(arn: &str) -> TargetGroupRef {
    TargetGroupRef {
        name: None,
        arn: Some(arn.to_owned()),
    }
}

fn target(id: &str, port: u16) -> TargetId {
    TargetId {
        id: id.to_owned(),
        port,
    }
}

fn tagged(tags: &[(&str, &str)]) -> InstanceSelector {
    let tags = tags.iter();
    InstanceSelector {
        tags: tags
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
    }
}

/// That a verb failed in this way, with a message that has all these words.
#[track_caller]
fn refused<T: Debug>(result: Result<T, Error>, kind: FailureKind, words: &[&str]) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    let message = error.to_string();
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
}
