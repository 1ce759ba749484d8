//! Everything that is loaded before a run: tables, cases written and generated, faults, the checker.

use std::sync::Arc;

use crate::base::{FileError, FileSet};
use crate::case::generate::{self, Sample};
use crate::case::{self, Cases};
use crate::check::Checker;
use crate::codec::xml::{self, WriteOptions};
use crate::message::{Envelope, Message, Tree};
use crate::peer::Credentials;
use crate::peer::MEDIA_TYPE_XML;
use crate::peer::client::{ClientConfig, ClientEngine};
use crate::peer::contents::server_request;
use crate::peer::fault::{self, Fault};
use crate::peer::server::{Incoming, ServerConfig, ServerEngine};
use crate::spec::tables::Tables;
use crate::spec::{Role, Version};

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
        let generated: Vec<case::Case> = generate::generate(&checker, &samples(&checker))
            .into_iter()
            // Tables of the user may have fewer items than the generator knows.
            .filter(|c| case::check(c, &tables.items).is_ok())
            .collect();
        cases.extend(generated)?;
        Ok(Self {
            tables,
            cases,
            faults,
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

/// The requests that cases are generated from, in the order of a session, with the side under test. What
/// a client may get answers what a plain client asks.
const SAMPLES: [(&str, &[Role]); 9] = [
    ("Login-Request", &[Role::Server, Role::Client]),
    ("KeepAlive-Request", &[Role::Server, Role::Client]),
    ("ClientCapability-Request.full", &[Role::Server]),
    ("ClientCapability-Request", &[Role::Client]),
    ("Service-Request.all", &[Role::Server]),
    ("Service-Request", &[Role::Client]),
    ("GetSPInfo-Request", &[Role::Server, Role::Client]),
    ("Polling-Request", &[Role::Server, Role::Client]),
    ("Logout-Request", &[Role::Server, Role::Client]),
];

/// Correct messages of both engines: what generation starts from.
fn samples(checker: &Arc<Checker>) -> Vec<Sample> {
    let account = Credentials {
        user: "wv:a@example.com".to_owned(),
        password: "sample".to_owned(),
    };
    let mut out = Vec::new();
    for version in Version::ALL {
        let mut client = ClientEngine::new(ClientConfig {
            version: *version,
            credentials: account.clone(),
            client_id: "http://client.example/1".to_owned(),
            cookie: "cookie-1".to_owned(),
            time_to_live: 600,
            id_prefix: "t".to_owned(),
        });
        let mut server = ServerEngine::new(
            ServerConfig {
                accounts: vec![account.clone()],
                max_keep_alive: 3600,
                functions: crate::peer::server::served_functions(),
                seed: 1,
            },
            Arc::clone(checker),
        );
        for (step, under_test) in SAMPLES {
            let Ok(request) = client.request(step) else {
                continue;
            };
            let answer = ask(&mut server, &request);
            if step == "Polling-Request" {
                // A poll may bring the end of the session; the client of the samples does not hear of it.
                out.extend(disconnect(*version, &mut server, &request));
            }
            if under_test.contains(&Role::Server) {
                out.push(sample(Role::Client, *version, step, request));
            }
            if let Some(tree) = answer {
                client.learn(&tree);
                if under_test.contains(&Role::Client) {
                    out.push(sample(Role::Server, *version, step, tree));
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

/// The Disconnect that a poll brings, as a client gets it.
fn disconnect(version: Version, server: &mut ServerEngine, poll: &Tree) -> Option<Sample> {
    let name = "Disconnect";
    server.queue(&server_request(name, "").ok()?);
    let tree = ask(server, poll)?;
    Some(Sample {
        label: format!("{name}-Request"),
        requests: vec![name.to_owned()],
        ..sample(Role::Server, version, "Polling-Request", tree)
    })
}

fn sample(from: Role, version: Version, step: &str, tree: Tree) -> Sample {
    let primitive = Envelope::of(&tree).map(|e| e.primitives()).unwrap_or_default();
    Sample {
        from,
        version,
        label: primitive.clone(),
        primitive,
        step: step.to_owned(),
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
