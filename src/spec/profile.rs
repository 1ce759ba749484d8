//! Profile (IXIT): how to reach an implementation under test, and what it bears. Holds secrets: they
//! never show in `Debug`, and [`Profile::secrets`] feeds the masker of a run.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use crate::base::FileError;
use crate::base::yaml::{self, Document};

use super::profile_ssp::SspProfile;
use super::scalars::{Span, Versions};
use super::types::{Role, Version};

/// Text that must not be shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the message that has to carry it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(crate::base::mask::MASK)
    }
}

/// An `http` or `https` address: `http://host[:port][/path]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl {
    /// Whether it is `https`.
    pub secure: bool,
    /// Host name, IPv4 address, or IPv6 address in brackets.
    pub host: String,
    /// Port; 80 when the text has none, 443 for `https`.
    pub port: u16,
    /// Path with query, `/` when the text has none.
    pub path: String,
}

impl HttpUrl {
    /// Parses an address.
    ///
    /// # Errors
    /// Why it cannot be used, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let shown = crate::base::escape::plain(text).into_owned();
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| format!("`{shown}` has no scheme; write http://host:port/path"))?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(format!("`{shown}` is not an http or https address")),
        };
        if !rest.chars().all(|c| c.is_ascii_graphic()) || rest.contains('#') {
            return Err(format!(
                "`{shown}` holds a blank, a fragment or characters beyond ASCII"
            ));
        }
        let cut = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(cut);
        if authority.contains('@') {
            // The text is not repeated: it may hold a password.
            return Err("user and password have no place in the address".to_owned());
        }
        let (host, port) = match authority.rfind(':') {
            Some(at) if !authority.ends_with(']') => (&authority[..at], Some(&authority[at + 1..])),
            _ => (authority, None),
        };
        let good_host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                !host.is_empty()
                    && host
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
            }
        };
        if !good_host {
            return Err(format!("`{shown}` has no usable host"));
        }
        let port = match port {
            None if secure => 443,
            None => 80,
            Some(p) => p
                .parse()
                .ok()
                .filter(|p| *p > 0 && port.is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit())))
                .ok_or_else(|| format!("`{shown}` has no usable port"))?,
        };
        Ok(Self {
            secure,
            host: host.to_owned(),
            port,
            path: if path.starts_with('/') {
                path.to_owned()
            } else {
                format!("/{path}")
            },
        })
    }

    /// Host and port, as the `Host` field and a socket want them.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}{}", self.host, self.port, self.path)
    }
}

/// Name of a test account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub enum AccountName {
    /// The user that most cases log in.
    A,
    /// The user that A speaks with.
    B,
    /// A third user, for what must not reach a third.
    C,
    /// One more user, apart from the other three.
    X,
}

impl AccountName {
    /// All values, in their order.
    pub const ALL: [AccountName; 4] = [AccountName::A, AccountName::B, AccountName::C, AccountName::X];

    /// The letter.
    pub fn as_str(self) -> &'static str {
        match self {
            AccountName::A => "A",
            AccountName::B => "B",
            AccountName::C => "C",
            AccountName::X => "X",
        }
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A test account.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// User address, `wv:…`.
    pub user: String,
    /// Its password.
    pub password: Secret,
}

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// For an answer.
    pub response: Duration,
    /// For something that must not come.
    pub quiet: Duration,
    /// For a driver to carry out a command.
    pub command: Duration,
    /// For a person to do what a prompt asks, and for the message that shows it.
    pub person: Duration,
    /// KeepAliveTime granted to a client that a person handles: short, so that it keeps its session
    /// alive while the suite looks.
    pub keep_alive: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            response: Duration::from_secs(10),
            quiet: Duration::from_secs(2),
            command: Duration::from_secs(30),
            person: Duration::from_secs(120),
            keep_alive: Duration::from_secs(20),
        }
    }
}

/// What the implementation bears.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Requests a second; more than 0.
    pub rate: f64,
    /// Wrong logins in a row before an account may be locked.
    pub wrong_logins: u32,
    /// Longest that a single wait may take; a case that needs more is left out.
    pub longest_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rate: 20.0,
            wrong_logins: 3,
            longest_wait: Duration::from_secs(120),
        }
    }
}

/// Whose certificate a server may show; at most one of the two is set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsProfile {
    /// File with the certificates of its authorities, PEM; a path relative to the profile.
    pub ca: Option<String>,
    /// Whether any certificate is accepted.
    #[serde(default)]
    pub insecure: bool,
}

/// A profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// The product.
    pub name: String,
    /// The side that it implements.
    pub role: Role,
    /// Where a server is; always there for a server.
    pub url: Option<HttpUrl>,
    /// Whose certificate the server may show; the public authorities' when none. Only with `https`.
    pub tls: Option<TlsProfile>,
    /// Where to wait for a client; always there for a client.
    pub listen: Option<SocketAddr>,
    /// Domain of the accounts.
    pub domain: Option<String>,
    /// Test accounts; may be empty.
    pub accounts: BTreeMap<AccountName, Account>,
    /// Versions of CSP to use, ascending; empty when the file leaves it to negotiation.
    pub csp: Vec<Version>,
    /// How long to wait.
    pub timers: Timers,
    /// What the implementation bears.
    pub limits: Limits,
    /// ClientID to use.
    pub client_id: Option<String>,
    /// Header fields that provisioning asks for, sent with every request.
    pub headers: BTreeMap<String, String>,
    /// Conformance statement, a path relative to the profile.
    pub ics: Option<String>,
    /// Command that makes a client act; run without a shell.
    pub driver: Option<String>,
    /// How to reach a server by SSP; always there for the role ssp.
    pub ssp: Option<SspProfile>,
}

mod raw {
    use super::super::profile_ssp;
    use super::{Account, AccountName, BTreeMap, Deserialize, Role, Span, TlsProfile, Versions};

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Profile {
        pub format: Option<String>,
        pub name: String,
        pub role: Role,
        pub url: Option<String>,
        pub tls: Option<TlsProfile>,
        pub listen: Option<String>,
        pub domain: Option<String>,
        #[serde(default)]
        pub accounts: BTreeMap<AccountName, Account>,
        pub csp: Option<Versions>,
        #[serde(default)]
        pub timers: Timers,
        #[serde(default)]
        pub limits: Limits,
        pub client_id: Option<String>,
        #[serde(default)]
        pub headers: BTreeMap<String, String>,
        pub ics: Option<String>,
        pub driver: Option<String>,
        pub ssp: Option<profile_ssp::Raw>,
    }

    #[derive(Deserialize, Default)]
    #[serde(deny_unknown_fields)]
    pub struct Timers {
        pub response: Option<Span>,
        pub quiet: Option<Span>,
        pub command: Option<Span>,
        pub person: Option<Span>,
        pub keep_alive: Option<Span>,
    }

    #[derive(Deserialize, Default)]
    #[serde(deny_unknown_fields)]
    pub struct Limits {
        pub rate: Option<f64>,
        pub wrong_logins: Option<u32>,
        pub longest_wait: Option<Span>,
    }
}

/// Highest rate that makes sense for one machine; a limit beyond it is a slip.
const MAX_RATE: f64 = 10_000.0;

impl Profile {
    /// Reads a file.
    ///
    /// # Errors
    /// The first mistake with its line and what to do.
    pub fn parse(file: &str, text: &str) -> Result<Self, FileError> {
        let doc = yaml::parse::<raw::Profile>(file, text)?;
        let raw = &doc.value;
        if let Some(format) = raw.format.as_ref().filter(|f| *f != "imps-scr/profile/1") {
            return Err(doc
                .error("format", format!("format `{format}` is not known here"))
                .fix("this version reads `imps-scr/profile/1`"));
        }
        let (url, listen) = target(&doc)?;
        check_tls(&doc, url.as_ref())?;
        check_accounts(&doc)?;
        check_headers(&doc)?;
        if raw.driver.is_some() && raw.role != Role::Client {
            return Err(doc
                .error("driver", "only a client has a driver")
                .fix("remove the line"));
        }
        if let Some(domain) = &raw.domain {
            let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
            if domain.is_empty() || !domain.chars().all(good) {
                return Err(doc
                    .error("domain", "this is not a domain name")
                    .fix("write the part behind the @ of the users, for example im.example.org"));
            }
        }
        let ssp = match &raw.ssp {
            None => None,
            Some(part) => Some(
                part.build()
                    .map_err(|(path, problem, fix)| doc.error(&format!("ssp.{path}"), problem).fix(fix))?,
            ),
        };
        if ssp.is_some() != (raw.role == Role::Ssp) {
            return Err(match ssp {
                Some(_) => doc
                    .error("ssp", "`ssp` goes with the role ssp only")
                    .fix("write `role: ssp`, or remove it"),
                None => doc
                    .error("role", "the role ssp without `ssp`")
                    .fix("add `ssp: {url: http://…, nodes: {N: {domain: …, listen: …}}}`"),
            });
        }
        let own = raw.domain.as_deref().unwrap_or_default().to_lowercase();
        let nodes = ssp.iter().flat_map(|s| &s.nodes);
        if let Some((name, _)) = nodes.into_iter().find(|(_, n)| n.domain == own) {
            return Err(doc
                .error(
                    &format!("ssp.nodes.{name}.domain"),
                    "this is the domain of the server under test",
                )
                .fix("give the node a domain of its own, which the server knows as a peer"));
        }
        if raw.role == Role::Ssp && raw.domain.is_none() {
            return Err(doc
                .error("role", "the role ssp without `domain`")
                .fix("add the domain that the server speaks for"));
        }
        let (timers, limits) = (Timers::default(), Limits::default());
        if raw
            .limits
            .rate
            .is_some_and(|r| !(r.is_finite() && r > 0.0 && r <= MAX_RATE))
        {
            return Err(doc
                .error("limits.rate", "a rate must be more than 0")
                .fix(format!("write requests a second, up to {MAX_RATE}")));
        }
        let or = |span: Option<Span>, default| span.map_or(default, |s| s.0);
        Ok(Self {
            name: raw.name.clone(),
            role: raw.role,
            url,
            tls: raw.tls.clone(),
            listen,
            domain: raw.domain.clone(),
            accounts: raw.accounts.clone(),
            csp: raw.csp.as_ref().map_or_else(Vec::new, |v| v.0.clone()),
            timers: Timers {
                response: or(raw.timers.response, timers.response),
                quiet: or(raw.timers.quiet, timers.quiet),
                command: or(raw.timers.command, timers.command),
                person: or(raw.timers.person, timers.person),
                keep_alive: or(raw.timers.keep_alive, timers.keep_alive),
            },
            limits: Limits {
                rate: raw.limits.rate.unwrap_or(limits.rate),
                wrong_logins: raw.limits.wrong_logins.unwrap_or(limits.wrong_logins),
                longest_wait: or(raw.limits.longest_wait, limits.longest_wait),
            },
            client_id: raw.client_id.clone(),
            headers: raw.headers.clone(),
            ics: raw.ics.clone(),
            driver: raw.driver.clone(),
            ssp,
        })
    }

    /// A profile with nothing but an address, for `--role server --target URL`.
    pub fn of_target(url: HttpUrl) -> Self {
        Self {
            name: url.to_string(),
            url: Some(url),
            ..Self::empty(Role::Server)
        }
    }

    /// A profile with nothing but where to wait, for `--role client --listen ADDR`.
    pub fn of_listener(listen: SocketAddr) -> Self {
        Self {
            name: listen.to_string(),
            listen: Some(listen),
            ..Self::empty(Role::Client)
        }
    }

    fn empty(role: Role) -> Self {
        Self {
            name: String::new(),
            role,
            url: None,
            tls: None,
            listen: None,
            domain: None,
            accounts: BTreeMap::new(),
            csp: Vec::new(),
            timers: Timers::default(),
            limits: Limits::default(),
            client_id: None,
            headers: BTreeMap::new(),
            ics: None,
            driver: None,
            ssp: None,
        }
    }

    /// A test account.
    pub fn account(&self, name: AccountName) -> Option<&Account> {
        self.accounts.get(&name)
    }

    /// Every text that no output may show.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let agreed = self.ssp.as_ref().and_then(|s| s.digest.password.as_ref());
        self.accounts
            .values()
            .map(|a| a.password.reveal())
            .chain(agreed.map(|(p, _)| p.reveal()))
    }
}

fn target(doc: &Document<raw::Profile>) -> Result<(Option<HttpUrl>, Option<SocketAddr>), FileError> {
    let raw = &doc.value;
    let url = match &raw.url {
        None => None,
        Some(text) => Some(HttpUrl::parse(text).map_err(|e| {
            doc.error("url", e)
                .fix("write an address such as http://127.0.0.1:8080/impsrv")
        })?),
    };
    let listen = match &raw.listen {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| {
            doc.error("listen", "this is not an address with a port")
                .fix("write an address such as 127.0.0.1:8080")
        })?),
    };
    match (raw.role, &url, &listen) {
        (Role::Server | Role::Ssp, Some(_), None)
        | (Role::Client, None, Some(_))
        // By SSP alone a server can be tested as far as no client is needed.
        | (Role::Ssp, None, None) => Ok((url, listen)),
        (Role::Server, None, _) => Err(doc
            .error("role", "a server without `url`")
            .fix("add `url: http://…`, where the server is")),
        (Role::Client, _, None) => Err(doc
            .error("role", "a client without `listen`")
            .fix("add `listen: 127.0.0.1:8080`, where the client will connect to")),
        (Role::Server | Role::Ssp, _, Some(_)) => Err(doc
            .error("listen", "a server has no `listen`")
            .fix("remove the line")),
        (Role::Client, Some(_), Some(_)) => {
            Err(doc.error("url", "a client has no `url`").fix("remove the line"))
        }
    }
}

fn check_tls(doc: &Document<raw::Profile>, url: Option<&HttpUrl>) -> Result<(), FileError> {
    let Some(tls) = &doc.value.tls else {
        return Ok(());
    };
    if !url.is_some_and(|u| u.secure) {
        return Err(doc
            .error("tls", "`tls` goes with an https server only")
            .fix("write `url: https://…`, or remove the line"));
    }
    if tls.ca.is_some() && tls.insecure {
        return Err(doc
            .error(
                "tls.insecure",
                "an authority is named, and any certificate accepted",
            )
            .fix("keep `ca` or `insecure`, not both"));
    }
    if tls.ca.as_ref().is_some_and(String::is_empty) {
        return Err(doc
            .error("tls.ca", "no file is named")
            .fix("write the file with the certificate of the authority, PEM"));
    }
    Ok(())
}

fn check_accounts(doc: &Document<raw::Profile>) -> Result<(), FileError> {
    let mut seen: BTreeMap<String, AccountName> = BTreeMap::new();
    for (name, account) in &doc.value.accounts {
        let path = format!("accounts.{name}.user");
        let rest = account.user.strip_prefix("wv:").unwrap_or_default();
        if rest.is_empty() || account.user.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(doc
                .error(&path, format!("the user of {name} is not a user address"))
                .fix("write it like wv:alice@im.example.org"));
        }
        if account.password.reveal().is_empty() {
            return Err(doc
                .error(
                    &format!("accounts.{name}.password"),
                    format!("the password of {name} is empty"),
                )
                .fix("give the account a password"));
        }
        // User addresses do not tell upper from lower case.
        if let Some(other) = seen.insert(account.user.to_lowercase(), *name) {
            return Err(doc
                .error(&path, format!("{other} and {name} are the same user"))
                .fix("give each account a user of its own"));
        }
    }
    Ok(())
}

fn check_headers(doc: &Document<raw::Profile>) -> Result<(), FileError> {
    for (name, value) in &doc.value.headers {
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let path = format!("headers.{name}");
        if name.is_empty() || !name.chars().all(token) {
            return Err(doc
                .error(&path, "this is not the name of a header field")
                .fix("use letters, digits and hyphens"));
        }
        let own = [
            "content-type",
            "content-length",
            "host",
            "transfer-encoding",
            "connection",
            "expect",
        ];
        if own.iter().any(|o| name.eq_ignore_ascii_case(o)) {
            return Err(doc
                .error(&path, "the suite sends this header field itself")
                .fix("remove the line"));
        }
        if !value
            .chars()
            .all(|c| c == ' ' || c == '\t' || c.is_ascii_graphic())
        {
            return Err(doc
                .error(&path, "the value holds a line break or a character beyond ASCII")
                .fix("write plain ASCII on one line"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = "format: imps-scr/profile/1
name: Server X
role: server
url: http://127.0.0.1:8080/impsrv
domain: example.org
accounts:
  A: {user: \"wv:alice@example.org\", password: Sesame}
  B: {user: \"wv:bob@example.org\", password: Open}
csp: [1.2, \"1.1\"]
timers: {response: 500ms, quiet: 1.5}
limits: {rate: 5, wrong_logins: 2, longest_wait: 2m}
client_id: phone
headers: {X-MSISDN: \"123\"}
ics: x.yaml
";

    #[test]
    fn everything_is_read() {
        let p = Profile::parse("p", FILE).unwrap();
        assert_eq!(
            p.url.as_ref().unwrap().to_string(),
            "http://127.0.0.1:8080/impsrv"
        );
        assert_eq!(p.csp, [Version::V11, Version::V12]);
        assert_eq!(p.timers.response, Duration::from_millis(500));
        assert_eq!(p.timers.quiet, Duration::from_millis(1500));
        assert_eq!(p.limits.longest_wait, Duration::from_secs(120));
        assert_eq!(p.account(AccountName::B).unwrap().user, "wv:bob@example.org");
        assert_eq!(p.secrets().collect::<Vec<_>>(), ["Sesame", "Open"]);
        let shown = format!("{p:?}");
        assert!(!shown.contains("Sesame") && shown.contains("***"), "{shown}");
    }

    #[test]
    fn little_is_enough() {
        let p = Profile::parse("p", "name: x\nrole: client\nlisten: 127.0.0.1:0\ncsp: 1.2\n").unwrap();
        assert_eq!(p.csp, [Version::V12]);
        assert_eq!(p.timers, Timers::default());
        let url = HttpUrl::parse("http://h?q=1").unwrap();
        assert_eq!(
            Profile::of_target(url).url.unwrap().to_string(),
            "http://h:80/?q=1"
        );
    }

    #[test]
    fn mistakes_carry_line_and_fix() {
        for (from, to, line, part) in [
            ("http://127", "ftp://127", 4, "not an http or https address"),
            (
                "domain: example.org",
                "tls: {insecure: true}",
                5,
                "https server only",
            ),
            ("http://127.0.0.1", "http://u:Sesame@h", 4, "no place"),
            ("127.0.0.1:8080", "127.0.0.1:99999", 4, "port"),
            ("url: http://127.0.0.1:8080/impsrv\n", "", 3, "without `url`"),
            ("role: server", "role: client", 3, "without `listen`"),
            ("wv:bob", "bob", 8, "user address"),
            ("wv:bob", "wv:Alice", 8, "A and B are the same user"),
            ("Open", "''", 8, "empty"),
            ("response: 500ms", "response: 0", 10, "more than 0"),
            ("response: 500ms", "response: -3", 10, "more than 0"),
            ("response: 500ms", "response: soon", 10, "500ms"),
            ("rate: 5", "rate: 0", 11, "more than 0"),
            ("rate: 5", "rate: .nan", 11, "more than 0"),
            ("\"123\"", "\"1\\n2\"", 13, "line break"),
            ("ics: x.yaml", "driver: ./x", 14, "only a client"),
            ("profile/1", "profile/9", 1, "profile/9"),
            ("  B:", "  D:", 6, "unknown variant"),
            ("csp: [1.2, \"1.1\"]", "csp: 1.3", 9, "1.3"),
        ] {
            assert!(FILE.contains(from));
            let e = Profile::parse("p", &FILE.replacen(from, to, 1)).unwrap_err();
            assert!(e.to_string().contains(part), "{e}");
            assert_eq!(e.line, line, "{e}");
            assert!(!e.to_string().contains("Sesame"), "{e}");
        }
    }

    #[test]
    fn https_has_a_port_and_a_trust_of_its_own() {
        let file = |tls: &str| {
            let text = FILE.replacen("http://127.0.0.1:8080/impsrv", "https://h/impsrv", 1);
            Profile::parse("p", &text.replacen("domain: example.org", tls, 1))
        };
        let p = file("tls: {ca: ca.pem}").unwrap();
        assert_eq!(p.url.unwrap().to_string(), "https://h:443/impsrv");
        assert_eq!(p.tls.unwrap().ca.as_deref(), Some("ca.pem"));
        assert!(file("tls: {insecure: true}").unwrap().tls.unwrap().insecure);
        assert!(file("").unwrap().tls.is_none());
        for (tls, part) in [
            ("tls: {ca: a, insecure: true}", "not both"),
            ("tls: {ca: ''}", "no file"),
            ("tls: {cert: a}", "unknown field"),
        ] {
            let e = file(tls).unwrap_err();
            assert!(e.to_string().contains(part), "{e}");
            assert_eq!(e.line, 5, "{e}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}") {
            let _ = Profile::parse("p", &text);
            let _ = HttpUrl::parse(&text);
            let _ = HttpUrl::parse(&format!("http://{text}"));
        }

        #[test]
        fn addresses_survive(scheme in "https?", host in "[a-z][a-z0-9.-]{0,9}|\\[::1\\]", port in 1u16.., path in "(/[a-z]{0,4}){1,3}") {
            let text = format!("{scheme}://{host}:{port}{path}");
            prop_assert_eq!(HttpUrl::parse(&text).unwrap().to_string(), text);
        }
    }
}
