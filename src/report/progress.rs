//! A progress bar on standard error, for people who wait.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::base::escape::{plain, shorten};
use crate::base::mask::Masker;
use crate::event::{Event, Subscriber};
use crate::verdict::Verdict;
use std::sync::Arc;

/// Longest text beside the bar, in characters.
const MAX_MESSAGE: usize = 60;

/// Subscriber that draws the bar.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    masker: Arc<Masker>,
    failed: usize,
}

impl Progress {
    /// A bar, unless nobody would see it: only on a terminal, and not when little was asked for.
    pub fn new(quiet: bool, masker: Arc<Masker>) -> Option<Self> {
        (!quiet && std::io::stderr().is_terminal()).then(|| Self::on(ProgressDrawTarget::stderr(), masker))
    }

    fn on(target: ProgressDrawTarget, masker: Arc<Masker>) -> Self {
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} {elapsed} {wide_msg}") {
            bar.set_style(style);
        }
        Self {
            bar,
            masker,
            failed: 0,
        }
    }

    fn safe(&self, text: &str) -> String {
        shorten(&plain(&self.masker.text(text)), MAX_MESSAGE).into_owned()
    }
}

impl Subscriber for Progress {
    fn on(&mut self, event: &Event) {
        match event {
            Event::RunStarted(info) => {
                self.bar.set_length(info.planned as u64);
                // Also moves while a case waits for a window of silence.
                self.bar.enable_steady_tick(Duration::from_millis(250));
            }
            Event::CaseStarted { case, .. } => {
                let failed = match self.failed {
                    0 => String::new(),
                    n => format!("{n} failed; "),
                };
                self.bar
                    .set_message(format!("{failed}{}", self.safe(case.as_str())));
            }
            Event::Exchanged { .. } | Event::Judged(_) => {}
            Event::CaseFinished(result) => {
                if result.verdict >= Verdict::Fail {
                    self.failed += 1;
                }
                self.bar.inc(1);
            }
            Event::Notice(text) => self
                .bar
                .println(format!("note: {}", plain(&self.masker.text(text)))),
            Event::RunFinished(_) => self.bar.finish_and_clear(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // A run that breaks off must not leave half a bar behind.
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn it_counts_cases_and_shows_safe_text() {
        let mut progress = Progress::on(ProgressDrawTarget::hidden(), fixture::masker());
        let events = fixture::events();
        let (last, before) = events.split_last().unwrap();
        for event in before {
            progress.on(event);
        }
        assert_eq!(progress.bar.position(), 7);
        assert!(progress.bar.message().starts_with("2 failed; IMPS"));
        assert_eq!(progress.safe("a\u{1b}[2J hunter2&co"), "a\\u{1b}[2J ***");
        progress.on(last);
        assert!(progress.bar.is_finished());
    }
}
