//! One connection to the application, and the bodies that it sends.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bluegreen_net::{Clock, Stream};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Notify, watch};

use super::{
    actuator::Observed,
    gauge::InFlight,
    pages::{Door, Pages},
};

/// The application is stopping and answers nothing new.
#[derive(Debug, thiserror::Error)]
#[error("the application is stopping: the connection is closed without an answer")]
struct Stopping;

/// Serves a connection to one of the application's doors until it ends. `stopping` turns true when
/// the application was told to stop.
pub(super) async fn serve(
    pages: Arc<Pages>,
    door: Door,
    stream: Stream,
    stopping: watch::Receiver<bool>,
) {
    let peer = stream.peer();
    let answered_while_stopping = Arc::new(Notify::new());
    let requests = Arc::new(AtomicU32::new(0));
    let keep_alive = pages.clock.real(pages.config.keep_alive);
    let service = service_fn(|request: Request<Incoming>| {
        let pages = Arc::clone(&pages);
        let stopping = stopping.clone();
        let notify = Arc::clone(&answered_while_stopping);
        let count = requests.fetch_add(1, Ordering::Relaxed) + 1;
        async move {
            if *stopping.borrow() {
                return Err(Stopping);
            }
            let path = request.uri().path().to_owned();
            let query = request.uri().query().unwrap_or_default().to_owned();
            let guard = pages.gauge.enter(Pages::kind(&path));
            let mut observed = pages.requests.begin(&pages.clock, request.method(), &path);
            let mut response = match pages.refuse(door, peer, &path) {
                Some(refused) => refused,
                None => pages.answer(request.method(), &path, &query).await,
            };
            observed.status = response.status();
            if pages
                .config
                .keep_alive_requests
                .is_some_and(|most| count >= most)
            {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            let sending = Sending {
                stopping,
                notify,
                _guard: guard,
                _observed: observed,
            };
            Ok::<Response<Guarded>, Stopping>(response.map(|page| Guarded {
                page,
                _sending: sending,
            }))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(keep_alive)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        () = answered_while_stopping.notified() => (),
    }
    // Only now, with the answer's head written: earlier it would announce the end in that head.
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// What is dropped when an answer has been handed over, or cannot be.
struct Sending {
    stopping: watch::Receiver<bool>,
    notify: Arc<Notify>,
    _guard: InFlight,
    _observed: Observed,
}

impl Drop for Sending {
    fn drop(&mut self) {
        if *self.stopping.borrow() {
            self.notify.notify_one();
        }
    }
}

/// A page on its way, which counts as in flight until its end.
struct Guarded {
    page: Page,
    _sending: Sending,
}

impl Body for Guarded {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let page = &mut self.get_mut().page;
        if page.parts == 0 {
            return Poll::Ready(None);
        }
        if let Some(pause) = &mut page.pause {
            ready!(pause.sleep.as_mut().poll(cx));
            let (clock, time) = (pause.clock.clone(), pause.time);
            pause.sleep = Box::pin(async move { clock.sleep(time).await });
        }
        page.parts -= 1;
        Poll::Ready(Some(Ok(Frame::data(page.part.clone()))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::from(self.page.parts) * self.page.part.len() as u64)
    }
}

/// A body: some equal parts with pauses before them.
pub(super) struct Page {
    part: Bytes,
    parts: u32,
    pause: Option<Pause>,
}

struct Pause {
    clock: Clock,
    time: Duration,
    sleep: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Page {
    pub(super) fn whole(text: &str) -> Self {
        Self {
            part: Bytes::copy_from_slice(text.as_bytes()),
            parts: 1,
            pause: None,
        }
    }

    pub(super) fn in_parts(clock: Clock, parts: u32, time: Duration) -> Self {
        let sleeper = clock.clone();
        let sleep = Box::pin(async move { sleeper.sleep(time).await });
        Self {
            part: Bytes::from_static(b"part\n"),
            parts,
            pause: Some(Pause { clock, time, sleep }),
        }
    }
}
