//! Verification of addresses (T15, 1.2).

use crate::message::Elem;

use super::super::ServerEngine;
use super::super::partial::{Failures, Target};
use super::super::world::Call;

impl ServerEngine {
    /// Tells which of the addresses are not known here, kind by kind.
    pub(super) fn verify(&mut self, call: &Call<'_>) -> Elem {
        let mut failures = Failures::default();
        let mut something_known = false;
        let ids: Vec<_> = call
            .child("IDList")
            .map(|list| call.tree.elements(list).collect())
            .unwrap_or_default();
        for id in ids {
            let address = call.tree.text(id).trim().to_owned();
            let (known, code, target) = match call.tree.get(id).name.as_str() {
                "UserID" => (self.has_user(&address), 531, Target::User(address)),
                "ContactList" => {
                    let own = self.owner_of(&address).as_ref() == Some(&call.user);
                    let known = self.contacts_of(&address).is_some() && (own || self.hospitable);
                    (known, 700, Target::ContactList(address))
                }
                "GroupID" => (self.group_exists(&address), 800, Target::Group(address)),
                "ScreenName" => {
                    let of = |child: &str| call.tree.child_text(id, child).unwrap_or_default();
                    let (name, group) = (of("SName"), of("GroupID"));
                    let known = self.hospitable || self.user_of_screen_name(&group, &name).is_some();
                    (known, 901, Target::ScreenName(name, group))
                }
                "Domain" => {
                    let bare = address.to_lowercase();
                    let bare = bare.trim_start_matches("wv:").trim_start_matches('@');
                    let known = self.hospitable || self.domain().is_some_and(|own| own == bare);
                    (known, 516, Target::Domain(address))
                }
                _ => continue,
            };
            match known {
                true => something_known = true,
                false => failures.add(code, target),
            }
        }
        failures.status(call.version, something_known)
    }
}
