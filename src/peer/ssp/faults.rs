//! What a node can do wrong that no change of its messages shows.

use serde::Deserialize;

/// A fault of set-up, sessions or transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeFault {
    /// Answers 200 to whatever comes, and takes transactions without an id.
    TakesAnything,
    /// Does a set-up for every request.
    SetupForEachRequest,
    /// Forgets the requests that wait for a session.
    ForgetsWaiting,
    /// Sends the session id of the other side.
    SendsIdOfOther,
    /// Serves whatever session id it is told.
    ServesUnknownSession,
    /// Takes the domain of whoever asks from the Requestor, whosever session it is.
    BelievesRequestor,
    /// Serves the first transaction of a message only.
    FirstTransactionOnly,
    /// Takes answers to nothing for requests.
    AnswersResponses,
    /// Answers a domain that it knows nothing of.
    AnswersUnknownDomain,
    /// Takes any protocolVersion.
    TakesAnyVersion,
    /// Hashes a token in Base64 as it stands.
    TokenIsText,
    /// Gives up when both sides open at once.
    CrossingDeadlock,
    /// Opens a session by a LoginRequest alone.
    SetupWithoutToken,
    /// Opens a session before the other side proved itself.
    SetupWithoutProof,
    /// Takes any digest.
    TakesAnyDigest,
    /// Takes the digest of an earlier set-up.
    TakesOldDigest,
    /// Grants more time than was wanted.
    GrantsMore,
    /// Takes a LoginResponse that refuses for one of success.
    TakesRefusal,
    /// Issues session ids without a domain.
    SessionIdWithoutDomain,
    /// Sends the same token in every set-up.
    SameToken,
    /// Gives every request the same transactionID.
    SameTransactionId,
    /// Lets sessions live for ever.
    NeverExpires,
    /// Sends its answer in the HTTP answer.
    AnswersInHttp,
    /// Answers a POST with HTTP 202.
    AcceptsWith202,
    /// Answers a POST with a body.
    BodyInAcknowledgement,
    /// Takes no message without `x-wv-` header fields.
    NeedsHeaders,
    /// Takes no Content-Type with parameters.
    RefusesParameters,
    /// Asks the address that a message came from, not the one of the domain.
    AnswersSource,
    /// Sends `x-wv-` header fields that differ from the body.
    WrongHeaders,
    /// Sends with HTTP/1.0.
    Http10,
    /// Speaks no TLS to others.
    NeverTls,
    /// Takes the white space around a digest for a part of it.
    MindsSpace,
    /// Takes no message with attributes that it does not know.
    MindsUnknownAttributes,
    /// Takes no transactionID with other characters than digits and hyphens.
    MindsTransactionIds,
}
