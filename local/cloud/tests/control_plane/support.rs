//! A cloud to ask, and a client that speaks its protocols.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bluegreen_cloud::{
    Cloud, Config, ConnectionDropped, Hostility,
    config::Span,
    hosts::{
        Halt, Host, MemoryHost, MemoryHosts, StartUnit, StopUnit,
        words::{Started, Stopped},
    },
    scene::{Plan, Scene},
    topology::{HealthReport, NodeHealth, TargetKey},
};
use bluegreen_net::Clock;
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use http::Request;
use serde_json::{Value, json};

/// Hosts that note what they are told, and take as long as the test says.
#[derive(Clone)]
pub(crate) struct Noting {
    pub(crate) clock: Clock,
    pub(crate) notes: Arc<Mutex<Vec<String>>>,
    pub(crate) takes: Duration,
}

impl Noting {
    fn note(&self, text: String) {
        self.notes.lock().unwrap().push(text);
    }
}

impl MemoryHost for Noting {
    fn start(&self, host: Host, unit: StartUnit) -> BoxFuture<'static, Started> {
        let this = self.clone();
        async move {
            this.note(format!(
                "start {} {} {} {}",
                host.id, unit.unit, unit.version, unit.port
            ));
            this.clock.sleep(this.takes).await;
            Started::Started
        }
        .boxed()
    }

    fn stop(&self, host: Host, unit: StopUnit) -> BoxFuture<'static, Stopped> {
        let this = self.clone();
        async move {
            let grace = unit.grace_period.as_secs();
            this.note(format!("stop {} {} {grace}", host.id, unit.unit));
            this.clock.sleep(this.takes).await;
            Stopped::Graceful { exit: 143 }
        }
        .boxed()
    }

    fn halt(&self, host: Host, how: Halt) -> BoxFuture<'static, ()> {
        self.note(format!("halt {} {how:?}", host.id));
        async {}.boxed()
    }
}

/// A cloud with a scene and a client.
pub(crate) struct World {
    pub(crate) cloud: Cloud,
    pub(crate) scene: Scene,
    pub(crate) notes: Arc<Mutex<Vec<String>>>,
}

/// What a call was answered with.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    /// The texts of all elements of a name.
    pub(crate) fn all(&self, element: &str) -> Vec<String> {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        let parts = self.body.split(&open).skip(1);
        parts
            .filter_map(|part| Some(part.split_once(&close)?.0.to_owned()))
            .collect()
    }

    /// The text of the one element of a name.
    pub(crate) fn one(&self, element: &str) -> String {
        let all = self.all(element);
        assert_eq!(all.len(), 1, "<{element}> in {}", self.body);
        all[0].clone()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The error code, in whichever protocol.
    pub(crate) fn code(&self) -> String {
        assert!(self.status >= 400, "no error: {}", self.body);
        match serde_json::from_str::<Value>(&self.body) {
            Ok(json) => json["__type"].as_str().unwrap().to_owned(),
            Err(_) => self.one("Code"),
        }
    }

    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{}", self.body);
        self
    }
}

impl World {
    /// Two zones, one group of port 8080 with 2 hosts that are not registered, no hostility.
    pub(crate) fn calm() -> Self {
        Self::new(Hostility::calm(), Duration::ZERO)
    }

    pub(crate) fn new(hostility: Hostility, takes: Duration) -> Self {
        let clock = Clock::stepped();
        let notes = Arc::default();
        let inside = Noting {
            clock: clock.clone(),
            notes: Arc::clone(&notes),
            takes,
        };
        let hosts = Arc::new(MemoryHosts::new(clock.clone(), Arc::new(inside)));
        let config = Config {
            hostility,
            ..Config::default()
        };
        let cloud = Cloud::new(config, clock, hosts);
        let scene = cloud.build(&Plan::simple("games", 8080, 2)).unwrap();
        Self {
            cloud,
            scene,
            notes,
        }
    }

    pub(crate) fn host(&self, index: usize) -> &str {
        &self.scene.hosts[index].id
    }

    pub(crate) fn group(&self) -> &str {
        &self.scene.groups[0]
    }

    pub(crate) async fn elb(&self, action: &str, fields: &[(&str, &str)]) -> Answer {
        let form = form("2015-12-01", action, fields);
        self.send("elasticloadbalancing", None, form).await.unwrap()
    }

    pub(crate) async fn ec2(&self, action: &str, fields: &[(&str, &str)]) -> Answer {
        let form = form("2016-11-15", action, fields);
        self.send("ec2", None, form).await.unwrap()
    }

    pub(crate) async fn sts(&self, action: &str, fields: &[(&str, &str)]) -> Answer {
        let form = form("2011-06-15", action, fields);
        self.send("sts", None, form).await.unwrap()
    }

    pub(crate) async fn ssm(&self, action: &str, body: Value) -> Answer {
        let target = format!("AmazonSSM.{action}");
        self.send("ssm", Some(&target), body.to_string())
            .await
            .unwrap()
    }

    /// RegisterTargets or another action on one target of the group.
    pub(crate) async fn target(&self, action: &str, id: &str, port: Option<u16>) -> Answer {
        let port = port.map(|port| port.to_string());
        let mut fields = vec![
            ("TargetGroupArn", self.group()),
            ("Targets.member.1.Id", id),
        ];
        fields.extend(port.as_deref().map(|port| ("Targets.member.1.Port", port)));
        self.elb(action, &fields).await
    }

    /// State and reason of one target, asked for by id and port.
    pub(crate) async fn health(&self, id: &str, port: u16) -> (String, Option<String>) {
        let answer = self
            .target("DescribeTargetHealth", id, Some(port))
            .await
            .ok();
        (answer.one("State"), answer.all("Reason").pop())
    }

    /// The targets that the group lists, as `id:port state`.
    pub(crate) async fn listed(&self) -> Vec<String> {
        let fields = [("TargetGroupArn", self.group())];
        let answer = self.elb("DescribeTargetHealth", &fields).await.ok();
        let ids = answer.all("Id");
        let rest = answer.all("Port").into_iter().zip(answer.all("State"));
        ids.iter()
            .zip(rest)
            .map(|(id, (port, state))| format!("{id}:{port} {state}"))
            .collect()
    }

    /// Every node says this of a target.
    pub(crate) async fn report(&self, id: &str, port: u16, health: NodeHealth) {
        for node in self.scene.nodes.clone() {
            self.report_of(node, id, port, health.clone()).await;
        }
    }

    /// One node says this of a target.
    pub(crate) async fn report_of(&self, node: IpAddr, id: &str, port: u16, health: NodeHealth) {
        let topology = self.cloud.topology().borrow().clone();
        let group = topology
            .target_groups
            .iter()
            .find(|one| one.arn == self.group())
            .unwrap();
        let found = group
            .targets
            .iter()
            .find(|one| (one.key.id.as_str(), one.key.port) == (id, port));
        let (serial, life) = found.map_or((0, 0), |target| (target.key.serial, target.life));
        let report = HealthReport {
            node,
            target_group: self.group().to_owned(),
            target: TargetKey {
                id: id.to_owned(),
                port,
                serial,
            },
            life,
            health,
        };
        self.cloud.health_reports().send(report).await.unwrap();
        self.wait(0.001).await;
    }

    pub(crate) async fn wait(&self, seconds: f64) {
        self.cloud
            .clock()
            .sleep(Duration::from_secs_f64(seconds))
            .await;
    }

    pub(crate) async fn send(
        &self,
        service: &str,
        target: Option<&str>,
        body: String,
    ) -> Result<Answer, ConnectionDropped> {
        let credential = format!(
            "AWS4-HMAC-SHA256 Credential=AKIATEST/20270115/ap-northeast-2/{service}/aws4_request, \
             SignedHeaders=host, Signature=0"
        );
        let mut request = Request::post("/").header("authorization", credential);
        if let Some(target) = target {
            request = request.header("x-amz-target", target);
        }
        let request = request.body(Bytes::from(body)).unwrap();
        let response = self.cloud.handle(request).await?;
        Ok(Answer {
            status: response.status().as_u16(),
            body: String::from_utf8(response.body().to_vec()).unwrap(),
        })
    }

    /// Sends a command and returns its id.
    pub(crate) async fn command(&self, document: &str, parameters: Value) -> String {
        let sent = self
            .ssm(
                "SendCommand",
                json!({
                    "DocumentName": document,
                    "InstanceIds": [self.host(0)],
                    "Parameters": parameters,
                    "TimeoutSeconds": 60,
                }),
            )
            .await
            .ok();
        sent.json()["Command"]["CommandId"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// GetCommandInvocation on the first host.
    pub(crate) async fn invocation(&self, command: &str) -> Answer {
        let body = json!({"CommandId": command, "InstanceId": self.host(0)});
        self.ssm("GetCommandInvocation", body).await
    }
}

fn form(version: &str, action: &str, fields: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", action)
        .append_pair("Version", version);
    form.extend_pairs(fields);
    form.finish()
}

/// A state with its reason.
pub(crate) fn state(name: &str, reason: &str) -> (String, Option<String>) {
    (name.to_owned(), Some(reason.to_owned()))
}

/// Healthy, for which there is no reason.
pub(crate) fn healthy() -> (String, Option<String>) {
    ("healthy".to_owned(), None)
}

/// A world in which registering takes exactly 3 seconds.
pub(crate) fn slow_to_register() -> World {
    let hostility = Hostility {
        registration_lag: Span::exactly(Duration::from_secs(3)),
        ..Hostility::calm()
    };
    World::new(hostility, Duration::ZERO)
}
