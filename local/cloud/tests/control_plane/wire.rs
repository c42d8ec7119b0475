//! The envelopes: who is asked, who asks, and how errors are wrapped.

use bluegreen_cloud::serve;
use bluegreen_net::Net;
use bytes::Bytes;
use http::Request;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::World;

#[tokio::test(start_paused = true)]
async fn each_protocol_wraps_its_errors_in_its_own_way() {
    let world = World::calm();
    let elb = world.elb("Nonsense", &[]).await;
    assert!(
        elb.body
            .starts_with("<ErrorResponse xmlns=\"http://elasticloadbalancing"),
        "{}",
        elb.body
    );
    assert_eq!(
        (elb.status, elb.one("Type").as_str(), elb.code().as_str()),
        (400, "Sender", "InvalidAction")
    );
    let ec2 = world.ec2("Nonsense", &[]).await;
    assert!(
        ec2.body
            .contains("<Response><Errors><Error><Code>InvalidAction</Code>"),
        "{}",
        ec2.body
    );
    let ssm = world.ssm("Nonsense", json!({})).await;
    assert_eq!(ssm.code(), "UnknownOperationException");
}

#[tokio::test(start_paused = true)]
async fn a_call_of_another_version_of_a_service_is_refused() {
    let world = World::calm();
    for (service, version, code) in [
        ("elasticloadbalancing", "2012-06-01", "InvalidAction"),
        ("ec2", "2006-06-26", "NoSuchVersion"),
        ("ec2", "", "MissingParameter"),
        ("sts", "2015-12-01", "InvalidAction"),
    ] {
        let form = format!("Action=DescribeInstances&Version={version}");
        let answer = world.send(service, None, form).await.unwrap();
        assert_eq!(answer.code(), code, "{service} {version}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_of_another_service_is_none_of_systems_manager() {
    let world = World::calm();
    for target in [
        "AmazonEC2ContainerRegistry.ListCommands",
        "ListCommands",
        "AmazonSSM",
    ] {
        let sent = world.send("ssm", Some(target), "{}".to_owned());
        let answer = sent.await.unwrap();
        assert_eq!(answer.code(), "UnknownOperationException", "{target}");
    }
    world.ssm("ListCommands", json!({})).await.ok();
}

#[tokio::test(start_paused = true)]
async fn a_parameter_with_thousands_of_dots_is_refused() {
    let world = World::calm();
    let name = "a.".repeat(2_200);
    let answer = world.elb("DescribeTargetGroups", &[(&name, "1")]).await;
    assert_eq!(answer.code(), "MalformedQueryString");
    let missing = world.ec2("StopInstances", &[]).await;
    assert_eq!(
        (missing.code().as_str(), missing.one("Message").as_str()),
        (
            "MissingParameter",
            "The request must contain the parameter InstanceId"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_without_credentials_is_refused() {
    let world = World::calm();
    let form = "Action=DescribeTargetGroups&Version=2015-12-01";
    let request = Request::post("/").body(Bytes::from(form)).unwrap();
    let response = world.cloud.handle(request).await.unwrap();
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    assert_eq!(response.status(), 403);
    assert!(body.contains("MissingAuthenticationToken"), "{body}");
    assert!(world.cloud.ledger(0).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_role_that_is_assumed_is_the_principal_until_its_credentials_expire() {
    let world = World::calm();
    let role = [
        ("RoleArn", "arn:aws:iam::123456789012:role/releases"),
        ("RoleSessionName", "games"),
        ("DurationSeconds", "900"),
    ];
    let key = world.sts("AssumeRole", &role).await.ok().one("AccessKeyId");
    let who = |key: String| {
        let header =
            format!("AWS4-HMAC-SHA256 Credential={key}/20270115/r/sts/aws4_request, Signature=0");
        let form = "Action=GetCallerIdentity&Version=2011-06-15";
        Request::post("/")
            .header("authorization", header)
            .body(Bytes::from(form))
            .unwrap()
    };
    let response = world.cloud.handle(who(key.clone())).await.unwrap();
    let principal = "arn:aws:sts::123456789012:assumed-role/releases/games";
    assert!(String::from_utf8_lossy(response.body()).contains(principal));
    assert_eq!(world.cloud.ledger(1)[0].principal, principal);
    world.wait(900.0).await;
    let response = world.cloud.handle(who(key)).await.unwrap();
    assert!(String::from_utf8_lossy(response.body()).contains("ExpiredToken"));
}

#[tokio::test(start_paused = true)]
async fn the_cloud_is_served_over_a_connection_and_a_dropped_call_ends_it() {
    let world = World::calm();
    let net = Net::memory();
    let at = "127.0.0.1:4566".parse().unwrap();
    let listener = net.listen(at).await.unwrap();
    let server = tokio::spawn(serve(listener, world.cloud.clone(), std::future::pending()));
    let body = "Action=GetCallerIdentity&Version=2011-06-15";
    let request = format!(
        "POST / HTTP/1.1\r\nhost: x\r\nauthorization: AWS4-HMAC-SHA256 \
         Credential=AKIA/1/r/sts/aws4_request\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut connection = net.connect(None, at).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = connection.read(&mut answer).await.unwrap();
    let head = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    let drop = bluegreen_cloud::faults::FaultKind::DropAfter;
    world.cloud.set_fault(bluegreen_cloud::faults::Fault::new(
        "GetCallerIdentity",
        drop,
    ));
    connection.write_all(request.as_bytes()).await.unwrap();
    let rest = connection.read(&mut answer).await;
    assert!(matches!(rest, Ok(0) | Err(_)), "{rest:?}");
    server.abort();
}
