//! `completions`

use clap::CommandFactory as _;

use super::{Cli, Failure, exit::Exit, output};

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Runs `completions`.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let mut command = Cli::command();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "imps-scr", &mut script);
    output(&String::from_utf8_lossy(&script))
}
