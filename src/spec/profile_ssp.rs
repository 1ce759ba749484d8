//! The part of a profile that is about SSP: where the server takes messages of other servers, which
//! domains the suite plays, and what is decided where the facts leave something open.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use super::profile::{HttpUrl, Secret};
use super::scalars::{Span, YesNo};
use super::ssp::SspVersion;

/// A hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DigestAlgorithm {
    /// MD5, as seen.
    #[default]
    Md5,
    /// SHA-1.
    Sha1,
}

/// Where an agreed password goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PasswordOrder {
    /// Behind the token.
    #[default]
    TokenPassword,
    /// Before the token.
    PasswordToken,
}

/// How PasswordDigest is made. What the specification fixes is not known; MD5 of the token alone is what was
/// seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DigestFormula {
    /// The hash.
    pub algorithm: DigestAlgorithm,
    /// A password that both operators agreed on, and where it goes.
    pub password: Option<(Secret, PasswordOrder)>,
}

/// A domain that the suite plays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeProfile {
    /// The domain.
    pub domain: String,
    /// Where its messages are taken.
    pub listen: SocketAddr,
    /// Whether it offers TLS there, besides plain HTTP.
    pub tls: bool,
}

/// How to reach a server by SSP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SspProfile {
    /// Where the server takes messages of other servers; always there in a profile that was read.
    pub url: Option<HttpUrl>,
    /// The domains that the suite plays: `N`, and `M` for cases with two.
    pub nodes: BTreeMap<String, NodeProfile>,
    /// The version that is spoken.
    pub version: SspVersion,
    /// How PasswordDigest is made.
    pub digest: DigestFormula,
    /// Whether the suite sends the `x-wv-` header fields.
    pub headers: bool,
    /// Whether the nodes answer notifications by Status, which is not settled.
    pub acknowledge: bool,
    /// How long something may take that is relayed.
    pub relay: Duration,
    /// How long nothing must come before it counts as no answer.
    pub silence: Duration,
    /// timeToLive that is wanted and granted, in seconds.
    pub time_to_live: u32,
    /// Whether any certificate of the server is accepted, where `url` is https.
    pub insecure: bool,
}

impl Default for SspProfile {
    fn default() -> Self {
        Self {
            url: None,
            nodes: BTreeMap::new(),
            version: SspVersion::V12,
            digest: DigestFormula::default(),
            headers: true,
            acknowledge: true,
            relay: Duration::from_secs(10),
            silence: Duration::from_secs(5),
            time_to_live: 3600,
            insecure: false,
        }
    }
}

impl SspProfile {
    /// What was decided where the facts leave something open, in a sentence.
    pub fn decisions(&self) -> String {
        let password = match &self.digest.password {
            None => "no password",
            Some((_, PasswordOrder::TokenPassword)) => "token, then password",
            Some((_, PasswordOrder::PasswordToken)) => "password, then token",
        };
        let algorithm = match self.digest.algorithm {
            DigestAlgorithm::Md5 => "MD5",
            DigestAlgorithm::Sha1 => "SHA-1",
        };
        let not = |yes: bool| if yes { "" } else { "not " };
        format!(
            "where the facts of SSP leave it open, the profile decides: version {}, digest by {algorithm} ({password}), \
             x-wv header fields {}sent, notifications {}answered by the nodes",
            self.version,
            not(self.headers),
            not(self.acknowledge)
        )
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub url: Option<String>,
    pub nodes: BTreeMap<String, RawNode>,
    pub version: Option<SspVersion>,
    pub algorithm: Option<DigestAlgorithm>,
    pub password: Option<Secret>,
    pub order: Option<PasswordOrder>,
    pub headers: Option<YesNo>,
    pub acknowledge: Option<YesNo>,
    pub relay: Option<Span>,
    pub silence: Option<Span>,
    pub time_to_live: Option<u32>,
    pub insecure: Option<YesNo>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNode {
    pub domain: String,
    pub listen: String,
    pub tls: Option<YesNo>,
}

/// Path below `ssp`, problem, fix.
pub(super) type Wrong = (String, String, &'static str);

impl Raw {
    /// The checked form.
    pub fn build(&self) -> Result<SspProfile, Wrong> {
        let usual = SspProfile::default();
        let url = match &self.url {
            None => {
                return Err((
                    "nodes".to_owned(),
                    "`ssp` without `url`".to_owned(),
                    "add `url: http://…`, where the server takes messages of other servers",
                ));
            }
            Some(text) => Some(HttpUrl::parse(text).map_err(|e| {
                (
                    "url".to_owned(),
                    e,
                    "write an address such as http://127.0.0.1:8281/",
                )
            })?),
        };
        let mut nodes = BTreeMap::new();
        for (name, node) in &self.nodes {
            let at = |field: &str| format!("nodes.{name}.{field}");
            if !["N", "M"].contains(&name.as_str()) {
                return Err((
                    format!("nodes.{name}"),
                    "there is no node of this name".to_owned(),
                    "the nodes are N and M",
                ));
            }
            let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
            if node.domain.is_empty() || !node.domain.chars().all(good) {
                return Err((
                    at("domain"),
                    "this is not a domain name".to_owned(),
                    "write the domain that the server knows as a peer, for example peer.example.net",
                ));
            }
            let listen = node.listen.parse().map_err(|_| {
                (
                    at("listen"),
                    "this is not an address with a port".to_owned(),
                    "write the address at which the server finds this domain, for example 127.0.0.1:8381",
                )
            })?;
            let node = NodeProfile {
                domain: node.domain.to_lowercase(),
                listen,
                tls: node.tls.as_ref().is_some_and(|t| t.0),
            };
            nodes.insert(name.clone(), node);
        }
        if !nodes.contains_key("N") {
            return Err((
                "nodes".to_owned(),
                "there is no node N".to_owned(),
                "add `N: {domain: …, listen: …}`: the server must know this domain as a peer",
            ));
        }
        let domains: Vec<&str> = nodes.values().map(|n| n.domain.as_str()).collect();
        if domains.len() == 2 && domains[0] == domains[1] {
            return Err((
                "nodes".to_owned(),
                "both nodes have the same domain".to_owned(),
                "give each a domain of its own",
            ));
        }
        if self.order.is_some() && self.password.is_none() {
            return Err((
                "order".to_owned(),
                "an order without a password".to_owned(),
                "add `password`, or remove the line",
            ));
        }
        if self.time_to_live == Some(0) {
            return Err((
                "time_to_live".to_owned(),
                "a session cannot live for 0 seconds".to_owned(),
                "write seconds, for example 3600",
            ));
        }
        Ok(SspProfile {
            url,
            nodes,
            version: self.version.unwrap_or(usual.version),
            digest: DigestFormula {
                algorithm: self.algorithm.unwrap_or_default(),
                password: self.password.clone().map(|p| (p, self.order.unwrap_or_default())),
            },
            headers: self.headers.as_ref().is_none_or(|h| h.0),
            acknowledge: self.acknowledge.as_ref().is_none_or(|a| a.0),
            relay: self.relay.map_or(usual.relay, |s| s.0),
            silence: self.silence.map_or(usual.silence, |s| s.0),
            time_to_live: self.time_to_live.unwrap_or(usual.time_to_live),
            insecure: self.insecure.as_ref().is_some_and(|i| i.0),
        })
    }
}
