//! The insides of the instances: the sample application as tasks, started and stopped as the
//! documents would.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock},
    time::Duration,
};

use bluegreen_app::app::{self, Signal};
use bluegreen_cloud::{
    hosts::{
        Halt, Host, MemoryHost, StartUnit, StopUnit,
        words::{Started, Stopped},
    },
    oracle::{Oracle, ProcessEnd},
};
use bluegreen_net::{Clock, Net};
use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use super::judge::Judge;

/// How an application of one version behaves.
pub(crate) type Behaviour = app::Config;

/// What became of processes, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProcessEvent {
    pub(crate) at: Timestamp,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) version: String,
    pub(crate) what: ProcessChange,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProcessChange {
    Started,
    Signalled,
    Ended,
}

/// What runs on all hosts. Clones share it.
#[derive(Clone)]
pub(crate) struct Apps(Arc<Inner>);

struct Inner {
    net: Net,
    clock: Clock,
    judge: Judge,
    oracle: OnceLock<Oracle>,
    behaviours: BTreeMap<String, Behaviour>,
    /// The registered port of each port of the application behind a front.
    fronts: BTreeMap<u16, u16>,
    /// With a tag's name: instances run the version of that tag by themselves, on this port.
    by_tag: Option<(String, u16)>,
    units: Mutex<BTreeMap<(String, String), Unit>>,
    events: Mutex<Vec<ProcessEvent>>,
}

struct Unit {
    version: String,
    port: u16,
    signals: mpsc::Sender<Signal>,
    ended: watch::Receiver<Option<u8>>,
    _task: AbortOnDropHandle<()>,
}

impl Unit {
    fn is_running(&self) -> bool {
        self.ended.borrow().is_none()
    }
}

impl Apps {
    pub(crate) fn new(
        net: Net,
        clock: Clock,
        judge: Judge,
        behaviours: BTreeMap<String, Behaviour>,
        fronts: BTreeMap<u16, u16>,
        by_tag: Option<(String, u16)>,
    ) -> Self {
        Self(Arc::new(Inner {
            net,
            clock,
            judge,
            oracle: OnceLock::new(),
            behaviours,
            fronts,
            by_tag,
            units: Mutex::default(),
            events: Mutex::default(),
        }))
    }

    /// Tells whom to report processes to.
    pub(crate) fn report_to(&self, oracle: Oracle) {
        assert!(self.0.oracle.set(oracle).is_ok(), "there is one oracle");
    }

    /// What became of processes so far.
    pub(crate) fn events(&self) -> Vec<ProcessEvent> {
        self.0.events.lock().unwrap().clone()
    }

    /// The port that is registered for a port of the application.
    fn registered(&self, port: u16) -> u16 {
        self.0.fronts.get(&port).copied().unwrap_or(port)
    }

    /// The versions that run at the moment, with their hosts and registered ports.
    pub(crate) fn running(&self) -> Vec<(String, u16, String)> {
        let units = self.units();
        let running = units.iter().filter(|(_, unit)| unit.is_running());
        running
            .map(|((host, _), unit)| {
                let port = self.registered(unit.port);
                (host.clone(), port, unit.version.clone())
            })
            .collect()
    }

    fn units(&self) -> MutexGuard<'_, BTreeMap<(String, String), Unit>> {
        self.0.units.lock().unwrap()
    }

    fn note(&self, host: &str, port: u16, version: &str, what: ProcessChange) {
        let port = self.registered(port);
        let event = ProcessEvent {
            at: self.0.clock.now(),
            host: host.to_owned(),
            port,
            version: version.to_owned(),
            what,
        };
        self.0.events.lock().unwrap().push(event);
        let Some(oracle) = self.0.oracle.get() else {
            return;
        };
        match what {
            ProcessChange::Started => oracle.process_started(host, port),
            ProcessChange::Signalled => {
                self.0.judge.signalled(host, port, oracle);
                oracle.process_signalled(host, port);
            }
            ProcessChange::Ended => {
                oracle.process_stopped(host, port, ProcessEnd::Terminated);
            }
        }
    }

    /// Starts a version on a host, as systemd does: it is there at once and listens later.
    pub(crate) fn launch(&self, host: &Host, unit: &str, version: &str, port: u16) {
        let behaviour = self.0.behaviours.get(version);
        let config = Behaviour {
            version: version.to_owned(),
            ..behaviour.cloned().unwrap_or_default()
        };
        let (signals, received) = mpsc::channel(4);
        let (ending, ended) = watch::channel(None);
        let address = SocketAddr::new(host.address, port);
        let (net, clock) = (self.0.net.clone(), self.0.clock.clone());
        let (this, id, name) = (self.clone(), host.id.clone(), version.to_owned());
        self.note(&host.id, port, version, ProcessChange::Started);
        let task = tokio::spawn(async move {
            let code = match app::serve(net, clock, config, address, received).await {
                Ok(exit) => exit.code,
                Err(error) => panic!("{error}"),
            };
            this.note(&id, port, &name, ProcessChange::Ended);
            ending.send_replace(Some(code));
        });
        let running = Unit {
            version: version.to_owned(),
            port,
            signals,
            ended,
            _task: AbortOnDropHandle::new(task),
        };
        self.units()
            .insert((host.id.clone(), unit.to_owned()), running);
    }

    /// What the stop document says of a unit that does not run. There are no unit files here: a
    /// unit exists on every host once a unit of the same template was started on any.
    fn down(
        &self,
        unit: &str,
        port: Option<u16>,
        host: &str,
        units: &BTreeMap<(String, String), Unit>,
    ) -> Stopped {
        let exists = units
            .keys()
            .any(|(_, known)| template(known) == template(unit));
        if !exists && !units.is_empty() {
            return Stopped::NotFound;
        }
        let served = units.iter().find_map(|((on, _), other)| {
            let serves = on == host && other.is_running() && Some(other.port) == port;
            serves.then_some(other.port)
        });
        match served {
            Some(port) => Stopped::StillListening { port },
            None => Stopped::Already,
        }
    }

    async fn end(self, host: Host, unit: StopUnit) -> Stopped {
        let key = (host.id.clone(), unit.unit.clone());
        let (signals, mut ended, port, version) = {
            let units = self.units();
            let Some(unit) = units.get(&key).filter(|unit| unit.is_running()) else {
                return self.down(&unit.unit, unit.port, &host.id, &units);
            };
            let signals = unit.signals.clone();
            (signals, unit.ended.clone(), unit.port, unit.version.clone())
        };
        self.note(&host.id, port, &version, ProcessChange::Signalled);
        // A process that ended just now heeds no signal, and needs none.
        let _ = signals.send(Signal::Terminate).await;
        let grace = self
            .0
            .clock
            .timeout(unit.grace_period, ended.wait_for(Option::is_some));
        if let Ok(Ok(code)) = grace.await.map(|code| code.map(|code| *code)) {
            return Stopped::Graceful {
                exit: i32::from(code.unwrap_or_default()),
            };
        }
        let _ = signals.send(Signal::Kill).await;
        match ended.wait_for(Option::is_some).await {
            Ok(_) => Stopped::Killed { exit: 137 },
            Err(_) => Stopped::Stuck,
        }
    }
}

/// The part of a unit's name that its instances share.
fn template(unit: &str) -> &str {
    unit.split(['@', '.']).next().unwrap_or(unit)
}

impl MemoryHost for Apps {
    fn boot(&self, host: Host) -> BoxFuture<'static, ()> {
        // What ran when the instance stopped is enabled, and starts with it again.
        let key = |(id, _): &&(String, String)| *id == host.id;
        let enabled: Vec<(String, String, u16)> = {
            let units = self.units();
            units
                .keys()
                .filter(key)
                .map(|key| (key.1.clone(), units[key].version.clone(), units[key].port))
                .collect()
        };
        for (unit, version, port) in &enabled {
            self.launch(&host, unit, version, *port);
        }
        if let (Some((tag, port)), true) = (&self.0.by_tag, enabled.is_empty())
            && let Some(version) = host.tags.get(tag)
        {
            self.launch(&host, "app", version, *port);
        }
        async {}.boxed()
    }

    fn start(&self, host: Host, unit: StartUnit) -> BoxFuture<'static, Started> {
        let running = {
            let units = self.units();
            let unit = units.get(&(host.id.clone(), unit.unit.clone()));
            unit.filter(|unit| unit.is_running())
                .map(|unit| unit.version.clone())
        };
        let this = self.clone();
        async move {
            match running {
                Some(version) if version == unit.version => Started::AlreadyRunning,
                Some(version) => Started::OtherVersion {
                    running: Some(version),
                },
                None => {
                    this.launch(&host, &unit.unit, &unit.version, unit.port);
                    this.0.clock.sleep(Duration::from_millis(100)).await;
                    Started::Started
                }
            }
        }
        .boxed()
    }

    fn stop(&self, host: Host, unit: StopUnit) -> BoxFuture<'static, Stopped> {
        self.clone().end(host, unit).boxed()
    }

    fn kill(&self, host: Host, unit: Option<String>) -> BoxFuture<'static, ()> {
        let running: Vec<_> = {
            let units = self.units();
            let killed = units.iter().filter(|((on, name), one)| {
                *on == host.id && unit.as_ref().is_none_or(|unit| unit == name) && one.is_running()
            });
            killed
                .map(|(_, one)| (one.signals.clone(), one.ended.clone()))
                .collect()
        };
        async move {
            for (signals, mut ended) in running {
                // A process that ended just now needs no signal.
                let _ = signals.send(Signal::Kill).await;
                let _ = ended.wait_for(Option::is_some).await;
            }
        }
        .boxed()
    }

    fn halt(&self, host: Host, how: Halt) -> BoxFuture<'static, ()> {
        let mut units = self.units();
        let keys: Vec<_> = units
            .keys()
            .filter(|key| key.0 == host.id)
            .cloned()
            .collect();
        for key in keys {
            let unit = &units[&key];
            if unit.is_running() {
                if let (Halt::Terminated, Some(oracle)) = (how, self.0.oracle.get()) {
                    let port = self.registered(unit.port);
                    self.0.judge.terminated(&host.id, port, oracle);
                }
                self.note(&host.id, unit.port, &unit.version, ProcessChange::Ended);
            }
            match how {
                Halt::Stopped => {
                    let (signals, _) = mpsc::channel(1);
                    let (_, ended) = watch::channel(Some(137));
                    let unit = Unit {
                        version: unit.version.clone(),
                        port: unit.port,
                        signals,
                        ended,
                        _task: AbortOnDropHandle::new(tokio::spawn(async {})),
                    };
                    units.insert(key, unit);
                }
                Halt::Terminated => {
                    units.remove(&key);
                }
            }
        }
        async {}.boxed()
    }
}
