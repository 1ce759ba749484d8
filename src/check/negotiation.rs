//! Rules over what a session agreed on: capabilities and services. Each looks at a request and its
//! answer, or at a later message against what was agreed.

use std::collections::BTreeSet;

use crate::message::{NodeId, Tree};
use crate::spec::Version;
use crate::spec::syntax::Syntax;

use super::services::{self, Functions};

/// What a rule found: item group and number, rule, whether it holds, text, path.
pub(super) struct Found {
    pub group: &'static str,
    pub number: u16,
    pub rule: &'static str,
    pub holds: bool,
    pub text: String,
    pub path: String,
}

/// What a session agreed on; what was not negotiated is not bound by it.
#[derive(Debug, Clone, Default)]
pub(super) struct Agreed {
    /// Functions that were wanted and not granted, by the last service negotiation.
    pub refused: Option<Functions>,
    /// Longest message that the client can parse, in octets.
    pub parser_size: Option<usize>,
    /// Transactions of the server that the client takes at a time.
    pub multi_trans: Option<usize>,
    /// Transactions that the client may have open, as the server of 1.1 answered.
    pub client_multi_trans: Option<usize>,
    /// Seconds between polls.
    pub poll_min: Option<u32>,
}

impl Agreed {
    /// Learns from a negotiation that succeeded.
    pub fn learn(
        &mut self,
        syntax: &Syntax,
        version: Version,
        request: (&Tree, NodeId),
        answer: (&Tree, NodeId),
    ) {
        let ((asked, request), (given, answer)) = (request, answer);
        match asked.get(request).name.as_str() {
            "Service-Request" if given.get(answer).name == "Service-Response" => {
                let refused = given.child(answer, "Functions");
                self.refused = Some(
                    refused
                        .map(|f| services::functions(syntax, version, given, f))
                        .unwrap_or_default(),
                );
            }
            "ClientCapability-Request" if given.get(answer).name == "ClientCapability-Response" => {
                let asked = asked.child(request, "CapabilityList").map(|l| (asked, l));
                let list = given
                    .child(answer, "CapabilityList")
                    .or_else(|| given.child(answer, "AgreedCapabilityList"))
                    .map(|l| (given, l));
                let number = |of: Option<(&Tree, NodeId)>, name: &str| -> Option<u32> {
                    let (tree, list) = of?;
                    tree.child_text(list, name)?.parse().ok()
                };
                // A value not mentioned stays as asked.
                let either = |name: &str| number(list, name).or(number(asked, name));
                let size = |v: Option<u32>| v.and_then(|n| usize::try_from(n).ok());
                self.parser_size = size(number(asked, "ParserSize"));
                self.multi_trans = size(number(asked, "MultiTrans"));
                self.client_multi_trans = size(number(list, "MultiTrans"));
                self.poll_min = either("ServerPollMin");
            }
            _ => {}
        }
    }
}

/// Rules over the answer of a server to a negotiation; both primitives are given.
pub(super) fn answer(
    syntax: &Syntax,
    version: Version,
    request: (&Tree, NodeId),
    answer: (&Tree, NodeId),
) -> Vec<Found> {
    let names = (
        request.0.get(request.1).name.as_str(),
        answer.0.get(answer.1).name.as_str(),
    );
    match names {
        ("Service-Request", "Service-Response") => service(syntax, version, request, answer),
        ("ClientCapability-Request", "ClientCapability-Response") => capability(version, request, answer),
        _ => Vec::new(),
    }
}

fn service(
    syntax: &Syntax,
    version: Version,
    (asked, request): (&Tree, NodeId),
    (given, answer): (&Tree, NodeId),
) -> Vec<Found> {
    let mut out = Vec::new();
    let path = given.path(answer);
    same_client(version, "SERVN", 4, (asked, request), (given, answer), &mut out);
    let wanted = asked
        .child(request, "Functions")
        .map(|f| services::functions(syntax, version, asked, f))
        .unwrap_or_default();
    let refused = given
        .child(answer, "Functions")
        .map(|f| (f, services::functions(syntax, version, given, f)));
    if let Some((node, refused)) = &refused {
        let stray: Vec<&str> = refused.difference(&wanted).map(String::as_str).collect();
        // An empty WVCSPFeat refuses everything that was wanted, whatever else there is.
        let whole = given
            .child(*node, "WVCSPFeat")
            .is_some_and(|w| given.elements(w).next().is_none());
        let holds = stray.is_empty() || whole;
        out.push(Found {
            group: "SERVN",
            number: 2,
            rule: "refused-was-wanted",
            holds,
            text: if holds {
                "only functions that were wanted are refused".to_owned()
            } else {
                format!("functions are refused that were not wanted: {}", stray.join(", "))
            },
            path: given.path(*node),
        });
        let markers: BTreeSet<&str> = syntax
            .features()
            .iter()
            .filter_map(|f| f.marker.as_ref())
            .map(|m| m.code.as_str())
            .collect();
        let wanted_markers: Vec<&str> = wanted
            .iter()
            .map(String::as_str)
            .filter(|w| markers.contains(w))
            .collect();
        if !wanted_markers.is_empty() {
            let lost: Vec<&str> = wanted_markers
                .iter()
                .copied()
                .filter(|m| refused.contains(*m) || whole)
                .collect();
            out.push(marker_rule(&lost, given.path(*node)));
        }
    } else if wanted.iter().any(|w| w.len() == 2) {
        out.push(marker_rule(&[], path.clone()));
    }
    let all = given.child(answer, "AllFunctions");
    let asked_all = asked.child_text(request, "AllFunctionsRequest");
    if let Some(asked_all) = asked_all.filter(|a| matches!(a.as_str(), "T" | "F")) {
        let wants = asked_all == "T";
        out.push(Found {
            group: "SERVN",
            number: 3,
            rule: "all-functions-when-asked",
            holds: wants == all.is_some(),
            text: format!(
                "AllFunctionsRequest is {asked_all} and AllFunctions is {}",
                if all.is_some() { "present" } else { "absent" }
            ),
            path,
        });
    }
    out
}

fn marker_rule(lost: &[&str], path: String) -> Found {
    Found {
        group: "SERVN",
        number: 5,
        rule: "markers-granted",
        holds: lost.is_empty(),
        text: if lost.is_empty() {
            "the mandatory functions that were wanted are granted".to_owned()
        } else {
            format!("the markers {} are refused", lost.join(", "))
        },
        path,
    }
}

fn capability(
    version: Version,
    (asked, request): (&Tree, NodeId),
    (given, answer): (&Tree, NodeId),
) -> Vec<Found> {
    let mut out = Vec::new();
    same_client(version, "CCAPAB", 2, (asked, request), (given, answer), &mut out);
    let list_name = match version {
        Version::V11 => "CapabilityList",
        Version::V12 => "AgreedCapabilityList",
    };
    let (Some(wish), Some(list)) = (
        asked.child(request, "CapabilityList"),
        given.child(answer, list_name),
    ) else {
        return out;
    };
    let texts = |tree: &Tree, list: NodeId, name: &str| -> Vec<String> {
        tree.elements(list)
            .filter(|e| tree.get(*e).name == name)
            .map(|e| tree.text(e).trim().to_owned())
            .collect()
    };
    let path = given.path(list);
    for (number, rule, name) in [
        (3, "bearers-were-asked", "SupportedBearer"),
        (4, "cir-methods-were-asked", "SupportedCIRMethod"),
    ] {
        let (wishes, agreed) = (texts(asked, wish, name), texts(given, list, name));
        if agreed.is_empty() {
            continue;
        }
        let stray: Vec<&str> = agreed
            .iter()
            .filter(|a| !wishes.contains(a))
            .map(String::as_str)
            .collect();
        out.push(Found {
            group: "CCAPAB",
            number,
            rule,
            holds: stray.is_empty(),
            text: if stray.is_empty() {
                format!("{name} {} is among those asked for", agreed.join(", "))
            } else {
                format!(
                    "{name} {} was not asked for ({})",
                    stray.join(", "),
                    if wishes.is_empty() {
                        "none was".to_owned()
                    } else {
                        wishes.join(", ")
                    }
                )
            },
            path: path.clone(),
        });
    }
    let number =
        |tree: &Tree, list: NodeId, name: &str| -> Option<u64> { tree.child_text(list, name)?.parse().ok() };
    if version == Version::V11 {
        for name in ["AcceptedContentLength", "MultiTrans", "ParserSize"] {
            if let (Some(wish), Some(got)) = (number(asked, wish, name), number(given, list, name)) {
                out.push(Found {
                    group: "CCAPAB",
                    number: 5,
                    rule: "no-more-than-asked",
                    holds: got <= wish,
                    text: format!("{name} is {got}, asked was {wish}"),
                    path: path.clone(),
                });
            }
        }
    }
    let agreed_cir = texts(given, list, "SupportedCIRMethod");
    let (address, port) = (given.child(list, "TCPAddress"), given.child(list, "TCPPort"));
    let stcp = agreed_cir.iter().any(|m| m == "STCP");
    // A word that is none of the methods is the affair of the rule about enumerations; which it stands for is open.
    let known = ["WAPSMS", "WAPUDP", "SUDP", "STCP", "SHTTP"];
    if agreed_cir.iter().any(|m| !known.contains(&m.as_str())) {
        return out;
    }
    if stcp || address.is_some() || port.is_some() {
        out.push(Found {
            group: "CCAPAB",
            number: 6,
            rule: "tcp-address-with-stcp",
            holds: stcp == address.is_some() && stcp == port.is_some(),
            text: format!(
                "STCP is {}, TCPAddress {}, TCPPort {}",
                if stcp { "agreed" } else { "not agreed" },
                present(address),
                present(port)
            ),
            path: path.clone(),
        });
    }
    let url = given.child(list, "CIRURL");
    let shttp = agreed_cir.iter().any(|m| m == "SHTTP");
    if version == Version::V12 && (shttp || url.is_some()) {
        out.push(Found {
            group: "CCAPAB",
            number: 7,
            rule: "cir-url-with-shttp",
            holds: shttp == url.is_some(),
            text: format!(
                "SHTTP is {}, CIRURL {}",
                if shttp { "agreed" } else { "not agreed" },
                present(url)
            ),
            path: path.clone(),
        });
    }
    if let (Some(wish), Some(got)) = (
        number(asked, wish, "ServerPollMin"),
        number(given, list, "ServerPollMin"),
    ) {
        out.push(Found {
            group: "CCAPAB",
            number: 8,
            rule: "poll-min-not-lowered",
            holds: got >= wish,
            text: format!("ServerPollMin is {got} s, asked was {wish} s"),
            path,
        });
    }
    out
}

fn present(node: Option<NodeId>) -> &'static str {
    if node.is_some() { "present" } else { "absent" }
}

/// 1.1: both messages of a negotiation carry the same ClientID.
fn same_client(
    version: Version,
    group: &'static str,
    number: u16,
    (asked, request): (&Tree, NodeId),
    (given, answer): (&Tree, NodeId),
    out: &mut Vec<Found>,
) {
    if version != Version::V11 {
        return;
    }
    let text = |tree: &Tree, of: NodeId| -> Option<Vec<String>> {
        let id = tree.child(of, "ClientID")?;
        Some(
            tree.elements(id)
                .map(|e| tree.text(e).trim().to_owned())
                .collect(),
        )
    };
    // One that is missing is the content model's affair.
    if let (Some(sent), Some(got)) = (text(asked, request), text(given, answer)) {
        let holds = sent == got;
        out.push(Found {
            group,
            number,
            rule: "client-id-repeated",
            holds,
            text: if holds {
                "the answer carries the ClientID of the request".to_owned()
            } else {
                "the answer carries another ClientID than the request".to_owned()
            },
            path: given.path(answer),
        });
    }
}

/// CCAPAB-10 of the real table: UDPPort accompanies SUDP in the request of a client.
pub(super) fn request(tree: &Tree, primitive: NodeId) -> Vec<Found> {
    let Some(list) = tree.child(primitive, "CapabilityList") else {
        return Vec::new();
    };
    let sudp = tree
        .elements(list)
        .any(|e| tree.get(e).name == "SupportedCIRMethod" && tree.text(e).trim() == "SUDP");
    let port = tree.child(list, "UDPPort");
    if !sudp {
        return Vec::new();
    }
    vec![Found {
        group: "CCAPAB",
        number: 2,
        rule: "udp-port-with-sudp",
        holds: port.is_some(),
        text: format!("SUDP is offered and UDPPort is {}", present(port)),
        path: tree.path(list),
    }]
}
