//! What the specification says, as typed tables: items, expressions, syntax, types, codes, the
//! service tree, readings; and what a vendor says of a product: ICS and profile. No I/O beyond the
//! embedded files; directories are read by `cli` and handed in as text.

mod command;
pub mod expr;
pub mod filter;
pub mod ics;
pub mod imported;
pub mod items;
mod ledger;
pub mod model;
pub mod profile;
mod profile_ssp;
pub mod readings;
mod scalars;
mod scr;
pub mod ssp;
pub mod syntax;
pub mod tables;
mod transactions;
mod types;

pub use command::Command;
pub use expr::{Expression, Reference, Truth};
pub use filter::{Filter, FilterTarget};
pub use ics::{Change, Evaluated, Ics, Repair, ReviewFinding, ReviewKind, Standing};
pub use imported::{Asked, ImportedRow, ImportedTable};
pub use items::{Item, Items};
pub use ledger::{ItemPattern, Ledger, LedgerDocument, LedgerEntry, is_testable};
pub use profile::{Account, AccountName, HttpUrl, Limits, Profile, Secret, Timers, TlsProfile};
pub use profile_ssp::{DigestAlgorithm, DigestFormula, NodeProfile, PasswordOrder, SspProfile};
pub use readings::{Reading, Readings};
pub use scr::{ItemForm, ScrGroup, ScrItem};
pub use ssp::{Side, SspSyntax, SspVersion};
pub use tables::Tables;
pub use transactions::Transaction;
pub use types::{Basis, Because, Grade, Group, LedgerClass, Role, Status, Version};
