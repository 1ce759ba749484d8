//! What can be wrong with the state of the relay. Faults of single messages are edits.

use super::super::ServerFault;

/// State faults of the service relay, for mutants: what no edit of a single message can express.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelayFault {
    // Who asks, and for whom.
    /// Lets the sender that a client writes stand for the user who is logged in.
    TrustsWrittenSender,
    /// Serves requests that another domain than that of the session is named for.
    ServesForeignService,
    /// Serves users of other domains than that of the session.
    ServesForeignRequestor,
    /// Refuses a domain that is written in other case.
    MindsDomainCase,
    /// Takes messages of senders of a third domain.
    TakesForeignSender,
    /// Takes invitations, answers and notices in the name of a third domain.
    TakesForeignParties,
    /// Relays what a peer asks for to a third domain.
    RelaysThirdDomain,
    // The relay in general.
    /// Sends what is for local users to a peer as well.
    RelaysLocalToo,
    /// Sends every recipient to every domain.
    SplitsNot,
    /// Says success whatever the peer says.
    LosesErrorOfPeer,
    /// Says a code of its own for every error of a peer.
    ChangesErrorOfPeer,
    /// Says success for domains that it cannot reach.
    SucceedsForUnknownDomain,
    /// Says success when a peer does not answer.
    SucceedsForSilentPeer,
    // Invitations.
    /// Says success to invitations of users elsewhere, and sends none.
    KeepsInvitationsHome,
    /// Says success to an invitation of a peer, and gives it to nobody.
    DeliversNoInvitation,
    /// Does not send the answer of an invited user to the inviter's domain.
    KeepsInvitationAnswers,
    /// Does not give the answer of a peer's user to the inviter.
    HidesInvitationAnswers,
    /// Says that an invitation elsewhere is taken back, and sends nothing.
    CancelsAtHomeOnly,
    /// Says that an invitation is taken back, and does not tell the invited client.
    DeliversNoCancellation,
    /// Says success to the invitation of an unknown user.
    InvitesUnknown,
    /// Leaves the links out of an invitation.
    DropsLinks,
    // Presence.
    /// Says that users elsewhere are watched, and sends nothing.
    KeepsSubscriptionsHome,
    /// Forgets the members elsewhere of a contact list.
    SkipsListMembers,
    /// Sends the names of contact lists.
    SendsListNames,
    /// Says success to the watching of unknown users.
    HidesUnknownWatched,
    /// Watches nobody when one of several users is unknown.
    SubscribesNobodyPartly,
    /// Does not tell a watcher elsewhere what there is when it begins to watch.
    TellsNothingAtFirst,
    /// Tells watchers elsewhere nothing at all.
    TellsNoPresenceChange,
    /// Does not give what a peer tells of presence to the watching client.
    KeepsNotifications,
    /// Shows watchers elsewhere what they may not see.
    ShowsUngrantedValues,
    /// Asks no owner about watchers elsewhere.
    AsksNobody,
    /// Goes on telling a watcher elsewhere that does not watch any longer.
    SendsAfterUnsubscribe,
    /// Says that users elsewhere are not watched any longer, and sends nothing.
    UnsubscribesAtHomeOnly,
    /// Answers requests for presence elsewhere by itself, without values.
    KeepsPresenceRequestsHome,
    /// Goes on watching when the watcher has logged out.
    WatchesAfterLogout,
    // Messages.
    /// Says success to messages for users elsewhere, and sends none.
    KeepsMessagesHome,
    /// Sends contents as they are, without Base64.
    SendsPlainContent,
    /// Counts the octets of Base64 for the size.
    CountsEncodedOctets,
    /// Changes what messages carry.
    ChangesContent,
    /// Says success to messages of peers, and delivers none.
    DeliversNothing,
    /// Pushes messages of peers to clients that want to be told of them.
    PushesAnnounced,
    /// Gives the messages of peers identifiers of its own.
    RenamesMessageId,
    /// Sends no report, although one was asked for.
    NoReportAlthoughAsked,
    /// Sends a report that nobody asked for.
    ReportAlthoughNotAsked,
    /// Does not give the reports of peers to the senders.
    HidesReports,
    /// Says success to messages for unknown users.
    TakesUnknownRecipient,
    /// Does not tell which recipients are unknown.
    HidesUnknownRecipients,
    /// Delivers nothing, and says so, when one of several recipients is unknown.
    RefusesPartly,
    /// Delivers messages of senders elsewhere whom the recipient blocks.
    DeliversBlocked,
    /// Says success to a blocked sender elsewhere, and delivers nothing.
    AcceptsForBlocked,
    /// Delivers messages of peers when their validity is over.
    IgnoresValidity,
    /// Says success to messages for users who are not logged in, and forgets them.
    QueueLost,
    /// Shows the address of senders who are known by a screen name.
    ShowsHiddenSender,
    /// Writes the same date into every message.
    DatesStandStill,
    // Groups.
    /// Says that users have joined groups elsewhere, and sends nothing.
    JoinsAtHomeOnly,
    /// Says that users have left groups elsewhere, and sends nothing.
    LeavesAtHomeOnly,
    /// Gives the list of who is joined to those who did not ask for it.
    ListsJoinedUnasked,
    /// Lets users elsewhere join who are on the reject list.
    JoinsRejected,
    /// Lets users elsewhere join a restricted group.
    JoinsAnybody,
    /// Says that a user elsewhere has left, and keeps it in the group.
    NeverLeaves,
    /// Does not tell users elsewhere that they are removed.
    RemovesSilently,
    /// Says success to requests about groups that there are not.
    SucceedsForUnknownGroup,
    /// Lets users elsewhere do everything with a group.
    AsksNoRights,
    /// Says that a group is deleted, and keeps it.
    KeepsDeletedGroups,
    /// Says that members are added, and does not add them.
    AddsNoMembers,
    /// Says that members are removed, and keeps them.
    KeepsMembers,
    /// Says that rights are changed, and keeps them.
    KeepsRights,
    /// Says that properties are changed, and keeps them.
    KeepsGroupProperties,
    /// Says that the reject list is changed, and keeps it.
    RejectsNobody,
    /// Says that notices are switched on or off, and leaves them as they were.
    IgnoresNoticeSwitch,
    /// Tells subscribers elsewhere of no change in a group.
    TellsNoGroupChange,
    /// Tells of changes in a group whoever is joined, subscribed or not.
    TellsUnsubscribed,
    /// Does not give what a peer tells of a group to the clients that it names.
    KeepsNotices,
    // Errors.
    /// Says success to primitives that there are not.
    SucceedsAtUnknown,
    /// Answers responses.
    AnswersResponses,
    /// Says success to requests that lack what they need.
    NeedsNoAttributes,
    /// Serves no peer any more after an error.
    StopsAfterError,
}

impl RelayFault {
    /// What a service does wrong while it serves a peer.
    pub(super) fn in_service(self) -> Option<ServerFault> {
        Some(match self {
            Self::TakesForeignSender => ServerFault::TakesAnySender,
            Self::DeliversNoInvitation => ServerFault::InvitesNobody,
            Self::InvitesUnknown => ServerFault::InvitesUnknown,
            Self::SubscribesNobodyPartly => ServerFault::ServesNobodyPartly,
            Self::TellsNothingAtFirst => ServerFault::TellsNothingAtFirst,
            Self::AsksNobody => ServerFault::AsksNobody,
            Self::SendsAfterUnsubscribe => ServerFault::KeepsSubscriptions,
            Self::DeliversNothing => ServerFault::LosesMessages,
            Self::PushesAnnounced => ServerFault::AlwaysPushes,
            Self::TakesUnknownRecipient => ServerFault::SendsToAnybody,
            Self::RefusesPartly => ServerFault::DropsPartlyAccepted,
            Self::DeliversBlocked => ServerFault::LetsBlockedThrough,
            Self::AcceptsForBlocked => ServerFault::AcceptsForBlocked,
            Self::QueueLost => ServerFault::ForgetsForAbsent,
            Self::ListsJoinedUnasked => ServerFault::ListsJoinedUnasked,
            Self::JoinsRejected => ServerFault::JoinsRejected,
            Self::JoinsAnybody => ServerFault::JoinsAnybody,
            Self::NeverLeaves => ServerFault::NeverLeavesGroups,
            Self::AsksNoRights => ServerFault::AsksNoGroupRights,
            Self::KeepsDeletedGroups => ServerFault::KeepsDeletedGroups,
            Self::AddsNoMembers => ServerFault::AddsNoMembers,
            Self::KeepsMembers => ServerFault::KeepsMembers,
            Self::KeepsRights => ServerFault::KeepsRights,
            Self::KeepsGroupProperties => ServerFault::KeepsGroupProperties,
            Self::RejectsNobody => ServerFault::RejectsNobody,
            _ => return None,
        })
    }
}
