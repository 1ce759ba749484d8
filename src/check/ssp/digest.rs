//! The proof of a domain: a digest of the token that was sent to it.

use super::form::decoded;
use crate::message::{NodeId, Tree};
use crate::spec::{DigestAlgorithm, DigestFormula, PasswordOrder};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// PasswordDigest for a token: Base64 of the hash of its octets, with the password where one was agreed.
pub fn digest(formula: &DigestFormula, token: &[u8]) -> String {
    let mut octets = Vec::new();
    match &formula.password {
        None => octets.extend_from_slice(token),
        Some((password, PasswordOrder::TokenPassword)) => {
            octets.extend_from_slice(token);
            octets.extend_from_slice(password.reveal().as_bytes());
        }
        Some((password, PasswordOrder::PasswordToken)) => {
            octets.extend_from_slice(password.reveal().as_bytes());
            octets.extend_from_slice(token);
        }
    }
    match formula.algorithm {
        DigestAlgorithm::Md5 => {
            use md5::Digest as _;
            STANDARD.encode(md5::Md5::digest(&octets))
        }
        DigestAlgorithm::Sha1 => {
            use sha1::Digest as _;
            STANDARD.encode(sha1::Sha1::digest(&octets))
        }
    }
}

/// The octets of a SecretToken: its text without white space around it, decoded where it says so.
pub fn token_octets(tree: &Tree, token: NodeId) -> Option<Vec<u8>> {
    let text = tree.text(token);
    match tree.attribute(token, "encoding").as_deref().map(str::trim) {
        Some("base64") => decoded(&text),
        _ => Some(text.trim().as_bytes().to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Elem, attr, text};
    use crate::spec::Secret;

    fn of(token: &str, encoding: Option<&str>, rule: &DigestFormula) -> String {
        let mut element = Elem::new("SecretToken");
        if let Some(encoding) = encoding {
            element = element.with(attr("encoding", encoding));
        }
        let tree = Elem::new("X").with(element.with(text("@none", ""))).into_tree();
        let id = tree.child(tree.root(), "SecretToken").unwrap();
        let mut tree = tree;
        tree.push_text(id, token, crate::message::Position::default());
        digest(rule, &token_octets(&tree, id).unwrap())
    }

    const RECORDED: &str = "005a8edef1b5560252a82385600bc59c";

    #[test]
    fn digests_are_those_of_the_recorded_and_computed_vectors() {
        let plain = DigestFormula::default();
        for (token, encoding, wanted) in [
            (RECORDED, None, "5tZhZfoaEyM8EJPT7gjfIQ=="),
            (
                "\n005a8edef1b5560252a82385600bc59c\n",
                None,
                "5tZhZfoaEyM8EJPT7gjfIQ==",
            ),
            (
                "4b5251d78fdd8acf530bbe72c7e63891",
                None,
                "t+no7P+r8n0BEMHZ4raLUA==",
            ),
            ("abc", None, "kAFQmDzST7DWlj99KOF/cg=="),
            ("wv-secret-0001", None, "2iupjtUMd/Qj1b0FGQicPg=="),
            ("SecretTokenA", None, "skUbQYvkTrOHvfjKWDiVYA=="),
            ("secretTokena", None, "Lr971zkREiDAAEPSLrVLCQ=="),
            ("t\u{f8}ken", None, "ll7Sc+qwMl7aGcFaXYSjeA=="),
            ("c2VjcmV0", Some("base64"), "Xr4ilOzQ4PCOq3aQ0qbuaQ=="),
            ("c2VjcmV0", None, "npli0YSsBSzYzEusljPISA=="),
        ] {
            assert_eq!(of(token, encoding, &plain), wanted, "{token}");
        }
        let long = "0123456789abcdef".repeat(4);
        assert_eq!(of(&long, None, &plain), "/jof9Z87ibKtPTPwiYSHSw==");
    }

    #[test]
    fn the_formula_is_a_parameter() {
        let with = |order| DigestFormula {
            algorithm: DigestAlgorithm::Md5,
            password: Some((Secret::new("pw1"), order)),
        };
        assert_eq!(
            of(RECORDED, None, &with(PasswordOrder::TokenPassword)),
            "M8l2PuTSYzFP7rRm+Urg/Q=="
        );
        assert_eq!(
            of(RECORDED, None, &with(PasswordOrder::PasswordToken)),
            "jwiWCK2o/xTeUpTIra1vLg=="
        );
        let sha = DigestFormula {
            algorithm: DigestAlgorithm::Sha1,
            password: None,
        };
        assert_eq!(of(RECORDED, None, &sha), "Bidp7OJ59+CPo+yC/07iCSj8m2w=");
    }

    #[test]
    fn mistaken_digests_differ() {
        let right = of(RECORDED, None, &DigestFormula::default());
        for wrong in [
            "LRQCeGkWaXxwA6JwRc67NA==",
            "bB52vML6M/bDyFdob2+Mig==",
            "ZTZkNjYxNjVmYTFhMTMyMzNjMTA5M2QzZWUwOGRmMjE=",
            "t+no7P+r8n0BEMHZ4raLUA==",
        ] {
            assert_ne!(right, wrong);
        }
    }
}
