//! TCP, or the same thing in memory.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::mpsc,
};

/// How many bytes an in-memory connection holds in each direction before a writer waits.
const PIPE_BYTES: usize = 64 * 1024;

/// How many connections wait for `accept`, as a socket's backlog does.
const BACKLOG: usize = 512;

/// Where connections are made.
#[derive(Debug, Clone)]
pub enum Net {
    /// Real sockets of this machine.
    Tcp,
    /// Pipes within this process; see [`Switchboard`].
    Memory(Arc<Switchboard>),
}

impl Net {
    /// A network of its own within this process.
    #[must_use]
    pub fn memory() -> Self {
        Self::Memory(Arc::default())
    }

    /// Connects to `to`, from the local address `from` where one is given, else from 127.0.0.1.
    ///
    /// # Errors
    /// What the operating system says; in memory `ConnectionRefused` where nobody listens.
    pub async fn connect(&self, from: Option<IpAddr>, to: SocketAddr) -> io::Result<Stream> {
        match self {
            Self::Tcp => {
                let socket = match to {
                    SocketAddr::V4(_) => TcpSocket::new_v4()?,
                    SocketAddr::V6(_) => TcpSocket::new_v6()?,
                };
                if let Some(from) = from {
                    socket.bind(SocketAddr::new(from, 0))?;
                }
                let stream = socket.connect(to).await?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Self::Memory(switchboard) => {
                let from = from.unwrap_or(Ipv4Addr::LOCALHOST.into());
                let pipe = switchboard.connect(from, to).await?;
                let peer = to.ip();
                Ok(Stream::Memory { pipe, peer })
            }
        }
    }

    /// Listens on an address. On a switchboard, port 0 gives a free port as TCP does.
    ///
    /// # Errors
    /// What the operating system says; in memory `AddrInUse` where somebody listens already.
    pub async fn listen(&self, at: SocketAddr) -> io::Result<Listener> {
        match self {
            Self::Tcp => Ok(Listener::Tcp(TcpListener::bind(at).await?)),
            Self::Memory(switchboard) => switchboard.listen(at),
        }
    }
}

/// A connection.
#[derive(Debug)]
pub enum Stream {
    /// Over a socket.
    Tcp(TcpStream),
    /// Within this process.
    Memory {
        /// The bytes.
        pipe: DuplexStream,
        /// The address at the other end.
        peer: IpAddr,
    },
}

impl Stream {
    /// The address at the other end; `None` where a socket has lost it.
    #[must_use]
    pub fn peer(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().ok().map(|address| address.ip()),
            Self::Memory { peer, .. } => Some(*peer),
        }
    }
}

/// A listening socket. Dropping it closes it: later connections are refused.
#[derive(Debug)]
pub enum Listener {
    /// On a socket.
    Tcp(TcpListener),
    /// Within this process.
    Memory {
        /// The address that it listens on.
        at: SocketAddr,
        /// Connections that nobody has accepted yet.
        waiting: mpsc::Receiver<(DuplexStream, IpAddr)>,
        /// Where it is to be taken out when it is dropped.
        switchboard: Arc<Switchboard>,
    },
}

impl Listener {
    /// Waits for the next connection.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn accept(&mut self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Self::Memory { waiting, .. } => match waiting.recv().await {
                Some((pipe, peer)) => Ok(Stream::Memory { pipe, peer }),
                None => Err(io::ErrorKind::NotConnected.into()),
            },
        }
    }

    /// The address that it listens on, with the port that was chosen where 0 was asked for.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr(),
            Self::Memory { at, .. } => Ok(*at),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Memory {
            at, switchboard, ..
        } = self
        {
            switchboard.listeners().remove(at);
        }
    }
}

/// The listeners of an in-memory network, by address.
#[derive(Debug, Default)]
pub struct Switchboard {
    listeners: Mutex<HashMap<SocketAddr, mpsc::Sender<(DuplexStream, IpAddr)>>>,
}

impl Switchboard {
    fn listeners(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<SocketAddr, mpsc::Sender<(DuplexStream, IpAddr)>>> {
        self.listeners
            .lock()
            .expect("no code that holds this lock can panic")
    }

    async fn connect(&self, from: IpAddr, to: SocketAddr) -> io::Result<DuplexStream> {
        let listener = self.listeners().get(&to).cloned();
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        listener
            .ok_or_else(refused)?
            .send((theirs, from))
            .await
            .map_err(|_| refused())?;
        Ok(ours)
    }

    fn listen(self: &Arc<Self>, mut at: SocketAddr) -> io::Result<Listener> {
        let mut listeners = self.listeners();
        if at.port() == 0 {
            let free = (32_768..u16::MAX)
                .find(|port| !listeners.contains_key(&SocketAddr::new(at.ip(), *port)));
            at.set_port(free.ok_or(io::ErrorKind::AddrNotAvailable)?);
        }
        if listeners.contains_key(&at) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let (sender, waiting) = mpsc::channel(BACKLOG);
        listeners.insert(at, sender);
        Ok(Listener::Memory {
            at,
            waiting,
            switchboard: Arc::clone(self),
        })
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Memory { pipe, .. } => Pin::new(pipe).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Memory { pipe, .. } => Pin::new(pipe).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Memory { pipe, .. } => Pin::new(pipe).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Memory { pipe, .. } => Pin::new(pipe).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn address() -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], 8080))
    }

    #[tokio::test]
    async fn memory_carries_bytes_and_shows_the_end() {
        let net = Net::memory();
        let mut listener = net.listen(address()).await.unwrap();
        let mut client = net.connect(None, address()).await.unwrap();
        let client_of = net.connect(Some(address().ip()), address()).await.unwrap();
        let mut server = listener.accept().await.unwrap();
        client.write_all(b"hello").await.unwrap();
        drop(client);
        assert_eq!(server.peer(), Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(client_of.peer(), Some(address().ip()));
        let mut text = String::new();
        server.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello");
    }

    #[tokio::test]
    async fn memory_refuses_where_nobody_listens_any_more() {
        let net = Net::memory();
        let listener = net.listen(address()).await.unwrap();
        drop(listener);
        let refused = net.connect(None, address()).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }
}
