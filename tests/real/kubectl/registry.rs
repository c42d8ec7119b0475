//! The embedded registry behind a loopback port.

use bluegreen_net::Clock;
use bluegreen_registry::{Registry, serve};
use jiff::Timestamp;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// A registry that is served, in the time of the wall clock.
pub(crate) struct Embedded {
    pub(crate) registry: Registry,
    pub(crate) url: String,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Embedded {
    pub(crate) const TOKEN: &'static str = "administrator";

    pub(crate) async fn start() -> Self {
        let clock = Clock::scaled(Timestamp::now(), 1.0);
        let registry = Registry::builder(clock).token(Self::TOKEN);
        let registry = registry.in_memory().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let served = registry.clone();
        let serving = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            serve(listener, served, stopped).await.unwrap();
        });
        Self {
            registry,
            url,
            stop,
            serving,
        }
    }

    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        self.serving.await.unwrap();
    }
}
