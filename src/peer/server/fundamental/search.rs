//! General search (T11) and its end (T12).

use crate::message::{Elem, text};
use crate::spec::Version;

use super::super::super::{compose, contents};
use super::super::world::Call;
use super::super::{ServerEngine, ServerFault};

/// Results in an answer when the client does not say how many it takes.
const USUAL_LIMIT: usize = 20;
/// Most searches of all users; the oldest are dropped.
const MOST_SEARCHES: usize = 1_000;
/// How long a search waits to be continued, in milliseconds.
const LIFE_MS: u64 = 600_000;

/// A search that has more results.
#[derive(Debug)]
pub(in super::super) struct Search {
    id: u32,
    session: String,
    since_ms: u64,
    of_groups: bool,
    hits: Vec<String>,
    limit: usize,
    delivered: usize,
}

impl ServerEngine {
    pub(super) fn search(&mut self, call: &Call<'_>) -> Elem {
        let pairs: Vec<(String, String)> = call
            .tree
            .elements(call.node)
            .filter(|e| call.tree.get(*e).name == "SearchPairList")
            .map(|e| {
                let of = |name: &str| call.tree.child_text(e, name).unwrap_or_default();
                (of("SearchElement"), of("SearchString"))
            })
            .collect();
        match (call.text("SearchID"), pairs.is_empty()) {
            (Some(id), true) => self.continue_search(call, &id),
            (None, false) => self.new_search(call, &pairs),
            _ => compose::status(402),
        }
    }

    fn new_search(&mut self, call: &Call<'_>, pairs: &[(String, String)]) -> Elem {
        let of_groups = pairs.iter().all(|(element, _)| element.starts_with("GROUP_"));
        if !of_groups && pairs.iter().any(|(element, _)| element.starts_with("GROUP_")) {
            return compose::status(402);
        }
        if pairs.iter().all(|(_, string)| string.is_empty()) {
            return compose::status(537);
        }
        let limit = match call
            .text("SearchLimit")
            .map(|l| l.parse::<usize>().unwrap_or(usize::MAX))
        {
            Some(limit) if limit > 0 => limit.min(100),
            _ => USUAL_LIMIT,
        };
        let found = pairs.iter().map(|(element, string)| match of_groups {
            true => self.group_matches(element, string),
            false => self.user_matches(element, string),
        });
        let mut hits = match self.fault {
            Some(ServerFault::OrsSearchPairs) => found.flatten().collect(),
            _ => found
                .reduce(|both, next| both.into_iter().filter(|hit| next.contains(hit)).collect())
                .unwrap_or_default(),
        };
        hits.dedup();
        if self.hospitable {
            hits = self.invented_hits(of_groups, limit + 2);
        }
        let search = Search {
            id: self.random.u32(1..u32::MAX),
            session: call.session.to_owned(),
            since_ms: call.now_ms,
            of_groups,
            hits,
            limit: match self.fault {
                Some(ServerFault::IgnoresSearchLimit) => usize::MAX,
                _ => limit,
            },
            delivered: 0,
        };
        self.next_results(call, search, 1, true)
    }

    fn continue_search(&mut self, call: &Call<'_>, id: &str) -> Elem {
        let any = self.fault == Some(ServerFault::TakesAnySearch);
        let searches = &mut self.world.fundamental.searches;
        let found = searches
            .iter()
            .position(|s| s.id.to_string() == id && s.session == call.session);
        let search = match found {
            Some(index) => searches.remove(index),
            None if self.hospitable || any => Search {
                id: id.parse().unwrap_or(1),
                session: call.session.to_owned(),
                since_ms: call.now_ms,
                of_groups: false,
                hits: self.invented_hits(false, 1),
                limit: 1,
                delivered: 0,
            },
            None => return compose::status(424),
        };
        if call.now_ms.saturating_sub(search.since_ms) > LIFE_MS {
            return compose::status(535);
        }
        let next = match call
            .text("SearchIndex")
            .map(|i| i.parse::<usize>().unwrap_or(usize::MAX))
        {
            _ if self.fault == Some(ServerFault::RepeatsResults) => 1,
            Some(index) if self.hospitable => index.clamp(1, search.hits.len()),
            Some(index) => index,
            None => search.delivered + 1,
        };
        if next == 0 || next > search.hits.len() {
            if self.fault != Some(ServerFault::TakesAnyIndex) {
                // The search itself goes on.
                self.world.fundamental.searches.push(search);
                return compose::status(425);
            }
            return self.next_results(call, search, 1, false);
        }
        self.next_results(call, search, next, false)
    }

    /// The answer with the results from this index on; a search with more of them is kept.
    fn next_results(&mut self, call: &Call<'_>, mut search: Search, from: usize, first: bool) -> Elem {
        let last = search.hits.len().min((from - 1).saturating_add(search.limit));
        let page = &search.hits[(from - 1).min(last)..last];
        let complete = last == search.hits.len();
        let spelled = page.iter().map(|hit| self.spelled(hit));
        let found = match search.of_groups {
            true => Elem::new("GroupList").with_all(spelled.map(|g| text("GroupID", g))),
            false => Elem::new("UserList").with_all(spelled.map(|u| contents::user(&u))),
        };
        // Q8: 1.1 repeats the SearchID, 1.2 leaves it out.
        let named = first || call.version == Version::V11;
        let answer = Elem::new("Search-Response")
            .with_some(named.then(|| text("SearchID", search.id.to_string())))
            .with(text("SearchFindings", search.hits.len().to_string()))
            .with(text("CompletionFlag", if complete { "T" } else { "F" }))
            .with(text("SearchIndex", last.to_string()))
            .with_some((!page.is_empty()).then(|| Elem::new("SearchResult").with(found)));
        if !complete {
            search.delivered = last;
            search.since_ms = call.now_ms;
            let searches = &mut self.world.fundamental.searches;
            if searches.len() >= MOST_SEARCHES {
                searches.remove(0);
            }
            searches.push(search);
        }
        answer
    }

    pub(super) fn stop_search(&mut self, call: &Call<'_>) -> Elem {
        let id = call.text("SearchID").unwrap_or_default();
        let searches = &mut self.world.fundamental.searches;
        let found = searches
            .iter()
            .position(|s| s.id.to_string() == id && s.session == call.session);
        match found {
            Some(index) => {
                if self.fault != Some(ServerFault::ServesStoppedSearch) {
                    searches.remove(index);
                }
                compose::status(200)
            }
            None if self.hospitable || self.fault == Some(ServerFault::TakesAnySearch) => {
                compose::status(200)
            }
            None => compose::status(self.refusal_code(424)),
        }
    }

    /// The users that one pair finds.
    fn user_matches(&self, element: &str, string: &str) -> Vec<String> {
        let wanted = string.trim().to_lowercase();
        let shows = |user: &str, attribute: &str| {
            self.shown_value(user, attribute)
                .is_some_and(|v| v.to_lowercase().contains(&wanted))
        };
        let users = self.config.accounts.iter().map(|a| self.canonical(&a.user));
        users
            .filter(|user| match element {
                "USER_ID" => user.contains(&wanted),
                "USER_ALIAS" => shows(user, "Alias"),
                "USER_ONLINE_STATUS" => (wanted == "t") == self.is_online(user),
                // Nothing of this is known of anybody.
                _ => false,
            })
            .collect()
    }

    /// What a hospitable server finds: as many as there should be.
    fn invented_hits(&self, of_groups: bool, count: usize) -> Vec<String> {
        let kind = if of_groups { "/group" } else { "" };
        (0..count)
            .map(|n| match n {
                0 if !of_groups => "wv:imps-scr-peer".to_owned(),
                n => format!("wv:imps-scr-{n}{kind}"),
            })
            .map(|address| self.canonical(&address))
            .collect()
    }
}
