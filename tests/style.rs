//! Servers that are correct in a style of their own: what the specification leaves open must cost
//! nobody anything. Each answers as the reference does and then writes that down differently.

mod common;

use common::{Peer, Request, run_against};
use imps_scr::codec::{WriteOptions, write};

/// How a style writes a body and its media type.
type Style = fn(String) -> String;

fn server(style: Style, media_type: &'static str, chunked: bool) -> Peer {
    let engine = common::engine(common::test_accounts(), 90);
    Peer::answering(move |request: &Request| {
        let outgoing = common::ask(&engine, request);
        let body = outgoing.tree.map(|tree| {
            let text = String::from_utf8(write(&tree, &WriteOptions::default())).unwrap();
            style(text)
        });
        let body = body.unwrap_or_default();
        let mut head = format!("HTTP/1.1 {} x\r\nconnection: close\r\n", outgoing.status);
        if !body.is_empty() {
            head.push_str(&format!("content-type: {media_type}\r\n"));
        }
        if chunked && !body.is_empty() {
            let (one, two) = body.split_at(body.len() / 2);
            return format!(
                "{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n",
                one.len(),
                two.len()
            )
            .into_bytes();
        }
        format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    })
}

/// Every case passes, and no item is worse than a pass. `adds_octets`: the style knows nothing of the
/// ParserSize agreed and may write more than it.
fn assert_clean(peer: &Peer, adds_octets: bool) {
    let finished = run_against(peer, &common::QUICK);
    for verdict in ["fail", "warn", "inconc", "error", "untested", "not-run"] {
        let mut items = finished.items(verdict);
        // Expiry is not waited for; the others judge what a server of these styles has no occasion to send:
        // addresses, dates, requests of its own, a CIR address, functions that it refuses.
        let unseen = [
            "CSP-KALIVE-S-00",
            "CSP-SRCH-S-022",
            "CSP-INVIT-S-031",
            "CSP-SENDM-S-032",
            "CSP-MDELIV-S-006",
            "CSP-SERVN-S-007",
            "CSP-SERVN-S-008",
            "CSP-TYPE-S-003",
            "CSP-TYPE-S-004",
            "CSP-SERVN-S-010",
            "CSP-CCAPAB-S-007",
            "CSP-CCAPAB-S-012",
        ];
        items.retain(|i| verdict != "not-run" || !unseen.iter().any(|u| i.contains(u)));
        items.retain(|i| verdict != "warn" || !adds_octets || !i.contains("CSP-CCAPAB-S-010"));
        assert_eq!(items, Vec::<String>::new(), "{verdict}");
    }
}

/// Prefixes in place of default namespaces.
fn prefixed(text: String) -> String {
    let tags = |part: &str, prefix: &str| {
        let mut out = String::new();
        let mut rest = part;
        while let Some(at) = rest.find('<') {
            out.push_str(&rest[..=at]);
            rest = &rest[at + 1..];
            if let Some(end) = rest.strip_prefix('/') {
                out.push('/');
                rest = end;
            }
            if rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
                out.push_str(prefix);
            }
        }
        out + rest
    };
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(open) = rest.find("<TransactionContent") {
        let close = rest.find("</TransactionContent>").unwrap() + "</TransactionContent>".len();
        out.push_str(&tags(&rest[..open], "c:").replace("xmlns=", "xmlns:c="));
        out.push_str(&tags(&rest[open..close], "t:").replace("xmlns=", "xmlns:t="));
        rest = &rest[close..];
    }
    out + &tags(rest, "c:").replace("xmlns=", "xmlns:c=")
}

fn spacious(text: String) -> String {
    let body = text.split_once("?>").map_or(text.clone(), |(_, b)| b.to_owned());
    let body = body
        .replace("><", ">\r\n\t<")
        .replace("</Code>", "</Code><Description>done &amp; well</Description>");
    format!(
        "<?xml version='1.0'?>\r\n<!-- as it should be -->\r\n<!DOCTYPE WV-CSP-Message PUBLIC \"-//OMA//DTD WV-CSP 1.2//EN\" \
         \"http://www.openmobilealliance.org/DTD/WV-CSP.DTD\">{body}"
    )
}

fn terse(text: String) -> String {
    let body = text.split_once("?>").map_or(text.clone(), |(_, b)| b.to_owned());
    body.replace("<Poll>F</Poll>", "")
        .replace("<CapabilityRequest>F</CapabilityRequest>", "")
}

#[test]
fn prefixes_are_as_good_as_default_namespaces() {
    let media_type = "application/vnd.wv.csp+xml; charset=UTF-8";
    assert_clean(&server(prefixed, media_type, false), true);
}

#[test]
fn white_space_comments_doctype_and_descriptions_are_free() {
    let media_type = "application/vnd.wv.csp.xml;charset=\"utf-8\"";
    assert_clean(&server(spacious, media_type, true), true);
}

#[test]
fn what_is_optional_may_be_left_out() {
    assert_clean(&server(terse, "Application/VND.WV.CSP.XML", false), false);
}
