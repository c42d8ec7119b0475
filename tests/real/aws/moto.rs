//! A `moto_server`, which is AWS's APIs as others have written them, kept in memory; aws-cli and
//! the controller's own edge, both speaking with it.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bluegreen::cloud::{
    Observer,
    aws::{AwsSettings, Clouds},
};
use rustix::process::Signal;
use serde_json::Value;

use super::{
    super::{
        Real,
        process::Process,
        servers::free_port,
        tools::{self, Said, command},
    },
    account::Who,
    edge::Edge,
};

/// The region of all cases that name none.
pub(super) const REGION: &str = "eu-west-1";

/// The operations that the edge has asked AWS for.
#[derive(Default)]
pub(super) struct Asked(Mutex<BTreeSet<String>>);

impl Asked {
    /// All of them since this was asked last.
    pub(super) fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Observer for Asked {
    fn started(&self, operation: &'static str) {
        self.0.lock().unwrap().insert(operation.to_owned());
    }

    fn finished(&self, _: &'static str, _: &'static str, _: Duration) {}

    fn held_back(&self, _: &'static str) {}
}

/// The server. Dropping it ends it.
pub(super) struct Moto<'a> {
    real: &'a Real,
    process: Process,
    port: u16,
    /// What the edge asked it for.
    pub(super) asked: Arc<Asked>,
}

impl<'a> Moto<'a> {
    /// One that lets everybody do everything.
    pub(super) async fn start(real: &'a Real) -> Self {
        Self::start_with(real, None).await
    }

    /// One that asks its IAM whether a request is allowed, after the first requests, which are
    /// its administrator's.
    pub(super) async fn strict_after(real: &'a Real, requests: u32) -> Self {
        Self::start_with(real, Some(requests)).await
    }

    async fn start_with(real: &'a Real, lenient: Option<u32>) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Who::ANYBODY.write();
        let port = free_port();
        let mut moto = command(&real.tools.moto);
        moto.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        if let Some(requests) = lenient {
            moto.env("INITIAL_NO_AUTH_ACTION_COUNT", requests.to_string());
        }
        let log = real.folder.path().join(format!("moto-{number}.log"));
        let mut process = Process::start("moto_server", &log, &mut moto);
        process.listens(port).await;
        Self {
            real,
            process,
            port,
            asked: Arc::default(),
        }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Halts it: it takes connections and answers nothing.
    pub(super) fn halt(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub(super) fn go_on(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Ends it; nobody listens on its port any more.
    pub(super) async fn end(&mut self) {
        self.process.end(Signal::KILL).await;
    }

    /// What the controller has of AWS, as `--endpoint-url` makes it, with nothing remembered.
    pub(super) async fn edge(&self) -> Edge {
        self.edge_in(REGION).await
    }

    /// The same in a region.
    pub(super) async fn edge_in(&self, region: &str) -> Edge {
        Edge::of(self.clouds().await.region(Some(region)).unwrap())
    }

    /// The clouds of a controller that was given no region.
    pub(super) async fn clouds(&self) -> Clouds {
        let settings = AwsSettings {
            region: None,
            endpoint_url: Some(self.endpoint()),
        };
        Clouds::connect(&settings, Arc::clone(&self.asked) as Arc<dyn Observer>).await
    }

    /// Types a line of aws-cli, without `aws`; spaces are between words only.
    pub(super) async fn says(&self, line: &str) -> Said {
        let mut aws = command(&self.real.tools.aws);
        aws.env("HOME", self.real.folder.path())
            .env("AWS_ENDPOINT_URL", self.endpoint())
            .env("AWS_DEFAULT_REGION", REGION)
            .env("AWS_PAGER", "")
            .env("AWS_MAX_ATTEMPTS", "1")
            .args(line.split_ascii_whitespace());
        tools::run(&mut aws).await
    }

    /// What a line that succeeds says, as text: the words with one space between them.
    pub(super) async fn text(&self, line: &str) -> String {
        let said = self.says(&format!("{line} --output text")).await.good();
        let words: Vec<&str> = said.split_ascii_whitespace().collect();
        words.join(" ")
    }

    /// What a line that succeeds says, as JSON.
    pub(super) async fn json(&self, line: &str) -> Value {
        let said = self.says(&format!("{line} --output json")).await.good();
        serde_json::from_str(&said).unwrap()
    }

    /// Makes two requests: moto loads a service when it is first asked, which can take longer than
    /// the edge waits.
    pub(super) async fn warm_up(&self) {
        self.text("ec2 describe-instances").await;
        self.text("elbv2 describe-target-groups").await;
    }

    /// The network that every account has from the start.
    pub(super) async fn vpc(&self) -> String {
        self.text("ec2 describe-vpcs --query Vpcs[0].VpcId").await
    }

    /// Makes a target group for HTTP to port 8080 of instances; its ARN.
    pub(super) async fn group(&self, name: &str) -> String {
        let vpc = self.vpc().await;
        self.text(&format!(
            "elbv2 create-target-group --name {name} --protocol HTTP --port 8080 --vpc-id {vpc} \
             --query TargetGroups[].TargetGroupArn"
        ))
        .await
    }

    /// Launches instances with tags, as in `{Key=app,Value=shop}`; their ids.
    pub(super) async fn launch(&self, count: usize, tags: &str) -> Vec<String> {
        let ids = self
            .text(&format!(
                "ec2 run-instances --image-id ami-12345678 --instance-type t3.micro \
                 --count {count} --tag-specifications ResourceType=instance,Tags=[{tags}] \
                 --query Instances[].InstanceId"
            ))
            .await;
        ids.split(' ').map(str::to_owned).collect()
    }

    /// The checkout.
    pub(super) fn project(&self) -> &Path {
        &self.real.tools.project
    }

    /// A file for a `file://` argument.
    pub(super) fn file(&self, name: &str, text: &str) -> String {
        let path = self.real.folder.path().join(name);
        fs::write(&path, text).unwrap();
        format!("file://{}", path.display())
    }
}
