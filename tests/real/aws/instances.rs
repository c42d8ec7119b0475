//! Instances: found by their tags, and terminated.
//!
//! More than one page of them is more than moto tells within the time that a request may take.

use bluegreen::plan::{FailureKind, Instance, InstanceState};

use super::{
    super::report::{Side, Suite},
    moto::Moto,
    refused, tagged,
};

pub(super) async fn suite(moto: &Moto<'_>, suite: &mut Suite) {
    suite
        .case(
            Side::Real,
            "instances by all their tags, in any state",
            found(moto),
        )
        .await;
    suite
        .case(Side::Real, "a tag's value is no pattern", literal(moto))
        .await;
    suite
        .case(Side::Real, "instances are terminated", terminated(moto))
        .await;
    suite
        .case(Side::Real, "an instance that is protected", protected(moto))
        .await;
}

async fn found(moto: &Moto<'_>) {
    let with_all = "{Key=app,Value=found},{Key=env,Value=test},{Key=version,Value=1.8.0}";
    let mut ids = moto.launch(3, with_all).await;
    ids.sort();
    moto.launch(1, "{Key=app,Value=found},{Key=env,Value=live}")
        .await;
    let (stopped, ended) = (&ids[1], &ids[2]);
    moto.text(&format!("ec2 stop-instances --instance-ids {stopped}"))
        .await;
    moto.text(&format!("ec2 terminate-instances --instance-ids {ended}"))
        .await;
    moto.text(&format!(
        "ec2 delete-tags --resources {stopped} --tags Key=version"
    ))
    .await;
    let selector = tagged(&[("app", "found"), ("env", "test")]);
    let edge = moto.edge().await;
    let seen = edge.instances(&selector, Some("version")).await.unwrap();
    let states = [
        InstanceState::Running,
        InstanceState::Stopped,
        InstanceState::Terminated,
    ];
    let mut expected = Vec::new();
    for (id, state) in ids.iter().zip(states) {
        let told = moto
            .json(&format!(
                "ec2 describe-instances --instance-ids {id} \
                 --query Reservations[].Instances[].[Placement.AvailabilityZone,PrivateIpAddress]"
            ))
            .await;
        let told = &told[0];
        expected.push(Instance {
            id: id.clone(),
            zone: told[0].as_str().unwrap().to_owned(),
            state,
            address: told[1].as_str().map(|address| address.parse().unwrap()),
            version: (id != stopped).then(|| "1.8.0".to_owned()),
        });
    }
    assert!(expected[0].address.is_some(), "{expected:?}");
    assert_eq!(seen, expected);
    let unversioned = moto.edge().await.instances(&selector, None).await.unwrap();
    assert!(unversioned.iter().all(|one| one.version.is_none()));
}

async fn literal(moto: &Moto<'_>) {
    let star = moto.launch(1, "{Key=app,Value=star*}").await;
    let longer = moto.launch(1, "{Key=app,Value=starlight}").await;
    // That a star is a pattern for moto, if nothing is done about it.
    let both = moto
        .text(
            "ec2 describe-instances --filters Name=tag:app,Values=star* \
             --query Reservations[].Instances[].InstanceId",
        )
        .await;
    assert!(both.contains(&star[0]) && both.contains(&longer[0]));
    let which = moto.launch(1, "{Key=app,Value=which?}").await;
    let edge = moto.edge().await;
    for (value, expected) in [("star*", star), ("which?", which)] {
        let seen = edge.instances(&tagged(&[("app", value)]), None).await;
        let seen: Vec<String> = seen.unwrap().into_iter().map(|one| one.id).collect();
        assert_eq!(seen, expected);
    }
}

async fn state(moto: &Moto<'_>, id: &str) -> String {
    moto.text(&format!(
        "ec2 describe-instances --instance-ids {id} \
         --query Reservations[].Instances[].State.Name"
    ))
    .await
}

async fn terminated(moto: &Moto<'_>) {
    let mut ids = moto.launch(2, "{Key=app,Value=terminated}").await;
    // One that EC2 has forgotten spoils a request that names it.
    ids.insert(1, "i-0123456789abcdef0".to_owned());
    let edge = moto.edge().await;
    // The second time nothing is left to be done.
    for _ in 0..2 {
        edge.terminate(&ids).await.unwrap();
        for id in [&ids[0], &ids[2]] {
            assert_eq!(state(moto, id).await, "terminated");
        }
    }
}

async fn protected(moto: &Moto<'_>) {
    let id = moto.launch(1, "{Key=app,Value=protected}").await.remove(0);
    moto.text(&format!(
        "ec2 modify-instance-attribute --instance-id {id} --disable-api-termination"
    ))
    .await;
    let edge = moto.edge().await;
    refused(
        edge.terminate(std::slice::from_ref(&id)).await,
        FailureKind::Rejected,
        &[
            "TerminateInstances",
            &id,
            "OperationNotPermitted",
            "correct",
        ],
    );
    assert_eq!(state(moto, &id).await, "running");
}
