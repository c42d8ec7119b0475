//! What a release script does with aws-cli, one call or waiter at a time, through the AWS SDK.
//!
//! It is as good as such scripts are and no better: it believes the waiters, and it gives up where
//! they do.

use std::{collections::HashMap, time::Duration};

use aws_credential_types::Credentials;
use aws_sdk_elasticloadbalancingv2 as elbv2;
use aws_sdk_ssm as ssm;
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use elbv2::{
    error::{DisplayErrorContext, ProvideErrorMetadata},
    types::TargetDescription,
};
use jiff::SignedDuration;

use super::{
    Method,
    waiter::{Answer, Verdict, Waiter},
};
use crate::{
    error::Error,
    monitor::{KILL, TELL},
    progress::Progress,
    scenario::{PORT, Scenario, UNIT},
    world::World,
};

/// The access key of the scripts: their calls are counted by it.
pub(super) const PRINCIPAL: &str = "AKIADEMOSCRIPT";

/// A script at work in a world.
pub(super) struct Script<'a> {
    method: Method,
    world: &'a World,
    progress: &'a Progress,
    grace_period: Duration,
    version: &'a str,
    elb: elbv2::Client,
    ssm: ssm::Client,
}

impl<'a> Script<'a> {
    pub(super) fn new(
        method: Method,
        world: &'a World,
        progress: &'a Progress,
        scenario: &Scenario,
        version: &'a str,
    ) -> Self {
        let credentials = Credentials::from_keys(PRINCIPAL, "not-a-secret", None);
        let region = world.cloud.config().region.clone();
        let http = Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let elb = elbv2::Config::builder()
            .behavior_version(elbv2::config::BehaviorVersion::latest())
            .region(elbv2::config::Region::new(region.clone()))
            .endpoint_url(&world.endpoint)
            .credentials_provider(credentials.clone())
            .http_client(http.clone())
            .build();
        let ssm = ssm::Config::builder()
            .behavior_version(ssm::config::BehaviorVersion::latest())
            .region(ssm::config::Region::new(region))
            .endpoint_url(&world.endpoint)
            .credentials_provider(credentials)
            .http_client(http)
            .build();
        Self {
            method,
            world,
            progress,
            grace_period: scenario.grace_period,
            version,
            elb: elbv2::Client::from_conf(elb),
            ssm: ssm::Client::from_conf(ssm),
        }
    }

    /// Does nothing for a while.
    pub(super) async fn sleep(&self, host: usize, time: Duration) {
        let until = SignedDuration::try_from(time).unwrap_or_default();
        let until = self.world.clock.now() + until;
        self.progress.doing(host, "sleep", Some(until));
        self.world.clock.sleep(time).await;
    }

    /// Takes a target out of the target group.
    pub(super) async fn deregister(&self, host: usize) -> Result<(), Error> {
        let call = "DeregisterTargets";
        self.progress.doing(host, call, None);
        let sent = self.elb.deregister_targets();
        let sent = sent
            .target_group_arn(self.group())
            .targets(self.target(host));
        sent.send().await.map_err(|err| self.failed(call, &err))?;
        self.progress.done(host, "deregistered");
        Ok(())
    }

    /// Waits until the target group says that a target is deregistered.
    pub(super) async fn wait_deregistered(&self, host: usize) -> Result<(), Error> {
        self.wait(host, Waiter::TargetDeregistered, || {
            self.target_health(host)
        })
        .await?;
        self.progress.done(host, "drained?");
        Ok(())
    }

    /// Puts a target into the target group, and waits until it is in service.
    pub(super) async fn register(&self, host: usize) -> Result<(), Error> {
        let call = "RegisterTargets";
        self.progress.doing(host, call, None);
        let sent = self.elb.register_targets();
        let sent = sent
            .target_group_arn(self.group())
            .targets(self.target(host));
        sent.send().await.map_err(|err| self.failed(call, &err))?;
        self.progress.done(host, "registered");
        self.wait_in_service(host).await
    }

    /// Waits until the target group says that a target is healthy.
    pub(super) async fn wait_in_service(&self, host: usize) -> Result<(), Error> {
        self.wait(host, Waiter::TargetInService, || self.target_health(host))
            .await?;
        self.progress.done(host, "healthy");
        self.progress.doing(host, "done", None);
        Ok(())
    }

    /// Kills the application.
    pub(super) async fn kill(&self, host: usize) -> Result<(), Error> {
        let script = format!("systemctl kill -s SIGKILL {UNIT}");
        self.shell(host, KILL, script).await?;
        self.progress.done(host, "terminated");
        Ok(())
    }

    /// Tells the application to fail its health check from now on.
    pub(super) async fn tell_to_fail(&self, host: usize) -> Result<(), Error> {
        let script = format!(
            "'{}' post --address {}:{PORT} --path /health/fail",
            self.world.program.display(),
            self.world.scene.hosts[host].address
        );
        self.shell(host, TELL, script).await?;
        self.progress.done(host, "told to fail");
        Ok(())
    }

    /// Sends SIGTERM to the application, and SIGKILL after the grace period.
    pub(super) async fn terminate(&self, host: usize) -> Result<(), Error> {
        let grace = self.grace_period.as_secs().to_string();
        let parameters = [("unit", UNIT.to_owned()), ("gracePeriod", grace)];
        self.command(host, "SIGTERM", "BlueGreen-StopUnit", &parameters, "")
            .await?;
        self.progress.done(host, "terminated");
        Ok(())
    }

    /// Starts the new version.
    pub(super) async fn start(&self, host: usize) -> Result<(), Error> {
        let parameters = [
            ("unit", UNIT.to_owned()),
            ("version", self.version.to_owned()),
            ("port", PORT.to_string()),
        ];
        self.command(host, "start", "BlueGreen-StartUnit", &parameters, "")
            .await?;
        self.progress.done(host, "started");
        Ok(())
    }

    async fn shell(&self, host: usize, comment: &str, script: String) -> Result<(), Error> {
        let parameters = [("commands", script)];
        self.command(host, comment, "AWS-RunShellScript", &parameters, comment)
            .await
    }

    /// Sends a command and waits for its end.
    async fn command(
        &self,
        host: usize,
        doing: &str,
        document: &str,
        parameters: &[(&str, String)],
        comment: &str,
    ) -> Result<(), Error> {
        let call = "SendCommand";
        self.progress.doing(host, doing, None);
        let parameters: HashMap<String, Vec<String>> = parameters
            .iter()
            .map(|(name, value)| ((*name).to_owned(), vec![value.clone()]))
            .collect();
        let sent = self
            .ssm
            .send_command()
            .document_name(document)
            .instance_ids(self.instance(host))
            .set_parameters(Some(parameters))
            .comment(comment)
            .send()
            .await
            .map_err(|err| self.failed(call, &err))?;
        let id = sent.command.and_then(|command| command.command_id);
        let id = id.ok_or_else(|| self.failed_with(call, "the answer has no command id".into()))?;
        self.wait(host, Waiter::CommandExecuted, || self.invocation(host, &id))
            .await
    }

    async fn invocation(&self, host: usize, id: &str) -> Result<Answer, Error> {
        let asked = self.ssm.get_command_invocation();
        let asked = asked.command_id(id).instance_id(self.instance(host));
        match asked.send().await {
            Ok(found) => {
                let status = found.status.map(|status| status.as_str().to_owned());
                Ok(Answer::States(status.into_iter().collect()))
            }
            Err(err) => match err.code() {
                Some(code) => Ok(Answer::Error(code.to_owned())),
                None => Err(self.failed("GetCommandInvocation", &err)),
            },
        }
    }

    async fn target_health(&self, host: usize) -> Result<Answer, Error> {
        let asked = self.elb.describe_target_health();
        let asked = asked
            .target_group_arn(self.group())
            .targets(self.target(host));
        match asked.send().await {
            Ok(found) => {
                let listed = found.target_health_descriptions.unwrap_or_default();
                let states = listed.into_iter().filter_map(|one| {
                    let state = one.target_health?.state?;
                    Some(state.as_str().to_owned())
                });
                Ok(Answer::States(states.collect()))
            }
            Err(err) => match err.code() {
                Some(code) => Ok(Answer::Error(code.to_owned())),
                None => Err(self.failed("DescribeTargetHealth", &err)),
            },
        }
    }

    /// Looks, at the waiter's interval, until the waiter is content.
    async fn wait<F>(
        &self,
        host: usize,
        waiter: Waiter,
        mut look: impl FnMut() -> F,
    ) -> Result<(), Error>
    where
        F: Future<Output = Result<Answer, Error>>,
    {
        let gave_up = |because: String| Error::Waiter {
            method: self.method.name(),
            waiter: waiter.name(),
            because,
        };
        let pause = SignedDuration::try_from(waiter.interval()).unwrap_or_default();
        for _ in 0..waiter.looks() {
            let answer = look().await?;
            match waiter.judge(&answer) {
                Verdict::Done => return Ok(()),
                Verdict::Failed => return Err(gave_up(format!("{answer:?}"))),
                Verdict::Again => {}
            }
            let next = self.world.clock.now() + pause;
            let doing = format!("wait {}", waiter.name());
            self.progress.doing(host, doing, Some(next));
            self.world.clock.sleep_until(next).await;
        }
        Err(gave_up(format!("after {} looks", waiter.looks())))
    }

    fn group(&self) -> &str {
        &self.world.scene.groups[0]
    }

    fn instance(&self, host: usize) -> &str {
        &self.world.scene.hosts[host].id
    }

    fn target(&self, host: usize) -> TargetDescription {
        let target = TargetDescription::builder();
        let target = target.id(self.instance(host)).port(i32::from(PORT));
        target.build()
    }

    fn failed(&self, call: &'static str, err: &(impl std::error::Error + 'static)) -> Error {
        self.failed_with(call, DisplayErrorContext(err).to_string())
    }

    fn failed_with(&self, call: &'static str, message: String) -> Error {
        Error::Call {
            method: self.method.name(),
            call,
            message,
        }
    }
}
