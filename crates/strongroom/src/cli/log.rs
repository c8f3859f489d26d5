//! Where log lines go, and what a panic may say.

use std::panic;

use tracing_subscriber::EnvFilter;

use crate::cli::{Arguments, Command};

/// Log lines go to standard error; those of libraries stay out, because nobody here knows what they
/// put into them.
pub(super) fn start(arguments: &Arguments) {
    let filter = match arguments.command {
        Command::Serve(_) => "off,strongroom=info",
        Command::Witness(ref witness) if witness.is_served() => "off,strongroom=info",
        _ => "off,strongroom=warn",
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_ansi(false);
    // A second start would be a mistake that costs nothing.
    let _ = if arguments.common.log_json {
        lines.json().flatten_event(true).try_init()
    } else {
        lines.try_init()
    };
}

/// A panic says where, never what: its payload may hold the value that was worked on.
pub(super) fn hush_panics() {
    panic::set_hook(Box::new(|panicked| {
        let place = panicked.location().map_or_else(String::new, |at| format!(" at {at}"));
        super::output::warn(&format!(
            "strongroom: this should not have happened{place}; please report that place. What was \
             worked on is not printed"
        ));
    }));
}
