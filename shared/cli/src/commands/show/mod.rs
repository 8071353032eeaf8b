//! Jobs and runs as people see them. Pure: what there is to show and how wide it may be is given.

mod job;
mod jobs;
mod run;
mod runs;
mod words;

pub(super) use job::job;
pub(super) use jobs::jobs;
pub(super) use run::{run, summary};
pub(super) use runs::runs;

use crate::table::Tone;

/// A cell that says nothing in particular.
fn plain(text: impl Into<String>) -> (String, Tone) {
    (text.into(), Tone::Plain)
}
