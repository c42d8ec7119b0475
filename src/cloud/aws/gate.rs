//! What every request to AWS passes through: the rate budget, the deadline, the metrics, and the
//! translation of errors.

use std::{error, fmt, future::Future, sync::Arc};

use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tokio::time::{self, Instant};
use tracing::{Instrument, Span};

use super::errors;
use crate::{
    cloud::{Budget, Budgets, CANCELLED, Caller, ENDED_WELL, Error, OPERATION_TIMEOUT, Observer},
    plan::{FailureKind, Pace},
    telemetry,
};

/// When a verb ends at the latest, however many requests it makes and however long they wait for
/// their turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(Instant);

impl Deadline {
    /// The deadline of a verb that begins now.
    pub(super) fn begin() -> Self {
        Self(Instant::now() + OPERATION_TIMEOUT)
    }
}

/// What is asked for: for errors and metrics.
#[derive(Debug)]
pub(super) struct Call<'a> {
    /// The IAM prefix of the service, as in `elasticloadbalancing`.
    pub(super) service: &'static str,
    /// The operation, as in `RegisterTargets`.
    pub(super) operation: &'static str,
    /// The budget that it takes from.
    pub(super) budget: Budget,
    /// What it is about, as in `target group shop`.
    pub(super) thing: &'a str,
    /// Who asks for it.
    pub(super) caller: &'a Caller,
}

impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} for {}", self.service, self.operation, self.thing)
    }
}

/// A failed request: the domain's error, and AWS's code and words for those who treat one
/// specially.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: Option<String>,
    pub(super) text: Option<String>,
    pub(super) error: Error,
}

impl Refusal {
    /// Whether AWS gave this code.
    pub(super) fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// The error of a request for several things, as it is told for one of them: a message must not
    /// depend on what else was asked for.
    pub(super) fn about(&self, asked: &Call<'_>, one: &Call<'_>) -> Error {
        let message = self.error.to_string();
        match message.strip_prefix(&asked.to_string()) {
            Some(rest) => Error::new(self.error.kind(), format!("{one}{rest}")),
            None => self.error.clone(),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self {
            code: None,
            text: None,
            error,
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

/// The one gate of an account and region.
pub(super) struct Gate {
    budgets: Budgets,
    observer: Arc<dyn Observer>,
}

impl Gate {
    pub(super) fn new(budgets: Budgets, observer: Arc<dyn Observer>) -> Self {
        Self { budgets, observer }
    }

    /// How often the budget lets targets be looked at that are withdrawn.
    pub(super) fn pace(&self) -> Pace {
        self.budgets.pace()
    }

    /// Makes a request when it is its turn. `request` must do nothing until it is polled. Where
    /// the deadline passes it is dropped, so that it cannot be sent later.
    pub(super) async fn pass<T, E>(
        &self,
        call: &Call<'_>,
        deadline: Deadline,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Refusal>
    where
        E: ProvideErrorMetadata + error::Error + Send + Sync + 'static,
    {
        let turn = self.budgets.take(call.budget, call.caller, deadline.0);
        if let Err(error) = turn.await {
            self.observer.held_back(call.operation);
            return Err(error.into());
        }
        // A future that is timed out is polled once even when its time is over: enough to send
        // a request that the fence counts as impossible.
        if Instant::now() >= deadline.0 {
            self.observer.held_back(call.operation);
            return Err(errors::too_late(call).into());
        }
        let watch = Watch::start(self.observer.as_ref(), call);
        let request = request.instrument(watch.span.clone());
        let result = match time::timeout_at(deadline.0, request).await {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(error)) => Err(errors::translate(call, &error)),
            Err(_) => Err(errors::too_late(call).into()),
        };
        match &result {
            Ok(_) => watch.end(ENDED_WELL),
            Err(refusal) => {
                telemetry::failed(&watch.span, refusal.error.to_string());
                watch.end(refusal.error.category());
                if refusal.error.kind() == FailureKind::Throttled {
                    self.budgets.slow_down(call.budget);
                }
            }
        }
        result
    }
}

/// Tells the observer and the trace of the end, also where the caller goes away.
struct Watch<'a> {
    observer: &'a dyn Observer,
    operation: &'static str,
    begun: Instant,
    result: &'static str,
    span: Span,
}

impl<'a> Watch<'a> {
    fn start(observer: &'a dyn Observer, call: &Call<'_>) -> Self {
        observer.started(call.operation);
        Self {
            observer,
            operation: call.operation,
            begun: Instant::now(),
            result: CANCELLED,
            span: telemetry::aws(call.service, call.operation, call.thing),
        }
    }

    fn end(mut self, result: &'static str) {
        self.result = result;
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.observer
            .finished(self.operation, self.result, self.begun.elapsed());
        telemetry::noted(&self.span, "result", self.result);
    }
}

#[cfg(test)]
mod unit_tests {
    use aws_sdk_ssm::operation::send_command::SendCommandError;

    use super::*;
    use crate::cloud::Urgency;

    #[tokio::test(start_paused = true)]
    async fn nothing_is_sent_once_the_deadline_has_passed() {
        let gate = Gate::new(Budgets::default(), Arc::new(()));
        let call = Call {
            service: "ssm",
            operation: "SendCommand",
            budget: Budget::SsmSend,
            thing: "a test",
            caller: &Caller::new("shop", Urgency::First),
        };
        let deadline = Deadline::begin();
        time::sleep(OPERATION_TIMEOUT).await;
        let mut sent = false;
        let request = async {
            sent = true;
            Ok::<(), SdkError<SendCommandError, HttpResponse>>(())
        };
        let refusal = gate.pass(&call, deadline, request).await.unwrap_err();
        assert_eq!(refusal.error.kind(), FailureKind::Unavailable);
        assert!(!sent);
    }
}
