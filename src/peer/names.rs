//! Who and what the requests of a client are about: addresses of users, groups and contact lists
//! (section 6.2 of the facts). What a run creates carries the word of the run.

/// The addresses that a client of the suite speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    /// The user itself.
    pub me: String,
    /// The other user, whom messages, searches and lists are about.
    pub peer: String,
    /// Who owns the group.
    pub owner: String,
    /// A word that tells this run from others; short, since addresses have 50 characters.
    pub word: String,
    /// MessageID of the message that came last, or was announced.
    pub message: Option<String>,
    /// SearchID of the search that was begun last.
    pub search: Option<String>,
    /// InviteID of the invitation that came last, and who sent it.
    pub invited: Option<(String, String)>,
}

impl Names {
    /// The names of a client that has its server for itself: the other user is of the same domain, the
    /// group its own.
    pub fn of_client(user: &str) -> Self {
        let domain = user.split_once('@').map_or("", |(_, domain)| domain);
        Self {
            me: user.to_owned(),
            peer: match domain {
                "" => "wv:imps-scr-peer".to_owned(),
                domain => format!("wv:imps-scr-peer@{domain}"),
            },
            owner: user.to_owned(),
            word: "scr".to_owned(),
            ..Self::default()
        }
    }

    /// The group.
    pub fn group(&self) -> String {
        resource(&self.owner, &format!("g{}", self.word))
    }

    /// A contact list of the user.
    pub fn list(&self) -> String {
        resource(&self.me, &format!("l{}", self.word))
    }

    /// The domain of the user.
    pub fn domain(&self) -> String {
        let domain = self.me.split_once('@').map(|(_, domain)| domain);
        domain.unwrap_or("example.com").to_owned()
    }

    /// The name under which the user is known in the group.
    pub fn screen_name(&self) -> String {
        screen_name_of(&self.me)
    }

    /// The message that came last, or one that nobody has.
    pub fn message(&self) -> String {
        self.message
            .clone()
            .unwrap_or_else(|| "no-such-message".to_owned())
    }

    /// The search that was begun last, or one that nobody began.
    pub fn search(&self) -> String {
        self.search.clone().unwrap_or_else(|| "4294967295".to_owned())
    }

    /// The identifier of the invitation that is made.
    pub fn invitation(&self) -> String {
        format!("i{}", self.word)
    }
}

/// `wv:john@smith.com` and `party` give `wv:john/party@smith.com`.
pub fn resource(user: &str, name: &str) -> String {
    match user.split_once('@') {
        Some((local, domain)) => format!("{local}/{name}@{domain}"),
        None => format!("{user}/{name}"),
    }
}

/// A screen name for a user: its user part.
pub fn screen_name_of(user: &str) -> String {
    let local = user.split('@').next().unwrap_or(user);
    local.strip_prefix("wv:").unwrap_or(local).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_stand_between_user_and_domain() {
        assert_eq!(resource("wv:john@smith.com", "party"), "wv:john/party@smith.com");
        assert_eq!(resource("wv:john", "party"), "wv:john/party");
        assert_eq!(screen_name_of("wv:john@smith.com"), "john");
        let names = Names::of_client("wv:john@smith.com");
        assert_eq!(names.peer, "wv:imps-scr-peer@smith.com");
        assert_eq!(names.list(), "wv:john/lscr@smith.com");
    }
}
