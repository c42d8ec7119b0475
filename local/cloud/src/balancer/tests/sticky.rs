//! Clients that are sent to where they were sent before.

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// A world with two healthy targets, whose group has target stickiness for a minute.
async fn with_two(knobs: Knobs) -> (World, [Application; 2]) {
    let world = World::new(knobs).await;
    world.change(|topology| {
        Arc::make_mut(&mut topology.target_groups[0]).sticky = Some(MINUTE);
    });
    let start = |number| {
        let config = app::Config {
            version: format!("v{number}"),
            ..app::Config::default()
        };
        world.start_app(number, config)
    };
    let apps = [start(1), start(2)];
    world.register(0, 1, host(1));
    world.register(0, 2, host(2));
    world.seconds(11.0).await;
    (world, apps)
}

/// The version that answers, and the cookies of the answer as they are sent back.
async fn ask(world: &World, node: SocketAddr, cookies: &str) -> (String, String) {
    let request = Request::get("/")
        .header("host", "www.example.com")
        .header("cookie", format!("other=1; {cookies}"));
    let mut client = world.client(node).await;
    let answer = client.send(request.body(Empty::new()).unwrap()).await;
    assert_eq!(answer.status, 200);
    let set = answer.headers.get_all("set-cookie").iter();
    let set = set.map(|one| one.to_str().unwrap().split(';').next().unwrap());
    let version = answer.headers["x-app-version"].to_str().unwrap();
    (version.to_owned(), set.collect::<Vec<_>>().join("; "))
}

#[tokio::test(start_paused = true)]
async fn a_client_with_a_cookie_stays_with_its_target_on_every_node() {
    let (world, _apps) = with_two(immediate()).await;
    let (mine, mut cookies) = ask(&world, node(1), "").await;
    assert!(cookies.contains("AWSALB=") && cookies.contains("AWSALBCORS="));
    for turn in 0..20 {
        let (version, renewed) = ask(&world, node(1 + turn % 2), &cookies).await;
        assert_eq!(version, mine);
        cookies = renewed;
        world.seconds(50.0).await;
    }
    // Others are spread as before.
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..4 {
        seen.insert(ask(&world, node(1), "AWSALB=nonsense").await.0);
    }
    assert_eq!(seen.len(), 2);
    world.seconds(61.0).await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..4 {
        seen.insert(ask(&world, node(1), &cookies).await.0);
    }
    assert_eq!(seen.len(), 2, "the cookie's time is over");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_withdrawn_or_unhealthy_loses_its_clients() {
    for unhealthy in [false, true] {
        let (world, apps) = with_two(immediate()).await;
        let (mine, cookies) = ask(&world, node(1), "").await;
        let number: u8 = mine[1..].parse().unwrap();
        if unhealthy {
            let mine = &apps[usize::from(number) - 1];
            mine.signals.send(app::Signal::Kill).await.unwrap();
            world.seconds(25.0).await;
        } else {
            world.drain(number, 300);
            world.seconds(0.1).await;
        }
        let (other, cookies) = ask(&world, node(1), &cookies).await;
        assert_ne!(other, mine, "unhealthy: {unhealthy}");
        assert_eq!(ask(&world, node(2), &cookies).await.0, other);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_stays_with_a_group_of_weight_zero_until_it_leaves_the_action() {
    let world = World::new(immediate()).await;
    world.change(|topology| {
        topology.target_groups.push(Arc::new(group("green")));
        let rule = &mut topology.load_balancers[0].listeners[0].rules[0];
        rule.action = forward(&[("blue", 1), ("green", 0)]);
        rule.sticky = Some(MINUTE);
    });
    let start = |number, version: &str| {
        let config = app::Config {
            version: version.to_owned(),
            ..app::Config::default()
        };
        world.start_app(number, config)
    };
    let _apps = [start(1, "blue"), start(2, "green")];
    world.register(0, 1, host(1));
    world.register(1, 2, host(2));
    world.seconds(11.0).await;
    let (version, cookies) = ask(&world, node(1), "").await;
    assert_eq!(version, "blue");
    let set = |action: Action| {
        world.change(|topology| {
            topology.load_balancers[0].listeners[0].rules[0].action = action;
        });
    };
    set(forward(&[("blue", 0), ("green", 1)]));
    world.seconds(0.1).await;
    assert_eq!(ask(&world, node(1), "").await.0, "green");
    assert_eq!(ask(&world, node(2), &cookies).await.0, "blue");
    set(forward(&[("green", 1)]));
    world.seconds(0.1).await;
    assert_eq!(ask(&world, node(2), &cookies).await.0, "green");
}
