//! Commands that come twice, late and side by side: on real processes with the shipped scripts, and
//! in virtual time with hosts in memory.

use std::{fs, time::Duration};

use bluegreen_cloud::Hostility;
use serde_json::{Value, json};

use crate::{
    real::{Real, how},
    support::World,
};

const START: &str = "BlueGreen-StartUnit";
const STOP: &str = "BlueGreen-StopUnit";
const GOOD: &str = "good@8080.service";
const STUBBORN: &str = "stubborn@8080.service";

fn start(unit: &str, version: &str, fence: &str) -> Value {
    json!({"unit": [unit], "version": [version], "port": ["8080"], "fence": [fence]})
}

fn stop(unit: &str, grace: &str, fence: &str) -> Value {
    json!({"unit": [unit], "gracePeriod": [grace], "fence": [fence]})
}

fn stored(real: &Real, unit: &str) -> Option<String> {
    let file = real.file(&format!("var/lib/bluegreen/{unit}.fence"));
    Some(fs::read_to_string(file).ok()?.trim().to_owned())
}

#[tokio::test]
async fn a_late_command_does_not_undo_a_newer_one() {
    let real = Real::new("late", 5.0);
    let (code, output, _) = real.run(START, start(GOOD, "1.0.0", "9")).await;
    assert_eq!((code, how(&output)), (0, "started"), "{output}");
    let late = real.run(STOP, stop(GOOD, "30", "8")).await;
    let said = "superseded fence=8 stored=9\n".to_owned();
    assert_eq!(
        late,
        (
            30,
            said,
            "failed to run commands: exit status 30".to_owned()
        )
    );
    let (code, output, _) = real.run(START, start(GOOD, "1.0.0", "9")).await;
    assert_eq!((code, how(&output)), (0, "already-running"), "{output}");
    // As numbers, 10 is more than 9; as texts it would be less.
    let (code, output, _) = real.run(STOP, stop(GOOD, "30", "10")).await;
    assert_eq!((code, how(&output)), (0, "graceful"), "{output}");
    let late = real.run(START, start(GOOD, "1.0.0", "9")).await;
    let said = "superseded fence=9 stored=10\n".to_owned();
    assert_eq!(
        late,
        (
            30,
            said,
            "failed to run commands: exit status 30".to_owned()
        )
    );
    let (code, output, _) = real.run(STOP, stop(GOOD, "30", "10")).await;
    assert_eq!((code, how(&output)), (0, "already-stopped"), "{output}");
    assert_eq!(stored(&real, GOOD).as_deref(), Some("10"));
    // Another unit has its own.
    let (code, output, _) = real.run(START, start(STUBBORN, "1.0.0", "1")).await;
    assert_eq!((code, how(&output)), (0, "started"), "{output}");
}

#[tokio::test]
async fn without_a_fence_nothing_is_compared_or_kept() {
    let real = Real::new("free", 5.0);
    assert_eq!(real.run(START, start(GOOD, "1.0.0", "0")).await.0, 0);
    assert_eq!(stored(&real, GOOD), None);
    assert_eq!(real.run(STOP, stop(GOOD, "30", "7")).await.0, 0);
    for fence in ["0", ""] {
        let (code, output, _) = real.run(START, start(GOOD, "1.0.0", fence)).await;
        assert_eq!((code, how(&output)), (0, "started"), "{output}");
        let (code, output, _) = real.stop(GOOD, "30").await;
        assert_eq!((code, how(&output)), (0, "graceful"), "{output}");
    }
    assert_eq!(stored(&real, GOOD).as_deref(), Some("7"));
    // What nobody can read is no fence, and is mended by the next one.
    let file = real.file(&format!("var/lib/bluegreen/{GOOD}.fence"));
    fs::write(file, "?").unwrap();
    assert_eq!(real.run(STOP, stop(GOOD, "30", "3")).await.0, 0);
    assert_eq!(stored(&real, GOOD).as_deref(), Some("3"));
}

#[tokio::test]
async fn a_stop_waits_for_the_start_that_came_first() {
    let real = Real::new("start-stop", 5.0);
    let first = real.send(START, &start(GOOD, "1.0.0", "1"));
    real.exists(&format!("run/units/{GOOD}/main")).await;
    let second = real.send(STOP, &stop(GOOD, "30", "2"));
    // A stop that did not wait would make the start find its unit down.
    let (code, output, errors) = real.ended(&first).await;
    assert_eq!((code, how(&output)), (0, "started"), "{output} {errors}");
    let (code, output, _) = real.ended(&second).await;
    assert_eq!((code, how(&output)), (0, "graceful"), "{output}");
}

#[tokio::test]
async fn a_start_waits_for_the_stop_that_came_first() {
    let real = Real::new("stop-start", 5.0);
    assert_eq!(real.run(START, start(STUBBORN, "1.0.0", "1")).await.0, 0);
    let stopping = real.send(STOP, &stop(STUBBORN, "6", "2"));
    real.exists(&format!("run/units/{STUBBORN}/stopping")).await;
    let newer = real.send(START, &start(STUBBORN, "2.0.0", "3"));
    let late = real.send(START, &start(STUBBORN, "1.0.0", "1"));
    let (code, output, _) = real.ended(&stopping).await;
    assert_eq!((code, how(&output)), (0, "killed"), "{output}");
    let (code, output, errors) = real.ended(&newer).await;
    assert_eq!((code, how(&output)), (0, "started"), "{output} {errors}");
    let (code, output, _) = real.ended(&late).await;
    assert_eq!(code, 30, "{output}");
    assert!(output.starts_with("superseded fence=1 stored="), "{output}");
    assert_eq!(stored(&real, STUBBORN).as_deref(), Some("3"));
}

#[tokio::test]
async fn a_command_that_is_killed_holds_nobody_up() {
    let real = Real::new("killed", 5.0);
    assert_eq!(real.run(START, start(STUBBORN, "1.0.0", "1")).await.0, 0);
    let first = real.send(STOP, &stop(STUBBORN, "3000", "2"));
    real.exists(&format!("run/units/{STUBBORN}/stopping")).await;
    let cancel = json!({"CommandId": first});
    real.cloud.arrange("CancelCommand", &cancel).unwrap();
    let (code, output, _) = real.run(STOP, stop(STUBBORN, "0", "2")).await;
    assert_eq!((code, how(&output)), (0, "killed"), "{output}");
}

#[tokio::test]
async fn the_wait_for_another_command_has_an_end() {
    let real = Real::new("patience", 5.0);
    let kept = real.file("var/lib/bluegreen");
    fs::create_dir_all(&kept).unwrap();
    let lock = fs::File::create(kept.join(format!("{GOOD}.lock"))).unwrap();
    lock.lock().unwrap();
    let mut begin = start(GOOD, "1.0.0", "5");
    begin["readyTimeout"] = json!(["60"]);
    begin["executionTimeout"] = json!(["61"]);
    let mut end = stop(GOOD, "30", "6");
    end["executionTimeout"] = json!(["60"]);
    for (document, parameters, fence) in [(START, begin, 5), (STOP, end, 6)] {
        let (code, output, errors) = real.run(document, parameters).await;
        assert_eq!((code, output), (31, format!("unlocked fence={fence}\n")));
        assert!(errors.contains("another command works on"), "{errors}");
    }
    assert_eq!(stored(&real, GOOD), None);
    drop(lock);
    assert_eq!(real.run(START, start(GOOD, "1.0.0", "5")).await.0, 0);
}

fn taking(seconds: u64) -> World {
    World::new(Hostility::calm(), Duration::from_secs(seconds))
}

async fn said(world: &World, command: &str) -> (i64, String) {
    let json = world.invocation(command).await.ok().json();
    let output = json["StandardOutputContent"].as_str().unwrap();
    (json["ResponseCode"].as_i64().unwrap(), output.to_owned())
}

fn says(code: i64, output: &str) -> (i64, String) {
    (code, format!("{output}\n"))
}

#[tokio::test(start_paused = true)]
async fn hosts_in_memory_refuse_what_is_late() {
    let world = taking(1);
    let table = [
        (START, start(GOOD, "1", "9"), 0),
        (STOP, stop(GOOD, "30", "8"), 30),
        (START, start(GOOD, "1", "9"), 0),
        (STOP, stop(GOOD, "30", "10"), 0),
        (START, start(GOOD, "1", "9"), 30),
        (START, start(GOOD, "1", "0"), 0),
        (STOP, stop(GOOD, "30", ""), 0),
        (START, start(STUBBORN, "1", "1"), 0),
    ];
    for (index, (document, parameters, code)) in table.into_iter().enumerate() {
        let id = world.command(document, parameters).await;
        world.wait(10.0).await;
        assert_eq!(said(&world, &id).await.0, code, "command {index}");
    }
    assert_eq!(world.notes.lock().unwrap().len(), 6);
    let late = world.command(STOP, stop(GOOD, "30", "4")).await;
    world.wait(10.0).await;
    let expected = says(30, "superseded fence=4 stored=10");
    assert_eq!(said(&world, &late).await, expected);
}

#[tokio::test(start_paused = true)]
async fn hosts_in_memory_let_one_command_at_a_time_work_on_a_unit() {
    let world = taking(10);
    let first = world.command(START, start(GOOD, "1", "1")).await;
    world.wait(0.1).await;
    let second = world.command(STOP, stop(GOOD, "30", "2")).await;
    let mut hurried = start(GOOD, "1", "3");
    hurried["readyTimeout"] = json!(["60"]);
    hurried["executionTimeout"] = json!(["65"]);
    let third = world.command(START, hurried).await;
    let other = world.command(START, start(STUBBORN, "1", "1")).await;
    world.wait(5.0).await;
    assert_eq!(world.notes.lock().unwrap().len(), 2, "the units' first");
    world.wait(25.0).await;
    let started = says(0, "started how=started seconds=10.0 version=1");
    let stopped = says(0, "stopped how=graceful seconds=10.0 exit=143");
    assert_eq!(said(&world, &first).await, started);
    assert_eq!(said(&world, &second).await, stopped);
    assert_eq!(said(&world, &third).await, says(31, "unlocked fence=3"));
    assert_eq!(said(&world, &other).await, started);
    // What did nothing has not moved the fence.
    let again = world.command(STOP, stop(GOOD, "30", "2")).await;
    world.wait(15.0).await;
    assert_eq!(said(&world, &again).await, stopped);
}

#[tokio::test(start_paused = true)]
async fn hosts_in_memory_keep_the_fence_but_not_the_lock_over_a_stop() {
    let world = taking(1000);
    world.command(START, start(GOOD, "1", "5")).await;
    world.wait(5.0).await;
    let id = world.host(0).to_owned();
    world
        .ec2("StopInstances", &[("InstanceId.1", &id)])
        .await
        .ok();
    world.wait(100.0).await;
    world
        .ec2("StartInstances", &[("InstanceId.1", &id)])
        .await
        .ok();
    world.wait(100.0).await;
    let late = world.command(STOP, stop(GOOD, "30", "4")).await;
    world.wait(10.0).await;
    let expected = says(30, "superseded fence=4 stored=5");
    assert_eq!(said(&world, &late).await, expected);
}
