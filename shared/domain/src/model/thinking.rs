//! How hard a model thinks: a job's level in the words that its model takes.
//!
//! Guarantee: never a combination that the model refuses. A level it lacks becomes the next one it has, with a note; it is
//! told to think wherever it takes that, since some models do not unless they are told (Messages API, `thinking`, 2026-11).

use super::{ModelInfo, ThinkingMode};
use crate::job::Thinking;

/// The words for efforts, lowest first, and the level each stands for. The first two are `OpenAI`'s only (API reference,
/// `reasoning_effort`, 2026-10).
const EFFORTS: [(&str, Thinking); 7] = [
    ("none", Thinking::Off),
    ("minimal", Thinking::Minimal),
    ("low", Thinking::Low),
    ("medium", Thinking::Medium),
    ("high", Thinking::High),
    ("xhigh", Thinking::Xhigh),
    ("max", Thinking::Max),
];

/// Least budget (Python SDK 2.11.0, `ThinkingConfigEnabledParam`), tokens.
const LEAST_BUDGET: u64 = 1024;
/// Kept for the answer beside the thinking, tokens; half of a hop that is shorter than twice this.
const ANSWER_ROOM: u64 = 4096;

/// What a hop says about thinking.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Chosen {
    /// The effort; the model's own default otherwise.
    pub effort: Option<String>,
    /// The mode; the model's own default otherwise.
    pub mode: Option<ThinkingMode>,
    /// What a person should know: a level that was not to be had.
    pub notes: Vec<String>,
}

/// What is sent for `level` to the model of `info`, in hops of at most `max_tokens`. Nothing where no level is asked for.
pub fn thinking_for(level: Option<Thinking>, info: &ModelInfo, max_tokens: u64) -> Chosen {
    let Some(level) = level else { return Chosen::default() };
    if info.efforts.is_empty() && info.thinking.is_empty() {
        return noted(format!("thinking {} is not sent: nothing is known of how {} thinks", word(level), info.id));
    }
    match level {
        Thinking::Off => off(info),
        Thinking::Adaptive if takes(info, "adaptive") => {
            Chosen { mode: Some(ThinkingMode::Adaptive), ..Chosen::default() }
        }
        Thinking::Adaptive => noted(format!("{} has no adaptive thinking; its own default is used", info.id)),
        Thinking::Minimal | Thinking::Low | Thinking::Medium | Thinking::High | Thinking::Xhigh | Thinking::Max => {
            graded(level, info, max_tokens)
        }
    }
}

fn noted(note: String) -> Chosen {
    Chosen { notes: vec![note], ..Chosen::default() }
}

/// No effort goes along with `disabled`: Opus 5 takes the two together up to `high` only, which is its default
/// (Messages API, `thinking`, 2026-11).
fn off(info: &ModelInfo) -> Chosen {
    if takes(info, "disabled") {
        return Chosen { mode: Some(ThinkingMode::Disabled), ..Chosen::default() };
    }
    match efforts(info).next() {
        Some((effort, rank)) => Chosen {
            effort: Some(effort.to_owned()),
            mode: None,
            notes: clamped(Thinking::Off, effort, rank, info).into_iter().collect(),
        },
        None => noted(format!("{} cannot be kept from thinking: thinking off has no effect", info.id)),
    }
}

fn graded(level: Thinking, info: &ModelInfo, max_tokens: u64) -> Chosen {
    let known: Vec<_> = efforts(info).filter(|(_, rank)| *rank > Thinking::Off).collect();
    let effort = known.iter().rev().find(|(_, rank)| *rank <= level).or_else(|| known.first()).copied();
    let mut notes: Vec<String> =
        effort.and_then(|(effort, rank)| clamped(level, effort, rank, info)).into_iter().collect();
    let mode = if takes(info, "adaptive") {
        if effort.is_none() {
            notes.push(format!("{} knows no efforts: it thinks as much as it finds right", info.id));
        }
        Some(ThinkingMode::Adaptive)
    } else if takes(info, "enabled") {
        let budget = most_budget(max_tokens).map(|most| budget(level).min(most));
        notes.extend(short(level, budget, info, max_tokens));
        budget.map(|budget_tokens| ThinkingMode::Enabled { budget_tokens })
    } else {
        if effort.is_none() {
            notes.push(format!("{} does not think: thinking {} has no effect", info.id, word(level)));
        }
        None
    };
    Chosen { effort: effort.map(|(effort, _)| effort.to_owned()), mode, notes }
}

/// Tokens to think with; `max` takes what there is.
fn budget(level: Thinking) -> u64 {
    match level {
        Thinking::Off | Thinking::Minimal => LEAST_BUDGET,
        Thinking::Low => 4096,
        Thinking::Medium | Thinking::Adaptive => 8192,
        Thinking::High => 16_384,
        Thinking::Xhigh => 32_768,
        Thinking::Max => u64::MAX,
    }
}

/// The largest budget in a hop of `max_tokens` that leaves room for an answer; `None` where there is not enough for both.
fn most_budget(max_tokens: u64) -> Option<u64> {
    let most = max_tokens - ANSWER_ROOM.min(max_tokens / 2);
    (most >= LEAST_BUDGET && most < max_tokens).then_some(most)
}

/// That the budget is not the level's own.
fn short(level: Thinking, budget_tokens: Option<u64>, info: &ModelInfo, max_tokens: u64) -> Option<String> {
    let word = word(level);
    match budget_tokens {
        None => Some(format!(
            "{} has no room to think: thinking {word} needs more than the {max_tokens} tokens of a hop",
            info.id
        )),
        Some(tokens) if level != Thinking::Max && tokens < budget(level) => Some(format!(
            "thinking {word} is a budget of {tokens} tokens on {}: a hop has {max_tokens} tokens at most",
            info.id
        )),
        Some(_) => None,
    }
}

fn takes(info: &ModelInfo, mode: &str) -> bool {
    info.thinking.iter().any(|each| each == mode)
}

/// The efforts the model has, lowest first.
fn efforts(info: &ModelInfo) -> impl Iterator<Item = (&'static str, Thinking)> {
    EFFORTS.into_iter().filter(|(name, _)| info.efforts.iter().any(|effort| effort == name))
}

fn clamped(level: Thinking, effort: &str, rank: Thinking, info: &ModelInfo) -> Option<String> {
    (level != rank).then(|| format!("thinking {} is effort {effort} on {}", word(level), info.id))
}

fn word(level: Thinking) -> &'static str {
    Thinking::WORDS.iter().find(|(_, each)| *each == level).map_or("", |(word, _)| *word)
}

impl ThinkingMode {
    /// The same in a hop of at most `max_tokens`, which a turn gets fewer of when it goes on in realtime.
    #[must_use]
    pub fn within(self, max_tokens: u64) -> Self {
        match self {
            Self::Enabled { budget_tokens } => match most_budget(max_tokens) {
                Some(most) => Self::Enabled { budget_tokens: budget_tokens.min(most) },
                // Every model that is given a budget may do without (Messages API, `thinking`, 2026-11).
                None => Self::Disabled,
            },
            Self::Adaptive | Self::Disabled => self,
        }
    }
}

#[cfg(test)]
mod tests;
