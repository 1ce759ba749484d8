//! Transactions: which primitives belong together, and which part of the suite covers them.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::base::FileError;
use crate::base::yaml;

use super::syntax::Syntax;
use super::types::{Role, Version};

/// One transaction.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transaction {
    /// `T08`; numbers are ours.
    pub id: String,
    /// In words.
    pub name: String,
    /// The part of the protocol that it belongs to.
    pub service: String,
    /// Section of WV-023 1.1; empty for what is new in 1.2.
    #[serde(default)]
    pub section: String,
    /// Primitives that the client sends.
    pub client: Vec<String>,
    /// Primitives that the server sends.
    pub server: Vec<String>,
    /// Code of the service tree.
    pub function: Option<String>,
    /// First version that has it.
    #[serde(default = "first")]
    pub since: Version,
    /// The transaction whose messages are varied in its place: they are the same.
    #[serde(rename = "as")]
    pub like: Option<String>,
    /// The open question that keeps it from failing anybody.
    pub open: Option<String>,
    /// Codes of the answer that no case provokes, with the reason.
    #[serde(default)]
    pub unprovoked: BTreeMap<u16, String>,
}

impl Transaction {
    /// The primitives that a side receives.
    pub fn received_by(&self, role: Role) -> &[String] {
        match role {
            Role::Server => &self.client,
            Role::Client => &self.server,
            Role::Ssp => &[],
        }
    }
}

fn first() -> Version {
    Version::V11
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    transactions: Vec<Transaction>,
}

/// Loads the table.
///
/// # Errors
/// The first mistake with its line: a number that stands twice, a primitive that is not in the tables.
pub fn load(file: &str, text: &str, syntax: &Syntax) -> Result<Vec<Transaction>, FileError> {
    let doc = yaml::parse::<File>(file, text)?;
    if doc.value.format != "imps-scr/transactions/1" {
        return Err(doc
            .error(
                "format",
                format!("format `{}` is not known here", doc.value.format),
            )
            .fix("this version reads `imps-scr/transactions/1`"));
    }
    let rows = &doc.value.transactions;
    for (i, row) in rows.iter().enumerate() {
        let path = format!("transactions[{i}]");
        if rows[..i].iter().any(|r| r.id == row.id) {
            return Err(doc.error(&path, format!("the transaction {} stands twice", row.id)));
        }
        let unknown = row
            .client
            .iter()
            .chain(&row.server)
            .find(|p| syntax.primitive(p).is_none() && !p.starts_with("WV-CSP-"));
        if let Some(name) = unknown {
            return Err(doc
                .error(&path, format!("{name} is no primitive"))
                .fix("names stand in csp-primitives.yaml"));
        }
        if let Some(other) = row.like.as_ref().filter(|o| rows.iter().all(|r| r.id != **o)) {
            return Err(doc.error(&path, format!("there is no transaction {other}")));
        }
    }
    Ok(doc.value.transactions)
}
