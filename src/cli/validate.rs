//! `validate`

use super::{Common, Failure, exit::Exit};

/// Arguments of `validate`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs `validate`.
pub fn run(_args: &Args, _common: &Common) -> Result<Exit, Failure> {
    Err(Failure::Usage("`validate` is not there yet".to_owned()))
}
