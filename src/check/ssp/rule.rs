//! What is asked of every message of SSP. Each rule is charged to an item of its own.

use crate::base::ItemId;
use crate::verdict::Strength;

/// A general rule of SSP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SspRule {
    /// The root has the namespace of SSP.
    Namespace,
    /// One WV-SSP-Message with one SetupTransaction or Session.
    Document,
    /// `mode` is there, spelled rightly, and one that the primitive has.
    Mode,
    /// `transactionID` is there.
    TransactionId,
    /// A Transaction holds exactly one known primitive.
    OnePrimitive,
    /// Required attributes are there.
    Required,
    /// Children fit the element table.
    Order,
    /// Attributes and texts have the form of their type.
    Form,
    /// Addresses carry their domain.
    Address,
    /// `serviceID` is `wv:@domain`.
    ServiceId,
    /// SendSecretToken says protocol and version.
    Token,
    /// The login primitives carry timeToLive.
    TimeToLive,
    /// MetaInfo stands first in what is relayed for a client.
    MetaInfo,
    /// A user's request is marked as one.
    ByUser,
    /// A server's request is marked as one.
    ByServer,
    /// Codes are of the table.
    Code,
    /// 201 and 900 come with details.
    Detail,
    /// Presence attributes are those of CSP.
    Presence,
    /// MessageInfo is complete.
    MessageInfo,
    /// Content is Base64 and as long as MessageInfo says.
    Content,
    /// DateTime is ISO 8601 in UTC.
    Date,
}

impl SspRule {
    /// All rules.
    pub const ALL: [SspRule; 21] = [
        SspRule::Namespace,
        SspRule::Document,
        SspRule::Mode,
        SspRule::TransactionId,
        SspRule::OnePrimitive,
        SspRule::Required,
        SspRule::Order,
        SspRule::Form,
        SspRule::Address,
        SspRule::ServiceId,
        SspRule::Token,
        SspRule::TimeToLive,
        SspRule::MetaInfo,
        SspRule::ByUser,
        SspRule::ByServer,
        SspRule::Code,
        SspRule::Detail,
        SspRule::Presence,
        SspRule::MessageInfo,
        SspRule::Content,
        SspRule::Date,
    ];

    /// Name in reports, what is seen when it holds, and group and number of its item.
    fn row(self) -> (&'static str, &'static str, &'static str, u16) {
        match self {
            SspRule::Namespace => ("ssp-namespace", "the namespace is one of SSP", "EN", 1),
            SspRule::Document => (
                "ssp-document",
                "one WV-SSP-Message with one SetupTransaction or Session",
                "EN",
                2,
            ),
            SspRule::Mode => ("ssp-mode", "mode fits the primitive", "EN", 3),
            SspRule::TransactionId => ("ssp-transaction-id", "transactionID is there", "EN", 4),
            SspRule::OnePrimitive => ("ssp-one-primitive", "one known primitive", "EN", 11),
            SspRule::Required => ("ssp-required", "every required attribute is there", "EN", 15),
            SspRule::Order => ("ssp-order", "children fit the element table", "EN", 16),
            SspRule::Form => ("ssp-form", "values have the form of their type", "EN", 18),
            SspRule::Address => ("ssp-address", "addresses are complete", "RL", 7),
            SspRule::ServiceId => ("ssp-service-id", "serviceID is wv:@domain", "SU", 3),
            SspRule::Token => ("ssp-token", "protocol and version are told", "SU", 2),
            SspRule::TimeToLive => ("ssp-time-to-live", "timeToLive is there", "SU", 20),
            SspRule::MetaInfo => ("ssp-meta-info", "MetaInfo stands first", "MI", 1),
            SspRule::ByUser => ("ssp-by-user", "clientOriginated is Yes", "MI", 2),
            SspRule::ByServer => ("ssp-by-server", "clientOriginated is No", "MI", 3),
            SspRule::Code => ("ssp-code", "the code is of the table", "ER", 7),
            SspRule::Detail => ("ssp-detail", "the code comes with a DetailedResult", "ER", 8),
            SspRule::Presence => ("ssp-presence", "presence attributes are those of CSP", "PR", 14),
            SspRule::MessageInfo => ("ssp-message-info", "MessageInfo is complete", "IM", 2),
            SspRule::Content => ("ssp-content", "Base64 as long as contentSize says", "IM", 19),
            SspRule::Date => ("ssp-date", "a date in UTC", "IM", 18),
        }
    }

    /// Name in reports.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// What is seen when it holds.
    pub fn evidence(self) -> &'static str {
        self.row().1
    }

    /// The item that a breach is charged to.
    pub fn item(self) -> ItemId {
        let (_, _, group, number) = self.row();
        item(group, number)
    }

    /// No row of SSP is surer than one source: nothing here costs more than a warning. What a case charges
    /// follows from the item.
    pub fn strength(self) -> Strength {
        Strength::Should
    }
}

/// An item of SSP by group and number.
pub fn item(group: &str, number: u16) -> ItemId {
    // Letters, digits and hyphens only: always an identifier.
    ItemId::parse(&format!("SSP-{group}-S-{number:03}")).expect("built of allowed characters")
}
