//! The same code over real sockets on loopback addresses, with time that runs faster.

use bluegreen_app::load;

use super::*;

/// A loopback address of this process, so that test runs side by side do not meet.
fn loopback(last: u8) -> IpAddr {
    let id = std::process::id();
    let [_, _, high, low] = id.to_be_bytes();
    IpAddr::from([127, 64 + (high & 0x3f), low, last])
}

#[tokio::test]
async fn requests_pass_over_sockets_and_are_cut_off_at_the_end_of_the_delay() {
    let clock = Clock::scaled(Timestamp::now(), 50.0);
    let free_port = |address| async move {
        let listener = Net::Tcp.listen(SocketAddr::new(address, 0)).await.unwrap();
        listener.local_addr().unwrap()
    };
    let first = free_port(loopback(1)).await;
    let second = SocketAddr::new(loopback(2), first.port());
    let target = free_port(loopback(11)).await;
    let topology = topology_with(&[first, second]);
    let mut world = World::within((Net::Tcp, clock.clone()), immediate(), SEED, topology).await;

    let (_signals, receiver) = mpsc::channel(1);
    let config = app::Config {
        startup: Duration::ZERO,
        ..app::Config::default()
    };
    let serving = app::serve(Net::Tcp, clock.clone(), config, target, receiver);
    let _app = Task::spawn(async move {
        serving.await.unwrap();
    });
    world.register(0, 1, target);
    let mut reported = Vec::new();
    while reported.len() < 2 {
        let limit = Duration::from_secs(600);
        let report = clock.timeout(limit, world.reports.recv()).await;
        reported.push(report.expect("both nodes report in time").unwrap().node);
    }
    reported.sort();
    assert_eq!(reported, [first.ip(), second.ip()]);

    let mut load = load::Load::start(
        Net::Tcp,
        clock.clone(),
        load::Config {
            mix: load::Mix::only(10, 50),
            max_requests: 200,
            ..load::Config::against(vec![first, second])
        },
    );
    load.finished().await;
    let totals = load.totals();
    assert_eq!((totals.served, totals.failed), (200, 0), "{totals:?}");
    assert!(world.oracle.counters().on_reused_connections > 50);

    let mut client = world.client(second).await;
    let long = tokio::spawn(async move { client.get("/work?ms=600000").await });
    let in_flight = async {
        while world.oracle.in_flight("i-1", 8080) == 0 {
            world.seconds(0.1).await;
        }
    };
    let limit = Duration::from_secs(600);
    clock
        .timeout(limit, in_flight)
        .await
        .expect("it is sent on");
    let until = world.drain(1, 10);
    let answer = long.await.unwrap();
    assert_eq!(answer.status, 502);
    let late = answer.ended.duration_since(until).as_secs_f64();
    // A second of real time is plenty on a busy machine, and less than the idle timeout.
    assert!((-0.1..50.0).contains(&late), "{late} virtual seconds late");
}
