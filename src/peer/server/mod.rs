//! The server engine: takes one HTTP body, gives one. Time is a number that the caller hands in.

mod cir;
mod fundamental;
mod groups;
mod lists;
mod login;
mod messages;
mod negotiation;
mod partial;
mod presence;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::check::services::Functions;
use crate::check::{Checker, Rule};
use crate::codec::{WriteOptions, write, xml};
use crate::message::{Elem, Envelope, Message, Mode, NodeId, SessionType, TransactionView, Tree, text};
use crate::spec::Version;
use crate::verdict::Strength;

use super::compose::{self, Part};
use super::digest::Schema;
use super::names::Names;
use super::server_requests::server_request;
use super::{Credentials, MEDIA_TYPE_XML, is_xml_type};
pub use cir::{CirOffer, Hello, Sleeper, Wake, cir_text};
pub use world::served_functions;
use world::{Call, World};

/// What a server needs to know.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Who may log in.
    pub accounts: Vec<Credentials>,
    /// Longest KeepAliveTime granted, in seconds.
    pub max_keep_alive: u32,
    /// Functions of the service tree that are served.
    pub functions: Vec<String>,
    /// Seed of session ids and nonces.
    pub seed: u64,
}

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
}

/// One HTTP request as the engine sees it.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// Method.
    pub method: &'a str,
    /// Media type without parameters.
    pub media_type: Option<&'a str>,
    /// `charset` parameter of Content-Type.
    pub charset: Option<&'a str>,
    /// Body.
    pub body: &'a [u8],
}

/// One HTTP response as the engine makes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// HTTP status.
    pub status: u16,
    /// Content-Type; none for an empty body.
    pub media_type: Option<String>,
    /// The message; none for an empty body.
    pub tree: Option<Tree>,
    /// Names of the requests that it answers, for deviations.
    pub answers: Vec<String>,
}

#[derive(Debug)]
struct Session {
    version: Version,
    /// User (lower case) and client that logged in.
    client: (String, String),
    keep_alive: u32,
    last_seen_ms: u64,
    queue: Vec<Elem>,
    /// Ended by a later login of the same client: over once that is told.
    ending: bool,
    /// Functions that were wanted and not granted; none before service negotiation.
    refused: Option<Functions>,
    /// Functions that were wanted; none before service negotiation.
    wanted: Option<Functions>,
    /// Longest message that the client can parse, in octets.
    parser_size: Option<usize>,
    /// Transactions that the client takes at a time.
    multi_trans: usize,
    /// What the client agreed to: how messages are delivered, and the longest content that is pushed.
    delivery: Delivery,
    /// Requests of the server that were sent and not answered yet, by TransactionID.
    sent: BTreeMap<String, Elem>,
    /// Negotiations so far.
    negotiations: u32,
    /// How the client is told that data waits.
    cir: cir::Channels,
}

/// How a session gets its messages (DL-3 to DL-5).
#[derive(Debug, Clone, Default)]
struct Delivery {
    /// Announced and fetched (N), not pushed (P).
    notify: bool,
    /// Longest content that is pushed, in octets.
    longest: Option<u64>,
}

#[derive(Debug)]
struct PendingChallenge {
    nonce: String,
    schema: Schema,
    since_ms: u64,
}

/// A CSP server without I/O.
#[derive(Debug)]
pub struct ServerEngine {
    config: ServerConfig,
    fault: Option<ServerFault>,
    checker: Arc<Checker>,
    sessions: BTreeMap<String, Session>,
    challenges: BTreeMap<(String, String), PendingChallenge>,
    random: fastrand::Rng,
    next_id: u32,
    open_to_all: bool,
    /// Whether everybody and everything that a client names exists.
    hospitable: bool,
    world: World,
    cir: CirOffer,
    /// Who sent the request in hand.
    peer: Option<std::net::IpAddr>,
    /// Whether a session has expired so far.
    expired: bool,
    /// Whether the message in hand is invalid, and is served all the same (a fault).
    lenient: bool,
}

/// Longest time between the legs of a 4-way login, in milliseconds.
const CHALLENGE_LIFE_MS: u64 = 60_000;
/// Most requests of the server in one message to a client that did not say how many it takes.
const MAX_REQUESTS: usize = 10;
/// Most challenges that wait at one time; the oldest are dropped.
const MAX_CHALLENGES: usize = 1_000;

impl ServerEngine {
    /// A server without sessions.
    pub fn new(config: ServerConfig, checker: Arc<Checker>) -> Self {
        let random = fastrand::Rng::with_seed(config.seed);
        Self {
            config,
            fault: None,
            checker,
            sessions: BTreeMap::new(),
            challenges: BTreeMap::new(),
            random,
            next_id: 0,
            open_to_all: false,
            hospitable: false,
            world: World::default(),
            cir: CirOffer::default(),
            peer: None,
            expired: false,
            lenient: false,
        }
    }

    /// Lets in whoever comes, whatever the proof: for clients that are only watched.
    #[must_use]
    pub fn open_to_all(mut self, yes: bool) -> Self {
        self.open_to_all = yes;
        self
    }

    /// Lets everybody and everything exist that a client names: users, groups, contact lists. For the
    /// lower tester, whose client under test is the only user there is.
    #[must_use]
    pub fn hospitable(mut self) -> Self {
        self.hospitable = true;
        self
    }

    /// The same server with a state fault.
    #[must_use]
    pub fn with_fault(mut self, fault: Option<ServerFault>) -> Self {
        self.fault = fault;
        self
    }

    /// Puts a request of the server into the queue of every session that is open: it leaves with the
    /// next answer to a poll.
    pub fn queue(&mut self, primitive: &Elem) {
        for session in self.sessions.values_mut() {
            session.queue.push(primitive.clone());
        }
    }

    /// Whether this session is open.
    pub fn has_session(&self, id: &str) -> bool {
        self.sessions.contains_key(id)
    }

    /// How many sessions are open.
    pub fn open_sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Answers one HTTP request. `now_ms` never goes back.
    pub fn handle(&mut self, now_ms: u64, request: &Incoming<'_>) -> Outgoing {
        self.expire(now_ms);
        self.expire_messages(now_ms);
        if request.method != "POST" {
            return Outgoing::http(405);
        }
        if !request.media_type.is_some_and(is_xml_type) {
            return Outgoing::http(415);
        }
        let reading = xml::read(request.body, request.charset);
        let broken = reading
            .problems
            .iter()
            .any(|p| p.kind != xml::ProblemKind::Charset);
        let Some(message) = reading.message else {
            return Outgoing::http(400);
        };
        let lenient = self.fault == Some(ServerFault::AcceptsInvalid) && can_be_answered(&message.tree);
        if broken && !lenient {
            return self.refuse_whole(&message, 400);
        }
        let checked = self.checker.check(&message);
        let invalid = checked.findings.iter().any(|f| match f.rule {
            Rule::ModeUse => self.fault != Some(ServerFault::IgnoresMode),
            rule => f.strength == Strength::Must || rule.is_session_or_mode(),
        });
        let large = self.fault == Some(ServerFault::RefusesLargeNumbers) && has_largest(&message.tree);
        if invalid && !lenient || large {
            return self.refuse_whole(&message, 400);
        }
        let root = message.tree.get(message.tree.root());
        if root.name == "WV-CSP-VersionDiscovery-Request" {
            return Outgoing::message(Self::discovery(), vec![root.name.clone()]);
        }
        let (Some(version), Some(envelope)) = (checked.version, Envelope::of(&message.tree)) else {
            return Outgoing::http(400);
        };
        self.lenient = broken || invalid;
        self.answer(now_ms, version, &message.tree, &envelope)
    }

    /// A message that cannot be taken: Status under its TransactionID where that can be read, HTTP
    /// 400 otherwise (TR-10).
    fn refuse_whole(&mut self, message: &Message, code: u16) -> Outgoing {
        let version = Version::of_namespace(&message.tree.get(message.tree.root()).namespace).map(|(v, _)| v);
        let (Some(version), Some(envelope)) = (version, Envelope::of(&message.tree)) else {
            return Outgoing::http(400);
        };
        let open = envelope
            .session_id
            .clone()
            .filter(|s| self.sessions.contains_key(s));
        let parts: Vec<Part> = envelope
            .transactions
            .iter()
            .filter(|t| !t.id.is_empty() && t.mode != Mode::Response)
            .map(|t| Part {
                mode: Mode::Response,
                id: t.id.clone(),
                primitive: compose::status(code),
            })
            .collect();
        if parts.is_empty() {
            return Outgoing::http(400);
        }
        let names = envelope.transactions.iter().map(|t| t.name.clone()).collect();
        Outgoing::message(
            compose::message(version, open.as_deref(), Some(false), parts),
            names,
        )
    }

    fn answer(&mut self, now_ms: u64, version: Version, tree: &Tree, envelope: &Envelope) -> Outgoing {
        let mut names = Vec::new();
        let mut parts = Vec::new();
        let mut session = match envelope.session_type {
            SessionType::Inband => envelope.session_id.clone(),
            _ => None,
        };
        let mut known = session
            .as_deref()
            .is_some_and(|id| self.sessions.contains_key(id));
        if session.is_some() && !known && self.fault == Some(ServerFault::ServesUnknownSession) {
            let client = (String::new(), String::new());
            self.open_session(now_ms, session.clone().unwrap_or_default(), version, client, 60);
            known = true;
        }
        if let Some(open) = session.as_deref().and_then(|id| self.sessions.get_mut(id)) {
            let only_polls = envelope.transactions.iter().all(|t| t.name == "Polling-Request");
            if !(only_polls && self.fault == Some(ServerFault::PollIsNoSignOfLife)) {
                open.last_seen_ms = now_ms;
            }
            known = open.version == version;
        }
        // What is agreed in this message counts from the next on.
        let parser_size = session
            .as_deref()
            .and_then(|id| self.sessions.get(id))
            .and_then(|s| s.parser_size)
            .filter(|_| self.fault != Some(ServerFault::IgnoresParserSize));
        let mut ends = None;
        for transaction in &envelope.transactions {
            if transaction.mode == Mode::Response && self.fault != Some(ServerFault::IgnoresMode) {
                // The client's answer to a server request: nothing follows (HT-4).
                if let (true, Some(id)) = (known, session.as_deref()) {
                    self.take_answer(id, tree, transaction);
                }
                continue;
            }
            names.push(transaction.name.clone());
            if self.fault == Some(ServerFault::AnswersFirstOnly) && !parts.is_empty() {
                continue;
            }
            if session.is_some() && !known {
                let odd = self.expired && self.fault == Some(ServerFault::CodeOfExpired);
                parts.push(response(
                    transaction,
                    compose::status(if odd { 403 } else { 604 }),
                ));
                continue;
            }
            let Some(primitive) = transaction.primitive else {
                continue;
            };
            match (transaction.name.as_str(), session.as_deref()) {
                ("Login-Request", None) => {
                    parts.push(response(
                        transaction,
                        self.login(now_ms, version, tree, primitive),
                    ));
                }
                ("Polling-Request", Some(id)) => parts.extend(self.poll(id)),
                ("KeepAlive-Request", Some(id)) => {
                    parts.push(response(transaction, self.keep_alive(id, tree, primitive)));
                }
                ("Logout-Request", Some(id)) => {
                    ends = Some(id.to_owned());
                    let goodbye = match version {
                        Version::V11 => Elem::new("Disconnect").with(compose::result(200)),
                        Version::V12 => compose::status(200),
                    };
                    parts.push(response(transaction, goodbye));
                }
                ("ClientCapability-Request", Some(id)) => {
                    let answer = match self.negotiates_again(id) {
                        true => self.capabilities(id, version, tree, primitive),
                        false => compose::status(403),
                    };
                    parts.push(response(transaction, answer));
                }
                ("Service-Request", Some(id)) => {
                    let answer = match self.negotiates_again(id) {
                        true => self.services(id, version, tree, primitive),
                        false => compose::status(403),
                    };
                    parts.push(response(transaction, answer));
                }
                ("GetSPInfo-Request", None) => {
                    parts.push(response(transaction, self.provider_info(tree, primitive)));
                }
                (name, Some(id)) => {
                    let user = self.sessions.get(id).map(|s| s.client.0.clone());
                    let call = Call {
                        session: id,
                        user: self.canonical(&user.unwrap_or_default()),
                        version,
                        now_ms,
                        tree,
                        node: primitive,
                        name,
                    };
                    let answer = match self.refusal(id, name) {
                        Some(code) => compose::status(self.refusal_code(code)),
                        None if name == "GetSPInfo-Request" => self.provider_info(tree, primitive),
                        None => self
                            .serve(&call)
                            .unwrap_or_else(|| compose::status(self.refusal_code(405))),
                    };
                    parts.push(response(transaction, answer));
                }
                (_, None) => parts.push(response(transaction, compose::status(604))),
            }
        }
        let promises = self.fault == Some(ServerFault::PollPromisesNothing)
            && names.iter().any(|n| n == "KeepAlive-Request");
        let poll = session
            .as_deref()
            .and_then(|id| self.sessions.get(id))
            .is_some_and(|s| !s.queue.is_empty() || promises);
        if let Some(id) = ends
            && self.fault != Some(ServerFault::ServesAfterLogout)
        {
            self.end_session(&id);
        }
        if parts.is_empty() {
            return Outgoing {
                status: 200,
                media_type: None,
                tree: None,
                answers: names,
            };
        }
        if envelope.session_type != SessionType::Inband {
            session = None;
        }
        let whole = compose::message(version, session.as_deref(), Some(poll), parts.clone());
        if parser_size.is_some_and(|size| write(&whole, &WriteOptions::default()).len() > size) {
            // 432, response too large, is of 1.2.
            let code = match version {
                Version::V11 => 500,
                Version::V12 => 432,
            };
            for part in parts.iter_mut().filter(|p| p.mode == Mode::Response) {
                part.primitive = compose::status(code);
            }
            let short = compose::message(version, session.as_deref(), Some(poll), parts);
            return Outgoing::message(short, names);
        }
        Outgoing::message(whole, names)
    }

    fn refusal_code(&self, code: u16) -> u16 {
        if self.fault == Some(ServerFault::SucceedsAlways) {
            200
        } else {
            code
        }
    }

    /// Counts the negotiations of a session; whether this one is taken.
    fn negotiates_again(&mut self, id: &str) -> bool {
        let once = self.fault == Some(ServerFault::NegotiatesOnce);
        self.sessions.get_mut(id).is_none_or(|s| {
            s.negotiations += 1;
            // One of each kind is the first negotiation.
            !once || s.negotiations <= 1
        })
    }

    fn poll(&mut self, id: &str) -> Vec<Part> {
        let Some(session) = self.sessions.get_mut(id) else {
            return Vec::new();
        };
        let most = session.multi_trans.min(session.queue.len());
        let mut queue: Vec<Elem> = session.queue.drain(..most).collect();
        let unwanted = match self.fault {
            Some(ServerFault::SendsUnwantedRequests) if session.refused.is_some() => 1,
            Some(ServerFault::SendsManyRequests) if session.parser_size.is_some() => 3,
            _ => 0,
        };
        let (user, version) = (session.client.0.clone(), session.version);
        let names = Names::of_client(&user);
        queue
            .extend((0..unwanted).filter_map(|_| server_request(version, "InviteUser-Request", &names).ok()));
        if session.ending {
            self.end_session(id);
        }
        let mut parts = Vec::new();
        for primitive in queue {
            let transaction = self.new_transaction_id();
            if let Some(session) = self.sessions.get_mut(id) {
                session.sent.insert(transaction.clone(), primitive.clone());
            }
            parts.push(Part {
                mode: Mode::Request,
                id: transaction,
                primitive,
            });
        }
        parts
    }

    /// A client answers a request of this server: once.
    fn take_answer(&mut self, id: &str, tree: &Tree, transaction: &TransactionView) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if let Some(request) = session.sent.remove(&transaction.id) {
            let user = session.client.0.clone();
            let user = self.canonical(&user);
            self.confirmed(id, &user, &request, (tree, transaction));
        }
    }

    fn end_session(&mut self, id: &str) {
        if let Some(session) = self.sessions.remove(id) {
            self.departed(&session);
        }
    }

    fn new_transaction_id(&mut self) -> String {
        self.next_id += 1;
        format!("srv{}", self.next_id)
    }

    fn keep_alive(&mut self, id: &str, tree: &Tree, primitive: NodeId) -> Elem {
        let asked = tree.child_text(primitive, "TimeToLive");
        let max = self.config.max_keep_alive;
        let needs = self.fault == Some(ServerFault::NeedsTimeToLive);
        if asked.as_deref() == Some("0") && self.fault == Some(ServerFault::EndsSessionOnRefusedTime) {
            self.end_session(id);
            return Elem::new("KeepAlive-Response").with(compose::result(605));
        }
        let Some(session) = self.sessions.get_mut(id) else {
            return compose::status(604);
        };
        let granted = match asked.as_deref().map(str::parse::<u32>) {
            None if needs => return compose::status(402),
            None => session.keep_alive,
            // A life of zero seconds would end the session at once: refused, the old value stays (KA-6).
            Some(Ok(0)) => return Elem::new("KeepAlive-Response").with(compose::result(605)),
            Some(Ok(seconds)) => seconds.min(max),
            Some(Err(_)) => return compose::status(402),
        };
        if self.fault != Some(ServerFault::KeepsFirstTime) {
            session.keep_alive = granted;
        }
        Elem::new("KeepAlive-Response")
            .with(compose::result(200))
            .with(text("KeepAliveTime", granted.to_string()))
    }

    fn open_session(
        &mut self,
        now_ms: u64,
        id: String,
        version: Version,
        client: (String, String),
        keep_alive: u32,
    ) {
        let user = self.canonical(&client.0);
        self.sessions.insert(
            id,
            Session {
                version,
                client,
                keep_alive,
                last_seen_ms: now_ms,
                queue: Vec::new(),
                ending: false,
                refused: None,
                wanted: None,
                parser_size: None,
                multi_trans: MAX_REQUESTS,
                delivery: Delivery::default(),
                sent: BTreeMap::new(),
                negotiations: 0,
                cir: cir::Channels::default(),
            },
        );
        self.arrived(now_ms, &user);
    }

    fn expire(&mut self, now_ms: u64) {
        if self.fault == Some(ServerFault::NeverExpires) {
            return;
        }
        let dead = |s: &Session| now_ms.saturating_sub(s.last_seen_ms) >= u64::from(s.keep_alive) * 1000;
        let over: Vec<String> = self
            .sessions
            .iter()
            .filter(|(_, s)| dead(s))
            .map(|(id, _)| id.clone())
            .collect();
        self.expired |= !over.is_empty();
        for id in over {
            self.end_session(&id);
        }
    }
}

impl Outgoing {
    fn http(status: u16) -> Self {
        Self {
            status,
            media_type: None,
            tree: None,
            answers: Vec::new(),
        }
    }

    /// A message in HTTP 200.
    pub fn message(tree: Tree, answers: Vec<String>) -> Self {
        Self {
            status: 200,
            media_type: Some(MEDIA_TYPE_XML.to_owned()),
            tree: Some(tree),
            answers,
        }
    }
}

/// Whether a value is the largest number of the protocol; StopSearch-Request names a search by it that
/// nobody started.
fn has_largest(tree: &Tree) -> bool {
    tree.walk(tree.root())
        .into_iter()
        .any(|e| tree.get(e).name != "SearchID" && tree.text(e).trim() == "4294967295")
}

/// Whether an answer could be given although the message is invalid.
fn can_be_answered(tree: &Tree) -> bool {
    Envelope::of(tree).is_some_and(|e| {
        !e.transactions.is_empty()
            && e.transactions
                .iter()
                .all(|t| t.mode == Mode::Request && !t.id.is_empty() && t.name.ends_with("-Request"))
    })
}

fn response(transaction: &TransactionView, primitive: Elem) -> Part {
    Part {
        mode: Mode::Response,
        id: transaction.id.clone(),
        primitive,
    }
}
