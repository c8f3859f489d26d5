//! How far an import is: a bar on a terminal, a line now and then elsewhere.

use std::fmt::Write;
use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::report::grouped;
use crate::cli::output::warn;
use crate::ctx::{Clock, SystemClock};

/// Told on standard error.
pub(in crate::cli) enum Progress {
    /// Nothing is drawn before it begins; with a word for what is counted.
    Bar(Option<ProgressBar>, &'static str),
    Lines(Lines),
    Quiet,
}

/// What the next line needs.
#[derive(Default)]
pub(in crate::cli) struct Lines {
    clock: SystemClock,
    began_at: u64,
    began_ms: i64,
    counted: &'static str,
    rows: u64,
    steps_told: u64,
}

impl Progress {
    /// `counted` is what there are many of, like `rows`.
    pub(in crate::cli) fn for_people(counted: &'static str) -> Self {
        if std::io::stderr().is_terminal() {
            Self::Bar(None, counted)
        } else {
            Self::Lines(Lines { counted, ..Lines::default() })
        }
    }

    pub(in crate::cli) fn begin(&mut self, done: u64, rows: u64) {
        match self {
            Self::Bar(bar, counted) => {
                let new = ProgressBar::new(rows).with_position(done);
                if let Ok(style) = ProgressStyle::with_template(&template(counted)) {
                    let rate = |state: &ProgressState, text: &mut dyn Write| {
                        // A bar that cannot be drawn is not worth a word.
                        let _ = text.write_str(&grouped(state.per_sec() as u64));
                    };
                    new.set_style(style.progress_chars("━━─").with_key("rate", rate));
                }
                // Rows of an earlier run took none of this one's time.
                new.reset_eta();
                *bar = Some(new);
            }
            Self::Lines(lines) => {
                lines.began_ms = lines.clock.monotonic_ms();
                lines.rows = rows;
                lines.began_at = done;
                lines.steps_told = steps(done, rows);
            }
            Self::Quiet => {}
        }
    }

    pub(in crate::cli) fn at(&mut self, done: u64) {
        match self {
            Self::Bar(Some(bar), _) => bar.set_position(done),
            Self::Lines(lines) => lines.tell(done),
            Self::Bar(None, _) | Self::Quiet => {}
        }
    }

    pub(in crate::cli) fn end(&mut self) {
        if let Self::Bar(Some(bar), _) = self {
            bar.finish_and_clear();
        }
    }
}

impl Lines {
    fn tell(&mut self, done: u64) {
        let step = steps(done, self.rows);
        if step == self.steps_told {
            return;
        }
        self.steps_told = step;
        let ms = self.clock.monotonic_ms().saturating_sub(self.began_ms);
        let ms = u64::try_from(ms).unwrap_or(0).max(1);
        let rate = done.saturating_sub(self.began_at).saturating_mul(1000) / ms;
        let left_s = self.rows.saturating_sub(done) / rate.max(1);
        let percent = done.saturating_mul(100) / self.rows.max(1);
        let (done, rows, rate) = (grouped(done), grouped(self.rows), grouped(rate));
        let counted = self.counted;
        warn(&format!(
            "{done} of {rows} {counted} ({percent} %), {rate} {counted}/s, {left_s} s left"
        ));
    }
}

/// A line every 5 percent: 20 in a log of any import.
fn steps(done: u64, rows: u64) -> u64 {
    done.saturating_mul(20) / rows.max(1)
}

fn template(counted: &str) -> String {
    format!(
        "{{bar:36}} {{human_pos}} of {{human_len}} {counted} ({{percent}} %), {{rate}} {counted}/s, \
         {{eta}} left"
    )
}
