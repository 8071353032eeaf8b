//! Sessions: what the runs of a name have said to each other before.
//!
//! Guarantee: one run at a time writes a session. It takes it with the write that plans it and gives it back with the write
//! that ends its turn, and these two are the only changes a run makes, so that a turn which failed leaves no trace in it.
//!
//! **What is kept** of a finished turn is one [`Exchange`]: the run's prompt, and what the model said to it. That is the text
//! of all its hops, in order, and a short last line that names the tools it used. Thinking, tool calls and their results are
//! left out: thinking blocks are bound to the model, the tools and the prefix they were made under (Messages API, "preserved
//! thinking"), and results are long and soon out of date. What mattered of them is in the text; that tools were used is worth
//! knowing for whoever reads on, so that nothing is done twice.
//!
//! **When it is long**, the run that takes it begins with a hop of its own that summarises it ([`Cut`]). The summary then
//! stands for everything but the last few exchanges. The main session of an agent is one of these, called `main`.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::RunKey;
use crate::model::{Reply, Role, StopReason};
use crate::run::{Run, Said, State, Text, WaitReason};

/// Bytes of text per token, on the cautious side: English has about four, other languages and code fewer.
const BYTES_PER_TOKEN: u64 = 3;
/// What a history may take of the model's context, in percent: the turn itself needs room for its tools and their results.
const SHARE_PERCENT: u64 = 40;
/// The same where the model's context is not known, in tokens.
const UNKNOWN_LIMIT: u64 = 100_000;
/// Most exchanges before it counts as long however short they are: all of them are read, and written off, at once.
pub const MOST_EXCHANGES: usize = 40;
/// Exchanges that stay as they are when the rest is summarised.
const KEPT_VERBATIM: usize = 4;
/// And what they may take of the limit, as a divisor of it: more would soon be too long again.
const KEPT_SHARE: u64 = 4;
/// Most runs that stand in line. Those beyond wait too, and join when there is room.
pub const MOST_WAITING: usize = 200;

/// What a summarising hop is asked, after the whole history.
pub const INSTRUCTION: &str = "This conversation has become long. Write a summary that will stand in its place, so that you \
    can go on without it: what was asked and decided, facts and figures that may be needed again, names, addresses and ids \
    exactly as they were given, what was done and sent, what is still open. Leave out pleasantries and what is out of date. \
    Answer with the summary alone.";
/// What a summary begins with when it is put before a conversation.
const SUMMARY_HEAD: &str = "[Summary of this conversation so far]";

/// A session: what is known of it without its messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The agent whose session it is.
    pub agent: String,
    /// Its name; unique for the agent.
    pub name: String,
    /// Rises with every write; the condition of the next one.
    pub rev: u64,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When something was said in it last.
    pub updated_at: DateTime<Utc>,
    /// The run that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<RunKey>,
    /// Runs that wait for it, longest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<RunKey>,
    /// What became of the older part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// Its exchanges, oldest first.
    #[serde(default)]
    pub kept: Vec<Kept>,
    /// The number of the next one.
    #[serde(default)]
    pub next: u64,
}

/// An exchange as the session's row has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// Its number.
    pub n: u64,
    /// How long its messages are.
    pub bytes: u64,
}

/// What stands for the older part of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The raw JSON of a message's content.
    pub content: Text,
    /// How long that is.
    pub bytes: u64,
}

/// What one run left in a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exchange {
    /// Its number, rising.
    pub n: u64,
    /// The run.
    pub run: RunKey,
    /// When its turn ended.
    pub at: DateTime<Utc>,
    /// Its messages, the prompt first.
    pub said: Vec<Said>,
    /// How long they are.
    pub bytes: u64,
}

/// A session that changed, and its exchanges that came or went with it: one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// As it will be.
    pub session: Session,
    /// The exchange that is added.
    pub put: Option<Exchange>,
    /// Those that go, by number.
    pub drop: Vec<u64>,
}

/// A run's part in a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InSession {
    /// The agent whose session it is: the job's until the run was planned, then the one that answers.
    pub agent: String,
    /// Its name.
    pub name: String,
    /// Whether it only keeps others from it, and neither goes on with what was said in it nor leaves anything there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alone: bool,
    /// How the run stands to it.
    #[serde(default)]
    pub hold: Hold,
    /// What is to become of its older part, where it was long when the run took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
}

/// How a run stands to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Hold {
    /// It has not asked for it yet, or has given it back.
    #[default]
    None,
    /// It stands in line.
    Queued,
    /// It has it.
    Held,
}

/// A long session being cut short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cut {
    /// The number of the first exchange that stays.
    pub from: u64,
    /// How many messages at the end of the run's opening these are.
    pub messages: usize,
    /// Whether the opening begins with a summary of an earlier time.
    pub again: bool,
    /// Whether it is done: the model was asked, and answered or failed.
    #[serde(default)]
    pub done: bool,
    /// What the model made of the rest; without it the rest is dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
}

impl Session {
    /// A session nothing was said in, which is not written yet.
    pub fn new(agent: &str, name: &str, now: DateTime<Utc>) -> Self {
        Self {
            agent: agent.to_owned(),
            name: name.to_owned(),
            rev: 0,
            created_at: now,
            updated_at: now,
            holder: None,
            waiting: Vec::new(),
            summary: None,
            kept: Vec::new(),
            next: 0,
        }
    }

    /// How long its history is.
    pub fn bytes(&self) -> u64 {
        let kept: u64 = self.kept.iter().map(|kept| kept.bytes).sum();
        kept + self.summary.as_ref().map_or(0, |summary| summary.bytes)
    }

    /// The same in tokens, estimated.
    pub fn tokens(&self) -> u64 {
        self.bytes().div_ceil(BYTES_PER_TOKEN)
    }

    /// How many messages its history has.
    pub fn messages(&self) -> usize {
        2 * self.kept.len() + usize::from(self.summary.is_some())
    }

    /// The cut it needs before a model with room for `max_input_tokens` goes on with it.
    pub fn cut(&self, max_input_tokens: Option<u64>, exchanges: &[Exchange]) -> Option<Cut> {
        let limit = limit(max_input_tokens);
        if self.tokens() <= limit && self.kept.len() < MOST_EXCHANGES {
            return None;
        }
        let (mut from, mut bytes) = (self.next, 0);
        for kept in self.kept.iter().rev().take(KEPT_VERBATIM) {
            bytes += kept.bytes;
            if bytes.div_ceil(BYTES_PER_TOKEN) > limit / KEPT_SHARE {
                break;
            }
            from = kept.n;
        }
        let messages = exchanges.iter().filter(|one| one.n >= from).map(|one| one.said.len()).sum();
        Some(Cut { from, messages, again: self.summary.is_some(), done: false, summary: None })
    }

    /// What a run that goes on with it begins with.
    pub fn opening(&self, exchanges: &[Exchange]) -> Vec<Said> {
        let summary = self.summary.iter().map(|summary| summary_message(summary.content.clone()));
        summary.chain(exchanges.iter().flat_map(|one| one.said.iter().cloned())).collect()
    }

    /// It with `run` as its holder, and without those in line who are `gone`.
    #[must_use]
    pub fn taken(&self, run: &RunKey, gone: &[RunKey]) -> Change {
        let mut session = self.next_rev();
        session.holder = Some(run.clone());
        session.waiting.retain(|waiting| waiting != run && !gone.contains(waiting));
        Change { session, put: None, drop: Vec::new() }
    }

    /// It with `run` at the end of the line; `None` where it stands there already, or the line is too long.
    pub fn queued(&self, run: &RunKey) -> Option<Change> {
        if self.waiting.contains(run) || self.waiting.len() >= MOST_WAITING {
            return None;
        }
        let mut session = self.next_rev();
        session.waiting.push(run.clone());
        Some(Change { session, put: None, drop: Vec::new() })
    }

    /// It without `run` in its line; `None` where it does not stand there.
    pub fn left(&self, run: &RunKey) -> Option<Change> {
        if !self.waiting.contains(run) {
            return None;
        }
        let mut session = self.next_rev();
        session.waiting.retain(|waiting| waiting != run);
        Some(Change { session, put: None, drop: Vec::new() })
    }

    /// It given back, with what the run leaves in it.
    #[must_use]
    pub fn released(&self, cut: Option<&Cut>, put: Option<Exchange>, now: DateTime<Utc>) -> Change {
        let mut session = self.next_rev();
        session.holder = None;
        let mut drop = Vec::new();
        // A summary that was paid for stays. A history that was only shortened, for want of one, stays whole where the run
        // failed: it may have failed for that very reason.
        if let Some(cut) = cut.filter(|cut| cut.done && (cut.summary.is_some() || put.is_some())) {
            drop = session.kept.iter().map(|kept| kept.n).filter(|n| *n < cut.from).collect();
            session.kept.retain(|kept| kept.n >= cut.from);
            session.summary = cut.summary.clone().or(session.summary);
        }
        if let Some(put) = &put {
            session.kept.push(Kept { n: put.n, bytes: put.bytes });
            session.next = put.n + 1;
            session.updated_at = now;
        }
        Change { session, put, drop }
    }

    fn next_rev(&self) -> Self {
        Self { rev: self.rev + 1, ..self.clone() }
    }
}

/// How many tokens of history are not long yet, for a model with room for so many.
fn limit(max_input_tokens: Option<u64>) -> u64 {
    max_input_tokens.map_or(UNKNOWN_LIMIT, |most| (most / 100).saturating_mul(SHARE_PERCENT).max(1))
}

fn summary_message(content: Text) -> Said {
    Said { role: Role::User, content }
}

/// The summary in an answer, as the text of the message that will stand for the older part; `None` where the model did not
/// give one, or not the whole of it.
pub fn summary_in(reply: &Reply) -> Option<String> {
    let text = reply.text.trim();
    match reply.stop_reason {
        StopReason::EndTurn | StopReason::StopSequence if !text.is_empty() => Some(format!("{SUMMARY_HEAD}\n\n{text}")),
        StopReason::EndTurn
        | StopReason::StopSequence
        | StopReason::MaxTokens
        | StopReason::ToolUse
        | StopReason::PauseTurn
        | StopReason::Refusal
        | StopReason::ModelContextWindowExceeded
        | StopReason::Other(_) => None,
    }
}

/// What a session keeps as the model's answer: the texts of the turn's hops, and a line that names the `tools`.
pub fn answer_kept<'a>(texts: impl IntoIterator<Item = &'a str>, tools: &[String]) -> String {
    let mut parts: Vec<&str> = texts.into_iter().map(str::trim).filter(|text| !text.is_empty()).collect();
    let line = format!("[tools used: {}]", tools.join(", "));
    if !tools.is_empty() {
        parts.push(&line);
    }
    parts.join("\n\n")
}

/// Whether `run` has the session called so: it was taken, and its turn has not ended.
pub fn holds(run: &Run, agent: &str, name: &str) -> bool {
    is_of(run, agent, name, Hold::Held) && keeps(&run.state)
}

/// Whether `run` stands in its line and will take it when its turn comes. One that is about to be planned will; one that is
/// paused because it could not be will queue anew.
pub fn stands_in_line(run: &Run, agent: &str, name: &str) -> bool {
    is_of(run, agent, name, Hold::Queued) && lines_up(&run.state)
}

fn is_of(run: &Run, agent: &str, name: &str, hold: Hold) -> bool {
    run.session.as_ref().is_some_and(|mine| mine.agent == agent && mine.name == name && mine.hold == hold)
}

/// Whether a run that has its session keeps it in this state: until its turn ends, also while it waits for a place.
pub fn keeps(state: &State) -> bool {
    !state.is_terminal() && !matches!(state, State::Delivering)
}

/// Whether a run that stands in line stays there in this state.
pub fn lines_up(state: &State) -> bool {
    matches!(state, State::Due | State::Waiting { reason: WaitReason::Session })
}

impl Run {
    /// Whether its next hop summarises the session it goes on with.
    pub fn is_compacting(&self) -> bool {
        self.session.as_ref().and_then(|session| session.cut.as_ref()).is_some_and(|cut| !cut.done)
    }

    /// Whether a summary was made of what its session had before.
    pub fn has_summary(&self) -> bool {
        self.session.as_ref().and_then(|session| session.cut.as_ref()).is_some_and(|cut| cut.summary.is_some())
    }

    /// Goes on after the summarising hop: its summary stands for the older part of the opening. Where the model gave none,
    /// the older part is dropped, but for the summary of an earlier time. Answers what a person should know of it.
    pub fn compact(&mut self) -> String {
        let Some(cut) = self.session.as_mut().and_then(|session| session.cut.as_mut()) else { return String::new() };
        cut.done = true;
        let opening = &mut self.talk.opening;
        let stays = opening.len().saturating_sub(cut.messages);
        if let Some(summary) = &cut.summary {
            opening.splice(..stays, [summary_message(summary.content.clone())]);
            return format!("a summary stands for the {stays} oldest messages of the session");
        }
        let first = usize::from(cut.again).min(stays);
        opening.drain(first..stays);
        format!("the model gave no summary of the session: its {} oldest messages were dropped", stays - first)
    }
}

#[cfg(test)]
mod tests;
