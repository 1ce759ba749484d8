//! Results about several targets (TR-5, TR-6).

use crate::message::{Elem, text};
use crate::spec::Version;

use super::super::super::compose;

/// A target that could not be served.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    code: u16,
    /// The element that names it: UserID, GroupID, ScreenName, MessageID, ContactList.
    target: Elem,
}

impl Failure {
    /// A target with the code that tells why.
    pub(super) fn new(code: u16, target: Elem) -> Self {
        Self { code, target }
    }
}

/// The order of targets in a DetailedResult.
const ORDER: [&str; 5] = ["UserID", "GroupID", "ScreenName", "MessageID", "ContactList"];

/// `Result`: 200 when everything went well; the code itself where the only target failed; else 201, or 900
/// when nothing went well, with a DetailedResult for each code.
pub(super) fn result_of(version: Version, good: usize, failed: &[Failure]) -> Elem {
    match (good, failed) {
        (_, []) => return compose::result(200),
        (0, [only]) => return compose::result(only.code),
        _ => {}
    }
    let mut codes: Vec<u16> = failed.iter().map(|f| f.code).collect();
    codes.sort_unstable();
    codes.dedup();
    compose::result(if good > 0 { 201 } else { 900 }).with_all(codes.into_iter().map(|code| {
        let targets = ORDER
            .iter()
            // 1.1 has no place for contact lists.
            .filter(|name| version >= Version::V12 || **name != "ContactList")
            .flat_map(|name| {
                failed
                    .iter()
                    .filter(move |f| f.code == code && f.target.name() == *name)
            });
        Elem::new("DetailedResult")
            .with(text("Code", code.to_string()))
            .with_all(targets.map(|f| f.target.clone()))
    }))
}
