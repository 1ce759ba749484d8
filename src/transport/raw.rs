//! Raw octets on a connection: for what no HTTP library would send.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};

use crate::base::limits::MAX_RECORDED_WIRE;
use crate::record::Failure;

use super::client::Address;

/// Writes octets, ends the writing side, and reads until the peer closes, the time is over, or
/// [`MAX_RECORDED_WIRE`] octets came. Whatever came is the answer; nothing is one too.
///
/// # Errors
/// No connection. A peer that closes early or never answers is no error here: the caller asked for it.
pub async fn exchange(address: &Address, octets: &[u8], timeout: Duration) -> Result<Vec<u8>, Failure> {
    talk_to(address, octets, timeout, true).await
}

/// The same, without ending the writing side: a peer may take that for a farewell.
///
/// # Errors
/// As [`exchange`].
pub async fn exchange_open(address: &Address, octets: &[u8], timeout: Duration) -> Result<Vec<u8>, Failure> {
    talk_to(address, octets, timeout, false).await
}

async fn talk_to(
    address: &Address,
    octets: &[u8],
    timeout: Duration,
    ends: bool,
) -> Result<Vec<u8>, Failure> {
    let deadline = Instant::now() + timeout;
    let mut stream = address.connect(timeout).await?;
    let mut answer = Vec::new();
    let talk = async {
        // The peer may close at the first wrong octet: then the rest cannot be written, which is fine.
        if stream.write_all(octets).await.is_ok() && ends {
            let _ = stream.shutdown().await;
        }
        let mut buffer = [0; 4096];
        while answer.len() < MAX_RECORDED_WIRE {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(n) => answer.extend_from_slice(&buffer[..n]),
            }
        }
    };
    // What came by then is the answer.
    let _ = timeout_at(deadline, talk).await;
    Ok(answer)
}
