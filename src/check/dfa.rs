//! Content models as automata. A model is compiled once (positions after Glushkov, then subset
//! construction); several readings of one element become one automaton. When a sequence of children
//! does not fit, [`Dfa::explain`] finds the smallest set of defects that would account for it, so that
//! one mistake in a message is one finding.

use std::collections::BTreeMap;

use crate::spec::model::{Particle, Repeat};

/// An automaton over element names.
#[derive(Debug, Clone)]
pub struct Dfa {
    names: Vec<String>,
    states: Vec<State>,
}

#[derive(Debug, Clone, Default)]
struct State {
    /// (name, next state), ascending by name.
    next: Vec<(usize, usize)>,
    accepts: bool,
}

/// One defect in a sequence of children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defect {
    /// Index of the child at which it shows; the number of children for the end.
    pub at: usize,
    /// What it is.
    pub kind: DefectKind,
    /// Names that could have stood there, in the order of the model.
    pub expected: Vec<String>,
    /// Whether the content could have ended there.
    pub or_end: bool,
}

/// Kinds of defects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefectKind {
    /// A child that has no place there.
    Unexpected,
    /// A child is missing before this one.
    Missing,
    /// A child stands where another was expected.
    Replaced,
    /// This child and the next one stand in the wrong order.
    Swapped,
}

/// Largest table that the search for defects fills. Beyond it unexpected children are skipped one by
/// one, which may give a finding more than needed.
const MAX_SEARCH: usize = 1_000_000;

/// Cost of a defect in the search.
const DEFECT: u32 = 4;
/// Cost of a child that stands in place of another.
const REPLACEMENT: u32 = 5;

impl Dfa {
    /// Compiles an automaton that accepts what any of the models accepts.
    pub fn compile<'m>(models: impl IntoIterator<Item = &'m Particle>) -> Self {
        let mut positions = Positions::default();
        let mut first = Vec::new();
        let mut last = Vec::new();
        let mut nullable = false;
        for model in models {
            let shape = positions.add(model);
            first.extend(shape.first);
            last.extend(shape.last);
            nullable |= shape.nullable;
        }
        subsets(positions, &first, &last, nullable)
    }

    /// Whether the sequence fits.
    pub fn accepts<'n>(&self, children: impl IntoIterator<Item = &'n str>) -> bool {
        let mut state = 0;
        for child in children {
            match self.step(state, self.symbol(child)) {
                Some(next) => state = next,
                None => return false,
            }
        }
        self.states[state].accepts
    }

    /// The number of states, for measuring.
    pub fn size(&self) -> usize {
        self.states.len()
    }

    /// Why a sequence does not fit: empty when it does.
    pub fn explain(&self, children: &[&str]) -> Vec<Defect> {
        let symbols: Vec<Option<usize>> = children.iter().map(|c| self.symbol(c)).collect();
        let mut state = 0;
        let mut fits = 0;
        for symbol in &symbols {
            match self.step(state, *symbol) {
                Some(next) => state = next,
                None => break,
            }
            fits += 1;
        }
        if fits == symbols.len() && self.states[state].accepts {
            return Vec::new();
        }
        if (symbols.len() + 1).saturating_mul(self.states.len()) > MAX_SEARCH {
            return self.skip_through(&symbols);
        }
        self.search(&symbols)
    }

    fn symbol(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|n| n == name)
    }

    fn step(&self, state: usize, symbol: Option<usize>) -> Option<usize> {
        let symbol = symbol?;
        let next = &self.states[state].next;
        let at = next.binary_search_by_key(&symbol, |(s, _)| *s).ok()?;
        Some(next[at].1)
    }

    fn defect(&self, at: usize, state: usize, kind: DefectKind) -> Defect {
        Defect {
            at,
            kind,
            expected: self.states[state]
                .next
                .iter()
                .map(|(s, _)| self.names[*s].clone())
                .collect(),
            or_end: self.states[state].accepts,
        }
    }

    fn skip_through(&self, symbols: &[Option<usize>]) -> Vec<Defect> {
        let mut state = 0;
        let mut out = Vec::new();
        for (at, symbol) in symbols.iter().enumerate() {
            match self.step(state, *symbol) {
                Some(next) => state = next,
                None => out.push(self.defect(at, state, DefectKind::Unexpected)),
            }
        }
        if !self.states[state].accepts {
            out.push(self.defect(symbols.len(), state, DefectKind::Missing));
        }
        out
    }

    /// The cheapest way through. A replacement costs a little more than the other defects, so that a
    /// child which fits further on is not taken for a wrong name.
    fn search(&self, symbols: &[Option<usize>]) -> Vec<Defect> {
        let width = self.states.len();
        let mut table = Table::new(symbols.len() + 1, width);
        table.cells[0].cost = 0;
        for at in 0..=symbols.len() {
            self.insert_missing(&mut table, at);
            if at == symbols.len() {
                break;
            }
            // Cheap ways first: on a tie the defect is told where the sequence first breaks.
            let mut order: Vec<usize> = (0..width)
                .filter(|s| table.cell(at, *s).cost != u32::MAX)
                .collect();
            order.sort_by_key(|s| table.cell(at, *s).cost);
            for state in order {
                let cost = table.cell(at, state).cost;
                if let Some(next) = self.step(state, symbols[at]) {
                    table.offer(at + 1, next, cost, Step::Fits, (at, state));
                }
                table.offer(
                    at + 1,
                    state,
                    cost + DEFECT,
                    Step::Defect(DefectKind::Unexpected),
                    (at, state),
                );
                if let Some(second) = symbols.get(at + 1) {
                    let swapped = self
                        .step(state, *second)
                        .and_then(|middle| self.step(middle, symbols[at]));
                    if let Some(next) = swapped {
                        table.offer(
                            at + 2,
                            next,
                            cost + DEFECT,
                            Step::Defect(DefectKind::Swapped),
                            (at, state),
                        );
                    }
                }
                for (_, next) in &self.states[state].next {
                    table.offer(
                        at + 1,
                        *next,
                        cost + REPLACEMENT,
                        Step::Defect(DefectKind::Replaced),
                        (at, state),
                    );
                }
            }
        }
        let end = (0..width)
            .filter(|s| self.states[*s].accepts)
            .min_by_key(|s| table.cell(symbols.len(), *s).cost);
        // A model without any accepted content cannot be written down.
        let Some(end) = end else { return Vec::new() };
        let mut defects = self.trace(&table, symbols, end);
        defects.reverse();
        merge_moves(defects)
    }

    /// Missing children cost the same each and do not use up input: breadth first, in order of cost.
    fn insert_missing(&self, table: &mut Table, at: usize) {
        let mut order: Vec<usize> = (0..self.states.len())
            .filter(|s| table.cell(at, *s).cost != u32::MAX)
            .collect();
        order.sort_by_key(|s| table.cell(at, *s).cost);
        let mut queue = std::collections::VecDeque::from(order);
        while let Some(state) = queue.pop_front() {
            let cost = table.cell(at, state).cost;
            for (_, next) in &self.states[state].next {
                if table.offer(
                    at,
                    *next,
                    cost + DEFECT,
                    Step::Defect(DefectKind::Missing),
                    (at, state),
                ) {
                    queue.push_back(*next);
                }
            }
        }
    }

    /// The defects from the end to the beginning, each with the name it adds and the one it takes.
    fn trace(&self, table: &Table, symbols: &[Option<usize>], end: usize) -> Vec<Traced> {
        let mut out = Vec::new();
        let mut here = (symbols.len(), end);
        while here != (0, 0) {
            let cell = table.cell(here.0, here.1);
            let from = cell.from;
            if let Step::Defect(kind) = cell.step {
                let added = (kind == DefectKind::Missing)
                    .then(|| {
                        let mut next = self.states[from.1].next.iter();
                        next.find(|(_, s)| *s == here.1).map(|(n, _)| *n)
                    })
                    .flatten();
                let taken = (kind == DefectKind::Unexpected)
                    .then(|| symbols[from.0])
                    .flatten();
                out.push(Traced {
                    defect: self.defect(from.0, from.1, kind),
                    added,
                    taken,
                });
            }
            if from == here {
                break;
            }
            here = from;
        }
        out
    }
}

struct Traced {
    defect: Defect,
    added: Option<usize>,
    taken: Option<usize>,
}

/// A name that is missing in one place and too much in another was moved: one defect, shown where
/// the order first breaks.
fn merge_moves(traced: Vec<Traced>) -> Vec<Defect> {
    // Per name how many earlier defects added (positive) or took it (negative) and found no partner.
    let mut open: BTreeMap<usize, i64> = BTreeMap::new();
    let mut out = Vec::with_capacity(traced.len());
    for item in traced {
        let (name, sign) = match (item.added, item.taken) {
            (Some(name), _) => (Some(name), 1),
            (None, taken) => (taken, -1),
        };
        if let Some(name) = name {
            let balance = open.entry(name).or_default();
            let pairs = *balance * sign < 0;
            *balance += sign;
            if pairs {
                continue;
            }
        }
        out.push(item.defect);
    }
    out
}

#[derive(Clone, Copy)]
enum Step {
    Fits,
    Defect(DefectKind),
}

#[derive(Clone, Copy)]
struct Cell {
    cost: u32,
    step: Step,
    from: (usize, usize),
}

struct Table {
    width: usize,
    cells: Vec<Cell>,
}

impl Table {
    fn new(rows: usize, width: usize) -> Self {
        let cell = Cell {
            cost: u32::MAX,
            step: Step::Fits,
            from: (0, 0),
        };
        Self {
            width,
            cells: vec![cell; rows * width],
        }
    }

    fn cell(&self, at: usize, state: usize) -> &Cell {
        &self.cells[at * self.width + state]
    }

    /// Keeps the cheaper way; the one that was offered first stays on a tie.
    fn offer(&mut self, at: usize, state: usize, cost: u32, step: Step, from: (usize, usize)) -> bool {
        let cell = &mut self.cells[at * self.width + state];
        if cost < cell.cost {
            *cell = Cell { cost, step, from };
            return true;
        }
        false
    }
}

/// Positions of names in models, with what may follow each.
#[derive(Default)]
struct Positions {
    /// The name at each position.
    names: Vec<String>,
    follow: Vec<Vec<usize>>,
}

struct Shape {
    first: Vec<usize>,
    last: Vec<usize>,
    nullable: bool,
}

impl Positions {
    fn add(&mut self, particle: &Particle) -> Shape {
        // The depth of a particle is limited where models are parsed.
        match particle {
            Particle::Name(name) => {
                let at = self.names.len();
                self.names.push(name.clone());
                self.follow.push(Vec::new());
                Shape {
                    first: vec![at],
                    last: vec![at],
                    nullable: false,
                }
            }
            Particle::Sequence(parts) => {
                let mut whole = Shape {
                    first: Vec::new(),
                    last: Vec::new(),
                    nullable: true,
                };
                for part in parts {
                    let shape = self.add(part);
                    self.link(&whole.last, &shape.first);
                    if whole.nullable {
                        whole.first.extend(&shape.first);
                    }
                    if shape.nullable {
                        whole.last.extend(&shape.last);
                    } else {
                        whole.last = shape.last;
                    }
                    whole.nullable &= shape.nullable;
                }
                whole
            }
            Particle::Choice(parts) => {
                let mut whole = Shape {
                    first: Vec::new(),
                    last: Vec::new(),
                    nullable: false,
                };
                for part in parts {
                    let shape = self.add(part);
                    whole.first.extend(shape.first);
                    whole.last.extend(shape.last);
                    whole.nullable |= shape.nullable;
                }
                whole
            }
            Particle::Repeated(part, repeat) => {
                let mut shape = self.add(part);
                if matches!(repeat, Repeat::Any | Repeat::Some) {
                    let (last, first) = (shape.last.clone(), shape.first.clone());
                    self.link(&last, &first);
                }
                shape.nullable |= matches!(repeat, Repeat::Any | Repeat::Optional);
                shape
            }
        }
    }

    fn link(&mut self, from: &[usize], to: &[usize]) {
        for position in from {
            self.follow[*position].extend(to);
        }
    }
}

/// Subset construction. State 0 is the start; the start set is told apart from all others by being
/// built first.
fn subsets(positions: Positions, first: &[usize], last: &[usize], nullable: bool) -> Dfa {
    let mut names: Vec<String> = Vec::new();
    let mut symbols = Vec::with_capacity(positions.names.len());
    for name in &positions.names {
        let symbol = names.iter().position(|n| n == name).unwrap_or_else(|| {
            names.push(name.clone());
            names.len() - 1
        });
        symbols.push(symbol);
    }
    let step = |reachable: &[usize]| {
        let mut by_symbol: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for position in reachable {
            by_symbol.entry(symbols[*position]).or_default().push(*position);
        }
        for set in by_symbol.values_mut() {
            set.sort_unstable();
            set.dedup();
        }
        by_symbol
    };
    let mut states = vec![State {
        next: Vec::new(),
        accepts: nullable,
    }];
    let mut known: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
    let mut todo = vec![(0, first.to_vec())];
    while let Some((from, reachable)) = todo.pop() {
        for (symbol, set) in step(&reachable) {
            let to = match known.get(&set) {
                Some(to) => *to,
                None => {
                    let to = states.len();
                    states.push(State {
                        next: Vec::new(),
                        accepts: set.iter().any(|p| last.contains(p)),
                    });
                    let mut follow: Vec<usize> = Vec::new();
                    for position in &set {
                        follow.extend(&positions.follow[*position]);
                    }
                    follow.sort_unstable();
                    follow.dedup();
                    known.insert(set, to);
                    todo.push((to, follow));
                    to
                }
            };
            states[from].next.push((symbol, to));
        }
    }
    Dfa { names, states }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::spec::model::Model;

    fn dfa(models: &[&str]) -> Dfa {
        let parsed: Vec<Particle> = models
            .iter()
            .map(|m| match Model::parse(m).unwrap() {
                Model::Children(p) => p,
                other => panic!("{other}"),
            })
            .collect();
        Dfa::compile(&parsed)
    }

    fn defects(model: &str, children: &str) -> Vec<(usize, DefectKind)> {
        let children: Vec<&str> = children.split_whitespace().collect();
        dfa(&[model])
            .explain(&children)
            .iter()
            .map(|d| (d.at, d.kind))
            .collect()
    }

    #[test]
    fn one_mistake_is_one_defect() {
        use DefectKind::{Missing, Replaced, Swapped, Unexpected};
        let model = "(A, B, C?, D+, E)";
        assert_eq!(defects(model, "A B D E"), []);
        assert_eq!(defects(model, "B C D E"), [(0, Missing)]);
        assert_eq!(defects(model, "A C D E"), [(1, Missing)]);
        assert_eq!(defects(model, "A B C D"), [(4, Missing)]);
        assert_eq!(defects(model, "B A C D E"), [(0, Swapped)]);
        assert_eq!(defects(model, "A B X C D E"), [(2, Unexpected)]);
        assert_eq!(defects(model, "A X D E"), [(1, Replaced)]);
        assert_eq!(defects(model, "A A B D E"), [(1, Unexpected)]);
        assert_eq!(defects(model, "E A B D").len(), 1);
        assert_eq!(defects(model, "A B D E C").len(), 1);
        assert_eq!(defects(model, "").len(), 4);
        assert_eq!(defects("(A | B)", ""), [(0, Missing)]);
    }

    #[test]
    fn expected_names_are_told() {
        let defects = dfa(&["(A, B?)"]).explain(&["A", "X"]);
        assert_eq!(defects[0].expected, ["B"]);
        assert!(defects[0].or_end);
    }

    #[test]
    fn readings_are_united() {
        let both = dfa(&["(A, B)", "(A, C?)"]);
        for word in ["A B", "A", "A C"] {
            assert!(both.accepts(word.split_whitespace()), "{word}");
        }
        assert!(!both.accepts(["A", "B", "C"]));
    }

    #[test]
    fn long_sequences_end() {
        let children: Vec<&str> = ["A", "X"].repeat(50_000);
        let found = dfa(&["(A*, B?)"]).explain(&children);
        assert_eq!(found.len(), 50_000);
        let many: String = (0..90).map(|i| format!("N{i} | ")).collect();
        let wide = dfa(&[&format!("({many}Z)*")]);
        assert_eq!(wide.explain(&children).len(), 100_000);
    }

    fn particle() -> impl Strategy<Value = Particle> {
        let leaf = prop::sample::select(vec!["a", "b", "c"]).prop_map(|n| Particle::Name(n.to_owned()));
        leaf.prop_recursive(4, 12, 3, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 1..4).prop_map(Particle::Sequence),
                proptest::collection::vec(inner.clone(), 1..4).prop_map(Particle::Choice),
                (
                    inner,
                    prop::sample::select(vec![Repeat::Optional, Repeat::Any, Repeat::Some])
                )
                    .prop_map(|(p, r)| Particle::Repeated(Box::new(p), r)),
            ]
        })
    }

    /// Every index at which a match of `particle` that begins at `from` may end.
    fn ends(particle: &Particle, word: &[&str], from: usize) -> std::collections::BTreeSet<usize> {
        match particle {
            Particle::Name(n) => (word.get(from) == Some(&n.as_str()))
                .then_some(from + 1)
                .into_iter()
                .collect(),
            Particle::Sequence(parts) => {
                let mut at = std::collections::BTreeSet::from([from]);
                for part in parts {
                    at = at.iter().flat_map(|f| ends(part, word, *f)).collect();
                }
                at
            }
            Particle::Choice(parts) => parts.iter().flat_map(|p| ends(p, word, from)).collect(),
            Particle::Repeated(part, repeat) => {
                let mut all = std::collections::BTreeSet::new();
                let mut new = ends(part, word, from);
                while !new.is_empty() && *repeat != Repeat::Optional {
                    all.extend(new.iter().copied());
                    new = new
                        .iter()
                        .flat_map(|f| ends(part, word, *f))
                        .filter(|e| !all.contains(e))
                        .collect();
                }
                all.extend(new);
                if *repeat != Repeat::Some {
                    all.insert(from);
                }
                all
            }
        }
    }

    proptest! {
        #[test]
        fn automata_agree_with_backtracking(
            models in proptest::collection::vec(particle(), 1..3),
            word in proptest::collection::vec(prop::sample::select(vec!["a", "b", "c", "d"]), 0..8),
        ) {
            let dfa = Dfa::compile(&models);
            let naive = models.iter().any(|m| ends(m, &word, 0).contains(&word.len()));
            prop_assert_eq!(dfa.accepts(word.iter().copied()), naive);
            prop_assert_eq!(dfa.explain(&word).is_empty(), naive);
        }
    }
}
