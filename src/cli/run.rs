//! `run`: the main job.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::mask::Masker;
use crate::base::{FileSet, ItemId};
use crate::event::{CaseResult, Event, RunOutcome, Subscriber};
use crate::report::{Collector, Detail, Progress, Report, Terminal, Transcript, write_all};
use crate::run::{
    self, Bus, Console, DriverCommand, Iut, Plan, Prior, RunOptions, Suite, Upper, derived_ics,
    reference_accounts,
};
use crate::spec::filter::Filter;
use crate::spec::{HttpUrl, Ics, Profile, Role, Version};
use crate::transport::tls::{Tls, Trust};
use crate::verdict::{ItemVerdict, Verdict};

use super::in_use::InUse;
use super::{Common, Failure, exit::Exit, output, resume};

/// Runs the cases: against the embedded reference, a real server, or a real client
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Profile (IXIT) of the implementation under test, YAML
    #[arg(long, value_name = "FILE", conflicts_with_all = ["target", "listen"])]
    pub(super) profile: Option<PathBuf>,
    /// Side under test; both sides of the reference when left out
    #[arg(long, value_name = "ROLE")]
    pub(super) role: Option<Role>,
    /// URL of a server under test; without a profile there are no accounts, and only what needs no login is run
    #[arg(long, value_name = "URL", conflicts_with = "listen")]
    pub(super) target: Option<String>,
    /// Address to wait at for a client under test; port 0 picks a free one. Without --driver or --prompt it is only watched
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Option<SocketAddr>,
    /// Stand between real clients and a real server: what comes to LISTEN (127.0.0.1:8081) goes to TARGET
    /// (http://127.0.0.1:8080/) unchanged, and both sides are judged. A profile is that of the server
    #[arg(long, value_name = "LISTEN=TARGET", conflicts_with_all = [
        "target", "listen", "role", "driver", "prompt", "filter", "jobs", "seed", "list", "fault", "resume",
    ])]
    pub(super) proxy: Option<String>,
    /// For a client that is only watched, and for --proxy: end after so many seconds (Ctrl-C ends it at any time and
    /// keeps what is known)
    #[arg(long, value_name = "SECONDS", conflicts_with_all = ["target", "driver", "prompt", "fault"],
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    wait: Option<u64>,
    /// Command of a driver that makes the client under test act (`cases/DRIVERS.md`); it is run without a shell
    #[arg(long, value_name = "CMD", conflicts_with_all = ["target", "fault"])]
    driver: Option<String>,
    /// Ask a person at the terminal to make the client under test act
    #[arg(long, conflicts_with_all = ["target", "driver", "fault"])]
    prompt: bool,
    /// The vendor's conformance statement (ICS), YAML
    #[arg(long, value_name = "FILE")]
    pub(super) ics: Option<PathBuf>,
    /// A table of requirement rows that `scr import` wrote, to be shown beside the items; may be given again
    #[arg(long, value_name = "FILE")]
    pub(super) imported: Vec<PathBuf>,
    /// Only this version of CSP: 1.1 or 1.2
    #[arg(long, value_name = "VERSION")]
    pub(super) csp: Option<Version>,
    /// Only these cases, for example 'group(KALIVE) | item(CSP-LOGINP-*) - tag(generated)'
    #[arg(long, value_name = "EXPR")]
    pub(super) filter: Option<String>,
    /// Cases at one time [default: 1, and 8 against the embedded reference]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: Option<u8>,
    /// Seed of everything that is chosen by chance [default: 1]
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// What makes the exit code 1: fail, or warn as well
    #[arg(long, value_name = "VERDICT", value_parser = ["fail", "warn"], default_value = "fail")]
    pub(super) fail_on: String,
    /// Show passwords and digests in every output
    #[arg(long)]
    pub(super) keep_secrets: bool,
    /// Where the reports go; `reports/runs/TIME` when left out
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Only list the cases that would be run
    #[arg(long)]
    list: bool,
    /// Test the embedded reference with this fault (`imps-scr reference --list-faults` shows them)
    #[arg(long, value_name = "NAME", conflicts_with_all = ["profile", "target", "listen"])]
    fault: Option<String>,
    /// Use the cases of this directory in place of the embedded ones
    #[arg(long, value_name = "DIR")]
    pub(super) cases: Option<PathBuf>,
    /// Go on with the run that wrote this directory and did not come to its end
    #[arg(long, value_name = "OUT", conflicts_with_all = ["out", "list", "listen", "prompt"])]
    pub(super) resume: Option<PathBuf>,
    /// Judge the run that wrote this directory again, by the tables and cases of today and without a network;
    /// the new reports go to `rejudged` in it, unless --out says otherwise
    #[arg(long, value_name = "OUT", conflicts_with_all = [
        "resume", "role", "target", "listen", "proxy", "wait", "driver", "prompt", "csp", "filter", "jobs", "seed", "list", "fault",
    ])]
    pub(super) rejudge: Option<PathBuf>,
}

/// Runs `run`.
///
/// # Errors
/// A mistake of the user: an option, a table, a case, a profile, an ICS.
pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    if let Some(dir) = &args.rejudge {
        return super::rejudge::run(args, dir, common);
    }
    let archive = args.resume.as_deref().map(resume::read).transpose()?;
    if let (Some(archive), Some(dir)) = (&archive, &args.resume)
        && resume::is_whole(archive)
    {
        return resume::nothing_to_do(archive, dir, args, common);
    }
    let filled = archive.as_ref().map(|a| resume::filled(args, &a.info));
    let args = filled.as_ref().unwrap_or(args);
    let suite = load_suite(common, args.cases.as_deref())?;
    let imported = super::import::tables(&args.imported, &suite.tables.items)?;
    let (iut, secrets) = iut(args, common, &suite)?;
    let mut options = options(args, &iut, &suite)?;
    if args.list {
        return list(&iut, &options, &suite);
    }
    let masker = Arc::new(Masker::new(secrets.iter().map(String::as_str), args.keep_secrets));
    if let Some(archive) = archive {
        let now = run::dispatcher::describe(&suite, &iut, &options);
        resume::check(&archive, &iut, &now, &masker)?;
        options.prior = Some(Prior::new(archive, now));
    }
    let out = match args.resume.as_ref().or(args.out.as_ref()) {
        Some(dir) => dir.clone(),
        None => Path::new("reports/runs").join(jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string()),
    };
    std::fs::create_dir_all(&out).map_err(|source| Failure::Io {
        what: "failed to create",
        path: out.clone(),
        source,
    })?;
    let _in_use = InUse::take(&out)?;
    let transcript_path = out.join("transcript.ndjson");
    // The transcript that a run goes on from stays until the new one holds all of it.
    let draft = match options.prior {
        Some(_) => out.join(format!("transcript.ndjson.{}.tmp", std::process::id())),
        None => transcript_path.clone(),
    };
    let cannot_write = |source| Failure::Io {
        what: "failed to write",
        path: transcript_path.clone(),
        source,
    };
    let transcript = Transcript::create(&draft, Arc::clone(&masker)).map_err(cannot_write)?;
    let transcript = Arc::new(Mutex::new(transcript));
    let collector = Arc::new(Mutex::new(Collector::new(Arc::clone(&masker))));
    let results = Arc::new(Mutex::new(Results::default()));
    let mut bus = Bus::default();
    bus.import(imported);
    bus.subscribe(Box::new(Arc::clone(&transcript)));
    bus.subscribe(Box::new(Arc::clone(&collector)));
    bus.subscribe(Box::new(Arc::clone(&results)));
    if args.proxy.is_some() && common.verbose {
        bus.subscribe(Box::new(super::proxy::Live::new(Arc::clone(&masker))));
    }
    // A progress bar would write over what a person is asked, and over what is told of each message.
    let progress =
        (!args.prompt && args.proxy.is_none()).then(|| Progress::new(common.quiet, Arc::clone(&masker)));
    match progress.flatten() {
        Some(progress) => bus.subscribe(Box::new(progress)),
        None if !common.quiet => bus.subscribe(Box::new(Notices {
            masker: Arc::clone(&masker),
        })),
        None => {}
    }
    if let Some(prior) = &options.prior {
        prior.replay(&mut bus);
        if let Err(source) = lock(&transcript).publish(&draft, &transcript_path) {
            // The first error is the one to tell.
            let _ = std::fs::remove_file(&draft);
            return Err(cannot_write(source));
        }
    }
    let outcome = go(&suite, &iut, &options, args, &mut bus)?;
    let collector = lock(&collector);
    let mut written = Vec::new();
    let mut failed = None;
    let files = write_all(&out, &collector).map_err(|source| Failure::Io {
        what: "failed to write",
        path: out.clone(),
        source,
    });
    let transcript = lock(&transcript).finish().map_err(cannot_write);
    let parts = [
        files,
        write_ics(&out, &collector, &outcome),
        transcript.map(|()| vec![transcript_path.clone()]),
    ];
    // What cannot be written takes nothing else away, least of all the verdicts.
    for part in parts {
        match part {
            Ok(paths) => written.extend(paths),
            Err(e) => failed = failed.or(Some(e)),
        }
    }
    output(&terminal(common, written).text(collector.report()))?;
    if let Some(failure) = failed {
        return Err(failure);
    }
    let whole = args.filter.is_none();
    Ok(exit(&outcome, &lock(&results).cases, &args.fail_on, whole))
}

/// What is said at the end of a run.
pub(super) fn terminal(common: &Common, files: Vec<PathBuf>) -> Terminal {
    Terminal {
        color: common.colored(),
        detail: match (common.quiet, common.verbose) {
            (true, _) => Detail::Quiet,
            (_, true) => Detail::Verbose,
            _ => Detail::Normal,
        },
        files,
    }
}

/// Loads tables and cases as the options say.
pub(super) fn load_suite(common: &Common, cases: Option<&Path>) -> Result<Suite, Failure> {
    let tables = common.table_files()?;
    let cases = match cases {
        None => FileSet::cases(),
        Some(dir) => super::read_yaml_dir(dir)?,
    };
    Ok(Suite::load(&tables, &cases)?)
}

fn options(args: &Args, iut: &Iut, suite: &Suite) -> Result<RunOptions, Failure> {
    let filter = match &args.filter {
        None => None,
        Some(text) => {
            let filter = Filter::parse(text).map_err(|e| Failure::Usage(format!("--filter: {e}")))?;
            Some((text.clone(), filter))
        }
    };
    let ics = match args.ics.clone().or_else(|| named_ics(args, iut)) {
        None => None,
        Some(path) => Some(read_ics(&path, suite)?),
    };
    let (roles, _) = run::dispatcher::scope(iut, &RunOptions::default());
    if let Some((file, ics)) = &ics
        && !roles.contains(&ics.role)
    {
        return Err(Failure::Usage(format!(
            "{file} is the statement of a {}, and none is under test\n  fix: use the statement of this product",
            ics.role
        )));
    }
    Ok(RunOptions {
        versions: args.csp.into_iter().collect(),
        filter,
        // A product is asked one thing at a time, unless told otherwise.
        jobs: match (args.jobs, iut) {
            (Some(jobs), _) => usize::from(jobs),
            (None, Iut::Embedded { .. }) => 8,
            (None, _) => 1,
        },
        seed: args.seed.unwrap_or(1),
        ics,
        authorities: read_authorities(args, iut)?,
        ..RunOptions::default()
    })
}

/// The statement that a profile names: a path relative to the profile.
fn named_ics(args: &Args, iut: &Iut) -> Option<PathBuf> {
    let (Iut::Server(profile) | Iut::Client { profile, .. } | Iut::Proxy { profile, .. }) = iut else {
        return None;
    };
    let beside = args.profile.as_ref()?.parent()?;
    Some(beside.join(profile.ics.as_ref()?))
}

/// The authorities that a profile names, once they are known to be usable.
fn read_authorities(args: &Args, iut: &Iut) -> Result<Option<String>, Failure> {
    let (Iut::Server(profile) | Iut::Proxy { profile, .. }) = iut else {
        return Ok(None);
    };
    let named = profile.tls.as_ref().and_then(|t| t.ca.as_ref());
    let beside = args.profile.as_ref().and_then(|p| p.parent());
    let (Some(name), Some(beside)) = (named, beside) else {
        return Ok(None);
    };
    let path = beside.join(name);
    let pem = read(&path)?;
    Tls::new(&Trust::Authorities(pem.clone()))
        .map_err(|e| Failure::Usage(format!("{}: {e}", path.display())))?;
    Ok(Some(pem))
}

pub(super) fn read_ics(path: &Path, suite: &Suite) -> Result<(String, Ics), Failure> {
    let name = path.display().to_string();
    let ics = Ics::parse(&name, &read(path)?, &suite.tables.items)?;
    Ok((name, ics))
}

pub(super) fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|source| Failure::Io {
        what: "failed to read",
        path: path.to_owned(),
        source,
    })
}

/// What is under test, and texts that no output may show.
fn iut(args: &Args, common: &Common, suite: &Suite) -> Result<(Iut, Vec<String>), Failure> {
    let usage = |text: &str| Failure::Usage(text.to_owned());
    if let Some(path) = &args.profile {
        let profile = Profile::parse(&path.display().to_string(), &read(path)?)?;
        if args.role.is_some_and(|r| r != profile.role) {
            return Err(Failure::Usage(format!(
                "--role contradicts the profile, which is of a {}",
                profile.role
            )));
        }
        let secrets: Vec<String> = profile
            .secrets()
            .map(str::to_owned)
            .chain(profile.headers.values().cloned())
            .collect();
        if let Some(text) = &args.proxy {
            return Ok((super::proxy::between(text, Some(profile), args.wait)?, secrets));
        }
        let iut = match profile.role {
            Role::Server | Role::Ssp => Iut::Server(Box::new(profile)),
            Role::Client => client(args, common, profile)?,
        };
        if profile_of_server(&iut) && (args.driver.is_some() || args.prompt || args.wait.is_some()) {
            return Err(usage(
                "--driver, --prompt and --wait are for clients, the profile is of a server",
            ));
        }
        let secrets = with_reference(secrets, &iut);
        return Ok((iut, secrets));
    }
    if let Some(text) = &args.proxy {
        return Ok((super::proxy::between(text, None, args.wait)?, Vec::new()));
    }
    if let Some(url) = &args.target {
        if args.role == Some(Role::Client) {
            return Err(usage(
                "--target is for servers; a client is waited for with --listen",
            ));
        }
        let url = HttpUrl::parse(url).map_err(|e| Failure::Usage(format!("--target: {e}")))?;
        return Ok((Iut::Server(Box::new(Profile::of_target(url))), Vec::new()));
    }
    // A driver tells the client where the server is; a person has to be told where it will be.
    let loopback = || SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0));
    let alone = args.prompt || args.driver.is_some() || args.wait.is_some();
    if let Some(address) = args.listen.or_else(|| args.driver.is_some().then(loopback)) {
        if args.role == Some(Role::Server) {
            return Err(usage(
                "--listen, --driver and --prompt are for clients; a server is called with --target",
            ));
        }
        let iut = client(args, common, Profile::of_listener(address))?;
        let secrets = with_reference(Vec::new(), &iut);
        return Ok((iut, secrets));
    }
    if alone {
        return Err(usage(
            "--prompt and --wait need the address where the client connects to\n  fix: add --listen ADDR, or a profile with `listen`",
        ));
    }
    let fault = match &args.fault {
        None => None,
        Some(name) => Some(Box::new(super::reference::find(&suite.faults, name)?.clone())),
    };
    let roles = args.role.map_or_else(|| Role::ALL.to_vec(), |r| vec![r]);
    let secrets = reference_accounts()
        .into_iter()
        .map(|(_, c)| c.password)
        .collect();
    Ok((Iut::Embedded { roles, fault }, secrets))
}

fn profile_of_server(iut: &Iut) -> bool {
    matches!(iut, Iut::Server(_))
}

/// A client under test, with whoever makes it act.
fn client(args: &Args, common: &Common, mut profile: Profile) -> Result<Iut, Failure> {
    if args.driver.is_some() && args.profile.is_none() {
        // A driver says when the client is done: nothing much comes after that. A profile may say more.
        profile.timers.quiet = DRIVEN_QUIET;
    }
    let command = args.driver.as_ref().or(profile
        .driver
        .as_ref()
        .filter(|_| !args.prompt && args.wait.is_none()));
    let upper = if let Some(command) = command {
        Upper::Driver(DriverCommand {
            words: DriverCommand::split(command).map_err(Failure::Usage)?,
            limit: profile.timers.command,
            tell_errors: common.verbose,
        })
    } else if args.prompt && !args.list {
        Upper::Person(Arc::new(Console::new(
            |text| super::complain(&crate::base::escape::plain(text)),
            lines_of_stdin(),
        )))
    } else {
        Upper::Nobody { wait: args.wait }
    };
    Ok(Iut::Client {
        profile: Box::new(profile),
        upper,
    })
}

/// How long a driven client has to be quiet before the next command, when no profile says so.
const DRIVEN_QUIET: std::time::Duration = std::time::Duration::from_millis(100);

/// A driver without accounts of the profile gets those of the reference: they are masked like any other.
fn with_reference(mut secrets: Vec<String>, iut: &Iut) -> Vec<String> {
    if matches!(iut, Iut::Client { upper: Upper::Driver(_), profile } if profile.accounts.is_empty()) {
        secrets.extend(reference_accounts().into_iter().map(|(_, c)| c.password));
    }
    secrets
}

/// Longest line that is taken for an answer of a person.
const MAX_ANSWER: u64 = 1_000;
/// Answers that may be given before they are asked for; more wait.
const WAITING_ANSWERS: usize = 100;

/// The lines of standard input. The thread ends with the process: nothing can wake it from a read.
fn lines_of_stdin() -> tokio::sync::mpsc::Receiver<String> {
    use std::io::{BufRead as _, Read as _};
    let (sender, lines) = tokio::sync::mpsc::channel(WAITING_ANSWERS);
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match (&mut stdin).take(MAX_ANSWER).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_)
                    if sender
                        .blocking_send(String::from_utf8_lossy(&line).into_owned())
                        .is_err() =>
                {
                    return;
                }
                Ok(_) => {}
            }
        }
    });
    lines
}

fn list(iut: &Iut, options: &RunOptions, suite: &Suite) -> Result<Exit, Failure> {
    let (roles, versions) = run::dispatcher::scope(iut, options);
    let plan = Plan::new(suite, &roles, &versions, options.filter.as_ref().map(|(_, f)| f));
    let mut text = String::new();
    for unit in &plan.units {
        text.push_str(&format!(
            "{:<6} {}  {}  {}\n",
            unit.case.object, unit.version, unit.case.id, unit.case.title
        ));
    }
    output(&text)?;
    Ok(if plan.units.is_empty() {
        Exit::NOTHING
    } else {
        Exit::OK
    })
}

fn go(
    suite: &Suite,
    iut: &Iut,
    options: &RunOptions,
    args: &Args,
    bus: &mut Bus,
) -> Result<Arc<RunOutcome>, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|source| Failure::Io {
            what: "failed to start",
            path: PathBuf::from("runtime"),
            source,
        })?;
    let outcome = runtime.block_on(async {
        let stop = interrupted();
        run::run(suite, iut, options, bus, stop).await
    });
    // A peer that is silent on purpose must not hold the process.
    runtime.shutdown_background();
    let listen = match iut {
        Iut::Proxy { listen, .. } => Some(*listen),
        _ => args.listen,
    };
    outcome.map_err(|source| Failure::Io {
        what: "failed to listen at",
        path: PathBuf::from(listen.map_or_else(|| "loopback".to_owned(), |a| a.to_string())),
        source,
    })
}

/// Ends when the user or the system asks for an end. The handlers are in place when this returns, not
/// only when the future is first polled: a signal in between must not kill the run without a report.
fn interrupted() -> impl Future<Output = ()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{Signal, SignalKind, signal};
        async fn comes(installed: std::io::Result<Signal>) {
            match installed {
                Ok(mut signal) => {
                    signal.recv().await;
                }
                Err(_) => std::future::pending().await,
            }
        }
        let (int, term) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
        async {
            tokio::select! {
                () = comes(int) => {}
                () = comes(term) => {}
            }
        }
    }
    #[cfg(not(unix))]
    async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// `ics.yaml`: the claims that the verdict rests on, per role.
pub(super) fn write_ics(
    out: &Path,
    collector: &Collector,
    outcome: &RunOutcome,
) -> Result<Vec<PathBuf>, Failure> {
    let report: &Report = collector.report();
    let mut written = Vec::new();
    for role in &report.roles {
        let ics = derived_ics(&report.target.name, *role, &report.versions, &outcome.items);
        let name = if report.roles.len() == 1 {
            "ics.yaml".to_owned()
        } else {
            format!("ics-{role}.yaml")
        };
        let path = out.join(name);
        std::fs::write(&path, ics.to_yaml()).map_err(|source| Failure::Io {
            what: "failed to write",
            path: path.clone(),
            source,
        })?;
        written.push(path);
    }
    Ok(written)
}

/// Says notices at once where there is no progress bar to say them: where a client is waited for, say.
struct Notices {
    masker: Arc<Masker>,
}

impl Subscriber for Notices {
    fn on(&mut self, event: &Event) {
        if let Event::Notice(text) = event {
            let text = self.masker.text(text);
            super::complain(&format!("note: {}", crate::base::escape::plain(&text)));
        }
    }
}

/// What the exit code is computed from.
#[derive(Default)]
struct Results {
    cases: Vec<CaseResult>,
}

impl Subscriber for Results {
    fn on(&mut self, event: &Event) {
        if let Event::CaseFinished(result) = event {
            self.cases.push((**result).clone());
        }
    }
}

/// The exit code of a run. `whole`: no filter chose what counts.
pub(super) fn exit(outcome: &RunOutcome, cases: &[CaseResult], fail_on: &str, whole: bool) -> Exit {
    if outcome.interrupted {
        return Exit::INTERRUPTED;
    }
    if outcome.unreachable.is_some() {
        return Exit::UNREACHABLE;
    }
    let worst = |v: Verdict| cases.iter().flat_map(|c| &c.criteria).any(|k| k.verdict == v);
    if worst(Verdict::Error) {
        return Exit::SUITE;
    }
    if worst(Verdict::Fail) || fail_on == "warn" && worst(Verdict::Warn) {
        return Exit::FAIL;
    }
    let judged = cases
        .iter()
        .flat_map(|c| &c.criteria)
        .any(|k| k.verdict != Verdict::None);
    if !judged {
        return Exit::NOTHING;
    }
    let selected: BTreeSet<&ItemId> = cases.iter().flat_map(|c| &c.scr).collect();
    let gap = outcome.items.iter().any(|i| {
        i.claimed
            && (whole || selected.contains(&i.id))
            && matches!(
                i.verdict,
                ItemVerdict::Inconc | ItemVerdict::Untested | ItemVerdict::NotRun
            )
    });
    if gap { Exit::INCONCLUSIVE } else { Exit::OK }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic elsewhere leaves at worst incomplete counts; a report of what is there beats none.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
