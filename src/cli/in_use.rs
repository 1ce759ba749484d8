//! The mark of a directory that a run writes to.

use std::path::{Path, PathBuf};

use super::Failure;

/// Says that a directory is being written to, for as long as it lives.
pub(super) struct InUse(PathBuf);

impl InUse {
    /// Takes a directory.
    ///
    /// # Errors
    /// Another run that is alive writes there, or nothing can be written.
    pub(super) fn take(dir: &Path) -> Result<Self, Failure> {
        let path = dir.join(".in-use");
        let holder = std::fs::read_to_string(&path).ok();
        // Who was killed left its mark behind, and its number may be another's now, or ours; where the
        // system does not tell, nobody is kept out.
        let name = |pid: &str| std::fs::read(Path::new("/proc").join(pid).join("comm")).ok();
        let own = std::process::id().to_string();
        // A process that was killed and not yet asked for by its parent writes no more.
        let dead = |pid: &str| {
            let status = std::fs::read_to_string(Path::new("/proc").join(pid).join("status"));
            status.is_ok_and(|s| {
                s.lines()
                    .any(|l| l.starts_with("State:") && l.contains(['Z', 'X']))
            })
        };
        let alive = |pid: &str| pid != own && name(pid).is_some_and(|n| Some(n) == name(&own)) && !dead(pid);
        if let Some(pid) = holder.filter(|p| p.trim().parse::<u32>().is_ok() && alive(p.trim())) {
            return Err(Failure::Usage(format!(
                "another run (process {}) writes to {}\n  fix: wait for it, or choose another directory with --out",
                crate::base::escape::plain(pid.trim()),
                dir.display()
            )));
        }
        std::fs::write(&path, std::process::id().to_string()).map_err(|source| Failure::Io {
            what: "failed to write",
            path: path.clone(),
            source,
        })?;
        Ok(Self(path))
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        // It may be gone with its directory.
        let _ = std::fs::remove_file(&self.0);
    }
}
