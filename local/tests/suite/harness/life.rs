//! One life of a controller: what it asks for, and when it is killed.

use std::{
    convert::Infallible,
    fmt,
    str::FromStr,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;
use tokio::{sync::watch, task::AbortHandle};

/// When a controller is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kill {
    pub(crate) moment: Moment,
    pub(crate) point: Point,
}

/// What a controller is doomed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doom {
    Killed(Kill),
    /// The request is carried out, and the controller is halted before it hears of that. Somebody
    /// has to let it go on.
    Halted(Point),
}

/// What of that happens around one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stroke {
    Killed(Moment),
    Halted,
}

/// A request of a controller, counted from 0 over its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// A call to AWS.
    Call(usize),
    /// A write to the API server for a release: of a status, a finalizer or an Event.
    Write(usize),
    /// A write of the Lease, which only one of several controllers makes.
    Lease(usize),
}

/// At which side of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The request never arrives.
    Before,
    /// The request is carried out, and its reply is lost.
    After,
    /// The request is still under way when the controller dies, and is carried out seconds later.
    Late,
}

/// Reads as in `after write 3`.
impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = match self.moment {
            Moment::Before => "before",
            Moment::After => "after",
            Moment::Late => "late",
        };
        write!(f, "{moment} {}", self.point)
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Point::Call(index) => write!(f, "call {index}"),
            Point::Write(index) => write!(f, "write {index}"),
            Point::Lease(index) => write!(f, "lease {index}"),
        }
    }
}

impl FromStr for Kill {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is not a kill; write one as in \"after write 3\"");
        let words: Vec<_> = text.split(' ').collect();
        let [moment, kind, index] = words[..] else {
            return Err(wrong());
        };
        let index = index.parse().map_err(|_| wrong())?;
        let moment = match moment {
            "before" => Moment::Before,
            "after" => Moment::After,
            "late" => Moment::Late,
            _ => return Err(wrong()),
        };
        let point = match kind {
            "call" => Point::Call(index),
            "write" => Point::Write(index),
            // A lease is written by one of several controllers, and this is said of one alone.
            _ => return Err(wrong()),
        };
        Ok(Self { moment, point })
    }
}

/// A request as it was made.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) at: Timestamp,
    pub(crate) point: Point,
    /// As in `RegisterTargets`, or `PUT status`.
    pub(crate) what: String,
}

impl Asked {
    /// Whether it is there to change something.
    pub(crate) fn changes(&self) -> bool {
        match self.point {
            Point::Call(_) => !self.what.starts_with("Describe") && !self.what.starts_with("List"),
            Point::Write(_) | Point::Lease(_) => true,
        }
    }
}

/// One life. Nothing that it began goes on after it.
#[derive(Default)]
pub(crate) struct Life {
    dead: AtomicBool,
    doom: Option<Doom>,
    task: OnceLock<AbortHandle>,
    asked: Mutex<Vec<Asked>>,
    halted: watch::Sender<bool>,
}

impl Life {
    /// A life that may be doomed.
    pub(crate) fn until(doom: Option<Doom>) -> Self {
        Self {
            doom,
            ..Self::default()
        }
    }

    /// Says which task lives.
    pub(crate) fn is_of(&self, task: AbortHandle) {
        assert!(self.task.set(task).is_ok(), "a life has one task");
    }

    /// Ends it here and now, as SIGKILL does.
    pub(crate) fn end(&self) {
        self.dead.store(true, Ordering::Relaxed);
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    /// Whether it was killed.
    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// Halts it, as SIGSTOP does, or lets it go on, as SIGCONT does.
    pub(crate) fn halt(&self, halted: bool) {
        self.halted.send_replace(halted);
    }

    /// Whether it is halted, from now on.
    pub(crate) fn halted(&self) -> watch::Receiver<bool> {
        self.halted.subscribe()
    }

    /// Waits while it is halted.
    pub(crate) async fn goes_on(&self) {
        let mut halted = self.halted();
        let open = "the one that is waited for is borrowed";
        halted.wait_for(|halted| !halted).await.expect(open);
    }

    /// Goes on only while it lives.
    pub(crate) async fn lives(&self) {
        if self.is_dead() {
            std::future::pending::<Infallible>().await;
        }
    }

    /// Notes a request; says what happens around it, where something does.
    pub(crate) fn asks(
        &self,
        at: Timestamp,
        point: fn(usize) -> Point,
        what: String,
    ) -> Option<Stroke> {
        let mut asked = self.asked.lock().unwrap();
        let same =
            |one: &&Asked| std::mem::discriminant(&one.point) == std::mem::discriminant(&point(0));
        let point = point(asked.iter().filter(same).count());
        asked.push(Asked { at, point, what });
        match self.doom? {
            Doom::Killed(kill) => (kill.point == point).then_some(Stroke::Killed(kill.moment)),
            Doom::Halted(at) => (at == point).then_some(Stroke::Halted),
        }
    }

    /// Everything that it has asked for, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// The name of a call to AWS, as in `RegisterTargets`.
pub(crate) fn action(request: &http::Request<bytes::Bytes>) -> String {
    let header = request.headers().get("x-amz-target");
    let target = header.and_then(|value| value.to_str().ok());
    if let Some((_, action)) = target.and_then(|target| target.rsplit_once('.')) {
        return action.to_owned();
    }
    let body = String::from_utf8_lossy(request.body());
    let mut fields = body.split('&');
    let action = fields.find_map(|field| field.strip_prefix("Action="));
    action
        .expect("every call to AWS names its action")
        .to_owned()
}

/// What a write to the API server is, and what it is about: as in `PUT status`, `POST events` and
/// `PUT lease`.
pub(crate) fn written<B>(request: &http::Request<B>) -> (fn(usize) -> Point, String) {
    let path = request.uri().path();
    let (point, about): (fn(usize) -> Point, _) = match path.rsplit('/').next() {
        _ if path.contains("/leases") => (Point::Lease, "lease"),
        Some(last @ ("status" | "events")) => (Point::Write, last),
        Some(_) if path.contains("/events/") => (Point::Write, "events"),
        Some(_) | None => (Point::Write, "object"),
    };
    (point, format!("{} {about}", request.method()))
}
