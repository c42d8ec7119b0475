//! One release in a world of its own, from the world's beginning until it was measured.

use jiff::Timestamp;

use crate::{
    error::Error,
    figures::Measured,
    methods::{MANIFEST_PATH, Method, Mounted},
    options::Options,
    progress::Progress,
    scenario::Scenario,
    view::{Screen, Snapshot},
    watch::Watch,
    world::World,
};

/// The registry's token. It listens on loopback for as long as the demo runs, and what can be
/// changed through it is simulated.
const TOKEN: &str = "demo";

/// One release to be made.
pub struct Release<'a> {
    /// How.
    pub method: Method,
    /// Which of how many it is, from 1.
    pub position: (usize, usize),
    /// Of what, and under which load.
    pub scenario: &'a Scenario,
    /// The options of the demo.
    pub options: &'a Options,
}

/// A release that was made. Its load goes on until its world is closed.
pub struct Released {
    /// What was measured so far.
    pub measured: Measured,
    /// Where it was made.
    pub world: World,
    /// The controller and its registry, where they took part.
    pub mounted: Option<Mounted>,
}

impl Release<'_> {
    /// Builds the world in which it is to be made.
    ///
    /// # Errors
    /// When the machine refuses something, or the application does not come into service.
    pub async fn prepare(&self) -> Result<(World, Option<Mounted>), Error> {
        // Few are made in one run, so a byte tells them apart.
        let number = self.position.0 as u8;
        let Options { seed, .. } = self.options;
        let scale = self.options.time_scale();
        let world = World::build(self.scenario, *seed, scale, number).await?;
        let mounted = match self.method {
            Method::Bluegreen => Some(Mounted::start(&world, TOKEN).await?),
            Method::Kill
            | Method::GracefulOnly
            | Method::FailHealthCheck
            | Method::DeregisterSleep
            | Method::DeregisterWait => None,
        };
        Ok((world, mounted))
    }

    /// What is shown until there is a world.
    #[must_use]
    pub fn first_snapshot(&self) -> Snapshot {
        Snapshot {
            method: self.method.name(),
            position: self.position,
            scale: self.options.time_scale(),
            message: "starting the cloud, the hosts and the old version".to_owned(),
            ..Snapshot::default()
        }
    }

    /// Makes it, and shows it on the screen.
    ///
    /// # Errors
    /// When it does not come to its end.
    pub async fn make(
        &self,
        (world, mounted): (World, Option<Mounted>),
        screen: &mut Screen,
    ) -> Result<Released, Error> {
        let progress = Progress::new(world.scene.hosts.len());
        let mut watch = Watch {
            method: self.method,
            position: self.position,
            world: &world,
            progress: &progress,
            screen,
            began: world.clock.now(),
            counts: Vec::new(),
        };
        progress.say("the load begins");
        watch.during(world.clock.sleep(self.scenario.warm_up)).await;
        if mounted.is_some() {
            progress.say(format!("applying {MANIFEST_PATH}"));
        }
        let began: Timestamp = world.clock.now();
        watch.began = began;
        let releasing = self
            .method
            .release(&world, self.scenario, &progress, mounted.as_ref());
        watch.during(releasing).await?;
        let aws_calls = world.calls_of(self.method.principal());
        progress.say("released; the load goes on for a moment");
        watch
            .during(world.clock.sleep(self.scenario.cool_down))
            .await;
        let measured = Measured {
            method: self.method,
            began,
            facts: world.monitor.facts(),
            aws_calls,
            hosts: world.monitor.hosts(),
        };
        Ok(Released {
            measured,
            world,
            mounted,
        })
    }
}

impl Released {
    /// Lets the requests in flight end, ends the world, and counts.
    ///
    /// # Errors
    /// When an old process has not ended.
    pub async fn close(self) -> Result<crate::figures::Figures, Error> {
        let Self {
            measured,
            world,
            mounted,
        } = self;
        if let Some(mounted) = mounted {
            mounted.close().await;
        }
        let load = world.close().await;
        measured.figures(&load.totals)
    }

    /// Counts while the load goes on: waits until every request of the release has ended, and
    /// leaves out what is in flight then.
    ///
    /// # Errors
    /// When an old process has not ended.
    pub async fn count(&self, scenario: &Scenario) -> Result<crate::figures::Figures, Error> {
        let classes = scenario.mix.classes.iter();
        let longest = classes.map(|class| class.longest).max().unwrap_or_default();
        self.world.clock.sleep(longest).await;
        let mut totals = self.world.totals();
        totals.unfinished = 0;
        self.measured.figures(&totals)
    }
}
