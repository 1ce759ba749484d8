//! What the implementation claims: its ICS, or what can be derived from what it did.

use std::collections::BTreeSet;

use crate::base::ItemId;
use crate::event::ItemResult;
use crate::spec::{Ics, Items, Role, Status, Version};
use crate::verdict::ItemVerdict;

/// A statement written down from a run: mandatory items, and optional ones that were seen at work.
pub fn derived_ics(name: &str, role: Role, versions: &[Version], results: &[ItemResult]) -> Ics {
    let mut ics = Ics::new(name, role, versions, true);
    for item in results
        .iter()
        .filter(|i| i.role == role && i.status != Status::NotApplicable)
    {
        ics.set(&item.id, item.claimed);
    }
    ics
}

/// Whether an item counts for conformance. `seen`: something positive or negative was charged to it;
/// `declined`: the peer said that it does not have it.
pub fn is_claimed(
    items: &Items,
    id: &ItemId,
    ics: Option<&Ics>,
    verdict: ItemVerdict,
    declined: &BTreeSet<ItemId>,
) -> bool {
    let Some(item) = items.get(id) else { return false };
    match item.status {
        Status::Mandatory => true,
        Status::NotApplicable => false,
        Status::Optional => match ics.filter(|i| i.role == item.role).and_then(|i| i.claimed(id)) {
            Some(answer) => answer,
            // A statement of the vendor that is silent on an item does not claim it.
            None if ics.is_some_and(|i| i.role == item.role) => false,
            None => {
                !declined.contains(id)
                    && matches!(
                        verdict,
                        ItemVerdict::Pass | ItemVerdict::Warn | ItemVerdict::Fail | ItemVerdict::Error
                    )
            }
        },
    }
}
