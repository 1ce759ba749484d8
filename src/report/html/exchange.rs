//! The exchanges of a case: heads, bodies with their marks, and what was found about a message as a
//! whole. A body that stands on the page already is not written again in a case that passed.

use std::collections::BTreeMap;

use serde::Serialize;

use super::body::{Spot, Wanted, note, render};
use super::index::{At, Index, Link, criterion_anchor};
use super::text::{escape, safe};
use crate::base::escape::plain;
use crate::report::collector::KeptExchanges;
use crate::report::shown::{ShownBody, ShownExchange, ShownMessage};
use crate::report::words::place;
use crate::verdict::{Part, Verdict};

/// Least length of a body that is worth a reference instead, in octets of HTML.
const MIN_REPEATED: usize = 300;

/// Bodies that stand on the page: their text to their anchor and how to call the place.
#[derive(Default)]
pub struct Bodies(BTreeMap<String, Link>);

/// Where the places of a criterion lead: criterion and number of the place to anchor and remark.
pub type Spots = BTreeMap<(usize, usize), Target>;

/// Where a place leads.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// Empty when the exchange is not on the page.
    pub anchor: String,
    /// Why nothing is marked, if so.
    pub lost: Option<&'static str>,
}

/// An exchange.
#[derive(Serialize)]
pub struct ExchangeView {
    anchor: String,
    number: u32,
    direction: &'static str,
    at_ms: u64,
    duration_ms: u64,
    outcome: String,
    worst: Option<&'static str>,
    request: MessageView,
    response: Option<MessageView>,
    /// What came instead of a response.
    instead: Option<BodyView>,
    /// Findings about a response that is not there.
    notes_html: String,
}

#[derive(Serialize)]
struct MessageView {
    anchor: String,
    head_html: String,
    body: BodyView,
    notes_html: String,
}

#[derive(Serialize)]
struct BodyView {
    html: String,
    notes: String,
    dump: bool,
    /// The anchor of a body that may be referred to; empty when it must not.
    anchor: String,
    /// The body that is the same.
    same: Option<Link>,
}

/// What the criteria of a case want marked.
type Wishes<'a> = Vec<(Key, Wanted<'a>)>;
type Key = (usize, usize);

/// Shows the exchanges of a case. `told` are the numbers of the criteria that stand in its table.
pub fn exchanges(
    index: &Index<'_>,
    case: usize,
    told: &[usize],
    kept: Option<&KeptExchanges>,
    bodies: &mut Bodies,
) -> (Vec<ExchangeView>, Spots) {
    let mut spots = Spots::new();
    let mut wishes = wishes(index, case, told);
    let repeats = index.case(case).verdict.as_str() == "pass";
    let views = kept
        .map_or(&[][..], |k| &k.exchanges)
        .iter()
        .map(|exchange| {
            let mut writer = Writer {
                case,
                exchange,
                repeats,
                bodies: &mut *bodies,
                spots: &mut spots,
                worst: Verdict::None,
            };
            writer.exchange(&mut wishes)
        })
        .collect();
    (views, spots)
}

fn wishes<'a>(index: &Index<'a>, case: usize, told: &[usize]) -> Wishes<'a> {
    let mut wishes = Wishes::new();
    for k in told {
        let at: At = (case, *k);
        let criterion = index.criterion(at);
        for (p, place) in criterion.places.iter().enumerate() {
            let wanted = Wanted {
                place,
                verdict: criterion.verdict,
                number: k + 1,
                anchor: criterion_anchor(at),
                text: format!(
                    "{} {}: {}",
                    index.marked(&criterion.item),
                    criterion.rule,
                    criterion.text()
                ),
            };
            wishes.push(((*k, p), wanted));
        }
    }
    wishes
}

struct Writer<'a> {
    case: usize,
    exchange: &'a ShownExchange,
    /// Whether a body that stands on the page already may be left out.
    repeats: bool,
    bodies: &'a mut Bodies,
    spots: &'a mut Spots,
    /// The worst of what was found in this exchange.
    worst: Verdict,
}

impl Writer<'_> {
    fn anchor(&self) -> String {
        format!("c{}x{}", self.case + 1, self.exchange.number)
    }

    fn exchange(&mut self, wishes: &mut Wishes<'_>) -> ExchangeView {
        let exchange = self.exchange;
        let number = exchange.number;
        let mut take = |part| -> Wishes<'_> {
            let here = |w: &Wanted<'_>| (w.place.exchange, w.place.part) == (Some(number), part);
            wishes.extract_if(.., |(_, w)| here(w)).collect()
        };
        let whole = take(None);
        let asked = take(Some(Part::Request));
        let answered = take(Some(Part::Response));
        let anchor = self.anchor();
        let request = self.message(&exchange.request, asked, "request", "q");
        let (mut response, mut instead, mut notes_html) = (None, None, String::new());
        match (&exchange.response, &exchange.raw) {
            (Some(message), _) => response = Some(self.message(message, answered, "response", "s")),
            (None, Some(raw)) => {
                let (body, notes) = self.body(raw, answered, "answer", "s");
                instead = Some(body);
                notes_html = notes;
            }
            (None, None) => notes_html = self.unplaced(answered, "there is no response"),
        }
        notes_html += &self.unplaced(whole, "");
        ExchangeView {
            anchor,
            number,
            direction: match exchange.initiator {
                "iut" => "the client under test asked",
                _ => "the suite asked",
            },
            at_ms: exchange.started_ms,
            duration_ms: exchange.duration_ms,
            outcome: match (&exchange.response, &exchange.failure) {
                (Some(response), _) => safe(&response.start),
                (None, Some(failure)) => safe(failure),
                (None, None) => String::new(),
            },
            worst: (self.worst > Verdict::Pass).then(|| self.worst.as_str()),
            request,
            response,
            instead,
            notes_html,
        }
    }

    /// Wishes about an exchange, or about a message that never came.
    fn unplaced(&mut self, wishes: Wishes<'_>, why: &'static str) -> String {
        let anchor = self.anchor();
        let mut out = String::new();
        for (key, wish) in wishes {
            let inside = !wish.place.path.is_empty() || wish.place.position.is_some();
            out += &self.remark(&wish);
            let lost = (inside && !why.is_empty()).then_some(why);
            self.spots.insert(
                key,
                Target {
                    anchor: anchor.clone(),
                    lost,
                },
            );
        }
        out
    }

    fn message(
        &mut self,
        message: &ShownMessage,
        wishes: Wishes<'_>,
        kind: &str,
        letter: &str,
    ) -> MessageView {
        let mut head = plain(&message.start).into_owned();
        for (name, value) in &message.headers {
            head.push('\n');
            head.push_str(&plain(&format!("{name}: {value}")));
        }
        let (body, notes_html) = self.body(&message.body, wishes, kind, letter);
        MessageView {
            anchor: format!("{}{letter}", self.anchor()),
            head_html: escape(&head),
            body,
            notes_html,
        }
    }

    /// The body, and the findings that have no mark in it.
    fn body(&mut self, body: &ShownBody, wishes: Wishes<'_>, kind: &str, letter: &str) -> (BodyView, String) {
        let anchor = format!("{}{letter}", self.anchor());
        let (keys, wanted): (Vec<Key>, Vec<Wanted<'_>>) = wishes.into_iter().unzip();
        let rendered = render(body, &wanted, &anchor);
        let mut notes = String::new();
        for ((key, wish), spot) in keys.into_iter().zip(&wanted).zip(rendered.spots) {
            let target = match spot {
                Spot::Mark(mark) => {
                    self.worst = self.worst.max(wish.verdict);
                    Target {
                        anchor: mark,
                        lost: None,
                    }
                }
                Spot::Whole => {
                    notes += &self.remark(wish);
                    Target {
                        anchor: anchor.clone(),
                        lost: None,
                    }
                }
                Spot::Lost(why) => {
                    notes += &self.remark(wish);
                    Target {
                        anchor: anchor.clone(),
                        lost: Some(why),
                    }
                }
            };
            self.spots.insert(key, target);
        }
        let mut view = BodyView {
            html: rendered.html,
            notes: rendered.notes,
            dump: rendered.dump,
            anchor: String::new(),
            same: None,
        };
        self.fold(&mut view, kind, letter);
        (view, notes)
    }

    /// Remembers a body, or refers to one that was remembered. Marks hold anchors of their own, so
    /// only bodies without any are ever the same.
    fn fold(&mut self, view: &mut BodyView, kind: &str, letter: &str) {
        if view.html.len() < MIN_REPEATED {
            return;
        }
        if let Some(first) = self.bodies.0.get(&view.html) {
            if self.repeats {
                view.same = Some(first.clone());
                view.html.clear();
            }
            return;
        }
        view.anchor = format!("{}{letter}b", self.anchor());
        let link = Link {
            text: format!(
                "case {}, exchange {}, {kind}",
                self.case + 1,
                self.exchange.number
            ),
            anchor: view.anchor.clone(),
        };
        self.bodies.0.insert(view.html.clone(), link);
    }

    /// A finding about a whole message stands under its head. A pass needs no words here.
    fn remark(&mut self, wish: &Wanted<'_>) -> String {
        self.worst = self.worst.max(wish.verdict);
        if wish.verdict > Verdict::Pass {
            note(wish)
        } else {
            String::new()
        }
    }
}

/// How a place is called, and where it leads.
pub fn place_link(index: &Index<'_>, (case, k): At, p: usize, spots: &Spots) -> PlaceView {
    let target = spots.get(&(k, p)).cloned().unwrap_or_default();
    PlaceView {
        link: Link {
            text: safe(&place(&index.criterion((case, k)).places[p])),
            anchor: target.anchor,
        },
        lost: target.lost.unwrap_or_default(),
    }
}

/// A place in a table.
#[derive(Serialize)]
pub struct PlaceView {
    link: Link,
    lost: &'static str,
}

impl PlaceView {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.link.text.is_empty()
    }
}
