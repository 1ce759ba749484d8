//! `reference`: the embedded implementation alone.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::check::Checker;
use crate::peer::Credentials;
use crate::peer::fault::Fault;
use crate::run::driver_protocol::{self, DoneResult, FromDriver, ToDriver, Word};
use crate::run::{
    Clock, EmbeddedClient, EmbeddedServer, JoinedServer, Joining, Settings, client_config, joined_accounts,
    reference_accounts,
};
use crate::spec::{Command, HttpUrl, Role, Version};
use crate::transport::Net;
use crate::transport::client::Address;

use super::{Common, Failure, exit::Exit, output};

/// The embedded reference alone, correct or with one fault
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Side to be: `server` listens; `ssp` is a server that speaks with other servers as well; `client` is made to act by `imps-scr/driver/1` on standard input and output, for `run --driver`
    #[arg(value_name = "ROLE", default_value = "server")]
    role: Role,
    /// Address to listen at; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Address at which `ssp` takes messages of other servers; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen_ssp: SocketAddr,
    /// A server that `ssp` knows: its domain and where it is; may be given several times
    #[arg(long, value_name = "DOMAIN=URL")]
    peer: Vec<String>,
    /// The domain that `ssp` speaks for, and that its users are of
    #[arg(long, value_name = "DOMAIN", default_value = "reference.example")]
    domain: String,
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
    let fault = match &args.fault {
        None => None,
        Some(name) => Some(find(&suite.faults, name)?.clone()),
    };
    if let Some(fault) = fault.as_ref().filter(|f| f.role != args.role) {
        return Err(Failure::Usage(format!("this is a fault of the {}", fault.role)));
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
    if args.role == Role::Client {
        return client(&runtime, fault.as_ref(), &suite.checker);
    }
    if args.role == Role::Ssp {
        let peers = peers(&args.peer)?;
        return runtime.block_on(joined(args, fault, peers, Arc::clone(&suite.checker)));
    }
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

/// The servers that a joined reference knows, by domain.
fn peers(texts: &[String]) -> Result<BTreeMap<String, Address>, Failure> {
    let mut out = BTreeMap::new();
    for text in texts {
        let (domain, url) = text
            .split_once('=')
            .ok_or_else(|| Failure::Usage(format!("--peer: `{text}` is not DOMAIN=URL")))?;
        let url = HttpUrl::parse(url).map_err(|e| Failure::Usage(format!("--peer: {e}")))?;
        out.insert(
            domain.to_lowercase(),
            Address {
                net: Net::Tcp,
                tls: None,
                host: url.host.trim_matches(['[', ']']).to_owned(),
                port: url.port,
                path: url.path,
            },
        );
    }
    Ok(out)
}

/// The reference server with its other side.
async fn joined(
    args: &Args,
    fault: Option<Fault>,
    peers: BTreeMap<String, Address>,
    checker: Arc<Checker>,
) -> Result<Exit, Failure> {
    let io = |source| Failure::Io {
        what: "failed to listen at",
        path: PathBuf::from(format!("{} and {}", args.listen, args.listen_ssp)),
        source,
    };
    let accounts = joined_accounts(&args.domain);
    let joining = Joining {
        accounts: accounts.iter().map(|(_, c)| c.clone()).collect(),
        peers,
        seed: args.seed,
        ..Joining::default()
    };
    let clock = Clock::real(tokio::time::Instant::now());
    let at = (args.listen, args.listen_ssp);
    let server = JoinedServer::start(&Net::Tcp, at, checker, joining, fault, clock)
        .await
        .map_err(io)?;
    let mut text = format!(
        "the reference server of {} listens at http://{}/ for clients and at http://{}/ for servers\n",
        args.domain, server.csp, server.ssp
    );
    text.push_str("accounts (of the reference, no secrets):\n");
    for (name, account) in accounts {
        text.push_str(&format!(
            "  {name}: {{user: \"{}\", password: {}}}\n",
            account.user, account.password
        ));
    }
    output(&text)?;
    server.wait().await;
    Ok(Exit::OK)
}

/// The reference client as a driver of itself: orders on standard input, answers on standard output.
fn client(
    runtime: &tokio::runtime::Runtime,
    fault: Option<&Fault>,
    checker: &Arc<Checker>,
) -> Result<Exit, Failure> {
    use std::io::BufRead as _;
    let mut driven = Driven {
        fault,
        settings: None,
        client: None,
        logins: 0,
        checker: Arc::clone(checker),
    };
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|source| Failure::Io {
            what: "failed to read",
            path: PathBuf::from("standard input"),
            source,
        })?;
        if line.trim().is_empty() {
            continue;
        }
        let answer = match serde_json::from_str(&line) {
            Ok(ToDriver::Bye {}) => return Ok(Exit::OK),
            Ok(ToDriver::Hello { protocol }) => {
                driver_protocol::accepts(&protocol).map_err(Failure::Usage)?;
                hello()
            }
            Ok(order @ ToDriver::Do { .. }) => runtime.block_on(driven.carry_out(order)),
            Err(e) => {
                return Err(Failure::Usage(format!(
                    "a line on standard input is no message of {}: {e}",
                    driver_protocol::PROTOCOL
                )));
            }
        };
        output(&driver_protocol::line(&answer))?;
    }
    Ok(Exit::OK)
}

fn hello() -> FromDriver {
    FromDriver::Hello {
        protocol: driver_protocol::PROTOCOL.to_owned(),
        name: "the reference client".to_owned(),
        commands: Command::ALL.iter().map(|c| c.as_str().to_owned()).collect(),
        instances: 1,
    }
}

/// The reference client between two orders.
struct Driven<'a> {
    fault: Option<&'a Fault>,
    settings: Option<Settings>,
    client: Option<EmbeddedClient>,
    logins: u32,
    checker: Arc<Checker>,
}

impl Driven<'_> {
    async fn carry_out(&mut self, order: ToDriver) -> FromDriver {
        let ToDriver::Do {
            id,
            command,
            instance,
            url,
            csp,
            user,
            password,
            client_id,
            ..
        } = order
        else {
            return hello();
        };
        let done = |result: DoneResult, reason: &str| FromDriver::Done {
            id,
            result,
            reason: reason.to_owned(),
        };
        if instance != 1 {
            return done(DoneResult::Unsupported, "there is one client, number 1");
        }
        let result = match (command, command.command()) {
            (Word::Configure, _) => {
                let (Some(url), Some(user), Some(password)) = (url, user, password) else {
                    return done(DoneResult::Failed, "configure needs url, user and password");
                };
                self.settings = Some(Settings {
                    url,
                    version: csp.unwrap_or(Version::V12),
                    credentials: Credentials { user, password },
                    client_id: client_id.unwrap_or_else(|| "http://reference.example/client".to_owned()),
                });
                self.fresh()
            }
            (_, None) => self.fresh(),
            (_, Some(command)) => {
                let old = self.settings.as_ref().is_some_and(|s| s.version == Version::V11);
                if command == Command::DiscoverVersions && old {
                    return done(DoneResult::Unsupported, "CSP 1.1 has no version discovery");
                }
                match self.client.as_mut() {
                    // What the client makes of it is for the wire to show.
                    Some(client) => {
                        client.command(command).await;
                        Ok(())
                    }
                    None => Err("it was not configured".to_owned()),
                }
            }
        };
        match result {
            Ok(()) => done(DoneResult::Ok, ""),
            Err(why) => done(DoneResult::Failed, &why),
        }
    }

    /// A client that is not logged in.
    fn fresh(&mut self) -> Result<(), String> {
        let settings = self.settings.as_ref().ok_or("it was not configured")?;
        self.logins += 1;
        let cookie = format!("reference-{}#1", self.logins);
        let config = client_config(settings, cookie);
        let url = HttpUrl::parse(&settings.url)?;
        let server = Address {
            net: Net::Tcp,
            tls: None,
            host: url.host.trim_matches(['[', ']']).to_owned(),
            port: url.port,
            path: url.path,
        };
        let clock = Clock::real(tokio::time::Instant::now());
        let checker = Arc::clone(&self.checker);
        self.client = Some(EmbeddedClient::new(
            config,
            &server,
            self.fault.cloned(),
            clock,
            checker,
        )?);
        Ok(())
    }
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
