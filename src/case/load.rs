//! Loading of cases and fragments.

use std::collections::BTreeMap;

use crate::base::yaml;
use crate::base::{CaseId, FileError, FileSet};
use crate::spec::items::Items;
use crate::spec::{Role, Version};

use super::Case;
use super::raw::{CaseFile, FragmentFile, RawStep};
use super::step::Step;

/// Deepest use of fragments within fragments.
const MAX_FRAGMENT_DEPTH: usize = 8;

/// All cases, hand-written ones first.
#[derive(Debug, Clone, Default)]
pub struct Cases {
    cases: Vec<Case>,
    places: BTreeMap<CaseId, usize>,
}

impl Cases {
    /// All cases in order.
    pub fn iter(&self) -> impl Iterator<Item = &Case> {
        self.cases.iter()
    }

    /// A case by its id.
    pub fn get(&self, id: &CaseId) -> Option<&Case> {
        self.cases.get(*self.places.get(id)?)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    /// Adds generated cases.
    ///
    /// # Errors
    /// Two cases have the same id.
    pub fn extend(&mut self, more: Vec<Case>) -> Result<(), FileError> {
        for case in more {
            if let Some(other) = self.get(&case.id) {
                return Err(FileError::new(
                    &case.file,
                    case.line,
                    format!("case {} stands also in {}:{}", case.id, other.file, other.line),
                ));
            }
            self.places.insert(case.id.clone(), self.cases.len());
            self.cases.push(case);
        }
        Ok(())
    }
}

type Fragments = BTreeMap<String, Vec<RawStep>>;

/// Loads every hand-written case of the set.
///
/// # Errors
/// The first mistake: file, line, what is wrong and how to repair it.
pub fn load(files: &FileSet, items: &Items) -> Result<Cases, FileError> {
    let mut fragments = Fragments::new();
    for (file, text) in files.iter().filter(|(n, _)| n.contains("_shared/")) {
        let doc = yaml::parse::<FragmentFile>(file, text)?;
        expect_format(&doc, &doc.value.format, "imps-scr/fragments/1")?;
        for (i, fragment) in doc.value.fragments.iter().enumerate() {
            if fragments
                .insert(fragment.name.clone(), fragment.steps.clone())
                .is_some()
            {
                return Err(doc.error(
                    &format!("fragments[{i}]"),
                    format!("the fragment `{}` stands twice", fragment.name),
                ));
            }
        }
    }
    let mut cases = Cases::default();
    let own = |n: &str| !n.contains("_shared/") && !n.contains("_faults/");
    for (file, text) in files.iter().filter(|(n, _)| own(n)) {
        let doc = yaml::parse::<CaseFile>(file, text)?;
        expect_format(&doc, &doc.value.format, "imps-scr/cases/1")?;
        for (i, raw) in doc.value.cases.iter().enumerate() {
            let at = format!("cases[{i}]");
            let steps = |part: &str, raw: &[RawStep]| -> Result<Vec<Step>, FileError> {
                let mut out = Vec::new();
                for (j, step) in raw.iter().enumerate() {
                    let path = format!("{at}.{part}[{j}]");
                    expand(std::slice::from_ref(step), &fragments, 0, &mut out)
                        .map_err(|e| doc.error(&path, e))?;
                }
                Ok(out)
            };
            let case = Case {
                id: raw.id.clone(),
                title: raw.title.clone(),
                object: raw.object,
                description: raw.description.clone(),
                reference: raw.reference.clone(),
                scr: raw.scr.clone(),
                versions: raw.csp.clone().unwrap_or_else(|| match raw.object {
                    // SSP has versions of its own; the clients at its side speak CSP 1.2.
                    Role::Ssp => vec![Version::V12],
                    _ => Version::ALL.to_vec(),
                }),
                tags: raw.tags.clone(),
                covers: raw.covers.clone(),
                preconditions: steps("preconditions", &raw.preconditions)?,
                procedure: steps("procedure", &raw.procedure)?,
                after: steps("after", &raw.after)?,
                pass: raw.pass.clone(),
                file: file.to_owned(),
                line: doc.line(&at),
            };
            check(&case, items)
                .map_err(|(field, problem, fix)| doc.error(&format!("{at}.{field}"), problem).fix(fix))?;
            cases.extend(vec![case])?;
        }
    }
    Ok(cases)
}

/// What holds for every case, hand-written or generated.
pub fn check(case: &Case, items: &Items) -> Result<(), (&'static str, String, String)> {
    if case.scr.is_empty() {
        return Err((
            "scr",
            "a case without an item".to_owned(),
            "name the requirement item that it tests".to_owned(),
        ));
    }
    if case.procedure.is_empty() {
        return Err(("procedure", "a case without a step".to_owned(), String::new()));
    }
    for (part, steps) in [
        ("preconditions", &case.preconditions),
        ("procedure", &case.procedure),
        ("after", &case.after),
    ] {
        // By SSP a server is tested with clients at its other side.
        let fits = |side: Role| side == case.object || case.object == Role::Ssp && side == Role::Server;
        if steps.iter().any(|s| s.side().is_some_and(|side| !fits(side))) {
            return Err((
                part,
                format!("a step of this case is for the {} under test", case.object.peer()),
                "`send`, `bytes`, `expect`, `receive`, `nothing`, `cir` and `receive-cir` are for servers, `prepare` for \
                 servers by SSP; `stimulate`, `on`, `reply`, `on-cir` and `send-cir` for clients"
                    .to_owned(),
            ));
        }
    }
    let mut charged: Vec<&crate::base::ItemId> = Vec::new();
    for step in &case.procedure {
        step.items(&mut charged);
    }
    for id in case.scr.iter().chain(charged.iter().copied()) {
        let Some(item) = items.get(id) else {
            return Err((
                "scr",
                format!("the item {id} is not in the tables"),
                "`imps-scr scr list` shows the items".to_owned(),
            ));
        };
        if item.role != case.object {
            return Err((
                "scr",
                format!(
                    "{id} is an item of the {}, the case is about the {}",
                    item.role, case.object
                ),
                String::new(),
            ));
        }
    }
    if let Some(id) = charged.iter().find(|id| !case.scr.contains(id)) {
        return Err((
            "scr",
            format!("a step charges {id}, which `scr` does not name"),
            format!("add {id} to `scr`"),
        ));
    }
    Ok(())
}

fn expand(raw: &[RawStep], fragments: &Fragments, depth: usize, out: &mut Vec<Step>) -> Result<(), String> {
    if depth > MAX_FRAGMENT_DEPTH {
        return Err("fragments use each other too deeply".to_owned());
    }
    for step in raw {
        if let Some(name) = &step.fragment {
            let steps = fragments.get(name).ok_or_else(|| {
                let known: Vec<&str> = fragments.keys().map(String::as_str).collect();
                format!("no fragment `{name}`; there are {}", known.join(", "))
            })?;
            match step.lane() {
                Some(lane) => {
                    let there: Vec<RawStep> = steps.iter().map(|s| s.in_lane(lane)).collect();
                    expand(&there, fragments, depth + 1, out)?;
                }
                None => expand(steps, fragments, depth + 1, out)?,
            }
            continue;
        }
        out.push(step.to_step(&mut |inner| {
            let mut steps = Vec::new();
            expand(inner, fragments, depth + 1, &mut steps)?;
            Ok(steps)
        })?);
    }
    Ok(())
}

fn expect_format<T>(doc: &yaml::Document<T>, found: &str, expected: &str) -> Result<(), FileError> {
    if found == expected {
        return Ok(());
    }
    Err(doc
        .error("format", format!("format `{found}` is not known here"))
        .fix(format!("this version reads `{expected}`")))
}
