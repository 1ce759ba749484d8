//! Networks: TCP, and one that lives in memory. With the latter and a paused clock a run needs neither
//! sockets nor time, so that a peer that is silent on purpose costs nothing.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;

/// Octets that one direction of a connection in memory holds before the writer waits.
const PIPE: usize = 64 * 1024;
/// Connections in memory that wait to be accepted; beyond that whoever connects waits.
const BACKLOG: usize = 64;
/// Datagrams in memory that wait to be read; beyond that they are lost, as datagrams are.
const DATAGRAMS: usize = 64;
/// Octets of a datagram that are read; the rest of a longer one is lost.
const MAX_DATAGRAM: usize = 2048;
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

    /// Where datagrams arrive; port 0 picks a free one.
    ///
    /// # Errors
    /// The address cannot be listened at.
    pub async fn datagrams(&self, address: SocketAddr) -> io::Result<Datagrams> {
        match self {
            Net::Tcp => {
                let socket = UdpSocket::bind(address).await?;
                Ok(Datagrams {
                    address: socket.local_addr()?,
                    socket: Socket::Udp(socket),
                })
            }
            Net::Memory(net) => net.datagrams(address),
        }
    }

    /// Sends one datagram. That it left says nothing of its arrival.
    ///
    /// # Errors
    /// There is no socket to send it from, or no way to the address.
    pub async fn send_datagram(&self, to: SocketAddr, octets: &[u8]) -> io::Result<()> {
        match self {
            Net::Tcp => {
                let any: IpAddr = match to {
                    SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
                    SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
                };
                let socket = UdpSocket::bind((any, 0)).await?;
                socket.send_to(octets, to).await.map(|_| ())
            }
            Net::Memory(net) => {
                let sender = net.sockets().get(&to.port()).cloned();
                if let Some(sender) = sender {
                    // A full queue loses it, and so does nobody who listens.
                    let _ = sender.try_send(octets.to_vec());
                }
                Ok(())
            }
        }
    }
}

/// A socket for datagrams. Dropping it frees the port.
#[derive(Debug)]
pub struct Datagrams {
    /// Where it listens.
    pub address: SocketAddr,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Memory(mpsc::Receiver<Vec<u8>>, MemoryNet),
}

impl Datagrams {
    /// The next datagram. May be dropped and asked again.
    ///
    /// # Errors
    /// The socket is of no use any more.
    pub async fn receive(&mut self) -> io::Result<Vec<u8>> {
        match &mut self.socket {
            Socket::Udp(socket) => {
                let mut buffer = vec![0; MAX_DATAGRAM];
                let length = socket.recv(&mut buffer).await?;
                buffer.truncate(length);
                Ok(buffer)
            }
            Socket::Memory(queue, _) => queue
                .recv()
                .await
                .ok_or_else(|| io::ErrorKind::NotConnected.into()),
        }
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        if let Socket::Memory(_, net) = &self.socket {
            net.sockets().remove(&self.address.port());
        }
    }
}

/// A network in memory. Clones are the same network. It is one host with many ports: the host part of
/// an address does not matter.
#[derive(Debug, Clone, Default)]
pub struct MemoryNet {
    ports: Arc<Mutex<BTreeMap<u16, mpsc::Sender<DuplexStream>>>>,
    sockets: Arc<Mutex<BTreeMap<u16, mpsc::Sender<Vec<u8>>>>>,
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

    /// The sockets for datagrams.
    fn sockets(&self) -> std::sync::MutexGuard<'_, BTreeMap<u16, mpsc::Sender<Vec<u8>>>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn datagrams(&self, mut address: SocketAddr) -> io::Result<Datagrams> {
        let mut sockets = self.sockets();
        let port = free_port(&sockets, address.port())?;
        address.set_port(port);
        let (sender, queue) = mpsc::channel(DATAGRAMS);
        sockets.insert(port, sender);
        Ok(Datagrams {
            address,
            socket: Socket::Memory(queue, self.clone()),
        })
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
        let port = free_port(&ports, address.port())?;
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

/// The port that is asked for, if it is free; for 0 the first free one.
fn free_port<T>(taken: &BTreeMap<u16, T>, wanted: u16) -> io::Result<u16> {
    let port = match wanted {
        0 => (FIRST_PORT..=u16::MAX).find(|p| !taken.contains_key(p)),
        port => Some(port).filter(|p| !taken.contains_key(p)),
    };
    port.ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("port {wanted} of the network in memory is taken"),
        )
    })
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

    /// The next connection, and who made it, where that can be told.
    pub(super) async fn accept(&mut self) -> io::Result<(Stream, Option<IpAddr>)> {
        match self {
            Acceptor::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                let _ = stream.set_nodelay(true);
                Ok((Box::new(stream), Some(peer.ip())))
            }
            Acceptor::Memory(listener) => match listener.connections.recv().await {
                Some(stream) => Ok((Box::new(stream), None)),
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
