//! Arguments, exit codes and terminal text; a file per subcommand. Whatever a subcommand does, the
//! library can do.

mod completions;
mod coverage;
pub mod exit;
mod explain;
mod falsify;
mod ics;
mod import;
mod in_use;
mod proxy;
mod reference;
mod rejudge;
mod release;
mod resume;
mod run;
mod scr;
mod validate;

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand, ValueEnum};

use crate::base::{FileError, FileSet};
use exit::Exit;

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "imps-scr", version, about, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Options of every subcommand.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// Colour on the terminal (NO_COLOR is respected by `auto`)
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,
    /// Say less
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Use the tables of this directory in place of the embedded ones
    #[arg(long, global = true, value_name = "DIR")]
    pub tables: Option<PathBuf>,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the cases against the embedded reference, a server or a client
    Run(Box<run::Args>),
    /// Judge captured messages: files, folders or standard input
    Validate(validate::Args),
    /// Try the cases on the reference with one fault at a time: is each fault found?
    Falsify(falsify::Args),
    /// Run the embedded reference alone
    Reference(reference::Args),
    /// Show and check the requirement tables
    Scr(scr::Args),
    /// Write a conformance statement to fill in, and check one before any test
    Ics(ics::Args),
    /// Say what a case or an item asks, and with a report the argument of its verdict
    Explain(explain::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
}

/// Runs the program with these arguments; the result is the process's exit code.
pub fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { Exit::USAGE } else { Exit::OK };
            // A closed pipe is not a reason to panic.
            let _ = error.print();
            return code;
        }
    };
    let result = match cli.command {
        Command::Run(args) => run::run(&args, &cli.common),
        Command::Validate(args) => validate::run(&args, &cli.common),
        Command::Falsify(args) => falsify::run(&args, &cli.common),
        Command::Reference(args) => reference::run(&args, &cli.common),
        Command::Scr(args) => scr::run(&args, &cli.common),
        Command::Ics(args) => ics::run(&args, &cli.common),
        Command::Explain(args) => explain::run(&args, &cli.common),
        Command::Completions(args) => completions::run(&args),
    };
    result.unwrap_or_else(|failure| {
        complain(&format!("error: {failure}"));
        failure.exit()
    })
}

/// Why a subcommand could not do its job.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A file that the user wrote has a mistake.
    #[error("{0}")]
    File(#[from] FileError),
    /// The command line asks for something that makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Reading or writing failed.
    #[error("{what} {path}: {source}", path = path.display())]
    Io {
        /// `failed to read`, `failed to write`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Failure {
    fn exit(&self) -> Exit {
        Exit::USAGE
    }
}

impl Common {
    /// The tables to use: the embedded ones, or those of `--tables`.
    ///
    /// # Errors
    /// The directory cannot be read, or holds no tables.
    pub fn table_files(&self) -> Result<FileSet, Failure> {
        match &self.tables {
            None => Ok(FileSet::tables()),
            Some(dir) => read_yaml_dir(dir),
        }
    }

    /// Whether to colour standard output.
    pub fn colored(&self) -> bool {
        use std::io::IsTerminal as _;
        match self.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
            }
        }
    }
}

/// The complaint about a name that nothing has, with those that look like it.
fn unknown(what: &str, name: &str, nearest: &[&str], otherwise: &str) -> Failure {
    Failure::Usage(format!(
        "no {what} is called {}\n  fix: {}",
        crate::base::escape::plain(name),
        if nearest.is_empty() {
            otherwise.to_owned()
        } else {
            format!("did you mean {}?", nearest.join(" or "))
        }
    ))
}

/// Writes a result to standard output. A reader that left early (`| head`) is no failure.
fn output(text: &str) -> Result<Exit, Failure> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(source) if source.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::Io {
            what: "failed to write",
            path: PathBuf::from("standard output"),
            source,
        }),
        _ => Ok(Exit::OK),
    }
}

/// Writes a diagnostic to standard error; unlike `eprintln!`, a closed one is no panic.
fn complain(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Every `*.yaml` below a directory.
fn read_yaml_dir(dir: &Path) -> Result<FileSet, Failure> {
    let mut files = Vec::new();
    let mut stack = vec![dir.to_owned()];
    while let Some(folder) = stack.pop() {
        let fail = |source| Failure::Io {
            what: "failed to read",
            path: folder.clone(),
            source,
        };
        for entry in std::fs::read_dir(&folder).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let path = entry.path();
            // Symbolic links are not followed: a loop of them would never end.
            let kind = entry.file_type().map_err(fail)?;
            if kind.is_dir() {
                stack.push(path);
            } else if path.extension().is_some_and(|e| e == "yaml") {
                let text = std::fs::read_to_string(&path).map_err(|source| Failure::Io {
                    what: "failed to read",
                    path: path.clone(),
                    source,
                })?;
                files.push((path.to_string_lossy().replace('\\', "/"), text));
            }
        }
    }
    if files.is_empty() {
        return Err(Failure::Usage(format!("no *.yaml file below {}", dir.display())));
    }
    Ok(FileSet::new(files))
}
