//! Which commands carry an operation id.
//!
//! Systems Manager cannot be asked for a comment, so finding a command again means to list
//! commands until one has it. That is needed after a restart and after a lost answer. Otherwise
//! the id is known from the answer to SendCommand, and asking costs one request.
//!
//! This is a cache: what it forgets is looked up again.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// A command that nobody here knows of may turn up in the list this long after it could have
/// been sent: the operation timeout of whoever sent it, and the time in which AWS's lists become
/// consistent, which is a few seconds; this leaves a margin.
const TURNS_UP_WITHIN: Duration = Duration::from_secs(30);

/// Operations that are remembered. A release has a handful at a time.
const OPERATIONS: usize = 4096;

/// The ids of commands, each with the hosts that it was sent to.
pub(super) type Commands = BTreeMap<String, Vec<String>>;

/// What is known of the commands of operations.
#[derive(Debug, Default)]
pub(super) struct SentCommands {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    operations: HashMap<String, Operation>,
    /// In the order in which they were first heard of.
    order: VecDeque<String>,
}

#[derive(Debug)]
struct Operation {
    commands: Commands,
    /// Since when there may be commands that are not known here. `None`: there are none.
    doubt: Option<Instant>,
}

impl SentCommands {
    /// What is known of an operation's commands, and whether the list has to be read, because
    /// there may be others or none is known.
    pub(super) fn known(&self, operation: &str) -> (Commands, bool) {
        let mut state = self.lock();
        let entry = state.entry(operation, Some(Instant::now()));
        let look_up = entry.doubt.is_some() || entry.commands.is_empty();
        (entry.commands.clone(), look_up)
    }

    /// AWS took a command.
    pub(super) fn sent(&self, operation: &str, command: &str, hosts: &[String]) {
        self.lock()
            .entry(operation, None)
            .commands
            .insert(command.to_owned(), hosts.to_vec());
    }

    /// Nobody knows whether AWS took a command.
    pub(super) fn lost(&self, operation: &str) {
        let now = Instant::now();
        self.lock().entry(operation, Some(now)).doubt = Some(now);
    }

    /// A list that was asked for at `asked` had these commands. Returns all that are known.
    pub(super) fn found(&self, operation: &str, asked: Instant, commands: Commands) -> Commands {
        let mut state = self.lock();
        let entry = state.entry(operation, Some(asked));
        entry.commands.extend(commands);
        let settled = |doubt: Instant| asked.saturating_duration_since(doubt) >= TURNS_UP_WITHIN;
        if entry.doubt.is_some_and(settled) {
            entry.doubt = None;
        }
        entry.commands.clone()
    }

    /// The state is whole at every point, so a panic elsewhere spoils nothing.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn entry(&mut self, operation: &str, doubt: Option<Instant>) -> &mut Operation {
        if !self.operations.contains_key(operation) {
            if self.order.len() >= OPERATIONS
                && let Some(oldest) = self.order.pop_front()
            {
                self.operations.remove(&oldest);
            }
            self.order.push_back(operation.to_owned());
        }
        self.operations
            .entry(operation.to_owned())
            .or_insert_with(|| Operation {
                commands: Commands::new(),
                doubt,
            })
    }
}

#[cfg(test)]
mod unit_tests {
    use tokio::time;

    use super::*;

    fn command(id: &str) -> Commands {
        Commands::from([(id.to_owned(), vec!["i-1".to_owned()])])
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_whose_answer_came_needs_no_look_up() {
        let sent = SentCommands::default();
        sent.sent("op", "c-1", &["i-1".to_owned()]);
        assert_eq!(sent.known("op"), (command("c-1"), false));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_restart_or_a_lost_answer_the_list_is_read_until_nothing_can_turn_up() {
        let sent = SentCommands::default();
        assert_eq!(sent.known("op"), (Commands::new(), true));
        sent.found("op", Instant::now(), command("c-1"));
        assert_eq!(sent.known("op"), (command("c-1"), true));
        time::sleep(TURNS_UP_WITHIN).await;
        sent.found("op", Instant::now(), command("c-1"));
        assert_eq!(sent.known("op"), (command("c-1"), false));
        sent.lost("op");
        assert!(sent.known("op").1);
    }

    #[tokio::test(start_paused = true)]
    async fn while_no_command_is_known_the_list_is_read() {
        let sent = SentCommands::default();
        sent.known("op");
        time::sleep(TURNS_UP_WITHIN * 2).await;
        sent.found("op", Instant::now(), Commands::new());
        assert!(sent.known("op").1);
    }

    #[test]
    fn the_oldest_operation_is_forgotten_first() {
        let sent = SentCommands::default();
        for number in 0..=OPERATIONS {
            sent.sent(&number.to_string(), "c", &[]);
        }
        let state = sent.lock();
        assert_eq!(state.operations.len(), OPERATIONS);
        assert!(!state.operations.contains_key("0"));
        assert!(state.operations.contains_key("1"));
    }
}
