//! The prompt cache: which beginnings of prompts were read lately, and what of a prompt is read from there.
//!
//! A prompt is a row of blocks: tools, system, messages. `cache_control` on a block has everything up to it kept, and at the top level
//! of the request everything up to its last block that can be (Python SDK 2.11.0, `MessageCreateParams`). A later prompt of
//! the same workspace and model that begins with the same blocks reads them from the cache, if one of its own marks is less
//! than twenty blocks behind (docs page "prompt-caching", 2026-10-01); a read lets the entry live its time once more.
//!
//! Where the documentation leaves a choice the one that caches less is taken: the shortest prompt that is kept is that of
//! the model which asks for the most. Rows of a batch are read when it ends, and rows of one batch find nothing of each
//! other ("best effort", docs page "batch-processing", 2026-10-01).

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::ids::{hash, mix};
use crate::reply::{input_tokens, tokens_in};

/// The fewest tokens that are kept: 512 to 4,096, depending on the model (docs page "prompt-caching", 2026-10-01).
const LEAST: u64 = 4_096;
/// How many blocks before a mark are looked at.
const LOOKED_BACK: usize = 20;

/// How long an entry lives after it was read last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Life {
    Minutes,
    Hour,
}

impl Life {
    fn of(control: &Value) -> Self {
        if control["ttl"] == "1h" { Self::Hour } else { Self::Minutes }
    }

    fn time(self) -> TimeDelta {
        match self {
            Self::Minutes => TimeDelta::minutes(5),
            Self::Hour => TimeDelta::hours(1),
        }
    }
}

/// A beginning that is kept.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Entry {
    key: u64,
    life: Life,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
}

/// All that is kept.
#[derive(Debug, Default)]
pub(crate) struct PromptCache {
    entries: BTreeMap<u64, Entry>,
}

impl PromptCache {
    /// Keeps what a call at `now` has written and read.
    pub(crate) fn keep(&mut self, entries: Vec<Entry>, now: DateTime<Utc>) {
        self.entries.retain(|_, entry| entry.until > now);
        for mut entry in entries {
            // One that is there stays there, however late the other is to come.
            if let Some(old) = self.entries.get(&entry.key).filter(|old| old.until >= entry.from) {
                entry.from = entry.from.min(old.from);
                entry.until = entry.until.max(old.until);
            }
            self.entries.insert(entry.key, entry);
        }
    }

    /// Drops what was to come at `at`, because it does not.
    pub(crate) fn forget(&mut self, at: DateTime<Utc>) {
        self.entries.retain(|_, entry| entry.from != at);
    }

    fn find(&self, key: u64, at: DateTime<Utc>) -> Option<Entry> {
        self.entries.get(&key).copied().filter(|entry| entry.from <= at && at < entry.until)
    }
}

/// Somebody who reads prompts by the cache.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    cache: &'a PromptCache,
    workspace: &'a str,
    /// When the prompt is read.
    at: DateTime<Utc>,
    /// What share of the beginnings that are kept is found.
    hits: f64,
    /// What is to be kept from now on.
    pub(crate) entries: Vec<Entry>,
}

/// A prompt's tokens by how they were had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Split {
    input: u64,
    read: u64,
    minutes: u64,
    hour: u64,
}

impl Split {
    /// The fields of `usage` (Python SDK 2.11.0, `Usage`).
    pub(crate) fn usage(self) -> Value {
        json!({
            "input_tokens": self.input,
            "cache_creation_input_tokens": self.minutes + self.hour,
            "cache_read_input_tokens": self.read,
            "cache_creation": {"ephemeral_5m_input_tokens": self.minutes, "ephemeral_1h_input_tokens": self.hour},
        })
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(cache: &'a PromptCache, workspace: &'a str, at: DateTime<Utc>, hits: f64) -> Self {
        Self { cache, workspace, at, hits, entries: Vec::new() }
    }

    /// When prompts are read.
    pub(crate) fn at(&self) -> DateTime<Utc> {
        self.at
    }

    /// Reads the prompt of `params`, behind which the answer has come as far as `content`.
    pub(crate) fn read(&mut self, params: &Map<String, Value>, model: &str, content: &[Value]) -> Split {
        let so_far = if content.is_empty() { 0 } else { tokens_in(&Value::Array(content.to_vec())) };
        let whole = input_tokens(params) + so_far;
        let mut split = Split { input: whole, read: 0, minutes: 0, hour: 0 };
        let blocks = blocks(params, content, hash(format!("{}/{model}", self.workspace).as_bytes()), whole);
        let marks = || blocks.iter().enumerate().filter(|(_, block)| block.mark.is_some() && block.behind >= LEAST);
        let found = marks().rev().find_map(|(mark, _)| {
            let near = blocks.get(mark.saturating_sub(LOOKED_BACK - 1)..=mark).unwrap_or_default();
            near.iter().rev().find_map(|block| Some((block, self.find(block)?)))
        });
        if let Some((block, entry)) = found {
            split.read = block.behind;
            self.entries.push(Entry { until: self.at + entry.life.time(), ..entry });
        }
        let mut kept = split.read;
        for (block, life) in marks().filter_map(|(_, block)| Some((block, block.mark?))) {
            if block.behind <= kept {
                continue;
            }
            match life {
                Life::Minutes => split.minutes += block.behind - kept,
                Life::Hour => split.hour += block.behind - kept,
            }
            kept = block.behind;
            self.entries.push(Entry { key: block.key, life, from: self.at, until: self.at + life.time() });
        }
        split.input = whole - kept;
        split
    }

    fn find(&self, block: &Block) -> Option<Entry> {
        let entry = self.cache.find(block.key, self.at)?;
        #[expect(clippy::cast_precision_loss, reason = "a draw")]
        let drawn = mix(block.key ^ self.at.timestamp_millis().cast_unsigned()) as f64 / u64::MAX as f64;
        (drawn < self.hits).then_some(entry)
    }
}

/// A block of a prompt.
struct Block {
    /// Told from all it has before it and itself.
    key: u64,
    /// How many tokens the prompt has up to its end.
    behind: u64,
    mark: Option<Life>,
}

/// The blocks of a prompt of `whole` tokens, each a key that goes on from the one before.
fn blocks(params: &Map<String, Value>, content: &[Value], start: u64, whole: u64) -> Vec<Block> {
    let (mut key, mut behind) = (start, 0);
    let mut blocks = Vec::new();
    let mut last = None;
    for (role, value) in parts(params, content) {
        let mut value = value.clone();
        let control = value.as_object_mut().and_then(|block| block.remove("cache_control"));
        behind = (behind + tokens_in(&value)).min(whole);
        key = hash(format!("{key:x}{role}{value}").as_bytes());
        // Thinking is kept with what comes behind it (docs page "prompt-caching", 2026-10-01).
        if !matches!(value["type"].as_str(), Some("thinking" | "redacted_thinking")) {
            last = Some(blocks.len());
        }
        let mark = control.filter(Value::is_object).map(|control| Life::of(&control));
        blocks.push(Block { key, behind, mark });
    }
    let control = params.get("cache_control").filter(|control| control.is_object());
    if let (Some(control), Some(block)) = (control, last.and_then(|last| blocks.get_mut(last))) {
        block.mark = block.mark.or(Some(Life::of(control)));
    }
    blocks
}

fn parts<'a>(params: &'a Map<String, Value>, content: &'a [Value]) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let of = |value: Option<&'a Value>| -> &'a [Value] {
        match value {
            Some(Value::Array(blocks)) => blocks,
            Some(one) => std::slice::from_ref(one),
            None => &[],
        }
    };
    let named = move |name: &'static str| of(params.get(name)).iter().map(move |block| (name, block));
    let messages = of(params.get("messages")).iter();
    let said = messages.flat_map(move |message| {
        let role = message["role"].as_str().unwrap_or_default();
        of(message.get("content")).iter().map(move |block| (role, block))
    });
    let answer = content.iter().map(|block| ("assistant", block));
    named("mcp_servers").chain(named("tools")).chain(named("system")).chain(said).chain(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_219_200 + 60 * minute, 0).unwrap()
    }

    /// A prompt of so many blocks of 1,000 tokens each behind a system prompt of 5,000.
    fn prompt(more: usize, ttl: &str) -> Map<String, Value> {
        let block = |n: usize| json!({ "type": "text", "text": format!("{n:04}").repeat(998) });
        let params = json!({
            "system": "syst".repeat(5_000), "cache_control": { "type": "ephemeral", "ttl": ttl },
            "messages": [{ "role": "user", "content": (0..more).map(block).collect::<Vec<_>>() }],
        });
        params.as_object().unwrap().clone()
    }

    /// What it costs to read the prompts at their minutes, one after the other.
    fn read(prompts: &[(i64, Map<String, Value>)]) -> Vec<(u64, u64, u64, u64)> {
        let mut cache = PromptCache::default();
        let mut splits = Vec::new();
        for (minute, params) in prompts {
            let mut reader = Reader::new(&cache, "w", at(*minute), 1.0);
            let split = reader.read(params, "m", &[]);
            let entries = reader.entries;
            cache.keep(entries, at(*minute));
            assert_eq!(split.input + split.read + split.minutes + split.hour, input_tokens(params), "they add up");
            splits.push((split.input / 100, split.read / 100, split.minutes / 100, split.hour / 100));
        }
        splits
    }

    #[test]
    fn a_prompt_that_goes_on_from_a_kept_one_reads_it_and_writes_the_rest() {
        let splits = read(&[(0, prompt(1, "5m")), (0, prompt(3, "5m")), (4, prompt(3, "5m")), (8, prompt(4, "5m"))]);
        assert_eq!(splits, [(0, 0, 60, 0), (0, 60, 20, 0), (0, 80, 0, 0), (0, 80, 10, 0)]);
        let hour = read(&[(0, prompt(1, "1h")), (59, prompt(2, "1h")), (118, prompt(2, "1h")), (179, prompt(2, "1h"))]);
        assert_eq!(hour, [(0, 0, 0, 60), (0, 60, 0, 10), (0, 70, 0, 0), (0, 0, 0, 70)]);
        let late = read(&[(0, prompt(1, "5m")), (5, prompt(1, "5m"))]);
        assert_eq!(late[1], (0, 0, 60, 0), "five minutes are over");
    }

    #[test]
    fn what_is_not_asked_for_or_too_short_is_not_kept() {
        let mut plain = prompt(1, "5m");
        plain.remove("cache_control");
        assert_eq!(read(&[(0, plain.clone()), (0, plain)])[1], (60, 0, 0, 0));
        let mut short = prompt(3, "5m");
        short.remove("system");
        assert_eq!(read(&[(0, short.clone()), (0, short)])[1], (30, 0, 0, 0));
    }

    #[test]
    fn other_words_another_model_and_a_mark_too_far_behind_find_nothing() {
        let mut other = prompt(1, "5m");
        other.insert("system".to_owned(), json!("else".repeat(5_000)));
        assert_eq!(read(&[(0, prompt(1, "5m")), (0, other)])[1].1, 0);
        assert_eq!(read(&[(0, prompt(1, "5m")), (0, prompt(20, "5m"))])[1].1, 60);
        assert_eq!(read(&[(0, prompt(1, "5m")), (0, prompt(21, "5m"))])[1].1, 0);
        let mut cache = PromptCache::default();
        let mut first = Reader::new(&cache, "w", at(0), 1.0);
        first.read(&prompt(1, "5m"), "m", &[]);
        let entries = first.entries;
        cache.keep(entries, at(0));
        for (workspace, model, minute, hits, found) in [
            ("w", "m", 1, 1.0, 60),
            ("x", "m", 1, 1.0, 0),
            ("w", "n", 1, 1.0, 0),
            ("w", "m", -1, 1.0, 0),
            ("w", "m", 1, 0.0, 0),
        ] {
            let split = Reader::new(&cache, workspace, at(minute), hits).read(&prompt(1, "5m"), model, &[]);
            assert_eq!(split.read / 100, found, "{workspace} {model} {minute} {hits}");
        }
    }

    #[test]
    fn a_mark_on_a_block_keeps_what_is_before_it_and_nothing_behind() {
        let mut marked = prompt(2, "5m");
        marked.remove("cache_control");
        marked["system"] = json!([{ "type": "text", "text": "syst".repeat(5_000),
            "cache_control": { "type": "ephemeral", "ttl": "1h" } }]);
        let mut other = marked.clone();
        other["messages"][0]["content"] = json!("Something else.");
        let splits = read(&[(0, marked), (30, other)]);
        assert_eq!((splits[0].3, splits[0].0), (50, 20));
        assert_eq!(splits[1], (0, 50, 0, 0));
    }
}
