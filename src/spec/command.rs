//! What an upper tester can make a client do: the vocabulary that cases, drivers and the embedded
//! client share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One row a command: what it is called, what it begins with, and what it asks a user to do.
macro_rules! commands {
    ($($variant:ident $word:literal $primitive:literal $about:literal,)*) => {
        /// What a user may ask a client to do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Command {
            $(
                #[doc = concat!($about, ".")]
                #[serde(rename = $word)]
                $variant,
            )*
        }

        impl Command {
            /// All values, in the order of a session.
            pub const ALL: &[Command] = &[$(Command::$variant),*];

            /// The message that a client begins with when it obeys.
            pub fn primitive(self) -> &'static str {
                match self { $(Command::$variant => $primitive,)* }
            }

            /// The word of cases and drivers.
            pub fn as_str(self) -> &'static str {
                match self { $(Command::$variant => $word,)* }
            }

            /// What it asks for, as a sentence to a person.
            pub fn about(self) -> &'static str {
                match self { $(Command::$variant => $about,)* }
            }
        }
    };
}

commands! {
    DiscoverVersions "discover-versions" "WV-CSP-VersionDiscovery-Request" "Ask which versions the server speaks (CSP 1.2)",
    Login "login" "Login-Request" "Log in with a password",
    LoginDigest "login-digest" "Login-Request" "Log in with a digest",
    Capabilities "capabilities" "ClientCapability-Request" "Negotiate capabilities",
    CapabilitiesCir "capabilities-cir" "ClientCapability-Request" "Negotiate capabilities and offer CIR (STCP, SUDP, SHTTP)",
    Services "services" "Service-Request" "Negotiate services",
    ProviderInfo "provider-info" "GetSPInfo-Request" "Ask who provides the service",
    Search "search" "Search-Request" "Search for the other user",
    StopSearch "stop-search" "StopSearch-Request" "Stop a search that has more results",
    Invite "invite" "Invite-Request" "Invite the other user to a talk",
    AnswerInvitation "answer-invitation" "InviteUser-Response" "Accept the invitation that came last",
    CancelInvitation "cancel-invitation" "CancelInvite-Request" "Take an invitation back",
    VerifyId "verify-id" "VerifyID-Request" "Ask whether the address of the other user is known (CSP 1.2)",
    Subscribe "subscribe" "SubscribePresence-Request" "Subscribe to the presence of the other user",
    Unsubscribe "unsubscribe" "UnsubscribePresence-Request" "End the subscription to the presence of the other user",
    Watchers "watchers" "GetWatcherList-Request" "Ask who watches the own presence",
    GetPresence "get-presence" "GetPresence-Request" "Ask for the presence of the other user",
    Authorise "authorise" "PresenceAuth-User" "Let the other user see the own presence",
    CancelAuthorisation "cancel-authorisation" "CancelAuth-Request" "Take that leave back",
    AuthorisationStatus "authorisation-status" "GetReactiveAuthStatus-Request" "Ask who was given leave to see the presence (CSP 1.2)",
    UpdatePresence "update-presence" "UpdatePresence-Request" "Change the own presence",
    ContactLists "contact-lists" "GetList-Request" "Ask for the contact lists",
    CreateList "create-list" "CreateList-Request" "Make a contact list with the other user on it",
    ManageList "manage-list" "ListManage-Request" "Show what is on that contact list",
    DeleteList "delete-list" "DeleteList-Request" "Delete that contact list",
    CreateAttributeList "create-attribute-list" "CreateAttributeList-Request" "Say which presence attributes the other user may see",
    AttributeLists "attribute-lists" "GetAttributeList-Request" "Ask which presence attributes others may see",
    DeleteAttributeList "delete-attribute-list" "DeleteAttributeList-Request" "Take that back",
    SendMessage "send-message" "SendMessage-Request" "Send a message to the other user",
    DeliveryMethod "delivery-method" "SetDeliveryMethod-Request" "Choose how messages are delivered",
    MessageList "message-list" "GetMessageList-Request" "Ask which messages wait",
    GetMessage "get-message" "GetMessage-Request" "Fetch the message that was announced",
    RejectMessage "reject-message" "RejectMessage-Request" "Reject the message that was announced",
    ForwardMessage "forward-message" "ForwardMessage-Request" "Forward the message that was announced to the other user",
    BlockedList "blocked-list" "GetBlockedList-Request" "Ask who is blocked",
    Block "block" "BlockEntity-Request" "Block the other user",
    CreateGroup "create-group" "CreateGroup-Request" "Make a group of its own",
    JoinGroup "join-group" "JoinGroup-Request" "Join the group",
    GroupMembers "group-members" "GetGroupMembers-Request" "Ask for the members of the group",
    JoinedUsers "joined-users" "GetJoinedUsers-Request" "Ask who has joined the group (CSP 1.2)",
    AddMembers "add-members" "AddGroupMembers-Request" "Make the other user a member of the group",
    RemoveMembers "remove-members" "RemoveGroupMembers-Request" "Take the other user from the members of the group",
    MemberAccess "member-access" "MemberAccess-Request" "Make the other user a moderator of the group",
    GroupProperties "group-properties" "GetGroupProps-Request" "Ask for the properties of the group",
    SetGroupProperties "set-group-properties" "SetGroupProps-Request" "Change the topic of the group",
    RejectList "reject-list" "RejectList-Request" "Put the other user on the reject list of the group",
    GroupNotices "group-notices" "SubscribeGroupNotice-Request" "Ask to be told of changes in the group",
    LeaveGroup "leave-group" "LeaveGroup-Request" "Leave the group",
    DeleteGroup "delete-group" "DeleteGroup-Request" "Delete the group",
    KeepAlive "keep-alive" "KeepAlive-Request" "Send a keep-alive",
    Poll "poll" "Polling-Request" "Ask the server for news",
    Idle "idle" "KeepAlive-Request" "Leave the client alone until it has kept its session alive by itself",
    Logout "logout" "Logout-Request" "Log out",
}

impl Command {
    /// The command of a word, as cases and drivers write it.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|c| c.as_str() == word)
    }

    /// The command that makes a client send this primitive.
    pub fn sending(primitive: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|c| c.primitive() == primitive && *c != Command::Idle)
    }
}
