//! What the server engine agrees on with a client: capabilities, services; and what may be asked about
//! the server itself.

use crate::check::services::{self, Functions};
use crate::message::{Elem, NodeId, Tree, text};
use crate::spec::Version;

use super::super::{compose, contents};
use super::login::copy_client_id;
use super::{Delivery, MAX_REQUESTS, ServerEngine, ServerFault};

/// Longest content and message that the server speaks of, in octets.
const MAX_SIZE: u64 = 1_048_576;
/// Most transactions of a client at a time.
const MAX_TRANS: u64 = 10;
/// Least seconds between polls.
const POLL_MIN: u64 = 2;

impl ServerEngine {
    /// Answers ClientCapability-Request: a subset of what was asked, nothing larger.
    pub(super) fn capabilities(&mut self, id: &str, version: Version, tree: &Tree, request: NodeId) -> Elem {
        if version == Version::V11 && self.is_other_client(id, tree, request) {
            return compose::status(422);
        }
        if self.lenient {
            // Nothing of an invalid message is given back.
            let list = match version {
                Version::V11 => contents::capability_list(version, contents::Offer::Plain),
                Version::V12 => Elem::new("AgreedCapabilityList"),
            };
            return Elem::new("ClientCapability-Response")
                .with_some((version == Version::V11).then(|| copy_client_id(tree, request)))
                .with(list);
        }
        let Some(wish) = tree.child(request, "CapabilityList") else {
            return compose::status(400);
        };
        let number = |name: &str| tree.child_text(wish, name).and_then(|t| t.parse::<u64>().ok());
        if let Some(session) = self.sessions.get_mut(id) {
            session.parser_size = number("ParserSize").and_then(|n| usize::try_from(n).ok());
            session.multi_trans = number("MultiTrans")
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(MAX_REQUESTS)
                .max(1);
            session.delivery = Delivery {
                notify: tree.child_text(wish, "InitialDeliveryMethod").as_deref() == Some("N"),
                longest: number("AcceptedContentLength"),
            };
        }
        self.reconsider_messages(id);
        let cir = self.agree_cir(id, version, tree, wish);
        let poll_min = number("ServerPollMin").map(|n| text("ServerPollMin", n.max(POLL_MIN).to_string()));
        let bearers = tree
            .elements(wish)
            .filter(|e| tree.get(*e).name == "SupportedBearer" && tree.text(*e).trim() == "HTTP")
            .map(|_| text("SupportedBearer", "HTTP"))
            .take(1);
        let answer = Elem::new("ClientCapability-Response");
        match version {
            Version::V12 => answer.with(
                Elem::new("AgreedCapabilityList")
                    .with_all(bearers)
                    .with_all(cir.methods)
                    .with_all(cir.tcp)
                    .with_some(poll_min)
                    .with_some(cir.url),
            ),
            Version::V11 => {
                let mut list = Elem::new("CapabilityList");
                let mut bearers = bearers;
                let (mut methods, mut port) = (cir.methods.into_iter(), cir.udp_port);
                let mut address = cir.tcp;
                for child in tree.elements(wish) {
                    let (name, value) = (tree.get(child).name.as_str(), tree.text(child).trim().to_owned());
                    let at_most =
                        |limit: u64| value.parse::<u64>().map_or(limit, |n| n.min(limit)).to_string();
                    if matches!(name, "ServerPollMin" | "DefaultLanguage") {
                        list = list.with_all(std::mem::take(&mut address));
                    }
                    let agreed = match name {
                        "AcceptedContentLength" | "ParserSize" => Some(text(name, at_most(MAX_SIZE))),
                        "MultiTrans" => Some(text(name, at_most(MAX_TRANS))),
                        "SupportedBearer" => bearers.next(),
                        "SupportedCIRMethod" => methods.next(),
                        "UDPPort" => port.take(),
                        "TCPAddress" | "TCPPort" => None,
                        "ServerPollMin" => poll_min.clone(),
                        _ => Some(text(name, value)),
                    };
                    list = list.with_some(agreed);
                }
                let list = list.with_all(address);
                answer.with(copy_client_id(tree, request)).with(list)
            }
        }
    }

    /// Answers Service-Request: what is not granted of what was wanted, and all there is when asked.
    pub(super) fn services(&mut self, id: &str, version: Version, tree: &Tree, request: NodeId) -> Elem {
        if version == Version::V11 && self.is_other_client(id, tree, request) {
            return compose::status(422);
        }
        let syntax = self.checker.syntax();
        let offered: Functions = self.config.functions.iter().cloned().collect();
        let wanted: Functions = tree
            .child(request, "Functions")
            .map(|f| services::functions(syntax, version, tree, f))
            .unwrap_or_default();
        // Markers stand for mandatory functions, which are never refused (SN-5).
        let mut refused: Functions = wanted
            .difference(&offered)
            .filter(|code| code.len() > 2 || self.fault == Some(ServerFault::RefusesMarkers))
            .cloned()
            .collect();
        if self.fault == Some(ServerFault::RefusesUnwanted) {
            refused.extend(["MDELIV".to_owned(), "FWMSG".to_owned()]);
        }
        refused.extend(
            self.withheld()
                .iter()
                .map(|f| (*f).to_owned())
                .filter(|f| wanted.contains(f)),
        );
        let named = |functions: &Functions| {
            let paths = services::paths(syntax, version, functions);
            contents::service_tree(&paths.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let not_granted = (!refused.is_empty()).then(|| Elem::new("Functions").with(named(&refused)));
        let all = (tree.child_text(request, "AllFunctionsRequest").as_deref() == Some("T")).then(|| {
            let here: Functions = services::all(syntax, version)
                .intersection(&offered)
                .cloned()
                .collect();
            Elem::new("AllFunctions").with(named(&here))
        });
        if let Some(session) = self.sessions.get_mut(id) {
            session.refused = Some(refused);
            session.wanted = Some(wanted);
        }
        self.reconsider_messages(id);
        Elem::new("Service-Response")
            .with_some((version == Version::V11).then(|| copy_client_id(tree, request)))
            .with_some(not_granted)
            .with_some(all)
    }

    /// Answers GetSPInfo-Request, in a session or before.
    pub(super) fn provider_info(&self, tree: &Tree, request: NodeId) -> Elem {
        Elem::new("GetSPInfo-Response")
            .with_some(
                tree.child(request, "ClientID")
                    .map(|_| copy_client_id(tree, request)),
            )
            .with(text("Name", "The embedded reference"))
            .with(text("Description", "Answers what a conformance suite asks."))
            .with(text("URL", "http://reference.example/"))
    }

    /// The code by which a request of this primitive is refused in a session, if it is: what was not
    /// granted 506, what this server does not have 405 (TR-8).
    pub(super) fn refusal(&self, id: &str, name: &str) -> Option<u16> {
        let functions = &self.checker.syntax().primitive(name)?.functions;
        let refused = self.sessions.get(id).and_then(|s| s.refused.as_ref());
        let not_granted =
            !functions.is_empty() && refused.is_some_and(|r| functions.iter().all(|f| r.contains(f)));
        if not_granted {
            let serves = self.fault == Some(ServerFault::ServesWhatItRefused);
            return Some(match self.fault {
                _ if serves => 200,
                Some(ServerFault::CodeOfRefused) => 403,
                _ => 506,
            });
        }
        let offered = functions.is_empty() || functions.iter().any(|f| self.config.functions.contains(f));
        (!offered).then_some(405)
    }

    /// Functions that a faulty server does not grant although it has them.
    fn withheld(&self) -> &'static [&'static str] {
        match self.fault {
            Some(ServerFault::ServesWhatItRefused | ServerFault::CodeOfRefused) => &["STSRC"],
            Some(ServerFault::SendsUnwantedRequests) => &["INVIT"],
            _ => &[],
        }
    }

    /// The document that answers a version discovery: every version this server speaks (Q17).
    pub(super) fn discovery() -> Tree {
        contents::version_discovery("WV-CSP-VersionDiscovery-Response", Version::ALL)
    }

    /// 1.1: whether a negotiation names another client than the login did.
    fn is_other_client(&self, id: &str, tree: &Tree, request: NodeId) -> bool {
        if self.fault == Some(ServerFault::TakesAnyClient) {
            return false;
        }
        let named = client_text(tree, request);
        self.sessions.get(id).is_some_and(|s| s.client.1 != named)
    }
}

/// What a ClientID names, as one text to compare.
pub(super) fn client_text(tree: &Tree, request: NodeId) -> String {
    tree.child(request, "ClientID").map_or_else(String::new, |id| {
        let parts: Vec<String> = tree
            .elements(id)
            .map(|e| tree.text(e).trim().to_owned())
            .collect();
        parts.join(" ")
    })
}
