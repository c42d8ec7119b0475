//! The two bodies that pass through the balancer: the client's upload and the target's answer.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::Duration,
};

use bluegreen_net::Clock;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, client::conn::http1::SendRequest};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::{node::Node, pool::Registration};
use crate::oracle::{Failure, Ticket};

/// When what is in flight to a target must be cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Not at all.
    Never,
    /// When the deregistration delay ends.
    At(Timestamp),
}

/// Waits until what is in flight must be cut off: at the time said, which may still change, or when
/// the node forgets the target because it is gone.
pub(super) async fn cut_off(mut cut: watch::Receiver<Cut>, clock: Clock) {
    loop {
        let current = *cut.borrow_and_update();
        let due = async {
            match current {
                Cut::Never => std::future::pending().await,
                Cut::At(time) => clock.sleep_until(time).await,
            }
        };
        tokio::select! {
            biased;
            () = due => return,
            changed = cut.changed() => if changed.is_err() { return },
        }
    }
}

/// When bytes last moved on a request's way to the target.
#[derive(Debug)]
pub(super) struct Activity(Mutex<Timestamp>);

impl Activity {
    pub(super) fn new(now: Timestamp) -> Arc<Self> {
        Arc::new(Self(Mutex::new(now)))
    }

    fn last(&self) -> Timestamp {
        *self
            .0
            .lock()
            .expect("no code that holds this lock can panic")
    }

    pub(super) fn touch(&self, now: Timestamp) {
        *self
            .0
            .lock()
            .expect("no code that holds this lock can panic") = now;
    }

    /// Waits until nothing has moved for `limit`.
    pub(super) async fn silent_for(&self, limit: Duration, clock: &Clock) {
        let limit = SignedDuration::try_from(limit).unwrap_or(SignedDuration::from_hours(1));
        loop {
            let last = self.last();
            clock.sleep_until(last + limit).await;
            if self.last() == last {
                return;
            }
        }
    }
}

/// The client's body on its way to the target.
pub(super) struct Upload {
    pub(super) body: Incoming,
    pub(super) activity: Arc<Activity>,
    pub(super) clock: Clock,
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.activity.touch(self.clock.now());
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The target's body on its way to the client. It ends the request: its ticket, and the return of
/// the connection to the pool.
pub(super) struct Relay {
    body: Incoming,
    node: Arc<Node>,
    cut: watch::Receiver<Cut>,
    idle_timeout: Duration,
    /// What may end a wait for the next bytes; made when there is a wait.
    limit: Option<Pin<Box<dyn Future<Output = Failure> + Send>>>,
    open: Option<Open>,
}

/// What is given back at the end.
pub(super) struct Open {
    pub(super) ticket: Ticket,
    pub(super) registration: Registration,
    pub(super) sender: SendRequest<Upload>,
}

/// The body cannot be completed; the client's connection is broken off, so that it notices.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the answer was broken off: {0}")]
pub(super) struct RelayBroken(Failure);

impl Relay {
    pub(super) fn new(
        body: Incoming,
        node: Arc<Node>,
        cut: watch::Receiver<Cut>,
        idle_timeout: Duration,
        open: Open,
    ) -> Self {
        let mut relay = Self {
            body,
            node,
            cut,
            idle_timeout,
            limit: None,
            open: Some(open),
        };
        relay.finish_if_ended();
        relay
    }

    /// An empty or complete body is not asked again, so the end is looked for after each frame.
    fn finish_if_ended(&mut self) {
        if self.body.is_end_stream() {
            self.finish();
        }
    }

    fn finish(&mut self) {
        if let Some(open) = self.open.take() {
            open.ticket.finished();
            self.node.give_back(&open.registration, open.sender);
        }
    }

    fn fail(&mut self, failure: Failure) -> Poll<Option<Result<Frame<Bytes>, RelayBroken>>> {
        if let Some(open) = self.open.take() {
            open.ticket.failed(failure);
        }
        Poll::Ready(Some(Err(RelayBroken(failure))))
    }

    fn poll_limit(&mut self, cx: &mut Context<'_>) -> Poll<Failure> {
        let (clock, cut, idle) = (&self.node.clock, &self.cut, self.idle_timeout);
        let limit = self.limit.get_or_insert_with(|| {
            let (clock, cut) = (clock.clone(), cut.clone());
            Box::pin(async move {
                tokio::select! {
                    biased;
                    () = cut_off(cut, clock.clone()) => Failure::DelayElapsed,
                    () = clock.sleep(idle) => Failure::BodyBroken,
                }
            })
        });
        limit.as_mut().poll(cx)
    }
}

impl Body for Relay {
    type Data = Bytes;
    type Error = RelayBroken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RelayBroken>>> {
        let relay = self.get_mut();
        match Pin::new(&mut relay.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                relay.limit = None;
                relay.finish_if_ended();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => relay.fail(Failure::BodyBroken),
            Poll::Ready(None) => {
                relay.finish();
                Poll::Ready(None)
            }
            Poll::Pending => {
                let failure = ready!(relay.poll_limit(cx));
                relay.fail(failure)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
