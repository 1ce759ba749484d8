//! Verdicts of the rows of tables that were brought: the worst of the items that a row is mapped to.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::ItemId;
use crate::event::{ImportedResult, ImportedRowResult, ItemResult, RunOutcome};
use crate::spec::{Asked, ImportedRow, ImportedTable, Role, Status};
use crate::verdict::ItemVerdict;

/// The outcome of a run with the rows of these tables. No verdict of an item changes, nor the conformance.
pub(super) fn joined(tables: &[ImportedTable], outcome: &RunOutcome) -> RunOutcome {
    let mut outcome = outcome.clone();
    for table in tables {
        let result = join(table, &outcome.items);
        if result.mandatory_unmapped > 0 {
            outcome.caveats.push(format!(
                "{}: rows of status M that are mapped to no item: {}; nothing was tested of them",
                result.file, result.mandatory_unmapped
            ));
        }
        outcome.imported.push(result);
    }
    outcome
}

fn join(table: &ImportedTable, results: &[ItemResult]) -> ImportedResult {
    let by_id: BTreeMap<&ItemId, &ItemResult> = results.iter().map(|r| (&r.id, r)).collect();
    let roles: BTreeSet<Role> = results.iter().map(|r| r.role).collect();
    let rows: Vec<ImportedRowResult> = table.rows.iter().map(|row| one(row, &by_id, &roles)).collect();
    let mut summary = BTreeMap::new();
    for row in &rows {
        *summary.entry(row.verdict).or_default() += 1;
    }
    ImportedResult {
        file: table.file.clone(),
        source: table.source.clone(),
        mandatory_unmapped: rows
            .iter()
            .filter(|r| {
                r.status == Status::Mandatory && r.maps.is_empty() && r.verdict == ItemVerdict::Untested
            })
            .count(),
        summary,
        rows,
    }
}

fn one(
    row: &ImportedRow,
    results: &BTreeMap<&ItemId, &ItemResult>,
    roles: &BTreeSet<Role>,
) -> ImportedRowResult {
    let role = row.role();
    let (verdict, reason) = match role.filter(|r| !roles.contains(r)) {
        Some(other) => (ItemVerdict::NotRun, format!("no {other} was tested")),
        None => worst(row, results),
    };
    let (requirement, requirement_not_read) = match &row.requirement {
        None => (String::new(), None),
        Some(asked @ Asked::Expression(_)) => (asked.text(), None),
        Some(Asked::Prose { text, reason }) => (text.clone(), Some(reason.clone())),
    };
    ImportedRowResult {
        id: row.marked_id(),
        role,
        status: row.status,
        function: row.function.clone(),
        reference: row.reference.clone(),
        requirement,
        requirement_not_read,
        maps: row.maps.clone(),
        verdict,
        reason,
    }
}

fn worst(row: &ImportedRow, results: &BTreeMap<&ItemId, &ItemResult>) -> (ItemVerdict, String) {
    let mut worst: Option<(ItemVerdict, String)> = None;
    for id in &row.maps {
        let (verdict, reason) = match results.get(id) {
            Some(result) if result.reason.is_empty() => (result.verdict, id.to_string()),
            Some(result) => (result.verdict, format!("{id}: {}", result.reason)),
            None => (ItemVerdict::NotRun, format!("{id}: its role was not tested")),
        };
        // Of equals the first is named.
        if worst
            .as_ref()
            .is_none_or(|(v, _)| v.severity() < verdict.severity())
        {
            worst = Some((verdict, reason));
        }
    }
    worst.unwrap_or_else(|| (ItemVerdict::Untested, "mapped to no item".to_owned()))
}
