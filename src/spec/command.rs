//! What an upper tester can make a client do: the vocabulary that cases, drivers and the embedded
//! client share.

/// What a user may ask a client to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Log in with a password.
    Login,
    /// Log in with a digest.
    LoginDigest,
    /// Negotiate what the client can take (ClientCapability-Request).
    Capabilities,
    /// Negotiate which functions are used (Service-Request).
    Services,
    /// Ask who provides the service (GetSPInfo-Request).
    ProviderInfo,
    /// Ask which versions the server speaks (WV-CSP-VersionDiscovery-Request, CSP 1.2).
    DiscoverVersions,
    /// Send a KeepAlive-Request.
    KeepAlive,
    /// Send a Polling-Request.
    Poll,
    /// Do nothing by hand: what the client does by itself is waited for.
    Idle,
    /// Log out.
    Logout,
}

impl Command {
    /// All values, in the order of a session.
    pub const ALL: [Command; 10] = [
        Command::DiscoverVersions,
        Command::Login,
        Command::LoginDigest,
        Command::Capabilities,
        Command::Services,
        Command::ProviderInfo,
        Command::KeepAlive,
        Command::Poll,
        Command::Idle,
        Command::Logout,
    ];

    /// The command of a word, as cases and drivers write it.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.as_str() == word)
    }

    /// The message that a client begins with when it obeys.
    pub fn primitive(self) -> &'static str {
        match self {
            Command::Login | Command::LoginDigest => "Login-Request",
            Command::Capabilities => "ClientCapability-Request",
            Command::Services => "Service-Request",
            Command::ProviderInfo => "GetSPInfo-Request",
            Command::DiscoverVersions => "WV-CSP-VersionDiscovery-Request",
            Command::KeepAlive | Command::Idle => "KeepAlive-Request",
            Command::Poll => "Polling-Request",
            Command::Logout => "Logout-Request",
        }
    }

    /// The word of cases and drivers.
    pub fn as_str(self) -> &'static str {
        match self {
            Command::Login => "login",
            Command::LoginDigest => "login-digest",
            Command::Capabilities => "capabilities",
            Command::Services => "services",
            Command::ProviderInfo => "provider-info",
            Command::DiscoverVersions => "discover-versions",
            Command::KeepAlive => "keep-alive",
            Command::Poll => "poll",
            Command::Idle => "idle",
            Command::Logout => "logout",
        }
    }
}
