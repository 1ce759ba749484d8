//! The `imps-scr` program; everything it does is in the library.

use std::process::ExitCode;
use std::process::Termination as _;

/// Messages are trees of small pieces: with the allocator of the platform a run spends a third of its time in it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    imps_scr::cli::main().report()
}
