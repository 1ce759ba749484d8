//! `scr`

use super::{Common, Failure, exit::Exit};

/// Arguments of `scr`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs `scr`.
pub fn run(_args: &Args, _common: &Common) -> Result<Exit, Failure> {
    Err(Failure::Usage("`scr` is not there yet".to_owned()))
}
