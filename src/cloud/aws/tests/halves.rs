//! Effects of which AWS refuses a part.

use std::{collections::BTreeMap, collections::BTreeSet, sync::Arc, sync::Mutex};

use super::{Fake, Reply, Seen, arn, caller, ec2_error, elb_error, ok, targets, xml};
use crate::{api::InstanceSelector, cloud::Cloud, plan::FailureKind};

type Landed = Arc<Mutex<BTreeSet<String>>>;

fn terminated() -> Reply {
    ok("<TerminateInstancesResponse><instancesSet/></TerminateInstancesResponse>")
}

/// An ELB that refuses these ids, and says so in these words.
fn registering(refused: &'static [&'static str], words: &'static str) -> (Fake, Landed) {
    let landed = Landed::default();
    let log = Arc::clone(&landed);
    let fake = Fake::new(move |seen: &Seen| {
        let ids = seen.values("Targets.member", ".Id");
        if ids.iter().any(|id| refused.contains(id)) {
            return elb_error(400, "InvalidTarget", words);
        }
        log.lock()
            .unwrap()
            .extend(ids.into_iter().map(str::to_owned));
        xml("RegisterTargets", "")
    });
    (fake, landed)
}

#[tokio::test(start_paused = true)]
async fn one_stopped_instance_does_not_keep_the_others_out() {
    let (fake, landed) = registering(&["i-2"], "Some of the targets are not running");
    let failed = fake
        .cloud
        .register(&caller(), &arn(), &targets(4))
        .await
        .unwrap_err();
    assert_eq!(failed.kind(), FailureKind::Rejected);
    let says = failed.to_string();
    assert!(says.starts_with("1 of 4 failed, i-2: elastic"), "{says}");
    assert!(says.contains("are not running"), "{says}");
    let expected = ["i-0", "i-1", "i-3"].map(str::to_owned);
    assert_eq!(*landed.lock().unwrap(), BTreeSet::from(expected));
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_aws_names_is_left_out_at_once() {
    let words = "The following targets are not in a running state: 'i-77'";
    let (fake, landed) = registering(&["i-77"], words);
    let failed = fake.cloud.register(&caller(), &arn(), &targets(100)).await;
    assert!(failed.unwrap_err().to_string().contains("i-77"));
    assert_eq!(landed.lock().unwrap().len(), 99);
    assert_eq!(fake.operations().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_about_single_targets_is_not_halved() {
    let fake = Fake::new(|_| elb_error(400, "TargetGroupNotFound", "no"));
    let failed = fake.cloud.register(&caller(), &arn(), &targets(4)).await;
    assert_eq!(failed.unwrap_err().kind(), FailureKind::NotFound);
    assert_eq!(fake.operations().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn as_many_as_possible_land_before_the_time_is_over() {
    let (fake, landed) = registering(&["i-0"], "one of them");
    let failed = fake.cloud.register(&caller(), &arn(), &targets(200)).await;
    assert!(failed.is_err());
    // Five at once and one a second after that, for two seconds' patience at the most.
    let landed = landed.lock().unwrap().len();
    assert!(landed >= 150, "{landed}");
}

/// E9. AWS spares the whole zone of an instance that is protected, and terminates the others.
#[tokio::test(start_paused = true)]
async fn one_protected_instance_does_not_spare_the_others() {
    let landed = Landed::default();
    let log = Arc::clone(&landed);
    let fake = Fake::new(move |seen: &Seen| {
        let ids = seen.values("InstanceId", "");
        if ids.contains(&"i-42") {
            let words = "The instance 'i-42' may not be terminated. Modify its \
                         'disableApiTermination' instance attribute and try again.";
            return ec2_error(400, "OperationNotPermitted", words);
        }
        log.lock()
            .unwrap()
            .extend(ids.into_iter().map(str::to_owned));
        terminated()
    });
    let ids: Vec<String> = (0..100).map(|number| format!("i-{number}")).collect();
    let failed = fake.cloud.terminate(&caller(), &ids).await.unwrap_err();
    let says = failed.to_string();
    assert!(says.starts_with("1 of 100 failed, i-42: ec2:"), "{says}");
    assert!(says.contains("disableApiTermination"), "{says}");
    assert_eq!(landed.lock().unwrap().len(), 99);
    assert!(!landed.lock().unwrap().contains("i-42"));
}

#[tokio::test(start_paused = true)]
async fn where_aws_names_none_the_zones_are_asked_one_by_one() {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&requests);
    let fake = Fake::new(move |seen: &Seen| {
        if seen.operation == "DescribeInstances" {
            let items = (0..6).map(|number| {
                let zone = if number % 2 == 0 { 'a' } else { 'b' };
                format!(
                    "<item><instancesSet><item><instanceId>i-{number}</instanceId><instanceState>\
                     <name>running</name></instanceState><placement><availabilityZone>{zone}\
                     </availabilityZone></placement><tagSet><item><key>app</key><value>shop</value>\
                     </item></tagSet></item></instancesSet></item>"
                )
            });
            return ok(format!(
                "<DescribeInstancesResponse><reservationSet>{}</reservationSet>\
                 </DescribeInstancesResponse>",
                items.collect::<String>()
            ));
        }
        let ids = seen.values("InstanceId", "");
        log.lock().unwrap().push(ids.join(" "));
        if ids.contains(&"i-3") {
            ec2_error(400, "OperationNotPermitted", "One is protected")
        } else {
            terminated()
        }
    });
    let tags = BTreeMap::from([("app".to_owned(), "shop".to_owned())]);
    let selector = InstanceSelector { tags };
    fake.cloud
        .instances(&caller(), &selector, None, None)
        .await
        .unwrap();
    let ids: Vec<String> = (0..6).map(|number| format!("i-{number}")).collect();
    let failed = fake.cloud.terminate(&caller(), &ids).await.unwrap_err();
    assert!(
        failed.to_string().contains("1 of 6 failed, i-3"),
        "{failed}"
    );
    let requests = requests.lock().unwrap().clone();
    let expected = [
        "i-0 i-1 i-2 i-3 i-4 i-5",
        "i-0 i-2 i-4",
        "i-1 i-3 i-5",
        "i-1 i-3",
        "i-5",
        "i-1",
        "i-3",
    ];
    assert_eq!(requests, expected);
}
