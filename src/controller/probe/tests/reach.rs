//! Where a probe goes, and where it does not.

use std::net::SocketAddr;

use serde_json::json;

use super::{Cidrs, HttpProbes, Probe, drain, ok, probe, probes, read, says};
use crate::{controller::Counts, plan::FailureKind};

fn cidrs(text: &str) -> Cidrs {
    text.parse().unwrap()
}

fn allowed(cidrs: &Cidrs, ip: &str) -> bool {
    cidrs
        .check(SocketAddr::new(ip.parse().unwrap(), 80))
        .is_ok()
}

#[test]
fn by_default_only_private_ranges_are_asked() {
    let default = Cidrs::default();
    for ip in [
        "10.0.0.1",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.7.9",
        "fc00::1",
        "fdff::1",
        "::ffff:10.0.0.1",
    ] {
        assert!(allowed(&default, ip), "{ip}");
    }
    for ip in [
        "9.255.255.255",
        "11.0.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "100.64.0.1",
        "54.240.197.233",
        "127.0.0.1",
        "::1",
        "2001:db8::1",
        "::ffff:54.240.197.233",
    ] {
        assert!(!allowed(&default, ip), "{ip}");
    }
}

#[test]
fn metadata_and_other_special_addresses_are_never_asked() {
    let all = cidrs("0.0.0.0/0,::/0,169.254.0.0/16,fe80::/10,fd00:ec2::/32");
    for ip in [
        "169.254.169.254",
        "169.254.170.2",
        "169.254.0.0",
        "::ffff:169.254.169.254",
        "fe80::1",
        "febf::1",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "ff02::1",
    ] {
        assert!(!allowed(&all, ip), "{ip}");
    }
    for ip in [
        "54.240.197.233",
        "2001:db8::1",
        "169.253.0.1",
        "fd00:ec3::1",
    ] {
        assert!(allowed(&all, ip), "{ip}");
    }
}

#[test]
fn the_loopback_is_asked_only_where_it_is_named() {
    assert!(!allowed(&cidrs("0.0.0.0/0,::/0"), "127.0.0.1"));
    assert!(!allowed(&cidrs("0.0.0.0/0,::/0"), "::1"));
    assert!(!allowed(&cidrs("126.0.0.0/7"), "127.0.0.1"));
    assert!(allowed(&cidrs("127.0.0.0/8"), "127.3.2.1"));
    assert!(allowed(
        &cidrs("10.0.0.0/8, 127.0.0.1/32, ::1/128"),
        "127.0.0.1"
    ));
    assert!(allowed(&Cidrs::loopback(), "::1"));
    assert!(!allowed(&cidrs(""), "10.0.0.1"));
}

#[test]
fn ranges_are_read_and_written() {
    for text in [
        "",
        "10.0.0.0/8",
        "10.0.0.0/8,fc00::/7",
        "1.2.3.4/32",
        "0.0.0.0/0",
    ] {
        assert_eq!(cidrs(text).to_string(), text);
    }
    assert_eq!(cidrs(&Cidrs::default().to_string()), Cidrs::default());
    for text in [
        "10.0.0.0",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "::/129",
        "fc00::1/7",
        "vpc/8",
        "10.0.0.0/8,",
        "10.0.0.0/-1",
    ] {
        let refused = text.parse::<Cidrs>().unwrap_err().to_string();
        assert!(refused.contains("as 10.0.0.0/8"), "{text}: {refused}");
    }
}

#[tokio::test]
async fn an_address_outside_is_not_asked_and_the_flag_is_named() {
    let (address, _serving) = super::application(|_| panic!("it was asked")).await;
    let private = HttpProbes::new(Cidrs::default());
    let failure = private.read(address, &drain()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Rejected);
    says(
        &failure,
        &[
            &format!("the probe at {address} was not asked"),
            "--probe-cidrs (10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7)",
            "chart value probes.cidrs",
        ],
    );
    let metadata = "169.254.169.254:80".parse().unwrap();
    let failure = private.read(metadata, &drain()).await.unwrap_err();
    says(
        &failure,
        &["169.254.169.254:80 was not asked", "never asked"],
    );
}

#[tokio::test]
async fn the_port_is_a_number_or_made_of_the_targets_own() {
    let body = r#"{"inFlight": 1, "served": 2}"#;
    let (address, _serving) = super::application(move |_| ok(body)).await;
    let counts = Counts {
        in_flight: 1,
        served: 2,
    };
    let mut elsewhere = drain();
    elsewhere.port = serde_json::from_value(json!(address.port())).unwrap();
    let target = SocketAddr::new(address.ip(), 1);
    assert_eq!(probes().read(target, &elsewhere).await, Ok(counts));
    // The last digit of the port that listens is the target's own port.
    let port = address.port().to_string();
    let (front, last) = port.split_at(port.len() - 1);
    let own: u16 = last.parse().unwrap();
    if own > 0 {
        elsewhere.port = serde_json::from_value(json!(format!("{front}{{{{port}}}}"))).unwrap();
        let target = SocketAddr::new(address.ip(), own);
        assert_eq!(probes().read(target, &elsewhere).await, Ok(counts));
    }
    elsewhere.port = serde_json::from_value(json!("9{{port}}")).unwrap();
    let target = SocketAddr::new(address.ip(), 8080);
    let failure = probes().read(target, &elsewhere).await.unwrap_err();
    says(&failure, &["drain.inFlight.http.port", "98080", "8080"]);
}

#[tokio::test]
async fn a_figure_without_a_name_or_with_two_is_refused() {
    for served in [
        json!({ "path": "/drain" }),
        json!({ "path": "/drain", "pointer": "/a", "sample": { "name": "a" } }),
    ] {
        let unclear = probe(json!({
            "inFlight": { "path": "/drain", "pointer": "/inFlight" }, "served": served,
        }));
        let failure = read(ok("{}"), &unclear).await.unwrap_err();
        says(&failure, &["http.served is not named", "exactly one"]);
    }
}
