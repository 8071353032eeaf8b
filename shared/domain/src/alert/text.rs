//! What an alert says.

use chrono::{DateTime, Utc};

use super::{Kind, Notice};
use crate::run::Run;

/// Most characters of a name, and of a cause: an alert is to be read at a glance.
const NAME_MAX: usize = 120;
const CAUSE_MAX: usize = 500;

/// Who reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Somebody who reads it as it is.
    Plain,
    /// A chat, by way of Markdown: what a name or a cause holds is no markup.
    Markdown,
}

/// The text of `notice`, which stands in `run`: its name, its cause as `cron runs` shows it, times, and what to do. Never
/// what was asked or answered.
pub fn text(notice: &Notice, run: &Run, style: Style) -> String {
    let name = shown(&run.job_name, NAME_MAX, style);
    let cause = notice.cause.as_ref().map(|cause| format!("Cause: {}", shown(&cause.message, CAUSE_MAX, style)));
    let started = Some(format!("Run started: {}", minute(run.started_at.unwrap_or(run.created_at))));
    let id = &run.job_id;
    let again =
        notice.last_chance.then(|| format!("It has no other run to come. To run it now: nightshift cron run {id}"));
    let times = match notice.count {
        0 | 1 => String::new(),
        many => format!(" {many} times"),
    };
    let lines = match notice.kind {
        Kind::Failed => [Some(format!("Automation \"{name}\" failed{times}")), cause, started, again],
        Kind::Skipped => {
            let due = Some(format!("Was due: {}", minute(run.slot)));
            [Some(format!("Automation \"{name}\" was skipped{times}")), cause, due, again]
        }
        Kind::Recovered => {
            let first = format!("Automation \"{name}\" recovered");
            [Some(first), Some("The latest run completed successfully.".to_owned()), None, None]
        }
        Kind::AutoDisabled => {
            let count = notice.count;
            let first = format!("⚠️ Automation \"{name}\" was auto-disabled after {count} consecutive run failures.");
            [Some(first), cause, started, Some(format!("To enable it again: nightshift cron enable {id}"))]
        }
        Kind::Delivery => {
            let unknown = notice.cause.as_ref().is_some_and(|cause| cause.code == "delivery_unknown");
            let what = if unknown { "may not have arrived" } else { "was not delivered" };
            let see = format!("To read it: nightshift cron runs {id} --run-id {}", run.key);
            [Some(format!("The answer of automation \"{name}\" {what}")), cause, started, Some(see)]
        }
        Kind::Fallback => {
            let first = format!("Automation \"{name}\" runs without the batch discount");
            let cause = match notice.count {
                1 => "Cause: its batch was refused, and its run went in realtime".to_owned(),
                many => format!("Cause: its batches were refused {many} times in a row, and its runs went in realtime"),
            };
            [Some(first), Some(cause), started, None]
        }
    };
    lines.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

fn minute(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// One line of at most `most` characters.
fn shown(text: &str, most: usize, style: Style) -> String {
    let line = text.split(|char: char| char.is_whitespace() || char.is_control()).filter(|word| !word.is_empty());
    let line = line.collect::<Vec<_>>().join(" ");
    let mut short: String = line.chars().take(most).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    match style {
        Style::Plain => short,
        Style::Markdown => escaped(&short),
    }
}

/// The text with a backslash before what would be markup (`CommonMark`, "Backslash escapes"). An underscore within a word is none.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut before = ' ';
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let within = before.is_alphanumeric() && letters.peek().is_some_and(|next| next.is_alphanumeric());
        if matches!(letter, '\\' | '`' | '*' | '~' | '[' | ']' | '<' | '>' | '|') || letter == '_' && !within {
            escaped.push('\\');
        }
        escaped.push(letter);
        before = letter;
    }
    escaped
}
