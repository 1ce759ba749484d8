//! `reference`: the embedded implementation alone.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::peer::fault::Fault;
use crate::run::{Clock, EmbeddedServer, reference_accounts};
use crate::spec::Role;
use crate::transport::Net;

use super::{Common, Failure, exit::Exit, output};

/// The embedded reference alone, correct or with one fault
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Side to be: only `server` runs alone, a client needs somebody who makes it act
    #[arg(value_name = "ROLE", default_value = "server")]
    role: Role,
    /// Address to listen at; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The fault to have
    #[arg(long, value_name = "NAME")]
    fault: Option<String>,
    /// Only list the faults, with the items that each breaks
    #[arg(long)]
    list_faults: bool,
    /// Seed of session ids and nonces
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Use the cases (and faults) of this directory in place of the embedded ones
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
}

/// Runs `reference`.
///
/// # Errors
/// A mistake of the user, or an address that cannot be listened at.
pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let suite = super::run::load_suite(common, args.cases.as_deref())?;
    if args.list_faults {
        return output(&list(&suite.faults));
    }
    if args.role == Role::Client {
        return Err(Failure::Usage(
            "the reference client does not run alone: `imps-scr run --role client --fault NAME` tests it"
                .to_owned(),
        ));
    }
    let fault = match &args.fault {
        None => None,
        Some(name) => Some(find(&suite.faults, name)?.clone()),
    };
    if fault.as_ref().is_some_and(|f| f.role != Role::Server) {
        return Err(Failure::Usage("this is a fault of the client".to_owned()));
    }
    let io = |source| Failure::Io {
        what: "failed to listen at",
        path: PathBuf::from(args.listen.to_string()),
        source,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(io)?;
    runtime.block_on(async {
        let clock = Clock::real(tokio::time::Instant::now());
        let checker = Arc::clone(&suite.checker);
        let server = EmbeddedServer::start(&Net::Tcp, args.listen, checker, fault, args.seed, clock)
            .await
            .map_err(io)?;
        let mut text = format!("the reference server listens at http://{}/\n", server.address);
        text.push_str("accounts (of the reference, no secrets):\n");
        for (name, account) in reference_accounts() {
            text.push_str(&format!(
                "  {name}: {{user: \"{}\", password: {}}}\n",
                account.user, account.password
            ));
        }
        output(&text)?;
        server.wait().await;
        Ok(Exit::OK)
    })
}

/// A fault by its name.
///
/// # Errors
/// There is none of that name.
pub(super) fn find<'a>(faults: &'a [Fault], name: &str) -> Result<&'a Fault, Failure> {
    faults.iter().find(|f| f.name == name).ok_or_else(|| {
        Failure::Usage(format!(
            "no fault `{name}`; `imps-scr reference --list-faults` shows them"
        ))
    })
}

fn list(faults: &[Fault]) -> String {
    let mut text = String::new();
    for fault in faults {
        let breaks: Vec<&str> = fault.breaks.iter().map(|i| i.as_str()).collect();
        text.push_str(&format!(
            "{:<32} {} [{}]\n",
            fault.name,
            fault.about,
            breaks.join(", ")
        ));
    }
    text
}
