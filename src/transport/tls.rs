//! TLS of a client: whom it trusts, and what to do when it does not. It lies below what is recorded:
//! a record holds plain text.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::record::Failure;

use super::net::Stream;

/// Whose certificates are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Trust {
    /// Those of the authorities that Mozilla lists.
    #[default]
    Public,
    /// Only those of the authorities in this text, PEM.
    Authorities(String),
    /// Anybody's: nothing proves who answers.
    Anybody,
}

/// How a client speaks TLS.
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config)
    }
}

impl Eq for Tls {}

/// Why there is no trust to work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The text is no PEM.
    #[error(
        "the certificates cannot be read: {0}; write them as PEM, `-----BEGIN CERTIFICATE-----` and so on"
    )]
    NoPem(String),
    /// It is PEM, without a certificate.
    #[error(
        "there is no certificate: write the one of the authority as PEM, `-----BEGIN CERTIFICATE-----` and so on"
    )]
    NoCertificate,
    /// A certificate cannot be an authority.
    #[error("certificate {number} cannot be used: {why}")]
    BadCertificate {
        /// Which, from 1.
        number: usize,
        /// Why not.
        why: String,
    },
    /// The library refuses its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Library(String),
}

impl Tls {
    /// A client that believes these.
    ///
    /// # Errors
    /// The text of the authorities cannot be used.
    pub fn new(trust: &Trust) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|e| TlsError::Library(e.to_string()))?;
        let builder = match trust {
            Trust::Public => builder.with_root_certificates(RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            }),
            Trust::Authorities(pem) => builder.with_root_certificates(authorities(pem)?),
            Trust::Anybody => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(NoVerifier(provider))),
        };
        Ok(Self {
            config: Arc::new(builder.with_no_client_auth()),
        })
    }

    /// The handshake on a connection to this host.
    pub(super) async fn handshake(&self, host: &str, stream: Stream) -> Result<Stream, Failure> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Failure::Tls(format!("no certificate can be for a host called `{host}`")))?;
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(&self.config));
        match connector.connect(name, stream).await {
            Ok(stream) => Ok(Box::new(Lenient(stream))),
            Err(e) => Err(Failure::Tls(explain(&e))),
        }
    }
}

fn authorities(pem: &str) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for (at, certificate) in CertificateDer::pem_slice_iter(pem.as_bytes()).enumerate() {
        let certificate = certificate.map_err(|e| TlsError::NoPem(e.to_string()))?;
        roots.add(certificate).map_err(|e| TlsError::BadCertificate {
            number: at + 1,
            why: e.to_string(),
        })?;
    }
    if roots.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    Ok(roots)
}

/// A failed handshake in words, with what to do where something can be done.
fn explain(error: &io::Error) -> String {
    let Some(inner) = error.get_ref().and_then(|e| e.downcast_ref::<Error>()) else {
        return format!("the handshake broke off: {error}");
    };
    match inner {
        Error::InvalidCertificate(reason) => {
            let advice = match reason {
                CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                    "name the certificate of its authority in the profile, `tls: {ca: FILE}`"
                }
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    "write the host in `url` as the certificate has it, or set `tls: {insecure: true}`"
                }
                _ => {
                    "give the server a valid one, name its authority with `tls: {ca: FILE}`, or set `tls: {insecure: true}`"
                }
            };
            format!("the certificate of the server is not accepted: {inner}; {advice}")
        }
        Error::InvalidMessage(_) => {
            format!("the server does not speak TLS here: {inner}; perhaps its address begins with http://")
        }
        Error::AlertReceived(_) => format!("the server refused the handshake: {inner}"),
        _ => format!("the handshake failed: {inner}"),
    }
}

/// Many servers close without TLS's own farewell. HTTP knows where a message ends, so that is no more
/// than an end here.
pub(super) struct Lenient<S>(pub(super) S);

impl<S: AsyncRead + Unpin> AsyncRead for Lenient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.0).poll_read(cx, buf) {
            Poll::Ready(Err(e)) if e.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            other => other,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lenient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Believes any certificate; the signatures of the handshake must still be right.
#[derive(Debug)]
struct NoVerifier(Arc<CryptoProvider>);

impl ServerCertVerifier for NoVerifier {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
