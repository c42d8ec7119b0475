//! What metrics are told of the calls to AWS.

use std::time::Duration;

/// Is told of every request to AWS. All words come from closed sets, so that they can be labels.
pub trait Observer: Send + Sync + 'static {
    /// A request begins. `operation` is the API's word, as in `DescribeTargetHealth`.
    fn started(&self, operation: &'static str);

    /// A request that had begun has ended. `result` is `ok`, `cancelled` where the caller went
    /// away, or an error's [`category`](super::Error::category). `throttled` is AWS's word here.
    fn finished(&self, operation: &'static str, result: &'static str, took: Duration);

    /// A request was not made, because our own rate budget had nothing left for it, or no time
    /// was left.
    fn held_back(&self, operation: &'static str);
}

/// Nobody wants to know.
impl Observer for () {
    fn started(&self, _: &'static str) {}
    fn finished(&self, _: &'static str, _: &'static str, _: Duration) {}
    fn held_back(&self, _: &'static str) {}
}
