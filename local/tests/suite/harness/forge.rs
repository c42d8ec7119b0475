//! What somebody who may write status, and nothing else, writes into it while a release is on its
//! way.
//!
//! The lies are those that the exhaustive walk tells (`tests/model/lies.rs`), and some that need a
//! fleet: a port and an instance that it does not have, and a text where a number is expected.

use bluegreen::api::{
    BlueGreenRelease, BlueGreenReleaseStatus, Color, Deregistered, Direction, DrainProof, Drained,
    Duration, GroupDrain, Healthy, Process, Registered, StepKind, Steps, StopHow, TargetStatus,
    Terminated, Time, Unproven,
};
use kube::api::PostParams;

use super::{
    scene::{Fleet, NAME},
    story,
    world::World,
};

/// A port that no fleet of these worlds has.
const GHOST_PORT: u16 = 9_999;
/// An instance that no fleet of these worlds has.
const STRANGER: &str = "i-0f00f00f00f00f00f";
/// An operation id that no planner writes.
const OPERATION: &str = "x-$(reboot)";
/// How long before the load began everything was that a lie claims, in seconds.
const AGO: i64 = 3_600;
/// How often a lie is written anew where the controller was faster.
const TRIES: u32 = 100;

/// A lie about targets, or about the release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// They were deregistered, and their drain proven, long ago; there was no delay and no settle.
    Drained,
    /// The same, but the proof was given up.
    Unproven,
    /// They were withdrawn long ago, and the proof is about to be found.
    Withdrawn,
    /// They were never registered anywhere.
    NeverRegistered,
    /// They are drained, and their stop was intended long ago.
    Doomed,
    /// There is another target on an instance of the fleet, with a port that the fleet does not
    /// have. It leaves, and is drained.
    Ghost,
    /// There is a target on an instance that is not of the fleet. It leaves, and is drained.
    Foreign,
    /// They are of the other color, in service, and long so.
    Other,
    /// They are on their way back into service, and nobody has ever meant to stop them.
    Spared,
    /// The release goes the other way.
    Turned,
    /// No effect can have a higher number than the last one had, and what was last sent to the
    /// targets has an operation id that a shell would run.
    Fence,
    /// They have ended.
    Terminated,
    /// There is no release on its way.
    Ended,
}

impl Lie {
    /// All of them. Those with which a release seems to end come last, so that there is one to lie
    /// about when they are told one after the other.
    pub(crate) const ALL: [Self; 13] = [
        Self::Drained,
        Self::Unproven,
        Self::Withdrawn,
        Self::NeverRegistered,
        Self::Doomed,
        Self::Ghost,
        Self::Foreign,
        Self::Other,
        Self::Spared,
        Self::Turned,
        Self::Fence,
        Self::Terminated,
        Self::Ended,
    ];
}

/// About whom a lie is told that can be told of more targets than one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// About every target on record.
    Every,
    /// About the last on record of those that leave: it serves for longer than the others.
    One,
}

impl World {
    /// Writes a lie into the status as it stands, with the resourceVersion with which it was read.
    /// Where the controller was faster, the lie is written into what it wrote.
    pub(crate) async fn forge(&self, lie: Lie, about: About) {
        for _ in 0..TRIES {
            let release = self.release().await;
            let mut release = release.expect("there is a release to lie about");
            let liar = Liar::of(self, &release);
            liar.tell(release.status.get_or_insert_default(), lie, about);
            release.metadata.managed_fields = None;
            let params = PostParams {
                field_manager: Some("liar".to_owned()),
                ..PostParams::default()
            };
            let written = self.releases.replace_status(NAME, &params, &release);
            match written.await {
                Ok(_) => return,
                Err(kube::Error::Api(refusal)) if refusal.is_conflict() => {}
                Err(error) => panic!("the API server refuses {lie:?}: {error}"),
            }
        }
        panic!("the controller was faster than {lie:?}, {TRIES} times");
    }

    /// Ends a world in which somebody lied to the controller. Whatever status says: every request
    /// was served, nothing was stopped that was in service, and nothing that only a lie knows was
    /// told to AWS.
    pub(crate) async fn end_lied_to(mut self) {
        let reports = self.end_load().await;
        let status = self.status().await;
        self.control.stop().await;
        self.judge.look(&self.cloud, &self.oracle);
        self.judged(&status);
        self.all_served(&reports, &status);
        let repeated = self.repeated();
        if !repeated.is_empty() {
            let what = format!("AWS was told what only a lie knows:\n{repeated:#?}");
            self.fail(&what, &status);
        }
        assert_eq!(self.oracle.counters().signalled_while_registered, 0);
    }

    /// The calls to change something that repeat what only a lie says.
    fn repeated(&self) -> Vec<String> {
        let calls = story::calls(&self.cloud);
        let changes = calls.iter().filter(|call| story::changes(call));
        let sent = changes.map(|call| format!("{} {}", call.action, call.parameters));
        let ghost = [
            format!("@{GHOST_PORT}."),
            format!("\"Port\":{GHOST_PORT}"),
            format!("\"Port\":\"{GHOST_PORT}\""),
        ];
        let told = |sent: &String, word: &str| sent.contains(word);
        sent.filter(|sent| {
            told(sent, STRANGER)
                || told(sent, OPERATION)
                || ghost.iter().any(|word| told(sent, word))
        })
        .collect()
    }
}

/// What somebody knows who reads the release and its world, and lies.
struct Liar {
    uid: String,
    groups: Vec<String>,
    hosts: Vec<String>,
    /// How a target of this fleet ends.
    ends: StepKind,
    long_ago: Time,
}

impl Liar {
    /// Somebody who has read both.
    fn of(world: &World, release: &BlueGreenRelease) -> Self {
        let hosts = world.built.hosts.iter();
        Self {
            uid: release.metadata.uid.clone().unwrap_or_default(),
            groups: world.scene.group_names(),
            hosts: hosts.map(|host| host.id.clone()).collect(),
            ends: match world.scene.fleet {
                Fleet::Hosts => StepKind::Stop,
                Fleet::Existing => StepKind::Terminate,
            },
            long_ago: (world.began - jiff::SignedDuration::from_secs(AGO)).into(),
        }
    }

    /// Puts a lie into a status.
    fn tell(&self, status: &mut BlueGreenReleaseStatus, lie: Lie, about: About) {
        match lie {
            Lie::Drained => of_each(status, about, |status, index| {
                self.drained(&mut status.targets[index]);
            }),
            Lie::Unproven => of_each(status, about, |status, index| {
                self.unproven(&mut status.targets[index]);
            }),
            Lie::Withdrawn => of_each(status, about, |status, index| {
                let target = &mut status.targets[index];
                self.drained(target);
                target.steps.drained = None;
            }),
            Lie::NeverRegistered => of_each(status, about, |status, index| {
                let target = &mut status.targets[index];
                target.registrations.clear();
                target.steps.registered = None;
                target.drain.clear();
            }),
            Lie::Doomed => of_each(status, about, |status, index| self.doomed(status, index)),
            Lie::Ghost => self.ghosts(status, about),
            Lie::Foreign => {
                let port = status.targets.first().map_or(GHOST_PORT, |one| one.port);
                self.invent(status, STRANGER, port);
            }
            Lie::Other => of_each(status, about, |status, index| self.other(status, index)),
            Lie::Spared => of_each(status, about, spare),
            Lie::Turned => turn(status),
            Lie::Fence => {
                of_each(status, about, |status, index| {
                    self.commanded(&mut status.targets[index]);
                });
                // The highest number that an API server takes.
                status.fence = i64::MAX.unsigned_abs();
            }
            Lie::Terminated => of_each(status, about, |status, index| {
                self.terminated(&mut status.targets[index]);
            }),
            Lie::Ended => status.course = None,
        }
    }

    /// It was withdrawn long ago, and is proven to be drained.
    fn drained(&self, target: &mut TargetStatus) {
        let at = self.long_ago;
        let drain = self.groups.iter().map(|group| GroupDrain {
            group: group.clone(),
            requested_at: Some(at),
            delay: Duration::ZERO,
            settle: Duration::ZERO,
            draining_seen_at: Some(at),
            gone_seen_at: Some(at),
        });
        target.drain = drain.collect();
        target.steps.deregistered = Some(Deregistered {
            at,
            groups: self.groups.clone(),
        });
        target.steps.drained = Some(Drained {
            at,
            proof: DrainProof::InFlightZero,
            since: at,
            delay: Duration::ZERO,
            settle: Duration::ZERO,
            in_flight: Some(0),
            served: Some(0),
        });
    }

    /// It was withdrawn long ago, and the proof was given up.
    fn unproven(&self, target: &mut TargetStatus) {
        self.drained(target);
        target.steps.drained = None;
        target.steps.unproven = Some(Unproven {
            at: self.long_ago,
            because: "nobody looked".to_owned(),
        });
    }

    /// It is drained, and its stop was intended long ago, with the operation id that the controller
    /// would give to its next effect.
    fn doomed(&self, status: &mut BlueGreenReleaseStatus, index: usize) {
        status.fence = status.fence.saturating_add(1);
        let step = self.ends.as_str().to_lowercase();
        let operation = format!(
            "bg-{}-r{}-{step}-{}",
            self.uid, status.revision, status.fence
        );
        let target = &mut status.targets[index];
        self.drained(target);
        target.process = Some(self.command(operation, self.ends));
    }

    /// What comes in has not started yet, and what leaves was to be stopped: both have to be sent
    /// again, if anybody believes it.
    fn commanded(&self, target: &mut TargetStatus) {
        let step = match target.color {
            Color::Green => StepKind::Start,
            Color::Blue => {
                self.drained(target);
                self.ends
            }
        };
        target.process = Some(self.command(OPERATION.to_owned(), step));
    }

    /// A command that was intended long ago, and of which nothing was heard.
    fn command(&self, operation: String, step: StepKind) -> Process {
        Process {
            operation,
            step,
            requested_at: self.long_ago,
            sent_at: self.long_ago,
            running_at: None,
        }
    }

    /// It ended long ago. When it really did is left as it is.
    fn terminated(&self, target: &mut TargetStatus) {
        target.steps.terminated.get_or_insert(Terminated {
            at: self.long_ago,
            how: StopHow::Graceful,
            took: None,
            exit: None,
        });
    }

    /// It is of the other color, and long in service. The API server refuses two records of one
    /// revision, instance and port: where there is one already, this lie is not told.
    fn other(&self, status: &mut BlueGreenReleaseStatus, index: usize) {
        let (color, revision) = match status.targets[index].color {
            Color::Blue => (Color::Green, status.green.clone()),
            Color::Green => (Color::Blue, status.blue.clone()),
        };
        let Some(revision) = revision else {
            return;
        };
        let target = &status.targets[index];
        if recorded(status, revision.revision, &target.id, target.port) {
            return;
        }
        let target = &mut status.targets[index];
        target.color = color;
        target.revision = revision.revision;
        target.version = revision.version;
        target.drain.clear();
        target.steps.registered = Some(Registered { at: self.long_ago });
        target.steps.healthy = Some(Healthy {
            at: self.long_ago,
            consecutive: 20,
        });
    }

    /// One on every instance of the fleet, or on the first of them.
    fn ghosts(&self, status: &mut BlueGreenReleaseStatus, about: About) {
        let haunted = match about {
            About::Every => &self.hosts[..],
            About::One => &self.hosts[..1],
        };
        for host in haunted {
            self.invent(status, host, GHOST_PORT);
        }
    }

    /// Makes up a target that leaves and is drained. One that was made up before is told anew.
    fn invent(&self, status: &mut BlueGreenReleaseStatus, id: &str, port: u16) {
        let color = leaving(status);
        let revision = match color {
            Color::Blue => status.blue.clone(),
            Color::Green => status.green.clone(),
        };
        let Some(revision) = revision else {
            return;
        };
        status.targets.retain(|target| {
            (target.revision, target.id.as_str(), target.port) != (revision.revision, id, port)
        });
        let mut target = TargetStatus {
            revision: revision.revision,
            id: id.to_owned(),
            port,
            zone: None,
            color,
            version: revision.version,
            process: None,
            registrations: Vec::new(),
            health: None,
            drain: Vec::new(),
            quiet: None,
            steps: Steps::default(),
        };
        self.drained(&mut target);
        status.targets.push(target);
    }
}

/// Says something of every target, or of one.
fn of_each(
    status: &mut BlueGreenReleaseStatus,
    about: About,
    say: impl Fn(&mut BlueGreenReleaseStatus, usize),
) {
    let whom: Vec<usize> = match about {
        About::Every => (0..status.targets.len()).collect(),
        About::One => last_that_leaves(status).into_iter().collect(),
    };
    for index in whom {
        say(status, index);
    }
}

/// Where in the list the last record is of those that leave, and have not ended.
fn last_that_leaves(status: &BlueGreenReleaseStatus) -> Option<usize> {
    let color = leaving(status);
    let mut targets = status.targets.iter();
    targets.rposition(|target| target.color == color && target.steps.terminated.is_none())
}

/// The color of what leaves.
fn leaving(status: &BlueGreenReleaseStatus) -> Color {
    match status.course.as_ref().map(|course| course.direction) {
        Some(Direction::Back) => Color::Green,
        Some(Direction::Forward) | None => Color::Blue,
    }
}

/// Whether there is such a record.
fn recorded(status: &BlueGreenReleaseStatus, revision: u64, id: &str, port: u16) -> bool {
    let key = (revision, id, port);
    let mut targets = status.targets.iter();
    targets.any(|target| (target.revision, target.id.as_str(), target.port) == key)
}

/// Says that a target is kept, and forgets whatever was meant to be done with it.
fn spare(status: &mut BlueGreenReleaseStatus, index: usize) {
    let target = &mut status.targets[index];
    target.process = None;
    target.drain.clear();
    target.registrations.clear();
    target.steps = Steps::default();
    if let Some(course) = &mut status.course {
        course.direction = match target.color {
            Color::Blue => Direction::Back,
            Color::Green => Direction::Forward,
        };
    }
}

/// Lets the release go the other way.
fn turn(status: &mut BlueGreenReleaseStatus) {
    if let Some(course) = &mut status.course {
        course.direction = match course.direction {
            Direction::Forward => Direction::Back,
            Direction::Back => Direction::Forward,
        };
    }
}
