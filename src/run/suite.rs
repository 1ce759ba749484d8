//! Everything that is loaded before a run: tables, cases written and generated, faults, the checker.

use std::sync::Arc;

use crate::base::{FileError, FileSet};
use crate::case::generate::{self, Sample};
use crate::case::{self, Cases};
use crate::check::Checker;
use crate::check::ssp::SspChecker;
use crate::codec::xml::{self, WriteOptions};
use crate::message::{Envelope, Message, Tree};
use crate::peer::Credentials;
use crate::peer::MEDIA_TYPE_XML;
use crate::peer::client::{ClientConfig, ClientEngine};
use crate::peer::fault::{self, Fault};
use crate::peer::names::Names;
use crate::peer::server::{Incoming, ServerConfig, ServerEngine};
use crate::peer::server_requests::server_request;
use crate::spec::tables::Tables;
use crate::spec::{Role, Transaction, Version};

/// Tables, cases, faults and the compiled checker.
#[derive(Debug)]
pub struct Suite {
    /// Requirement items and syntax.
    pub tables: Tables,
    /// All cases.
    pub cases: Cases,
    /// Named faults of the reference.
    pub faults: Vec<Fault>,
    /// Compiled content models.
    pub checker: Arc<Checker>,
    /// The same for SSP.
    pub ssp: Arc<SspChecker>,
    /// Digest of the cases.
    pub cases_digest: String,
}

impl Suite {
    /// Loads everything and generates cases.
    ///
    /// # Errors
    /// The first mistake of a table or case: file, line, fix.
    pub fn load(table_files: &FileSet, case_files: &FileSet) -> Result<Self, FileError> {
        let tables = Tables::load(table_files)?;
        let checker = Arc::new(Checker::new(Arc::clone(&tables.syntax)));
        let mut cases = case::load(case_files, &tables.items)?;
        for case in cases.iter() {
            let known = |id: &str| tables.transactions.iter().any(|t| t.id == id);
            if let Some(cover) = case.covers.iter().find(|c| !known(&c.transaction)) {
                return Err(FileError::new(
                    &case.file,
                    case.line,
                    format!("{} covers {cover}, and there is no such transaction", case.id),
                )
                .fix("the numbers stand in csp-transactions.yaml"));
            }
        }
        let faults = fault::load(case_files)?;
        for fault in &faults {
            if let Some(id) = fault.breaks.iter().find(|id| tables.items.get(id).is_none()) {
                return Err(FileError::new(
                    &fault.file,
                    fault.line,
                    format!(
                        "the fault `{}` breaks {id}, which is not in the tables",
                        fault.name
                    ),
                )
                .fix("`imps-scr scr list` shows the items"));
            }
        }
        let generated: Vec<case::Case> = generate::generate(&checker, &samples(&checker, &tables))
            .into_iter()
            // Tables of the user may have fewer items than the generator knows.
            .filter(|c| case::check(c, &tables.items).is_ok())
            .collect();
        cases.extend(generated)?;
        Ok(Self {
            cases,
            faults,
            ssp: Arc::new(SspChecker::new(Arc::clone(&tables.ssp), Arc::clone(&checker))),
            tables,
            checker,
            cases_digest: case_files.digest(),
        })
    }

    /// The embedded tables and cases.
    ///
    /// # Errors
    /// As [`Suite::load`]; with the embedded files none is expected, a test sees to that.
    pub fn embedded() -> Result<Self, FileError> {
        Self::load(&FileSet::tables(), &FileSet::cases())
    }
}

/// Whom a sample makes cases for.
const BOTH: &[Role] = &[Role::Server, Role::Client];
const SERVER: &[Role] = &[Role::Server];
const CLIENT: &[Role] = &[Role::Client];

/// The requests that cases are generated from, in an order in which each can be served, with the side
/// under test. What a client may get answers what a plain client asks.
const SAMPLES: &[(&str, &[Role])] = &[
    ("Login-Request", BOTH),
    ("KeepAlive-Request", BOTH),
    ("ClientCapability-Request.full", SERVER),
    ("ClientCapability-Request", CLIENT),
    ("Service-Request.all", SERVER),
    ("Service-Request", CLIENT),
    ("GetSPInfo-Request", BOTH),
    ("Search-Request", BOTH),
    ("StopSearch-Request", BOTH),
    ("Invite-Request", BOTH),
    ("CancelInvite-Request", BOTH),
    ("InviteUser-Response", BOTH),
    ("VerifyID-Request", BOTH),
    ("SubscribePresence-Request", BOTH),
    ("UnsubscribePresence-Request", BOTH),
    ("GetWatcherList-Request", BOTH),
    ("GetPresence-Request", BOTH),
    ("PresenceAuth-User", BOTH),
    ("CancelAuth-Request", BOTH),
    ("GetReactiveAuthStatus-Request", BOTH),
    ("UpdatePresence-Request", BOTH),
    ("GetList-Request", BOTH),
    ("CreateList-Request", BOTH),
    ("ListManage-Request.add", SERVER),
    ("ListManage-Request", CLIENT),
    ("DeleteList-Request", BOTH),
    ("GetAttributeList-Request", BOTH),
    ("CreateAttributeList-Request", BOTH),
    ("DeleteAttributeList-Request", BOTH),
    ("SendMessage-Request", BOTH),
    ("SetDeliveryMethod-Request", BOTH),
    ("GetMessageList-Request", BOTH),
    ("GetMessage-Request", BOTH),
    ("MessageDelivered", SERVER),
    ("RejectMessage-Request", BOTH),
    ("ForwardMessage-Request", BOTH),
    ("GetBlockedList-Request", BOTH),
    ("BlockEntity-Request", BOTH),
    ("CreateGroup-Request", BOTH),
    ("JoinGroup-Request", BOTH),
    ("GetGroupMembers-Request", BOTH),
    ("GetJoinedUsers-Request", BOTH),
    ("AddGroupMembers-Request", BOTH),
    ("RemoveGroupMembers-Request", BOTH),
    ("MemberAccess-Request", BOTH),
    ("GetGroupProps-Request", BOTH),
    ("SetGroupProps-Request", BOTH),
    ("RejectList-Request", BOTH),
    ("SubscribeGroupNotice-Request", BOTH),
    ("LeaveGroup-Request", BOTH),
    ("DeleteGroup-Request", BOTH),
    ("Polling-Request", BOTH),
    ("Logout-Request", BOTH),
];

/// What a server may ask a client, from which cases are generated.
const SERVER_REQUESTS: &[&str] = &[
    "Disconnect",
    "InviteUser-Request",
    "Invite-Response",
    "CancelInviteUser-Request",
    "PresenceNotification-Request",
    "PresenceAuth-Request",
    "NewMessage",
    "MessageNotification",
    "DeliveryReport-Request",
    "LeaveGroup-Response",
    "GroupChangeNotice",
];

/// Correct messages of both engines: what generation starts from.
fn samples(checker: &Arc<Checker>, tables: &Tables) -> Vec<Sample> {
    let account = Credentials {
        user: "wv:a@example.com".to_owned(),
        password: "sample".to_owned(),
    };
    let names = Names::of_client(&account.user);
    let mut out = Vec::new();
    for version in Version::ALL {
        let mut client = ClientEngine::new(ClientConfig {
            version: *version,
            credentials: account.clone(),
            client_id: "http://client.example/1".to_owned(),
            cookie: "cookie-1".to_owned(),
            time_to_live: 600,
            id_prefix: "t".to_owned(),
            names: names.clone(),
        });
        let mut server = ServerEngine::new(
            ServerConfig {
                accounts: vec![account.clone()],
                max_keep_alive: 3600,
                functions: crate::peer::server::served_functions(),
                seed: 1,
            },
            Arc::clone(checker),
        )
        .hospitable();
        for (step, under_test) in SAMPLES {
            let Ok(request) = client.request(step) else {
                continue;
            };
            let answer = ask(&mut server, &request);
            if *step == "Polling-Request" {
                // A poll may bring the end of the session; the client of the samples does not hear of it.
                let names = &client.config().names;
                out.extend(
                    SERVER_REQUESTS.iter().filter_map(|name| {
                        server_sample(*version, name, names, &mut server, &request, tables)
                    }),
                );
            }
            if under_test.contains(&Role::Server) {
                out.push(sample(Role::Client, *version, step, request, tables));
            }
            if let Some(tree) = answer {
                client.learn(&tree);
                if under_test.contains(&Role::Client) {
                    out.push(sample(Role::Server, *version, step, tree, tables));
                }
            }
        }
    }
    out
}

fn ask(server: &mut ServerEngine, request: &Tree) -> Option<Tree> {
    let body = xml::write(request, &WriteOptions::default());
    let incoming = Incoming {
        method: "POST",
        media_type: Some(MEDIA_TYPE_XML),
        charset: None,
        body: &body,
    };
    server.handle(0, &incoming).tree
}

/// A request of the server that a poll brings, as a client gets it.
fn server_sample(
    version: Version,
    name: &str,
    names: &Names,
    server: &mut ServerEngine,
    poll: &Tree,
    tables: &Tables,
) -> Option<Sample> {
    server.queue(&server_request(version, name, names).ok()?);
    let tree = ask(server, poll)?;
    let of = |t: &&Transaction| {
        t.server.iter().any(|p| p == name) && t.client.iter().any(|p| p != "LeaveGroup-Request")
    };
    Some(Sample {
        label: match name {
            "Disconnect" => format!("{name}-Request"),
            other => other.to_owned(),
        },
        requests: vec![name.to_owned()],
        transaction: match name {
            // In mode Response it answers a logout of 1.1.
            "Disconnect" => "T07".to_owned(),
            _ => tables.transactions.iter().find(of).map(|t| t.id.clone())?,
        },
        ..sample(Role::Server, version, "Polling-Request", tree, tables)
    })
}

fn sample(from: Role, version: Version, step: &str, tree: Tree, tables: &Tables) -> Sample {
    let primitive = Envelope::of(&tree).map(|e| e.primitives()).unwrap_or_default();
    let request = step.split('.').next().unwrap_or_default();
    let transaction = tables
        .transactions
        .iter()
        .find(|t| t.client.iter().any(|p| p == request));
    Sample {
        from,
        version,
        // Status answers many: which, tells the request.
        label: match primitive.as_str() {
            "Status" if request != "Logout-Request" => format!("{request}.answer"),
            other => other.to_owned(),
        },
        primitive,
        step: step.to_owned(),
        transaction: transaction.map(|t| t.id.clone()).unwrap_or_default(),
        requests: Vec::new(),
        tree,
    }
}

/// A tree as the message it would be on the wire.
pub(super) fn reread(body: &[u8]) -> Option<Message> {
    xml::read(body, None).message
}

#[cfg(test)]
mod tests {
    use super::Suite;

    #[test]
    fn the_embedded_files_load() {
        let suite = Suite::embedded().unwrap_or_else(|e| panic!("{e}"));
        assert!(suite.cases.len() > 100, "{} cases", suite.cases.len());
    }
}
