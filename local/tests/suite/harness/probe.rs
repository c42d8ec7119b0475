//! The controller's own probe, over the network and the clock of the test.

use std::{
    collections::BTreeSet,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bluegreen::controller::{Cidrs, HttpProbes, Network};
use bluegreen_net::{Clock, Net, Stream};

/// Probes over the network of the test.
pub(crate) type NetProbes = HttpProbes<ProbeNetwork>;

/// The ports that were asked.
pub(crate) type Ports = Arc<Mutex<BTreeSet<u16>>>;

/// The probes of a world, whose hosts have addresses of the loopback. They note each port that they
/// ask. Where the hosts are not reachable the controller has the ranges that it has by default.
pub(crate) fn probes(net: Net, clock: Clock, asked: Ports, reachable: bool) -> NetProbes {
    let cidrs = match reachable {
        true => Cidrs::loopback(),
        false => Cidrs::default(),
    };
    HttpProbes::over(ProbeNetwork { net, clock, asked }, cidrs)
}

/// The network of the test.
#[derive(Clone)]
pub(crate) struct ProbeNetwork {
    net: Net,
    clock: Clock,
    asked: Ports,
}

impl Network for ProbeNetwork {
    type Stream = Stream;

    async fn dial(&self, address: SocketAddr) -> io::Result<Stream> {
        self.asked.lock().unwrap().insert(address.port());
        self.net.connect(None, address).await
    }

    async fn within<F>(&self, limit: Duration, work: F) -> Option<F::Output>
    where
        F: Future<Output: Send> + Send,
    {
        self.clock.timeout(limit, work).await.ok()
    }
}
