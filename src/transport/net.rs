//! Networks: TCP, and one that lives in memory. With the latter and a paused clock a run needs neither
//! sockets nor time, so that a peer that is silent on purpose costs nothing.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Octets that one direction of a connection in memory holds before the writer waits.
const PIPE: usize = 64 * 1024;
/// Connections in memory that wait to be accepted; beyond that whoever connects waits.
const BACKLOG: usize = 64;
/// The first port that an address with port 0 gets in memory.
const FIRST_PORT: u16 = 1024;

/// The network that a listener or a connection belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Net {
    /// The network of the system.
    #[default]
    Tcp,
    /// One in memory.
    Memory(MemoryNet),
}

impl Net {
    /// A connection; `Display` of the error says why there is none.
    pub(super) async fn connect(&self, host: &str, port: u16) -> io::Result<Stream> {
        match self {
            Net::Tcp => {
                let stream = TcpStream::connect((host, port)).await?;
                // Small requests must not wait for acknowledgements; failing to say so only costs time.
                let _ = stream.set_nodelay(true);
                Ok(Box::new(stream))
            }
            Net::Memory(net) => net.connect(port).await,
        }
    }

    pub(super) async fn bind(&self, address: SocketAddr) -> io::Result<Acceptor> {
        match self {
            Net::Tcp => Ok(Acceptor::Tcp(TcpListener::bind(address).await?)),
            Net::Memory(net) => net.bind(address).map(Acceptor::Memory),
        }
    }
}

/// A network in memory. Clones are the same network. It is one host with many ports: the host part of
/// an address does not matter.
#[derive(Debug, Clone, Default)]
pub struct MemoryNet {
    ports: Arc<Mutex<BTreeMap<u16, mpsc::Sender<DuplexStream>>>>,
}

impl PartialEq for MemoryNet {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.ports, &other.ports)
    }
}

impl Eq for MemoryNet {}

impl MemoryNet {
    /// A network on which nobody listens.
    pub fn new() -> Self {
        Self::default()
    }

    fn ports(&self) -> std::sync::MutexGuard<'_, BTreeMap<u16, mpsc::Sender<DuplexStream>>> {
        // A panic elsewhere leaves the map whole: each change of it is one call.
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self, port: u16) -> io::Result<Stream> {
        let refused = || {
            io::Error::new(
                io::ErrorKind::ConnectionRefused,
                format!("nobody listens at port {port} of the network in memory"),
            )
        };
        let listener = self.ports().get(&port).cloned().ok_or_else(refused)?;
        let (near, far) = tokio::io::duplex(PIPE);
        listener.send(far).await.map_err(|_| refused())?;
        Ok(Box::new(near))
    }

    fn bind(&self, mut address: SocketAddr) -> io::Result<MemoryListener> {
        let mut ports = self.ports();
        let port = match address.port() {
            0 => (FIRST_PORT..=u16::MAX).find(|p| !ports.contains_key(p)),
            port => Some(port).filter(|p| !ports.contains_key(p)),
        };
        let port = port.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::AddrInUse,
                format!("port {} of the network in memory is taken", address.port()),
            )
        })?;
        address.set_port(port);
        let (sender, connections) = mpsc::channel(BACKLOG);
        ports.insert(port, sender);
        Ok(MemoryListener {
            address,
            connections,
            net: self.clone(),
        })
    }
}

/// Where connections in memory arrive. Dropping it frees the port.
#[derive(Debug)]
pub(super) struct MemoryListener {
    address: SocketAddr,
    connections: mpsc::Receiver<DuplexStream>,
    net: MemoryNet,
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        self.net.ports().remove(&self.address.port());
    }
}

/// Where connections arrive.
#[derive(Debug)]
pub(super) enum Acceptor {
    Tcp(TcpListener),
    Memory(MemoryListener),
}

impl Acceptor {
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Acceptor::Tcp(listener) => listener.local_addr(),
            Acceptor::Memory(listener) => Ok(listener.address),
        }
    }

    pub(super) async fn accept(&mut self) -> io::Result<Stream> {
        match self {
            Acceptor::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                let _ = stream.set_nodelay(true);
                Ok(Box::new(stream))
            }
            Acceptor::Memory(listener) => match listener.connections.recv().await {
                Some(stream) => Ok(Box::new(stream)),
                None => Err(io::ErrorKind::NotConnected.into()),
            },
        }
    }
}

/// A connection of either network.
pub(super) trait Octets: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Octets for S {}

/// A connection, whatever carries it.
pub(super) type Stream = Box<dyn Octets>;
