//! A wire between a controller and its API server that can be cut.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;

/// Passes on connections until they are cut or it is dropped.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    cut: watch::Sender<u64>,
    cuts: Arc<AtomicUsize>,
    _accepting: AbortOnDropHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (cut, cutting) = watch::channel(0);
        let cuts = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&cuts);
        let accepting = async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (mut cutting, counted) = (cutting.clone(), Arc::clone(&counted));
                cutting.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await else {
                        return;
                    };
                    let passing = tokio::io::copy_bidirectional(&mut near, &mut far);
                    tokio::select! {
                        // Either side may end it, in its own way.
                        _ = passing => {}
                        _ = cutting.changed() => { counted.fetch_add(1, Ordering::Relaxed); }
                    }
                });
            }
        };
        Self {
            port,
            cut,
            cuts,
            _accepting: AbortOnDropHandle::new(tokio::spawn(accepting)),
        }
    }

    /// Cuts every connection there is. New ones are passed on.
    pub(crate) fn cut(&self) {
        self.cut.send_modify(|times| *times += 1);
    }

    /// How many connections were cut.
    pub(crate) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::Relaxed)
    }
}
