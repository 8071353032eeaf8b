//! What is wrong with one text of the document; `None` where nothing is.

use chrono::NaiveDate;
use url::Url;

use super::secrets::PARAMETER;
use super::shape::Names;
use crate::schedule::{Schedule, Timetable, minutes_of_day, parse_duration};
use crate::tools::is_taken;

/// How references to secrets begin; all but the first are for the local stack.
const REFERENCES: [&str; 3] = [PARAMETER, "env:", "file:"];
/// Longest value that is shown.
const SHOWN: usize = 40;

/// What is wrong, and what to do instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Problem {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A value in quotes, unless it may be a secret in the wrong place: long, or a prefix of a kind of key.
pub(super) fn shown(text: &str) -> String {
    const KEYS: [&str; 9] = ["sk-", "sk_", "xox", "xapp", "ghp_", "github_pat", "aws", "akia", "bearer"];
    let lower = text.to_ascii_lowercase();
    let long = text.chars().count() > SHOWN;
    // A word of twenty letters and digits in one is no word.
    let mixed = text.len() >= 20
        && text.bytes().filter(u8::is_ascii_digit).count() >= 3
        && text.bytes().any(|byte| byte.is_ascii_alphabetic());
    if long || mixed || KEYS.iter().any(|key| lower.starts_with(key)) {
        return "with this name".to_owned();
    }
    format!("\"{}\"", text.escape_debug())
}

pub(super) fn text(text: &str, most: usize) -> Option<Problem> {
    let length = text.chars().count();
    if text.trim().is_empty() {
        Some(Problem::new("this text is empty").hint("leave the field out instead"))
    } else if length > most {
        Some(Problem::new(format!("this text has {length} characters, the most is {most}")))
    } else {
        None
    }
}

pub(super) fn word(text: &str, words: &[&str], local: bool) -> Option<Problem> {
    if text == "console" && !local && words.contains(&text) {
        let problem = Problem::new("the console is there on the local stack only");
        return Some(problem.hint(format!("it is one of {}", others(words))));
    }
    if words.contains(&text) {
        return None;
    }
    Some(
        Problem::new(format!("the word {} is not known here", shown(text)))
            .hint(format!("it is one of {}", others(words))),
    )
}

fn others(words: &[&str]) -> String {
    words.iter().filter(|word| **word != "console").copied().collect::<Vec<_>>().join(", ")
}

pub(super) fn zone(text: &str) -> Option<Problem> {
    let probe = Schedule::Cron { expr: "0 0 1 1 *".to_owned(), tz: Some(text.to_owned()), stagger_ms: None };
    let error = Timetable::new(&probe, "UTC").err()?;
    Some(Problem { message: format!("there is no time zone {}", shown(text)), hint: error.hint })
}

pub(super) fn day(text: &str) -> Option<Problem> {
    let exact = text.len() == "2026-11-20".len() && text.parse::<NaiveDate>().is_ok();
    (!exact).then(|| Problem::new("this is not a date").hint("write 2026-11-20"))
}

pub(super) fn clock(text: &str) -> Option<Problem> {
    minutes_of_day(text)
        .is_none()
        .then(|| Problem::new("this is not a time of day").hint("write 08:00, or 24:00 for the end of the day"))
}

/// A heartbeat's cadence: timers are precise to a minute.
pub(super) fn cadence(text: &str) -> Option<Problem> {
    match parse_duration(text) {
        Ok(every) if every.is_zero() || every.num_seconds() >= 60 => None,
        Ok(_) => {
            Some(Problem::new("a cadence under a minute is not possible").hint("write 1m or more, or 0m for never"))
        }
        Err(_) => Some(Problem::new("this is not a duration").hint("write 30m, 2h or 1h30m, or 0m for never")),
    }
}

/// The value itself is never shown: it may be the secret.
pub(super) fn secret(text: &str, local: bool) -> Option<Problem> {
    let kind = REFERENCES.into_iter().find(|kind| text.starts_with(kind));
    let hint = if local {
        "write where the secret is: ssm:/path, env:NAME or file:/path"
    } else {
        "write where the secret is: ssm:/path"
    };
    let Some(kind) = kind else {
        return Some(
            Problem::new("this is not a reference to a secret").hint(format!("{hint}; never the secret itself")),
        );
    };
    if kind != PARAMETER && !local {
        let problem = Problem::new(format!("{kind} references work on the local stack only"));
        return Some(problem.hint("put the secret into the parameter store and write ssm:/path"));
    }
    let name = &text[kind.len()..];
    let fits = match kind {
        "env:" => is_variable(name),
        PARAMETER => is_parameter(name),
        _ => !name.trim().is_empty() && !name.chars().any(char::is_control),
    };
    (!fits).then(|| Problem::new(format!("after {kind} stands no name of a secret")).hint(hint))
}

fn is_variable(name: &str) -> bool {
    let mut letters = name.bytes();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && letters.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Letters, digits and `_.-/` (Systems Manager API reference, `PutParameter`), and `:` for a version or label behind it.
fn is_parameter(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 2048
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-/:".contains(&byte))
}

/// An address may hold a password in many places, so it is never shown.
pub(super) fn address(text: &str, plain: bool) -> Option<Problem> {
    let example = if plain { "write https://host or https://host:port/path" } else { "write https://host/path" };
    let Ok(url) = Url::parse(text) else { return Some(Problem::new("this is not an address").hint(example)) };
    let problem = match url.scheme() {
        "https" | "http" if url.host_str().is_none_or(str::is_empty) => "this address names no host",
        "https" | "http" if !url.username().is_empty() || url.password().is_some() => {
            "an address may not hold a user or password"
        }
        "https" | "http" if text.trim() != text => "there is white space around this address",
        "https" => return None,
        "http" if plain => return None,
        "http" => "this address has to be an https one",
        _ => "this is not an http or https address",
    };
    Some(Problem::new(problem).hint(example))
}

pub(super) fn host(text: &str) -> Option<Problem> {
    let fits = !text.is_empty()
        && text.len() <= 253
        && !text.contains(['/', '@', '*', '?', '#', '\\'])
        && Url::parse(&format!("https://{text}/")).is_ok_and(|url| url.port().is_none() && url.host_str().is_some());
    (!fits).then(|| {
        Problem::new("this is not the name of a host").hint("write internal.example, without scheme, port or path")
    })
}

pub(super) fn full_model(text: &str) -> Option<Problem> {
    let whole = text.split_once('/').is_some_and(|(provider, model)| !provider.is_empty() && !model.is_empty());
    (!whole || text.chars().any(char::is_whitespace)).then(|| {
        Problem::new("this belongs to a model with its provider")
            .hint("write provider/model, such as anthropic/claude-haiku-5-5")
    })
}

impl Names {
    /// What is wrong with a name of the user's.
    pub(super) fn problem(self, name: &str) -> Option<Problem> {
        let only = |extra: &str, most: usize| {
            !name.is_empty()
                && name.len() <= most
                && name.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
        };
        match self {
            Self::Any => (name.trim().is_empty() || name.len() > 128 || name.chars().any(char::is_control))
                .then(|| Problem::new("this name cannot be one").hint("1 to 128 characters")),
            // `hb-<agent>` and `hk-<agent>` are job ids, of at most 36 characters.
            Self::Agent => (!only("-", 33))
                .then(|| Problem::new("this is not an agent's id").hint("1 to 33 letters, digits and hyphens")),
            Self::Provider => (!only("-_.", 64)).then(|| {
                Problem::new("this is not a provider's name")
                    .hint("1 to 64 letters, digits, hyphens, dots and underscores")
            }),
            Self::Hook if matches!(name, "wake" | "agent") => {
                Some(Problem::new(format!("/hooks/{name} is a hook of its own")).hint("choose another name"))
            }
            Self::Hook => (!only("-_", 64)).then(|| {
                Problem::new("this is not a hook's name").hint("1 to 64 letters, digits, hyphens and underscores")
            }),
            Self::Tool if is_taken(name) => Some(
                Problem::new(format!("Nightshift or a provider has a tool \"{name}\" already"))
                    .hint("choose another name"),
            ),
            // Messages API, Tool use: `^[a-zA-Z0-9_-]{1,64}$`.
            Self::Tool => (!only("-_", 64)).then(|| {
                Problem::new("this is not a tool's name").hint("1 to 64 letters, digits, hyphens and underscores")
            }),
        }
    }
}
