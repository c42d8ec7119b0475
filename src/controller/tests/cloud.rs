//! A cloud that keeps a journal.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet, VecDeque},
    future::pending,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time,
};

use super::note;
use crate::{
    api::{Duration, HttpProbe, InstanceSelector, TargetGroupRef, Time},
    cloud::{Caller, Cloud, Error, Listed, TargetGroup, TargetGroupArn},
    controller::{CloudProvider, Counts, Probe},
    plan::{
        CommandState, Document, Failure, FailureKind, GroupSettings, Health, Instance,
        InstanceState, LoadBalancerKind, Pace, SendCommand, TargetId,
    },
};

#[derive(Debug, Default, Clone)]
pub(super) struct FakeCloud {
    faults: Arc<Mutex<Faults>>,
}

#[derive(Debug, Default)]
struct Faults {
    effects: VecDeque<Error>,
    reads: Option<Error>,
    hang: bool,
}

impl FakeCloud {
    /// The next effect fails.
    pub(super) fn fail_effect(&self, kind: FailureKind, message: &str) {
        self.faults
            .lock()
            .unwrap()
            .effects
            .push_back(Error::new(kind, message));
    }

    /// Every read fails from now on.
    pub(super) fn fail_reads(&self, kind: FailureKind, message: &str) {
        self.faults.lock().unwrap().reads = Some(Error::new(kind, message));
    }

    /// Every read hangs from now on.
    pub(super) fn hang(&self) {
        self.faults.lock().unwrap().hang = true;
    }

    async fn read<T>(&self, verb: &str, value: T) -> Result<T, Error> {
        note(verb);
        let (hang, error) = {
            let faults = self.faults.lock().unwrap();
            (faults.hang, faults.reads.clone())
        };
        if hang {
            pending::<()>().await;
        }
        error.map_or(Ok(value), Err)
    }

    fn effect(&self, entry: String) -> Result<(), Error> {
        note(entry);
        self.faults
            .lock()
            .unwrap()
            .effects
            .pop_front()
            .map_or(Ok(()), Err)
    }
}

fn listed(targets: &[TargetId]) -> String {
    targets
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

impl Cloud for FakeCloud {
    async fn instances(
        &self,
        _: &Caller,
        _: &InstanceSelector,
        _: Option<&str>,
        _: Option<time::Duration>,
    ) -> Result<Vec<Instance>, Error> {
        let instance = Instance {
            id: "i-1".to_owned(),
            zone: "eu-west-1a".to_owned(),
            state: InstanceState::Running,
            address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            version: None,
        };
        self.read("instances", vec![instance]).await
    }

    fn arn(&self, group: &TargetGroupRef) -> Option<TargetGroupArn> {
        Some(TargetGroupArn(format!("arn:{}", group.name())))
    }

    async fn target_group(
        &self,
        _: &Caller,
        group: &TargetGroupRef,
        _: Option<time::Duration>,
    ) -> Result<TargetGroup, Error> {
        let found = TargetGroup {
            arn: TargetGroupArn(format!("arn:{}", group.name())),
            name: group.name().to_owned(),
            load_balancer: LoadBalancerKind::Application,
            instance_targets: true,
            in_use: true,
            delay: Duration::from_secs(300),
            settings: GroupSettings::default(),
        };
        self.read("target_group", found).await
    }

    async fn target_health(&self, _: &Caller, _: &TargetGroupArn) -> Result<Listed, Error> {
        let target = TargetId {
            id: "i-1".to_owned(),
            port: 8080,
        };
        let listed = Listed {
            targets: BTreeMap::from([(target, Health::Healthy)]),
            reasons: BTreeMap::new(),
        };
        self.read("target_health", listed).await
    }

    async fn agents(&self, _: &Caller, instances: &[String]) -> Result<BTreeSet<String>, Error> {
        let online = instances.iter().cloned().collect();
        self.read(&format!("agents {}", instances.join(" ")), online)
            .await
    }

    async fn document(&self, _: &Caller, name: &str) -> Result<Document, Error> {
        let document = Document {
            unusable: None,
            parameters: BTreeMap::new(),
        };
        self.read(&format!("document {name}"), document).await
    }

    fn pace(&self) -> Pace {
        Pace::default()
    }

    async fn register(
        &self,
        _: &Caller,
        group: &TargetGroupArn,
        targets: &[TargetId],
    ) -> Result<(), Error> {
        self.effect(format!("register {group} {}", listed(targets)))
    }

    async fn deregister(
        &self,
        _: &Caller,
        group: &TargetGroupArn,
        targets: &[TargetId],
    ) -> Result<(), Error> {
        self.effect(format!("deregister {group} {}", listed(targets)))
    }

    async fn send(&self, _: &Caller, command: &SendCommand) -> Result<(), Error> {
        self.effect(format!("send {}", command.operation))
    }

    async fn command(
        &self,
        _: &Caller,
        operation: &str,
        since: Time,
    ) -> Result<CommandState, Error> {
        self.read(
            &format!("command {operation} since {since}"),
            CommandState::Absent,
        )
        .await
    }

    async fn terminate(&self, _: &Caller, instances: &[String]) -> Result<(), Error> {
        self.effect(format!("terminate {}", instances.join(" ")))
    }
}

impl CloudProvider for FakeCloud {
    type Cloud = Self;

    fn cloud(&self, _: Option<&str>) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(self.clone()))
    }

    fn own_region(&self) -> Option<&str> {
        None
    }
}

thread_local! {
    static OPEN: Cell<Option<bool>> = const { Cell::new(None) };
}

/// What every port is from now on: open, closed, or not to be told.
pub(super) fn set_open(open: Option<bool>) {
    OPEN.set(open);
}

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct FakeProbe;

impl Probe for FakeProbe {
    async fn read(&self, target: SocketAddr, probe: &HttpProbe) -> Result<Counts, Failure> {
        let port = probe.port_of(target.port()).unwrap();
        note(format!("probe {target} on {port}"));
        Ok(Counts {
            in_flight: 0,
            served: 10,
        })
    }

    async fn listens(&self, _: SocketAddr) -> Option<bool> {
        OPEN.get()
    }
}
