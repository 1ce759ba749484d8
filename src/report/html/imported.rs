//! Tables that were brought: their rows beside the items that they are mapped to.

use serde::Serialize;

use super::index::{Index, Link};
use super::text::safe;
use crate::report::words::{counted, plural};
use crate::verdict::ItemVerdict;

/// A table.
#[derive(Serialize)]
pub struct TableView {
    file: String,
    worst: &'static str,
    line: String,
    rows: Vec<RowView>,
}

#[derive(Serialize)]
struct RowView {
    id: String,
    /// `server, `, or nothing.
    role: String,
    status: &'static str,
    function: String,
    reference: String,
    requirement: String,
    not_read: String,
    maps: Vec<Link>,
    verdict: &'static str,
    reason: String,
}

/// The tables in order.
pub fn tables(index: &Index<'_>) -> Vec<TableView> {
    index
        .report
        .imported
        .iter()
        .map(|table| TableView {
            file: safe(&table.file),
            worst: table
                .rows
                .iter()
                .map(|r| r.verdict)
                .max_by_key(|v| v.severity())
                .unwrap_or(ItemVerdict::Na)
                .as_str(),
            line: format!(
                "{}: {}{}",
                plural(table.rows.len(), "row"),
                counted(&table.summary),
                match table.mandatory_unmapped {
                    0 => String::new(),
                    n => format!("; {} mapped to no item", plural(n, "mandatory row")),
                }
            ),
            rows: table
                .rows
                .iter()
                .map(|row| RowView {
                    id: safe(&row.id),
                    role: row.role.map(|r| format!("{r}, ")).unwrap_or_default(),
                    status: row.status.as_str(),
                    function: safe(&row.function),
                    reference: safe(&row.reference),
                    requirement: safe(&row.requirement),
                    not_read: safe(row.requirement_not_read.as_deref().unwrap_or_default()),
                    maps: row.maps.iter().map(|id| index.item_link(id)).collect(),
                    verdict: row.verdict.as_str(),
                    reason: safe(&row.reason),
                })
                .collect(),
        })
        .collect()
}
