//! What a run of the fake would have cost, in tokens. Prices are the client's business.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Everything billed so far, by model id as the answers name it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bill {
    /// Realtime messages answered with 200, whether or not the answer arrived.
    pub realtime: BTreeMap<String, Tokens>,
    /// Succeeded rows of ended batches; errored, canceled and expired rows are not billed
    /// (docs page "batch-processing", 2026-10-01).
    pub batch: BTreeMap<String, Tokens>,
}

/// Token counts of one or more messages. The three input fields are disjoint and add up to the whole input
/// (Python SDK 2.11.0, type `Usage`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tokens {
    /// How many messages these counts cover.
    pub messages: u64,
    /// Input behind the last cache breakpoint.
    pub input_tokens: u64,
    /// Input written to the prompt cache.
    pub cache_creation_input_tokens: u64,
    /// What of that was written for an hour, which costs more.
    #[serde(default)]
    pub ephemeral_1h_input_tokens: u64,
    /// Input read from the prompt cache.
    pub cache_read_input_tokens: u64,
    /// Output, thinking included.
    pub output_tokens: u64,
    /// Server-side web searches.
    pub web_search_requests: u64,
}

impl Tokens {
    /// Reads the `usage` object of one message.
    pub(crate) fn of_usage(usage: &Value) -> Self {
        let number = |name: &str| usage.get(name).and_then(Value::as_u64).unwrap_or(0);
        Self {
            messages: 1,
            input_tokens: number("input_tokens"),
            cache_creation_input_tokens: number("cache_creation_input_tokens"),
            ephemeral_1h_input_tokens: usage
                .pointer("/cache_creation/ephemeral_1h_input_tokens")
                .and_then(Value::as_u64)
                .unwrap_or(0),
            cache_read_input_tokens: number("cache_read_input_tokens"),
            output_tokens: number("output_tokens"),
            web_search_requests: usage
                .pointer("/server_tool_use/web_search_requests")
                .and_then(Value::as_u64)
                .unwrap_or(0),
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.input_tokens += other.input_tokens;
        self.cache_creation_input_tokens += other.cache_creation_input_tokens;
        self.ephemeral_1h_input_tokens += other.ephemeral_1h_input_tokens;
        self.cache_read_input_tokens += other.cache_read_input_tokens;
        self.output_tokens += other.output_tokens;
        self.web_search_requests += other.web_search_requests;
    }
}
