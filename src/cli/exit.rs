//! Every exit code of the program, in the order in which the first match wins.

use std::process::{ExitCode, Termination};

/// An exit code with its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(u8);

impl Exit {
    /// Interrupted by Ctrl-C or a termination signal; what is known was written.
    pub const INTERRUPTED: Exit = Exit(130);
    /// Bad usage, or a bad file: table, case, profile, ICS.
    pub const USAGE: Exit = Exit(2);
    /// The implementation under test could not be reached.
    pub const UNREACHABLE: Exit = Exit(7);
    /// An error in the suite itself.
    pub const SUITE: Exit = Exit(3);
    /// A FAIL, an invalid message, or an ICS that does not hold.
    pub const FAIL: Exit = Exit(1);
    /// Nothing was selected or judged.
    pub const NOTHING: Exit = Exit(4);
    /// A selected mandatory or claimed item is inconclusive or untested; an answer is missing in an ICS.
    pub const INCONCLUSIVE: Exit = Exit(5);
    /// All is well.
    pub const OK: Exit = Exit(0);

    /// The number.
    pub fn code(self) -> u8 {
        self.0
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self.0)
    }
}
