//! What can be wrong with the state of the reference server. Faults of single messages are edits.

/// State faults of a server, for mutants: what no edit of a single message can express.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerFault {
    /// Takes any password.
    AcceptsAnyPassword,
    /// Compares passwords without case.
    IgnoresPasswordCase,
    /// Takes a password that only begins right.
    TakesLongerPasswords,
    /// Lets users in that it does not know.
    AcceptsAnyUser,
    /// Takes any digest.
    AcceptsAnyDigest,
    /// Gives the same nonce for ever, and takes it again.
    ReplaysNonce,
    /// Serves sessions that it never opened.
    ServesUnknownSession,
    /// Serves a session after its logout.
    ServesAfterLogout,
    /// Gives every login the same SessionID.
    SharesSessionId,
    /// Takes messages that break the syntax.
    AcceptsInvalid,
    /// Answers only the first transaction of a message.
    AnswersFirstOnly,
    /// Refuses a KeepAlive-Request without TimeToLive.
    NeedsTimeToLive,
    /// Knows no 4-way login.
    NoDigestLogin,
    /// Serves requests in mode Response.
    IgnoresMode,
    /// Serves nobody any more after a request that breaks off.
    StopsAfterBrokenRequest,
    /// Says success to a request that it cannot serve.
    SucceedsAlways,
    /// Serves functions that it did not grant. The correct reference grants all: this one withholds some.
    ServesWhatItRefused,
    /// Withholds functions, and refuses them with a code of another meaning.
    CodeOfRefused,
    /// Sends messages longer than the client can parse.
    IgnoresParserSize,
    /// Lets sessions live for ever.
    NeverExpires,
    /// Takes only KeepAlive-Request for a sign of life.
    PollIsNoSignOfLife,
    /// Goes on with the time of the login, whatever KeepAlive-Response said.
    KeepsFirstTime,
    /// Ends the session when it refuses a new time.
    EndsSessionOnRefusedTime,
    /// Lets a second login of one client stand beside the first.
    KeepsOldSession,
    /// Takes a digest that answers no challenge.
    TakesDigestWithoutChallenge,
    /// Says Poll T, and the poll brings nothing.
    PollPromisesNothing,
    /// Refuses a second negotiation in a session.
    NegotiatesOnce,
    /// Needs TimeToLive at login.
    NeedsTimeToLiveAtLogin,
    /// Refuses the markers of mandatory functions.
    RefusesMarkers,
    /// Refuses functions that nobody wanted.
    RefusesUnwanted,
    /// Refuses the largest number that a type allows.
    RefusesLargeNumbers,
    /// Takes negotiations of another client than logged in.
    TakesAnyClient,
    /// Withholds invitations, and starts one at every poll after service negotiation.
    SendsUnwantedRequests,
    /// Starts several transactions at every poll after capability negotiation.
    SendsManyRequests,
    /// Refuses expired sessions with a code of another meaning.
    CodeOfExpired,
    /// Refuses a body in chunks; the carrier acts on it, the engine sees no header fields.
    RefusesChunked,
    /// Refuses a request that asks for `100 Continue`; the carrier acts on it.
    RefusesExpect,
    // CIR; most of these are of the carrier.
    /// Sends the text of a CIR with another cookie.
    CirOfAnotherCookie,
    /// Sends it with the version that the session does not speak.
    CirOfAnotherVersion,
    /// Sends it without a version.
    CirWithoutVersion,
    /// Answers no HELO.
    CirAnswersNoHello,
    /// Answers OK to the HELO of a session that there is not.
    CirKnowsEverybody,
    /// Answers no PING.
    CirAnswersNoPing,
    /// Never sends a CIR on an STCP channel after HELO.
    CirIsSilent,
    /// Does not say at HELO that data waits.
    CirSaysNothingAtHello,
    /// Ends its lines without CR.
    CirWithoutCr,
    /// Takes one STCP channel a session, ever.
    CirTakesOneChannel,
    /// Sends no datagrams.
    CirSendsNoDatagram,
    /// Says at CIRURL that nothing waits, always.
    CirUrlSaysNothing,
    /// Says at CIRURL that data waits, always.
    CirUrlSaysAlways,
    /// Answers at CIRURL with a body.
    CirUrlHasBody,
    // Search, invitation, verification.
    /// Gives the first results of a search again when the next are asked for.
    RepeatsResults,
    /// Gives all results at once.
    IgnoresSearchLimit,
    /// Finds what one of the pairs finds.
    OrsSearchPairs,
    /// Goes on with a search that was stopped.
    ServesStoppedSearch,
    /// Takes any SearchID.
    TakesAnySearch,
    /// Gives the first results whatever index is asked for.
    TakesAnyIndex,
    /// Does not go on with a search.
    RefusesNextResults,
    /// Gives another SearchID with the next results.
    RenamesSearch,
    /// Repeats the SearchID in 1.2.
    RepeatsSearchId,
    /// Finds users and groups in one search.
    MixesSearch,
    /// Says that it invited, and invites nobody.
    InvitesNobody,
    /// Says that it invited all, and invites the first.
    InvitesFirstOnly,
    /// Invites in the name of somebody who is blocked.
    InvitesBlocked,
    /// Shows the address of an inviter that gave its screen name.
    ShowsInviter,
    /// Invites everybody who is there.
    InvitesEverybody,
    /// Sends every invitation twice.
    InvitesTwice,
    /// Says that users who do not exist are invited.
    InvitesUnknown,
    /// Passes the answer of a user on who was not invited.
    TakesForeignAnswers,
    /// Passes every answer to an invitation on.
    TakesLateAnswers,
    /// Takes a second invitation under an InviteID that is in use.
    TakesUsedInviteId,
    /// Tells the invitees that an invitation is taken back, and takes their answers.
    KeepsCancelled,
    /// Lets anybody take an invitation back.
    CancelsForeign,
    /// Takes an invitation back from every invitee, whoever was named.
    CancelsAll,
    /// Takes back what was answered.
    CancelsFinished,

    // Presence.
    /// Takes contact lists and finds nobody on them.
    IgnoresContactLists,
    /// Cannot subscribe with AutoSubscribe T, and says so by a code of another meaning.
    FailsAutoSubscribe,
    /// Tells no watcher of a change.
    NotifiesNobody,
    /// Tells nothing when a subscription begins.
    TellsNothingAtFirst,
    /// Tells watchers of attributes that they did not ask for.
    NotifiesUnasked,
    /// Tells watchers of attributes that they may not see.
    NotifiesUnauthorised,
    /// Tells those who did not subscribe.
    NotifiesEverybody,
    /// Lets a new subscription stand beside the old one.
    AddsSubscriptions,
    /// Goes on after the end of a subscription.
    KeepsSubscriptions,
    /// Subscribes to the first of several targets alone.
    SubscribesFirstOnly,
    /// Serves nobody when one of several targets is missing, and calls that a partial success.
    ServesNobodyPartly,
    /// Refuses to end a subscription that there is not.
    UnsubscribesOnce,
    /// Takes a request that selects no attributes for one that wants none.
    NeedsSelection,
    /// Tells nobody that a user came or went.
    HidesComingAndGoing,
    /// Says that everybody is online.
    AlwaysOnline,
    /// Takes users that there are not.
    WatchesUnknownUsers,
    /// Takes contact lists that there are not.
    TakesUnknownLists,
    /// Shows who watches anybody.
    ListsWatchersOfAll,
    /// Shows more watchers than were asked for.
    ListsAllWatchers,
    /// Knows nothing of former watchers.
    ForgetsWatchers,
    /// Shows attributes that were not asked for.
    ShowsUnaskedPresence,
    /// Shows attributes that the asker may not see.
    ShowsUnauthorisedPresence,
    /// Shows the presence of the first of several users alone.
    ShowsFirstUserOnly,
    /// Keeps the first attribute of an update alone.
    StoresFirstAttributeOnly,
    /// Forgets what an update does not name.
    ReplacesAllPresence,
    /// Keeps the parts of an attribute that an update leaves out.
    MergesPresence,
    /// Takes values that no attribute has.
    TakesAnyPresenceValue,
    /// Keeps what it refuses.
    StoresRefusedPresence,
    /// Asks no owner about a requester.
    AsksNobody,
    /// Asks the owner whatever its attribute lists say.
    AsksAlways,
    /// Names the owner in place of the requester.
    AsksAboutOwner,
    /// Shows presence before the owner has decided.
    GrantsBeforeDecision,
    /// Shows presence although the owner said no.
    GrantsAfterDenial,
    /// Shows more attributes than the owner granted.
    GrantsAllAttributes,
    /// Says success to a decision and keeps nothing of it.
    ForgetsDecision,
    /// Shows presence after the leave was taken back.
    KeepsAuthorisation,
    /// Takes a leave that was taken back for a refusal.
    DeniesAfterCancel,
    /// Shows decisions that were not asked for.
    ShowsAllDecisions,
    /// Says success to an attribute list and keeps nothing of it.
    ForgetsAttributeLists,
    /// Adds to an attribute list in place of replacing it.
    AddsToAttributeLists,
    /// Makes an attribute list for the first of several users alone.
    ListsFirstUserOnly,
    /// Lets the list for everybody count before those of users.
    DefaultListFirst,
    /// Does not look at the list for everybody.
    IgnoresDefaultList,
    /// Goes on with attribute lists that were deleted.
    KeepsAttributeLists,
    /// Goes on with the list for everybody although it was deleted.
    KeepsDefaultAttributeList,
    /// Deletes the list for everybody with any other.
    DeletesDefaultListToo,
    /// Shows the list for everybody unasked.
    ShowsDefaultListUnasked,
    /// Shows no list when none is named.
    ShowsNoListUnasked,
    // Contact lists.
    /// Names the default list among the others too.
    ListsDefaultTwice,
    /// Makes lists in the names of others.
    CreatesForeignLists,
    /// Makes a list anew that exists.
    OverwritesLists,
    /// Makes a list without the users that it is made with.
    ForgetsContacts,
    /// Keeps a list that it says it deleted.
    KeepsDeletedLists,
    /// Shows and changes the lists of others.
    ShowsForeignLists,
    /// Puts users on lists that do not exist.
    ListsUnknownUsers,
    /// Keeps the first nickname of a contact.
    KeepsNickNames,
    /// Keeps a contact that it says it removed.
    RemovesNoContact,
    /// Keeps the default list that there was.
    KeepsDefaultList,
    /// Names the lists of everybody.
    NamesAllLists,
    /// Deletes all lists of a user.
    DeletesAllLists,
    /// Shows nothing of what a change did.
    ShowsNoChange,
    /// Shows removed users in the answer to their removal.
    ShowsRemoved,
    /// Shows the list whether it is wanted or not.
    IgnoresReceiveList,

    // Messages.
    /// Sends what is for a group to everybody.
    TellsGroupToAll,
    /// Pushes what it announces as well.
    PushesAnnounced,
    /// Accepts messages and delivers none.
    LosesMessages,
    /// Accepts messages for users without a session, and forgets them.
    ForgetsForAbsent,
    /// Pushes every message twice.
    PushesTwice,
    /// Delivers what came last before what came first.
    LastMessageFirst,
    /// Delivers messages of senders that are on the blocked list.
    LetsBlockedThrough,
    /// Says success to a blocked sender, and delivers nothing.
    AcceptsForBlocked,
    /// Blocks by lists that are not in use.
    BlocksUnused,
    /// Takes no notice of the grant list.
    IgnoresGrantList,
    /// Says success to BlockEntity-Request and changes nothing.
    ForgetsBlocks,
    /// Takes nobody off a list.
    NeverUnblocks,
    /// Takes an absent InUse for F.
    ResetsInUse,
    /// Shows the lists of somebody else.
    ShowsListsOfOthers,
    /// Says success to messages for users that it does not know.
    SendsToAnybody,
    /// Delivers messages under whatever name their senders give.
    TakesAnySender,
    /// Pushes to clients that want to be notified.
    AlwaysPushes,
    /// Says success to SetDeliveryMethod-Request and changes nothing.
    IgnoresDeliveryMethod,
    /// Pushes contents that are longer than the client takes.
    PushesLongMessages,
    /// Pushes to clients that did not agree to that.
    PushesWithoutAgreement,
    /// Says success to RejectMessage-Request and goes on as if it had not come.
    DeliversRejected,
    /// Keeps messages that were delivered.
    KeepsDelivered,
    /// Keeps messages that were forwarded.
    KeepsForwarded,
    /// Gives messages to others than their receivers.
    ShowsMessagesOfOthers,
    /// Lists all messages, however many are asked for.
    IgnoresMessageCount,
    /// Sends no delivery report.
    ReportsNothing,
    /// Sends delivery reports that nobody asked for.
    ReportsAlways,
    /// Gives every message to everybody who is logged in.
    CopiesToAll,
    /// Delivers nothing of what only some recipients can get.
    DropsPartlyAccepted,
    /// Does not know a recipient whose address is written in other case.
    MindsRecipientCase,
    /// Goes on announcing when it is asked to push again.
    NeverPushesAgain,
    /// Announces every message again.
    AnnouncesTwice,
    /// Lists the messages of everybody.
    ListsMessagesOfOthers,
    /// Takes what was pushed for delivered, confirmed or not.
    TakesPushForDelivery,
    /// Ends the session in which a push was refused.
    EndsSessionOnRefusedPush,
    /// Says success to ForwardMessage-Request and delivers nothing.
    ForwardsNothing,
    /// Changes what it forwards.
    ForwardsChanged,
    /// Lets nobody through when the grant list is in use.
    GrantListBlocksAll,
    /// Forgets the lists of a user when the user logs in.
    ForgetsBlocksAtLogout,
    /// Keeps messages beyond their validity.
    IgnoresValidity,
    // Groups.
    /// Makes a group that exists already once more.
    CreatesGroupsOver,
    /// Does not join the creator who asks for it.
    CreatesWithoutJoining,
    /// Takes group properties that do not exist or cannot be set.
    TakesAnyGroupProperty,
    /// Takes a searchable group without name and topic.
    SearchableWithoutName,
    /// Says that a group is deleted, and keeps it.
    KeepsDeletedGroups,
    /// Lets everybody do everything with a group.
    AsksNoGroupRights,
    /// Says that properties of a group are changed, and keeps them.
    KeepsGroupProperties,
    /// Forgets the properties of a group that a change does not name.
    ForgetsOtherProperties,
    /// Lets users who are joined join again.
    JoinsTwice,
    /// Lets rejected users join.
    JoinsRejected,
    /// Lets everybody join a restricted group.
    JoinsAnybody,
    /// Lets more users join than the group takes.
    UnlimitedGroups,
    /// Lets two users of a group have one screen name.
    SharesScreenNames,
    /// Says that a user has left, and keeps it in the group.
    NeverLeavesGroups,
    /// Shows the addresses of users who hide them.
    ShowsHiddenUsers,
    /// Lists the joined users to those who did not ask for them.
    ListsJoinedUnasked,
    /// Says that members are added, and does not add them.
    AddsNoMembers,
    /// Says that members are removed, and keeps them.
    KeepsMembers,
    /// Says that rights are changed, and keeps them.
    KeepsRights,
    /// Leaves rejected users in the group.
    KeepsRejectedJoined,
    /// Says that the reject list is changed, and keeps it.
    RejectsNobody,
    /// Tells nobody of changes in a group.
    TellsNoChange,
    /// Tells of changes whoever is joined, subscribed or not.
    TellsUnsubscribed,
    /// Tells of changes in a group those who are not joined.
    TellsOutsiders,
    /// Takes users into the member list although one of them is unknown, and says success.
    HidesUnknownMembers,
    /// Does not tell the joined users that they are removed.
    RemovesSilently,
    /// Keeps users on the reject list who were taken off it.
    RejectsForEver,
    /// Joins the creator of a group, asked or not.
    JoinsCreatorAlways,
    /// Refuses to let users join without a screen name.
    NeedsScreenName,
    /// Gives the list of joined users that is for users with rights to the others, and the other way round.
    SwapsJoinedLists,
    /// Tells of every change in a group twice.
    TellsChangesTwice,
    /// Takes the delivery method for a group as that for everything.
    TakesMethodForAll,
}
