//! Every call that was made, for tests that count calls or hold them against IAM policies.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// How many calls are kept. An hour of a controller that polls once a second fits.
const KEPT: usize = 100_000;

/// One call.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Counts calls from 1.
    pub sequence: u64,
    /// When it was carried out or refused, in virtual time.
    pub at: Timestamp,
    /// The access key id, or the ARN of the assumed role that the key was issued for.
    pub principal: String,
    /// The action as IAM writes it: `elasticloadbalancing:RegisterTargets`.
    pub action: String,
    /// The ARNs that IAM would hold against the policy's resources. Empty for actions that IAM
    /// knows no resources for, which a policy must allow on `*`.
    pub resources: Vec<String>,
    /// What was sent.
    pub parameters: Value,
    /// What came of it.
    pub outcome: Outcome,
    /// Whether it was carried out, whatever the caller was told.
    pub effective: bool,
}

/// What the caller saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Outcome {
    /// A reply.
    Success,
    /// An error.
    Error {
        /// The HTTP status.
        status: u16,
        /// The code.
        code: String,
    },
    /// The connection ended without a reply.
    Dropped,
    /// No reply ever.
    Hung,
    /// A reply that cannot be read, or that a fault made another one.
    Malformed,
}

/// The calls in their order.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: std::collections::VecDeque<Entry>,
    count: u64,
}

impl Ledger {
    pub(crate) fn record(&mut self, mut entry: Entry) {
        self.count += 1;
        entry.sequence = self.count;
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    pub(crate) fn since(&self, sequence: u64) -> Vec<Entry> {
        let new = self.entries.iter();
        new.filter(|entry| entry.sequence > sequence)
            .cloned()
            .collect()
    }
}
