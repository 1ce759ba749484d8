//! The `imps-scr` program; everything it does is in the library.

use std::process::ExitCode;
use std::process::Termination as _;

fn main() -> ExitCode {
    imps_scr::cli::main().report()
}
