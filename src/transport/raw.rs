//! Raw octets on a connection: for what no HTTP library would send.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::base::limits::MAX_RECORDED_WIRE;
use crate::record::Failure;

use super::client::Address;

/// Writes octets, ends the writing side, and reads until the peer closes, the time is over, or
/// [`MAX_RECORDED_WIRE`] octets came. Whatever came is the answer; nothing is one too.
///
/// # Errors
/// No connection. A peer that closes early or never answers is no error here: the caller asked for it.
pub async fn exchange(address: &Address, octets: &[u8], timeout: Duration) -> Result<Vec<u8>, Failure> {
    let mut answer = Vec::new();
    let talk = async {
        let mut stream = address.connect().await?;
        // The peer may close at the first wrong octet: then the rest cannot be written, which is fine.
        if stream.write_all(octets).await.is_ok() {
            let _ = stream.shutdown().await;
        }
        let mut buffer = [0; 4096];
        while answer.len() < MAX_RECORDED_WIRE {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(n) => answer.extend_from_slice(&buffer[..n]),
            }
        }
        Ok(())
    };
    match tokio::time::timeout(timeout, talk).await {
        Ok(Err(failure)) => Err(failure),
        Ok(Ok(())) | Err(_) => Ok(answer),
    }
}
