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
    /// Send a KeepAlive-Request.
    KeepAlive,
    /// Send a Polling-Request.
    Poll,
    /// Log out.
    Logout,
}

impl Command {
    /// The word of cases and drivers.
    pub fn as_str(self) -> &'static str {
        match self {
            Command::Login => "login",
            Command::LoginDigest => "login-digest",
            Command::KeepAlive => "keep-alive",
            Command::Poll => "poll",
            Command::Logout => "logout",
        }
    }
}
