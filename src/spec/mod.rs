//! What the specification says, as typed tables: items, expressions, syntax, types, codes, the
//! service tree, readings; and what a vendor says of a product: ICS and profile. No I/O beyond the
//! embedded files; directories are read by `cli` and handed in as text.

pub mod expr;
pub mod model;
mod scr;
pub mod syntax;
mod types;

pub use expr::{Expression, Reference, Truth};
pub use scr::{ItemForm, ScrGroup, ScrItem};
pub use types::{Basis, Because, Grade, Group, Role, Status, Version};
