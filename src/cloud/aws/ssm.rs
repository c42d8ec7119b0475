//! Systems Manager: commands to hosts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use aws_config::SdkConfig;
use aws_sdk_ssm::{
    Client,
    types::{CommandFilter, CommandFilterKey},
};
use tokio::time::Instant;

use super::{
    errors::{self, INVALID_COMMAND},
    gate::{Call, Deadline, Gate},
    outcome::Outcome,
    sent::{Commands, SentCommands},
};
use crate::{
    api::{Duration, Time},
    cloud::{Budget, Caller, Error},
    plan::{CommandState, FailureKind, SendCommand},
};

/// How many hosts one command may name.
const HOSTS_IN_A_COMMAND: usize = 50;

/// How many entries a page of a list may have.
const ENTRIES_ON_A_PAGE: i32 = 50;

/// How long a comment may be.
const COMMENT_LENGTH: usize = 100;

/// How long Systems Manager tries to hand a command to a host's agent, in seconds. An agent that
/// is there takes it at once, and one that lost its connection is back within this time. Later
/// nobody counts on it any more, and a command that begins late can hit what a newer one did: so
/// little more than the 30 s that are the least.
const DELIVERED_WITHIN: i32 = 60;

/// How far this machine's clock may be ahead of AWS's when commands are looked for.
const CLOCK_MARGIN: Duration = Duration::from_secs(60);

/// The verbs that Systems Manager answers.
pub(super) struct Ssm {
    pub(super) client: Client,
    pub(super) gate: Arc<Gate>,
    sent: SentCommands,
}

impl Ssm {
    pub(super) fn new(config: &SdkConfig, gate: Arc<Gate>) -> Self {
        Self {
            client: Client::new(config),
            gate,
            sent: SentCommands::default(),
        }
    }

    /// `command.timeout` is not sent: SendCommand can only bound delivery, and how long a
    /// document runs is bounded by a parameter that not every document has.
    pub(super) async fn send(
        &self,
        caller: &Caller,
        command: &SendCommand,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let thing = format!("document {}", command.document);
        let call = Call {
            service: "ssm",
            operation: "SendCommand",
            budget: Budget::SsmSend,
            thing: &thing,
            caller,
        };
        if command.operation.len() > COMMENT_LENGTH {
            return Err(Error::new(
                FailureKind::Rejected,
                format!(
                    "{call}: an operation id is longer than the {COMMENT_LENGTH} bytes of a \
                     comment; give the release a shorter name"
                ),
            ));
        }
        // AWS refuses a command that names a host twice.
        let hosts: BTreeSet<&String> = command.instances.iter().collect();
        let hosts: Vec<String> = hosts.into_iter().cloned().collect();
        for chunk in hosts.chunks(HOSTS_IN_A_COMMAND) {
            self.send_to(command, chunk, &call, deadline).await?;
        }
        Ok(())
    }

    async fn send_to(
        &self,
        command: &SendCommand,
        hosts: &[String],
        call: &Call<'_>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let parameters = command
            .parameters
            .iter()
            .map(|(name, value)| (name.clone(), vec![value.clone()]))
            .collect();
        let request = self
            .client
            .send_command()
            .document_name(&command.document)
            .set_parameters(Some(parameters))
            .set_instance_ids(Some(hosts.to_vec()))
            .comment(&command.operation)
            .timeout_seconds(DELIVERED_WITHIN)
            // Each host's outcome is its own: by default a failure keeps the command from the
            // hosts that come after it.
            .max_concurrency("100%")
            .max_errors("100%");
        let doubt = Doubt {
            sent: &self.sent,
            operation: &command.operation,
        };
        let result = self.gate.pass(call, deadline, request.send()).await;
        let error = match result {
            Ok(answer) => match answer.command().and_then(|command| command.command_id()) {
                Some(id) => {
                    doubt.none();
                    self.sent.sent(&command.operation, id, hosts);
                    return Ok(());
                }
                None => errors::incomplete(call, "command id"),
            },
            Err(refusal) => refusal.error,
        };
        if error.kind() != FailureKind::Unavailable {
            doubt.none();
        }
        Err(error)
    }

    pub(super) async fn command(
        &self,
        caller: &Caller,
        operation: &str,
        since: Time,
        deadline: Deadline,
    ) -> Result<CommandState, Error> {
        let (mut commands, look_up) = self.sent.known(operation);
        if look_up {
            let asked = Instant::now();
            let found = self.find(caller, operation, since, deadline).await?;
            commands = self.sent.found(operation, asked, found);
        }
        if commands.is_empty() {
            return Ok(CommandState::Absent);
        }
        let mut outcomes: BTreeMap<String, Outcome> = BTreeMap::new();
        for (command, hosts) in &commands {
            let listed = self
                .invocations(caller, command, operation, deadline)
                .await?;
            let mut of_command: BTreeMap<String, Outcome> = hosts
                .iter()
                .map(|host| (host.clone(), Outcome::not_listed_yet()))
                .collect();
            of_command.extend(listed);
            for (host, outcome) in of_command {
                let counts = match outcomes.remove(&host) {
                    Some(other) => other.or(outcome),
                    None => outcome,
                };
                outcomes.insert(host, counts);
            }
        }
        let invocations = outcomes
            .into_iter()
            .map(|(host, outcome)| (host, outcome.invocation))
            .collect();
        Ok(CommandState::Sent(invocations))
    }

    /// The commands whose comment is the operation id.
    async fn find(
        &self,
        caller: &Caller,
        operation: &str,
        since: Time,
        deadline: Deadline,
    ) -> Result<Commands, Error> {
        let thing = format!("operation {operation}");
        let call = read("ListCommands", &thing, caller);
        let after = CommandFilter::builder()
            .key(CommandFilterKey::InvokedAfter)
            .value(format!("{:.0}", (since - CLOCK_MARGIN).timestamp()))
            .build()
            .map_err(|_| errors::incomplete(&call, "filter"))?;
        let mut found = Commands::new();
        let mut token = None;
        loop {
            let request = self
                .client
                .list_commands()
                .filters(after.clone())
                .max_results(ENTRIES_ON_A_PAGE)
                .set_next_token(token);
            let page = self.gate.pass(&call, deadline, request.send()).await?;
            let listed = page
                .commands
                .as_deref()
                .ok_or_else(|| errors::incomplete(&call, "list of commands"))?;
            for command in listed {
                if command.comment() == Some(operation) {
                    let id = command
                        .command_id()
                        .ok_or_else(|| errors::incomplete(&call, "command id"))?;
                    found.insert(id.to_owned(), command.instance_ids().to_vec());
                }
            }
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(found);
            }
        }
    }

    /// What is listed of a command, by host. Right after it was sent that may be nothing.
    async fn invocations(
        &self,
        caller: &Caller,
        command: &str,
        operation: &str,
        deadline: Deadline,
    ) -> Result<BTreeMap<String, Outcome>, Error> {
        let thing = format!("operation {operation}");
        let call = read("ListCommandInvocations", &thing, caller);
        let mut listed = BTreeMap::new();
        let mut token = None;
        loop {
            let request = self
                .client
                .list_command_invocations()
                .command_id(command)
                .details(true)
                .max_results(ENTRIES_ON_A_PAGE)
                .set_next_token(token);
            let page = match self.gate.pass(&call, deadline, request.send()).await {
                Ok(page) => page,
                Err(refusal) if refusal.is(INVALID_COMMAND) => {
                    return Ok(listed);
                }
                Err(refusal) => return Err(refusal.into()),
            };
            let entries = page
                .command_invocations
                .as_deref()
                .ok_or_else(|| errors::incomplete(&call, "list of invocations"))?;
            for invocation in entries {
                if invocation.command_id().is_some_and(|id| id != command) {
                    return Err(errors::foreign(&call, "another command"));
                }
                let host = invocation
                    .instance_id()
                    .ok_or_else(|| errors::incomplete(&call, "instance id"))?;
                listed.insert(host.to_owned(), Outcome::of(invocation));
            }
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(listed);
            }
        }
    }
}

pub(super) fn read<'a>(operation: &'static str, thing: &'a str, caller: &'a Caller) -> Call<'a> {
    Call {
        service: "ssm",
        operation,
        budget: Budget::SsmRead,
        thing,
        caller,
    }
}

/// While a command is on its way, and when its sender goes away, nobody knows whether AWS took it.
struct Doubt<'a> {
    sent: &'a SentCommands,
    operation: &'a str,
}

impl Doubt<'_> {
    /// AWS said whether it took the command.
    fn none(self) {
        std::mem::forget(self);
    }
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        self.sent.lost(self.operation);
    }
}
