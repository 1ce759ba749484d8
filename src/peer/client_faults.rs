//! What can be wrong with the state of the reference client. Faults of single messages are edits.

/// State faults of a client, for mutants: what no edit of a single message can express.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientFault {
    /// Does not poll when Poll says T.
    IgnoresPollFlag,
    /// Goes on with a session that the server called unknown.
    KeepsDeadSession,
    /// Goes on with the session after logout.
    KeepsSessionAfterLogout,
    /// Acts as if logged in after a refused login.
    IgnoresRefusedLogin,
    /// Computes the digest over the password alone.
    DigestWithoutNonce,
    /// Does not answer requests of the server.
    IgnoresServerRequests,
    /// Answers only the first request of a message.
    AnswersFirstOnly,
    /// Uses a new TransactionID in the third leg of a 4-way login.
    NewIdInThirdLeg,
    /// Uses one TransactionID for the whole session.
    SameTransactionId,
    /// Stops working after an answer it cannot read.
    StopsAfterBadAnswer,
    /// Stops working after an empty answer to a poll.
    StopsAfterEmptyAnswer,
    /// Forgets the session that a login gave it.
    ForgetsSession,
    /// Gives its session up when a new time is refused.
    EndsSessionOnRefusedTime,
    /// Uses functions that the server did not grant.
    UsesRefusedFunctions,
    /// Does not negotiate capabilities although the server asks for it.
    IgnoresCapabilityRequest,
    /// Answers a Disconnect of the server.
    AnswersDisconnect,
    /// Polls as often as it likes.
    IgnoresPollMin,
    /// Keeps an idle session alive after its end.
    KeepsAliveLate,
    /// Does nothing to keep an idle session.
    LetsSessionExpire,
    /// Goes on with a session after a Disconnect of the server.
    IgnoresDisconnect,
    /// Takes only Status for the answer to a logout.
    WaitsForStatusAtLogout,
    /// Stops working when an answer does not come.
    StopsWithoutAnswer,
    /// Answers requests of the server twice.
    AnswersTwice,
    /// Polls once, although Poll stays T.
    PollsOnce,
    /// Stops working after a refusal by Status.
    StopsAfterRefusal,
    /// Stops working after an answer with the largest number of its type.
    StopsAtLargeNumbers,
    /// Cannot read an answer in chunks; the carrier acts on it.
    NoChunks,
    // CIR.
    /// Says another session in its HELO.
    HelloOfAnother,
    /// Does not poll at a CIR on TCP.
    IgnoresCir,
    /// Does not poll at a CIR in a datagram.
    IgnoresDatagrams,
    /// Does not poll when CIRURL says that data waits.
    IgnoresCirUrl,
    /// Polls although CIRURL says that nothing waits.
    PollsInVain,
    /// Takes `WVCI` only in capitals.
    NeedsCapitals,
    /// Takes no CIR with more words than it knows.
    NeedsThreeWords,
    /// Takes a CIR with any cookie.
    TakesAnyCookie,
    /// Does not open its STCP channel again.
    OpensChannelOnce,
    /// Uses one SessionCookie for all logins.
    KeepsCookie,
    /// Does not confirm a message that it fetched.
    ConfirmsNothing,
    /// Stops working after a group welcomes it.
    StopsAfterWelcomeNote,
    /// Stops working after a property of a group that it does not know.
    StopsAfterUnknownProperty,
    // Presence.
    /// Refuses notifications of presence.
    RefusesNotifications,
    /// Refuses to be asked whether somebody may see its presence.
    RefusesQuestions,
    /// Stops working after an answer with a list that has nothing in it.
    StopsAtEmptyLists,
    /// Stops working when it is told that it may not see a presence.
    StopsAfterPresenceFailure,
    /// Confirms a message that it could not fetch.
    ConfirmsUnfetched,
    /// Answers only pushed messages with a text in them.
    ConfirmsTextsOnly,
    /// Answers a pushed message once, however often it comes.
    ConfirmsOnce,
    /// Stops working after a success in part.
    StopsAfterPartialSuccess,
    /// Stops working after a message list that has not exactly one entry.
    StopsAfterOddMessageLists,
    /// Stops working after blocked lists that are absent, or have entries other than users.
    StopsAfterOddBlockedLists,
    /// Stops working after an answer that fails in part.
    StopsAtDetails,
    /// Stops working after an answer without the results, lists or users that it asked for.
    StopsAtNothing,
}
