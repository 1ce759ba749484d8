//! The general rules: what is asked of every message whatever it says.

use super::ssp::{self, SspRule};
use crate::base::ItemId;
use crate::spec::Role;
use crate::verdict::Strength;

/// A general rule. Each is an item of its own for clients and for servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The octets are a well-formed document.
    WellFormed,
    /// The character set is UTF-8 or US-ASCII and named rightly.
    Charset,
    /// The root is known, and the namespaces belong to one version.
    Namespace,
    /// Children fit the content models.
    ContentModel,
    /// SessionID is there exactly when SessionType is Inband.
    SessionIdPresence,
    /// Outband is for login and GetSPInfo only.
    SessionUse,
    /// TransactionMode fits the primitive.
    ModeUse,
    /// TransactionID is there and not empty, Polling-Request excepted.
    TransactionIdPresence,
    /// Poll and CIR are not sent by clients.
    PollUse,
    /// No attributes but namespace declarations and vendor attributes of PresenceSubList.
    Attributes,
    /// Booleans and enumerations.
    TypeBool,
    /// Numbers.
    TypeUint,
    /// Addresses of users, groups, contact lists, phones and hosts.
    TypeAddress,
    /// Dates and times.
    TypeDate,
    /// Values with another form: Base64, media type, language, URI and so on.
    TypeForm,
    /// Length of text.
    Length,
    /// Result codes.
    ResultCode,
    /// A rule of SSP.
    Ssp(SspRule),
}

impl Rule {
    /// All rules of CSP.
    pub const ALL: [Rule; 17] = [
        Rule::WellFormed,
        Rule::Charset,
        Rule::Namespace,
        Rule::ContentModel,
        Rule::SessionIdPresence,
        Rule::SessionUse,
        Rule::ModeUse,
        Rule::TransactionIdPresence,
        Rule::PollUse,
        Rule::Attributes,
        Rule::TypeBool,
        Rule::TypeUint,
        Rule::TypeAddress,
        Rule::TypeDate,
        Rule::TypeForm,
        Rule::Length,
        Rule::ResultCode,
    ];

    /// Whether it is about session or mode: no more than *should* for one message alone, and all the
    /// same nothing that a correct peer sends.
    pub fn is_session_or_mode(self) -> bool {
        matches!(self, Rule::SessionUse | Rule::ModeUse)
    }

    /// Name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Rule::WellFormed => "well-formed",
            Rule::Charset => "charset",
            Rule::Namespace => "namespace",
            Rule::ContentModel => "content-model",
            Rule::SessionIdPresence => "session-id-presence",
            Rule::SessionUse => "session-use",
            Rule::ModeUse => "mode-use",
            Rule::TransactionIdPresence => "transaction-id-presence",
            Rule::PollUse => "poll-use",
            Rule::Attributes => "attributes",
            Rule::TypeBool => "type-bool",
            Rule::TypeUint => "type-uint",
            Rule::TypeAddress => "type-address",
            Rule::TypeDate => "type-date",
            Rule::TypeForm => "type-form",
            Rule::Length => "length",
            Rule::ResultCode => "result-code",
            Rule::Ssp(rule) => rule.name(),
        }
    }

    /// The item that a breach is charged to, by the side that sent the message.
    pub fn item(self, role: Role) -> ItemId {
        if role == Role::Ssp {
            return match self {
                Rule::Ssp(rule) => rule.item(),
                // Octets are octets: what makes no document.
                _ => ssp::item("EN", 19),
            };
        }
        let (group, number) = match self {
            Rule::WellFormed => ("ENV", 1),
            Rule::Charset => ("ENV", 2),
            Rule::Namespace => ("ENV", 3),
            Rule::ContentModel => ("ENV", 4),
            Rule::SessionIdPresence => ("ENV", 5),
            Rule::SessionUse => ("ENV", 6),
            Rule::ModeUse => ("ENV", 7),
            Rule::TransactionIdPresence => ("ENV", 11),
            Rule::PollUse => ("ENV", 12),
            Rule::Attributes => ("ENV", 13),
            Rule::TypeBool => ("TYPE", 1),
            Rule::TypeUint => ("TYPE", 2),
            Rule::TypeAddress => ("TYPE", 3),
            Rule::TypeDate => ("TYPE", 4),
            Rule::TypeForm => ("TYPE", 5),
            Rule::Length => ("TYPE", 6),
            Rule::ResultCode => ("TYPE", 7),
            Rule::Ssp(rule) => return rule.item(),
        };
        let side = role.device();
        // Letters, digits and hyphens only: always an identifier.
        ItemId::parse(&format!("CSP-{group}-{side}-{number:03}")).expect("built of allowed characters")
    }

    /// The most that a breach of this rule may cost; the certainty of the table row may lower it.
    ///
    /// `SessionUse` and `ModeUse` are no more than *should* here: printed examples of the
    /// specification break both, and one message alone does not show which transaction it belongs
    /// to. Where a conversation proves the breach, the rules over conversations charge it in full.
    pub fn strength(self) -> Strength {
        match self {
            Rule::Charset | Rule::SessionUse | Rule::ModeUse | Rule::Length | Rule::ResultCode => {
                Strength::Should
            }
            Rule::Ssp(rule) => rule.strength(),
            _ => Strength::Must,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rule_has_an_item_of_its_own() {
        let items: BTreeSet<ItemId> = Rule::ALL
            .iter()
            .flat_map(|r| [r.item(Role::Client), r.item(Role::Server)])
            .collect();
        assert_eq!(items.len(), 2 * Rule::ALL.len());
        assert_eq!(Rule::PollUse.item(Role::Client).as_str(), "CSP-ENV-C-012");
        assert_eq!(Rule::ResultCode.item(Role::Server).as_str(), "CSP-TYPE-S-007");
    }
}
