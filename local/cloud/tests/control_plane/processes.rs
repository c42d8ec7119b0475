//! The shipped documents on real processes: signals, exit codes, and nothing left behind.

use std::{
    os::unix::process::{CommandExt, ExitStatusExt},
    path::PathBuf,
    process::{Command, Stdio},
};

use bluegreen_cloud::switches::Switch;
use serde_json::json;

use crate::real::{LOOKS, PAUSE, Real, how};

#[tokio::test]
async fn a_unit_is_started_once_and_stopped_once() {
    let real = Real::new("once", 5.0);
    let unit = "good@8080.service";
    let (code, output, _) = real.start(unit, "1.0.0").await;
    assert_eq!((code, how(&output)), (0, "started"), "{output}");
    let (code, output, _) = real.start(unit, "1.0.0").await;
    assert_eq!((code, how(&output)), (0, "already-running"), "{output}");
    let (code, output, errors) = real.start(unit, "2.0.0").await;
    assert_eq!((code, how(&output)), (20, "other-version"), "{output}");
    assert!(errors.contains("runs with version 1.0.0"), "{errors}");
    let (code, output, _) = real.stop(unit, "30").await;
    assert_eq!((code, how(&output)), (0, "graceful"), "{output}");
    assert!(output.trim_end().ends_with("exit=143"), "{output}");
    let (code, output, _) = real.stop(unit, "30").await;
    assert_eq!((code, how(&output)), (0, "already-stopped"), "{output}");
    let (code, output, _) = real.start(unit, "2.0.0").await;
    assert_eq!((code, how(&output)), (0, "started"), "{output}");
}

#[tokio::test]
async fn a_unit_that_ignores_the_signal_is_killed_after_the_grace_period() {
    let real = Real::new("kill", 5.0);
    let unit = "stubborn@8080.service";
    assert_eq!(real.start(unit, "1.0.0").await.0, 0);
    let (code, output, _) = real.stop(unit, "4").await;
    assert_eq!((code, how(&output)), (0, "killed"), "{output}");
    let seconds = output
        .split("seconds=")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap();
    let seconds: f64 = seconds.parse().unwrap();
    assert!((4.0..14.0).contains(&seconds), "{output}");
    real.booted().await;
    let (code, output, _) = real.stop("good@9090.service", "4").await;
    assert_eq!((code, how(&output)), (0, "graceful"), "{output}");
    real.none_left().await;
}

#[tokio::test]
async fn a_unit_that_fails_says_why() {
    let real = Real::new("broken", 5.0);
    let (code, output, errors) = real.start("broken@8080.service", "1.0.0").await;
    assert_eq!((code, how(&output)), (21, "failed"), "{output} {errors}");
    assert!(errors.contains("no configuration"), "{errors}");
}

#[tokio::test]
async fn the_application_is_told_its_address_port_and_version() {
    let real = Real::new("telling", 5.0);
    assert_eq!(real.start("telling@8080.service", "1.0.0").await.0, 0);
    let told =
        std::fs::read_to_string(real.root.join(&real.scene.hosts[0].id).join("told")).unwrap();
    assert_eq!(
        told.trim(),
        format!("{} 8080 1.0.0 7", real.scene.hosts[0].address)
    );
}

#[tokio::test]
async fn nothing_survives_the_instance_or_the_cloud() {
    let real = Real::new("end", 5.0);
    let id = real.scene.hosts[0].id.clone();
    assert_eq!(real.start("good@8080.service", "1.0.0").await.0, 0);
    assert!(real.processes() > 0);
    real.cloud
        .arrange("StopInstances", &json!({"InstanceId": [id]}))
        .unwrap();
    real.none_left().await;
    real.cloud
        .arrange("StartInstances", &json!({"InstanceId": [id]}))
        .unwrap();
    for _ in 0..LOOKS {
        if real.cloud.state()["instances"][0]["state"] == "running" {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    assert_eq!(real.start("stubborn@8080.service", "1.0.0").await.0, 0);
    real.cloud.shutdown();
    real.none_left().await;
}

#[tokio::test]
async fn what_a_command_leaves_behind_ends_with_the_instance() {
    let real = Real::new("behind", 5.0);
    real.booted().await;
    let behind = [
        "sleep 1000 >/dev/null 2>&1 &",
        "echo $!",
        "setsid sleep 1000 >/dev/null 2>&1 &",
        "echo $!",
    ];
    let parameters = json!({"commands": behind});
    let (code, output, errors) = real.run("AWS-RunShellScript", parameters).await;
    assert_eq!((code, output.lines().count()), (0, 2), "{output} {errors}");
    for id in output.lines() {
        let process = PathBuf::from("/proc").join(id);
        assert!(process.exists(), "{id} outlives the command");
    }
    let id = &real.scene.hosts[0].id;
    real.cloud
        .arrange("StopInstances", &json!({"InstanceId": [id]}))
        .unwrap();
    real.none_left().await;
}

#[tokio::test]
async fn a_script_of_ones_own_is_run_and_its_output_is_cut() {
    let real = Real::new("script", 1.0);
    let parameters = json!({"commands": ["yes | head -c 30000", "echo bad >&2", "exit 7"]});
    let (code, output, errors) = real.run("AWS-RunShellScript", parameters).await;
    let said = "bad\nfailed to run commands: exit status 7";
    assert_eq!((code, errors.as_str()), (7, said));
    assert_eq!(output.chars().count(), 24_000);
    assert!(output.ends_with("---Output truncated---"));
}

#[tokio::test]
async fn what_an_image_starts_is_known_to_the_documents() {
    let real = Real::new("image", 5.0);
    real.booted().await;
    let unit = "good@9090.service";
    let (code, output, _) = real.start(unit, "0.9.0").await;
    assert_eq!((code, how(&output)), (0, "already-running"), "{output}");
    let (code, _, errors) = real.start(unit, "1.0.0").await;
    assert_eq!(code, 20, "{errors}");
}

#[test]
fn the_watchdog_ends_what_runs_when_its_holder_is_gone() {
    let root = std::env::temp_dir().join(format!("bluegreen-test-dog-{}", std::process::id()));
    std::fs::create_dir_all(root.join("i-1/run")).unwrap();
    let mut running = Command::new("sleep");
    let running = running.arg("1000").env("BLUEGREEN_ROOT", root.join("i-1"));
    let mut running = running.process_group(0).spawn().unwrap();
    let watchdog = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("host/watchdog");
    let mut dog = Command::new("/bin/sh");
    let dog = dog.arg(watchdog).arg(&root).stdin(Stdio::piped());
    let mut dog = dog.process_group(0).spawn().unwrap();
    assert!(running.try_wait().unwrap().is_none());
    drop(dog.stdin.take());
    assert!(dog.wait().unwrap().success());
    assert_eq!(running.wait().unwrap().signal(), Some(9));
    assert!(root.join("i-1/run/down").exists());
    std::fs::remove_dir_all(&root).unwrap();
}

#[test]
fn the_stand_ins_are_plain_shell() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("host");
    for script in [
        "bin/systemctl",
        "bin/unit-run",
        "bin/journalctl",
        "bin/date",
        "bin/sleep",
        "watchdog",
    ] {
        let checked = Command::new("/bin/sh")
            .arg("-n")
            .arg(folder.join(script))
            .status()
            .unwrap();
        assert!(checked.success(), "{script}");
    }
}

#[tokio::test]
async fn a_unit_that_does_not_exist_is_named_and_is_neither_stopped_nor_started() {
    let real = Real::new("missing", 5.0);
    let (code, output, errors) = real.stop("typo@8080.service", "30").await;
    assert_eq!((code, how(&output)), (12, "not-found"), "{output} {errors}");
    let expected = "typo@8080.service does not exist on this host (LoadState=not-found)";
    assert!(errors.starts_with(expected), "{errors}");
    let (code, output, errors) = real.start("typo@8080.service", "1.0.0").await;
    assert_eq!((code, how(&output)), (12, "not-found"), "{output} {errors}");
    assert!(errors.starts_with(expected), "{errors}");
    // An instance of a template that never ran exists.
    let (code, output, _) = real.stop("good@7070.service", "30").await;
    assert_eq!((code, how(&output)), (0, "already-stopped"), "{output}");
}

#[tokio::test]
async fn a_unit_that_is_down_while_its_port_is_served_is_a_fault_where_the_port_is_told() {
    let real = Real::new("outside", 5.0);
    let address = real.scene.hosts[0].address;
    let outside = std::net::TcpListener::bind((address, 0)).unwrap();
    let port = outside.local_addr().unwrap().port().to_string();
    let stop = async |port: &str| {
        let parameters = json!({"unit": ["good@8080.service"], "port": [port]});
        real.run("BlueGreen-StopUnit", parameters).await
    };
    let (code, output, errors) = stop(&port).await;
    assert_eq!(
        (code, how(&output)),
        (13, "still-listening"),
        "{output} {errors}"
    );
    assert!(
        errors.contains(&format!("port {port} is still listened on")),
        "{errors}"
    );
    let (code, output, _) = stop("").await;
    assert_eq!((code, how(&output)), (0, "already-stopped"), "{output}");
    drop(outside);
    let (code, output, _) = stop(&port).await;
    assert_eq!((code, how(&output)), (0, "already-stopped"), "{output}");
}

#[tokio::test]
async fn the_application_on_a_host_can_be_killed_while_its_instance_goes_on() {
    let real = Real::new("sigkill", 5.0);
    let unit = "good@8080.service";
    assert_eq!(real.start(unit, "1.0.0").await.0, 0);
    real.cloud
        .switch(&Switch::ProcessKilled {
            instance: real.scene.hosts[0].id.clone(),
            unit: Some(unit.to_owned()),
        })
        .unwrap();
    real.exists(&format!("run/units/{unit}/exit")).await;
    let noted = std::fs::read_to_string(real.file(&format!("run/units/{unit}/exit"))).unwrap();
    assert_eq!(noted.trim(), "137");
    let (code, output, _) = real.stop(unit, "30").await;
    assert_eq!((code, how(&output)), (0, "already-stopped"), "{output}");
    // The other unit was not named.
    let (code, output, _) = real.stop("good@9090.service", "30").await;
    assert_eq!((code, how(&output)), (0, "graceful"), "{output}");
}
