//! TLS of a listener, with a certificate that is made when it is needed. A listener that offers TLS takes
//! plain connections too: the first octet tells.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::net::Stream;
use super::tls::{Lenient, TlsError};

/// The first octet of a TLS record with a handshake (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;
/// Longest that a handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// How a listener speaks TLS.
#[derive(Clone)]
pub struct ServerTls {
    acceptor: TlsAcceptor,
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerTls")
    }
}

impl ServerTls {
    /// With a certificate of its own making for these hosts. Nobody vouches for it: it is for peers that are
    /// told to believe it, and for finding out whether TLS is spoken at all.
    ///
    /// # Errors
    /// The library refuses to make one.
    pub fn self_signed(hosts: &[String]) -> Result<Self, TlsError> {
        let failed = |e: &dyn std::fmt::Display| TlsError::Library(e.to_string());
        let made = rcgen::generate_simple_self_signed(hosts.to_vec()).map_err(|e| failed(&e))?;
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| failed(&e))?
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], PrivateKeyDer::Pkcs8(key))
            .map_err(|e| failed(&e))?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }

    /// The plain side of a connection, and whether TLS is spoken on the other.
    pub(super) async fn accept(&self, mut stream: Stream) -> io::Result<(Stream, bool)> {
        let first = tokio::time::timeout(HANDSHAKE_TIME, stream.read_u8())
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let whole = Prefixed {
            first: Some(first),
            stream,
        };
        if first != HANDSHAKE {
            return Ok((Box::new(whole), false));
        }
        let secured = tokio::time::timeout(HANDSHAKE_TIME, self.acceptor.accept(whole))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        Ok((Box::new(Lenient(secured)), true))
    }
}

/// A connection whose first octet was read already.
struct Prefixed {
    first: Option<u8>,
    stream: Stream,
}

impl AsyncRead for Prefixed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(first) = self.first.take() {
            if buf.remaining() == 0 {
                self.first = Some(first);
            } else {
                buf.put_slice(&[first]);
            }
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
