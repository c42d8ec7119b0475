//! The ways that releases go, and the calls that they make there.

use std::collections::{BTreeMap, BTreeSet};

use bluegreen::api::Phase;
use bluegreen_app::app::HealthBehaviour;
use bluegreen_cloud::{
    faults::{Fault, FaultKind},
    scene::GroupPlan,
};
use serde_json::{Value, json};

use super::policy::Tags;
use crate::harness::{Behaviour, Manifest, NEW, OLD, Scene, World, calls};

/// The tag of the page.
const TAG: (&str, &str) = ("bluegreen", "managed");

/// What the controllers of some worlds have asked for.
#[derive(Default)]
pub(super) struct Made {
    pub(super) account: String,
    pub(super) region: String,
    /// An action with each of the resources that IAM holds against the policy, or with none where
    /// IAM knows no resource for it.
    pub(super) calls: BTreeSet<(String, Option<String>)>,
    /// What carries the tag.
    tagged: BTreeSet<String>,
    /// By kind, something that is there and does not.
    foreign: BTreeMap<String, String>,
}

impl Made {
    /// The tags of a resource.
    pub(super) fn tags_of(&self, resource: Option<&str>) -> Tags {
        let tagged = resource.is_some_and(|resource| self.tagged.contains(resource));
        let tag = (TAG.0.to_owned(), TAG.1.to_owned());
        tagged.then_some(tag).into_iter().collect()
    }

    /// Something of a kind that is there and is none of the release's business.
    pub(super) fn foreign_of(&self, kind: &str) -> Option<&String> {
        self.foreign.get(kind)
    }

    /// Tags what is the release's own, as the page says, and adds a target group that is not.
    fn prepare(&mut self, world: &World) {
        let config = world.cloud.config();
        self.account.clone_from(&config.account);
        self.region.clone_from(&config.region);
        let tag = json!([{"Key": TAG.0, "Value": TAG.1}]);
        let groups = &world.built.groups;
        let own = json!({"ResourceArns": groups, "Tags": tag});
        world.cloud.arrange("AddTags", &own).unwrap();
        let hosts: Vec<&String> = world.built.hosts.iter().map(|host| &host.id).collect();
        let own = json!({"ResourceId": hosts, "Tag": tag});
        world.cloud.arrange("CreateTags", &own).unwrap();
        let prefix = format!("arn:aws:ec2:{}:{}:instance", self.region, self.account);
        self.tagged.extend(groups.iter().cloned());
        self.tagged
            .extend(hosts.iter().map(|id| format!("{prefix}/{id}")));
        let plan = GroupPlan::new("foreign", 8080);
        let group = world.cloud.build_group(&world.built.vpc, &plan).unwrap();
        // Every account has this document, which runs any command as root.
        let document = format!(
            "arn:aws:ssm:{}:{}:document/AWS-RunShellScript",
            self.region, self.account
        );
        for foreign in [group, document] {
            let (kind, _) = foreign.split_once('/').unwrap();
            self.foreign.insert(kind.to_owned(), foreign.clone());
        }
    }

    /// Takes up what a world's controller has asked for.
    fn take(&mut self, world: &World) {
        // Asked of Network Load Balancers alone, and the simulated cloud has none: that it is asked
        // is held by the unit tests of the edge, and on moto.
        let balancers = "elasticloadbalancing:DescribeLoadBalancerAttributes";
        self.calls.insert((balancers.to_owned(), None));
        for call in calls(&world.cloud) {
            // What is refused before it is understood does not say what it is about.
            assert!(call.effective, "nothing is refused here: {call:?}");
            if call.resources.is_empty() {
                self.calls.insert((call.action.clone(), None));
            }
            for resource in call.resources {
                self.calls.insert((call.action.clone(), Some(resource)));
            }
        }
    }
}

/// How a release goes.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// Forward to its end, and then the object is deleted.
    Forward,
    /// The same, and the answer to the first command is lost.
    ForwardWithoutAnswer,
    /// The new version is not healthy, so that the release turns back by itself.
    Unhealthy,
    /// The version is set back while it is in this phase.
    Back(Phase),
    /// The object is deleted while it is in this phase.
    Deleted(Phase),
}

/// How the release names its target groups.
#[derive(Debug, Clone, Copy)]
enum Groups {
    ByName,
    ByArn,
}

/// What happens to drained instances that others created.
#[derive(Debug, Clone, Copy)]
pub(super) enum Terminate {
    Never,
    Instances,
}

/// One release in a world of its own.
pub(super) struct Drive {
    scene: Scene,
    way: Way,
    groups: Groups,
    spec: Option<(&'static str, Value)>,
}

/// Hosts, in place and side by side.
pub(super) fn hosts() -> Vec<Drive> {
    use Groups::{ByArn, ByName};
    let (one, two) = (Scene::in_place, Scene::side_by_side);
    let ways: [(fn() -> Scene, _, _); 6] = [
        (one, Way::ForwardWithoutAnswer, ByName),
        (one, Way::Unhealthy, ByArn),
        (one, Way::Deleted(Phase::Starting), ByName),
        (two, Way::Forward, ByArn),
        (two, Way::Back(Phase::Draining), ByName),
        (two, Way::Deleted(Phase::Registering), ByArn),
    ];
    let drives = ways.map(|(scene, way, groups)| Drive {
        scene: scene(),
        way,
        groups,
        spec: None,
    });
    drives.into()
}

/// Instances that others create.
pub(super) fn existing(terminate: Terminate) -> Vec<Drive> {
    let word = match terminate {
        Terminate::Never => "Never",
        Terminate::Instances => "Instances",
    };
    let ways = [
        (Way::Forward, Groups::ByName),
        (Way::Unhealthy, Groups::ByName),
        (Way::Back(Phase::Draining), Groups::ByArn),
        (Way::Deleted(Phase::Draining), Groups::ByName),
    ];
    let drives = ways.map(|(way, groups)| Drive {
        scene: Scene::existing(),
        way,
        groups,
        spec: Some(("fleet.existing.terminate", json!(word))),
    });
    drives.into()
}

impl Drive {
    /// Makes the release and takes up what was asked for.
    pub(super) async fn run(self, made: &mut Made) {
        println!("{:?} {:?}", self.way, self.groups);
        let scene = self.scene.short().calm();
        let scene = match self.way {
            Way::Unhealthy => scene.behaving(NEW, |behaviour| Behaviour {
                health: HealthBehaviour::NeverHealthy,
                ..behaviour
            }),
            Way::Forward | Way::ForwardWithoutAnswer | Way::Back(_) | Way::Deleted(_) => scene,
        };
        let manifest = Manifest::of(&scene).with("health.timeout", json!("60s"));
        let world = World::new(scene, 600).await;
        made.prepare(&world);
        let manifest = match self.groups {
            Groups::ByName => manifest,
            Groups::ByArn => {
                let groups = world.built.groups.iter();
                let groups: Vec<Value> = groups.map(|arn| json!({"arn": arn})).collect();
                manifest.with("traffic.registration.targetGroups", json!(groups))
            }
        };
        let manifest = match self.spec {
            Some((path, value)) => manifest.with(path, value),
            None => manifest,
        };
        go(self.way, &world, manifest).await;
        made.take(&world);
        world.end().await;
    }
}

async fn go(way: Way, world: &World, manifest: Manifest) {
    if let Way::ForwardWithoutAnswer = way {
        let lost = Fault::new("SendCommand", FaultKind::DropAfter).times(1);
        world.cloud.set_fault(lost);
    }
    world.start();
    world.apply(&manifest).await;
    let begun = |phase: Phase| world.until("the phase", 600, move |status| status.phase == phase);
    match way {
        Way::Forward | Way::ForwardWithoutAnswer => {
            world.until_released(900).await;
            world.delete().await;
            world.until_gone(60).await;
        }
        Way::Unhealthy => {
            begun(Phase::RolledBack).await;
        }
        Way::Back(phase) => {
            begun(phase).await;
            world.apply(&manifest.with("version", json!(OLD))).await;
            world.until_released(900).await;
        }
        Way::Deleted(phase) => {
            begun(phase).await;
            world.delete().await;
            world.until_gone(900).await;
        }
    }
}
