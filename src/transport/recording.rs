//! A stream that keeps the first octets of each direction, so that what no HTTP parser takes can
//! still be shown.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::base::limits::MAX_RECORDED_WIRE;

/// What was on the wire of one connection.
#[derive(Debug, Clone, Default)]
pub struct Wire {
    inner: Arc<Mutex<WireInner>>,
}

#[derive(Debug, Default)]
struct WireInner {
    read: Vec<u8>,
    read_total: u64,
    written_total: u64,
}

impl Wire {
    /// The first octets that were read, at most [`MAX_RECORDED_WIRE`].
    pub fn read(&self) -> Vec<u8> {
        self.lock().read.clone()
    }

    /// How many octets were read.
    pub fn read_total(&self) -> u64 {
        self.lock().read_total
    }

    /// How many octets were written.
    pub fn written_total(&self) -> u64 {
        self.lock().written_total
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, WireInner> {
        // A panic elsewhere leaves counters and octets whole: they stay usable.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream that records what passes.
#[derive(Debug)]
pub struct Recording<S> {
    stream: S,
    wire: Wire,
}

impl<S> Recording<S> {
    /// Records `stream` into `wire`.
    pub fn new(stream: S, wire: Wire) -> Self {
        Self { stream, wire }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Recording<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        let new = &buf.filled()[before..];
        if !new.is_empty() {
            let mut wire = self.wire.lock();
            wire.read_total += new.len() as u64;
            let room = MAX_RECORDED_WIRE.saturating_sub(wire.read.len());
            wire.read.extend_from_slice(&new[..new.len().min(room)]);
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Recording<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(n)) = &result {
            self.wire.lock().written_total += *n as u64;
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
