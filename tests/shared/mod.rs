//! The folder of outside material: facts and real messages that are no part of this repository.

use std::path::PathBuf;

/// A file or folder of it, named by `IMPS_SCR_SHARED` (`../shared` when unset); where it is not there
/// the reason is printed, and the test that asked passes without it.
pub fn find(name: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("IMPS_SCR_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let path = shared.join(name);
    if path.exists() {
        return Some(path);
    }
    // A folder that is there and lacks a part of it is no reason to skip on a machine that checks.
    assert!(
        !(shared.is_dir() && std::env::var_os("CI").is_some_and(|v| v == "true")),
        "{} is there and has no {name}",
        shared.display()
    );
    println!("skipped: {} is not there (set IMPS_SCR_SHARED)", path.display());
    None
}
