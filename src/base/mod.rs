//! Floor 0: what every room needs and that knows nothing of the protocol: ids, YAML with positions,
//! limits, masking of secrets, escaping of hostile text.

pub mod embedded;
pub mod escape;
pub mod ids;
pub mod limits;
pub mod mask;
pub mod yaml;

pub use embedded::FileSet;
pub use ids::{CaseId, ItemId};
pub use yaml::FileError;
