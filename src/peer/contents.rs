//! What a plain client and a plain server put into requests of their own, per version.

use crate::message::{Elem, Tree, text};
use crate::spec::{Group, Version};

use super::compose;
use super::names::Names;

/// Longest content that the client takes, in octets.
pub const ACCEPTED_CONTENT_LENGTH: u32 = 32_768;
/// Longest message that the client can parse, in octets.
pub const PARSER_SIZE: u32 = 65_536;
/// Transactions that the client can have open at a time.
pub const MULTI_TRANS: u32 = 4;

/// How much a ClientCapability-Request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// What a client that only polls needs.
    Plain,
    /// Every capability of the version, CIR methods included.
    Full,
}

/// CapabilityList of a request (section 10 of the facts; children in the order of the model).
pub fn capability_list(version: Version, offer: Offer) -> Elem {
    let full = offer == Offer::Full;
    let when = |on: bool, name: &str, value: &str| on.then(|| text(name, value));
    let cir: &[&str] = match (offer, version) {
        (Offer::Plain, _) => &[],
        (Offer::Full, Version::V11) => &["SUDP", "STCP"],
        (Offer::Full, Version::V12) => &["SUDP", "STCP", "SHTTP"],
    };
    Elem::new("CapabilityList")
        .with(text("ClientType", "MOBILE_PHONE"))
        .with(text("InitialDeliveryMethod", "P"))
        .with_some(when(full, "AnyContent", "T"))
        .with_some(when(full, "AcceptedCharSet", "106"))
        .with_some(when(!full, "AcceptedContentType", "text/plain"))
        .with_some(when(full, "AcceptedTransferEncoding", "None"))
        .with(text("AcceptedTransferEncoding", "BASE64"))
        .with(text("AcceptedContentLength", ACCEPTED_CONTENT_LENGTH.to_string()))
        .with_some(when(full, "SupportedBearer", "WSP"))
        .with(text("SupportedBearer", "HTTP"))
        .with(text("MultiTrans", MULTI_TRANS.to_string()))
        .with(text("ParserSize", PARSER_SIZE.to_string()))
        .with_all(cir.iter().map(|m| text("SupportedCIRMethod", *m)))
        .with_some(when(full, "UDPPort", "3717"))
        .with_some(when(full, "ServerPollMin", "2"))
        .with_some(when(full, "DefaultLanguage", "eng"))
}

/// ClientCapability-Request; ClientID only in 1.1.
pub fn capability_request(version: Version, client_id: &str, offer: Offer) -> Elem {
    Elem::new("ClientCapability-Request")
        .with_some((version == Version::V11).then(|| compose::client_id(client_id)))
        .with(capability_list(version, offer))
}

/// Service-Request for these features, or single functions as `IMFeat/IMSendFunc/MDELIV`; an empty
/// element wants everything below it (SN-1).
pub fn service_request(version: Version, client_id: &str, wanted: &[&str], all: bool) -> Elem {
    Elem::new("Service-Request")
        .with_some((version == Version::V11).then(|| compose::client_id(client_id)))
        .with(Elem::new("Functions").with(service_tree(wanted)))
        .with(text("AllFunctionsRequest", if all { "T" } else { "F" }))
}

/// `WVCSPFeat` with the branches that these paths name, in the order given.
pub fn service_tree(paths: &[&str]) -> Elem {
    fn branch(name: &str, paths: &[&str]) -> Elem {
        let mut heads: Vec<&str> = Vec::new();
        for path in paths.iter().filter(|p| !p.is_empty()) {
            let head = path.split('/').next().unwrap_or(path);
            if !heads.contains(&head) {
                heads.push(head);
            }
        }
        Elem::new(name).with_all(heads.into_iter().map(|head| {
            let below: Vec<&str> = paths
                .iter()
                .filter_map(|p| p.strip_prefix(head))
                .filter_map(|rest| rest.strip_prefix('/'))
                .collect();
            branch(head, &below)
        }))
    }
    branch("WVCSPFeat", paths)
}

/// WV-CSP-VersionDiscovery-Request: a document of its own. Root, namespace and model are those of one
/// source (Q17); the namespaces that the client speaks stand in the list.
pub fn version_discovery(primitive: &str, versions: &[Version]) -> Tree {
    let names = |element: &'static str, group: Group| {
        versions
            .iter()
            .map(move |v| text(element, v.namespace(group)))
            .collect::<Vec<_>>()
    };
    Elem::new(primitive)
        .in_namespace(Version::V12.namespace(Group::Csp))
        .with(
            Elem::new("VersionList")
                .with_all(names("SessionNSName", Group::Csp))
                .with_all(names("TransactionNSName", Group::Trc))
                .with_all(names("PresenceAttributeNSName", Group::Pa)),
        )
        .into_tree()
}

/// `User` with an address.
pub fn user(address: &str) -> Elem {
    Elem::new("User").with(text("UserID", address))
}

/// `UserList` of addresses.
pub fn users(addresses: &[&str]) -> Elem {
    Elem::new("UserList").with_all(addresses.iter().map(|a| user(a)))
}

/// `Group` with the address of the group.
pub fn group_of(names: &Names) -> Elem {
    Elem::new("Group").with(text("GroupID", names.group()))
}

/// `PresenceSubList` that asks for attributes: each as an empty element (section 7.1).
pub fn selection(version: Version, attributes: &[&str]) -> Elem {
    Elem::new("PresenceSubList")
        .in_namespace(version.namespace(Group::Pa))
        .with_all(attributes.iter().map(|a| Elem::new(a)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{WriteOptions, write};

    #[test]
    fn paths_make_a_tree() {
        let tree =
            service_tree(&["IMFeat/IMSendFunc/MDELIV", "IMFeat/IMReceiveFunc", "GroupFeat"]).into_tree();
        let text = String::from_utf8(write(&tree, &WriteOptions::default())).unwrap();
        assert!(
            text.ends_with(
                "<WVCSPFeat><IMFeat><IMSendFunc><MDELIV/></IMSendFunc><IMReceiveFunc/></IMFeat><GroupFeat/></WVCSPFeat>"
            ),
            "{text}"
        );
    }
}
