//! What a hop cost, from the provider's raw usage and a dated price table; exact, in billionths of a dollar.
//!
//! Prices: Anthropic pricing page and release notes, state of 2026-11-20; the configuration's rows win over these.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Billionths of a US dollar.
pub type NanoUsd = u64;

/// The price of a model from a day on, US dollars per million tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PriceRow {
    /// `provider/model`.
    pub model: String,
    /// The first day it holds (UTC).
    pub from: NaiveDate,
    /// Input.
    pub input: f64,
    /// Output.
    pub output: f64,
    /// Writing a cache entry of five minutes; as input when left out.
    #[serde(default)]
    pub cache_write_5m: f64,
    /// Writing a cache entry of an hour; as input when left out.
    #[serde(default)]
    pub cache_write_1h: f64,
    /// Reading the cache; as input when left out.
    #[serde(default)]
    pub cache_read: f64,
    /// The prompt length above which `factor_above` applies to the whole request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u64>,
    /// The factor above that length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor_above: Option<u32>,
}

/// A price on the list: model, first day, input, output, write 5m, write 1h, read.
type Listed = (&'static str, NaiveDate, f64, f64, f64, f64, f64);

const ALWAYS: NaiveDate = NaiveDate::MIN;

const fn date(year: i32, month: u32, day: u32) -> NaiveDate {
    match NaiveDate::from_ymd_opt(year, month, day) {
        Some(day) => day,
        None => ALWAYS,
    }
}

/// Each model by its own name: a family's price is not known to hold for its next member. Fable 5.2 costs what its release
/// notes of 2026-11-09 say; its cache prices, and the cut of Sonnet 5.5's, are third parties'.
const LIST: [Listed; 19] = [
    ("claude-fable-5-2", ALWAYS, 8.0, 40.0, 10.0, 16.0, 0.20),
    ("claude-fable-5-1", ALWAYS, 10.0, 50.0, 12.5, 20.0, 0.25),
    ("claude-fable-5", ALWAYS, 10.0, 50.0, 12.5, 20.0, 1.0),
    ("claude-mythos-5-2", ALWAYS, 8.0, 40.0, 10.0, 16.0, 0.20),
    ("claude-mythos-5-1", ALWAYS, 10.0, 50.0, 12.5, 20.0, 0.25),
    ("claude-mythos-5", ALWAYS, 10.0, 50.0, 12.5, 20.0, 1.0),
    ("claude-opus-5-5", ALWAYS, 4.0, 20.0, 5.0, 8.0, 0.20),
    ("claude-opus-5", ALWAYS, 5.0, 25.0, 6.25, 10.0, 0.5),
    ("claude-opus-4-8", ALWAYS, 5.0, 25.0, 6.25, 10.0, 0.5),
    ("claude-opus-4-7", ALWAYS, 5.0, 25.0, 6.25, 10.0, 0.5),
    ("claude-opus-4-6", ALWAYS, 5.0, 25.0, 6.25, 10.0, 0.5),
    ("claude-opus-4-5", ALWAYS, 5.0, 25.0, 6.25, 10.0, 0.5),
    ("claude-sonnet-5-5", ALWAYS, 2.0, 10.0, 2.5, 4.0, 0.20),
    ("claude-sonnet-5-5", date(2026, 10, 7), 2.0, 10.0, 2.5, 4.0, 0.10),
    ("claude-sonnet-5", ALWAYS, 2.0, 10.0, 2.5, 4.0, 0.20),
    ("claude-sonnet-4-6", ALWAYS, 3.0, 15.0, 3.75, 6.0, 0.30),
    ("claude-sonnet-4-5", ALWAYS, 3.0, 15.0, 3.75, 6.0, 0.30),
    ("claude-haiku-5-5", ALWAYS, 0.10, 0.50, 0.125, 0.20, 0.01),
    ("claude-haiku-4-5", ALWAYS, 1.0, 5.0, 1.25, 2.0, 0.10),
];

/// Web search, US dollars per use; not halved in batches (pricing page).
const WEB_SEARCH_NANO: NanoUsd = 10_000_000;

/// The longest time between a call and its answer that prices are looked up for: a batch turn waits seven days at most.
const MOST_DAYS: i64 = 8;

/// Haiku 5.5 costs five times as much for a whole request whose prompt is longer than this.
const HAIKU_THRESHOLD: u64 = 100_000;

/// What a hop cost and what it would have cost in realtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    /// What was paid.
    pub paid_nano_usd: NanoUsd,
    /// What the same tokens would have cost in realtime.
    pub realtime_nano_usd: NanoUsd,
}

impl Cost {
    /// Without `other`, which is a part of it.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            paid_nano_usd: self.paid_nano_usd.saturating_sub(other.paid_nano_usd),
            realtime_nano_usd: self.realtime_nano_usd.saturating_sub(other.realtime_nano_usd),
        }
    }

    /// The same for something of no use: what is paid for nothing saves nothing.
    #[must_use]
    pub fn without_saving(self) -> Self {
        Self { realtime_nano_usd: self.paid_nano_usd, ..self }
    }

    /// Two hops together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            paid_nano_usd: self.paid_nano_usd + other.paid_nano_usd,
            realtime_nano_usd: self.realtime_nano_usd + other.realtime_nano_usd,
        }
    }
}

/// The price of `provider/model` at `when`: the latest configured row that holds, else the list price, else `None`.
pub fn price(reference: &str, when: DateTime<Utc>, configured: &[PriceRow]) -> Option<PriceRow> {
    let day = when.date_naive();
    // A provider may answer under the name of a dated snapshot; a row of that very name wins over its model's.
    let own = configured.iter().filter(|row| is_of(&row.model, reference) && row.from <= day);
    let own = own.max_by_key(|row| (row.model == reference, row.from));
    if let Some(row) = own {
        return Some(row.clone());
    }
    let model = reference.strip_prefix("anthropic/")?;
    let holds = |row: &&Listed| is_of(row.0, model) && row.1 <= day;
    let (name, from, input, output, write_short, write_long, cache_read) =
        *LIST.iter().filter(holds).max_by_key(|row| row.1)?;
    let stepped = name == "claude-haiku-5-5";
    Some(PriceRow {
        model: reference.to_owned(),
        from,
        input,
        output,
        cache_write_5m: write_short,
        cache_write_1h: write_long,
        cache_read,
        threshold: stepped.then_some(HAIKU_THRESHOLD),
        factor_above: stepped.then_some(5),
    })
}

/// Every price that holds on some day from `from` to `until`, at most [`MOST_DAYS`] later: whichever of them will be charged.
pub fn prices_between(
    reference: &str,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    configured: &[PriceRow],
) -> Vec<PriceRow> {
    let days = (until.date_naive() - from.date_naive()).num_days().clamp(0, MOST_DAYS);
    let mut rows: Vec<PriceRow> = Vec::new();
    for row in (0..=days).filter_map(|day| price(reference, from + TimeDelta::days(day), configured)) {
        if rows.last() != Some(&row) {
            rows.push(row);
        }
    }
    rows
}

/// Whether `model` is the one called `name`, or a snapshot of it, which carries its day (`claude-haiku-4-5-20251001`).
pub(crate) fn is_of(name: &str, model: &str) -> bool {
    // `-20260401`, or `-2026-04-01` as OpenAI writes it.
    let dated = |rest: &str| {
        let digits = rest.bytes().filter(u8::is_ascii_digit).count();
        let shape = rest.len() == 9 || (rest.len() == 11 && [5, 8].iter().all(|at| rest.as_bytes()[*at] == b'-'));
        rest.starts_with('-') && digits == 8 && shape
    };
    model.strip_prefix(name).is_some_and(|rest| rest.is_empty() || dated(rest))
}

/// The raw usages of several hops as one: whole numbers are added, at any depth; of anything else the last is kept.
pub fn added<'a>(usages: impl Iterator<Item = &'a Value>) -> Option<Value> {
    usages.cloned().reduce(|mut sum, usage| {
        add(&mut sum, usage);
        sum
    })
}

fn add(sum: &mut Value, more: Value) {
    match (sum, more) {
        (Value::Object(sum), Value::Object(more)) => {
            for (name, value) in more {
                add(sum.entry(name).or_insert(Value::Null), value);
            }
        }
        (sum, more) => match (sum.as_u64(), more.as_u64()) {
            (Some(one), Some(other)) => *sum = one.saturating_add(other).into(),
            _ if more.is_null() => {}
            _ => *sum = more,
        },
    }
}

/// What the provider counted of one hop, read from its raw usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tokens {
    /// Input that the cache had no part in.
    pub input: u64,
    /// Input written to a cache entry of five minutes.
    pub write_5m: u64,
    /// Input written to a cache entry of an hour.
    pub write_1h: u64,
    /// Input read from the cache.
    pub read: u64,
    /// Output.
    pub output: u64,
    /// Web searches.
    pub searches: u64,
    /// Whether the answer was kept within the United States.
    pub in_us: bool,
}

impl Tokens {
    /// What `usage` says; what it does not say counts as nothing.
    pub fn of(usage: &Value) -> Self {
        let tokens = |name: &str| usage.get(name).and_then(Value::as_u64).unwrap_or(0);
        let written = |name: &str| usage.get("cache_creation").and_then(|c| c.get(name)).and_then(Value::as_u64);
        let kept = match (written("ephemeral_5m_input_tokens"), written("ephemeral_1h_input_tokens")) {
            (None, None) => (tokens("cache_creation_input_tokens"), 0),
            (five, hour) => (five.unwrap_or(0), hour.unwrap_or(0)),
        };
        let searches = usage.get("server_tool_use").and_then(|tools| tools.get("web_search_requests"));
        Self {
            input: tokens("input_tokens"),
            write_5m: kept.0,
            write_1h: kept.1,
            read: tokens("cache_read_input_tokens"),
            output: tokens("output_tokens"),
            searches: searches.and_then(Value::as_u64).unwrap_or(0),
            in_us: usage.get("inference_geo").and_then(Value::as_str) == Some("us"),
        }
    }

    /// All of the input: the three fields of `usage` added.
    pub fn prompt(&self) -> u64 {
        self.input + self.write_5m + self.write_1h + self.read
    }

    /// Whether anything was used that has a price.
    pub fn is_nothing(&self) -> bool {
        self.prompt() == 0 && self.output == 0
    }

    /// The price of the tokens in realtime, and of what is not halved in a batch.
    fn priced(&self, row: &PriceRow) -> (NanoUsd, NanoUsd) {
        let factor = match row.threshold {
            Some(threshold) if self.prompt() > threshold => u64::from(row.factor_above.unwrap_or(1)),
            Some(_) | None => 1,
        };
        // Nobody gives the cache away: a row that does not name its price must not make what was paid look like nothing.
        let cached = |usd: f64| if usd > 0.0 { usd } else { row.input };
        let counted = [
            (self.input, row.input),
            (self.write_5m, cached(row.cache_write_5m)),
            (self.write_1h, cached(row.cache_write_1h)),
            (self.read, cached(row.cache_read)),
            (self.output, row.output),
        ];
        let alone: NanoUsd = counted.iter().map(|(count, usd)| count * nano_per_token(*usd)).sum::<u64>() * factor;
        // Kept within the United States, by the request's wish or the workspace's, every token costs a tenth more (pricing page).
        let all = if self.in_us { alone * 11 / 10 } else { alone };
        (all, self.searches * WEB_SEARCH_NANO)
    }

    /// What they cost in realtime.
    pub fn realtime(&self, price: &PriceRow) -> NanoUsd {
        let (tokens, fees) = self.priced(price);
        tokens + fees
    }

    /// What they cost in a batch: every token price is halved, search fees are not.
    pub fn batch(&self, price: &PriceRow) -> NanoUsd {
        let (tokens, fees) = self.priced(price);
        tokens / 2 + fees
    }
}

/// The cost of one hop's raw usage.
pub fn cost(usage: &Value, price: &PriceRow, batch: bool) -> Cost {
    let tokens = Tokens::of(usage);
    let realtime = tokens.realtime(price);
    Cost { paid_nano_usd: if batch { tokens.batch(price) } else { realtime }, realtime_nano_usd: realtime }
}

/// The shortest prefix that any model keeps in its cache, tokens. It differs by model, from 512 to 4,096 (a third party); with
/// the least, realtime is never made to look dearer than it would have been.
const LEAST_PREFIX: u64 = 512;

/// What a hop would have cost in realtime, had its whole turn been sent so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InRealtime {
    /// With no cache at all.
    pub uncached_nano_usd: NanoUsd,
    /// With all of it kept for five minutes, so that the next hop reads what the last one was sent.
    pub cached_nano_usd: NanoUsd,
}

impl InRealtime {
    /// Of a hop that used `tokens`, after one whose prompt had `before` tokens; 0 for a turn's first.
    pub fn of(tokens: &Tokens, price: &PriceRow, before: u64) -> Self {
        let prompt = tokens.prompt();
        let bare = Tokens { input: prompt, write_5m: 0, write_1h: 0, read: 0, ..*tokens };
        let read = if before < LEAST_PREFIX { 0 } else { before.min(prompt) };
        let kept = Tokens { input: 0, write_5m: prompt - read, read, ..bare };
        let kept = if prompt < LEAST_PREFIX { bare } else { kept };
        Self { uncached_nano_usd: bare.realtime(price), cached_nano_usd: kept.realtime(price) }
    }
}

/// Dollars per million tokens are thousands of nano-dollars per token.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "prices are small and not negative")]
fn nano_per_token(usd_per_million: f64) -> NanoUsd {
    (usd_per_million.max(0.0) * 1000.0).round() as NanoUsd
}

/// Nano-dollars as dollars, for people and JSON.
#[expect(clippy::cast_precision_loss, reason = "a run's cost is far below the 2^53 that a double holds exactly")]
pub fn usd(nano: NanoUsd) -> f64 {
    nano as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn day(text: &str) -> DateTime<Utc> {
        format!("{text}T12:00:00Z").parse().unwrap()
    }

    #[test]
    fn a_batch_hop_costs_half_of_every_token_price_and_all_of_the_search_fee() {
        let row = price("anthropic/claude-sonnet-5-5", day("2026-11-20"), &[]).unwrap();
        let usage = json!({"input_tokens": 1000, "output_tokens": 500, "server_tool_use": {"web_search_requests": 2}});
        let cost = cost(&usage, &row, true);
        assert_eq!(cost.realtime_nano_usd, 1000 * 2000 + 500 * 10_000 + 20_000_000);
        assert_eq!(cost.paid_nano_usd, 1000 * 1000 + 500 * 5000 + 20_000_000);
    }

    #[test]
    fn cache_writes_and_reads_are_counted_beside_the_input() {
        let row = price("anthropic/claude-opus-5-5", day("2026-11-20"), &[]).unwrap();
        let usage = json!({"input_tokens": 10, "cache_read_input_tokens": 100, "output_tokens": 1,
            "cache_creation_input_tokens": 70,
            "cache_creation": {"ephemeral_5m_input_tokens": 50, "ephemeral_1h_input_tokens": 20}});
        let nano = cost(&usage, &row, false).paid_nano_usd;
        assert_eq!(nano, 10 * 4000 + 100 * 200 + 50 * 5000 + 20 * 8000 + 20_000);
    }

    #[test]
    fn the_list_is_dated_and_knows_no_price_of_a_model_that_is_not_on_it() {
        let read = |when| price("anthropic/claude-sonnet-5-5", day(when), &[]).unwrap().cache_read;
        assert!((read("2026-10-06") - 0.20).abs() < f64::EPSILON && (read("2026-10-07") - 0.10).abs() < f64::EPSILON);
        for stranger in ["claude-opus-5-7", "claude-opus-4", "claude-opus-4-1-20250805", "claude-haiku-5", "claude-3"] {
            assert!(price(&format!("anthropic/{stranger}"), day("2026-11-20"), &[]).is_none(), "{stranger}");
        }
        let mythos = price("anthropic/claude-mythos-5", day("2026-11-20"), &[]).unwrap();
        assert!((mythos.cache_read - 1.0).abs() < f64::EPSILON, "as Fable 5");
    }

    #[test]
    fn an_answer_kept_within_the_united_states_costs_a_tenth_more_and_its_searches_do_not() {
        let row = price("anthropic/claude-opus-5-5", day("2026-11-20"), &[]).unwrap();
        let usage = |geo: &str| json!({"input_tokens": 100, "output_tokens": 10, "inference_geo": geo, "server_tool_use": {"web_search_requests": 1}});
        let paid = |geo: &str| cost(&usage(geo), &row, false).paid_nano_usd - WEB_SEARCH_NANO;
        assert_eq!((paid("global"), paid("us")), (600_000, 660_000));
    }

    /// The table of C3 in the notes on when a batch pays: cost in tokens of input, where output is five times as dear.
    #[test]
    fn the_best_of_realtime_is_uncached_for_one_hop_and_cached_for_several() {
        let row = PriceRow {
            model: "anthropic/x".to_owned(),
            from: ALWAYS,
            input: 1.0,
            output: 5.0,
            cache_write_5m: 1.25,
            cache_write_1h: 2.0,
            cache_read: 0.1,
            threshold: None,
            factor_above: None,
        };
        // Prefix, output of a hop, hops, what a batch without a cache costs of the best in realtime, in hundredths.
        for (prefix, output, hops, hundredths) in [
            (20_000, 500, 1, 50),
            (20_000, 500, 3, 88),
            (20_000, 500, 4, 104),
            (20_000, 500, 10, 161),
            (60_000, 800, 5, 131),
        ] {
            let (mut before, mut uncached, mut cached, mut batch) = (0, 0, 0, 0);
            for hop in 0..hops {
                let tokens = Tokens { input: prefix + 2_000 * hop, output, ..Tokens::default() };
                let InRealtime { uncached_nano_usd, cached_nano_usd } = InRealtime::of(&tokens, &row, before);
                (uncached, cached) = (uncached + uncached_nano_usd, cached + cached_nano_usd);
                batch += tokens.batch(&row);
                before = tokens.prompt();
            }
            assert_eq!((batch * 1000 / uncached.min(cached) + 5) / 10, hundredths, "{prefix} {output} {hops}");
        }
    }

    #[test]
    fn what_is_too_short_for_the_cache_costs_the_same_with_it() {
        let row = price("anthropic/claude-opus-5-5", day("2026-11-20"), &[]).unwrap();
        let short = InRealtime::of(&Tokens { input: 400, output: 10, ..Tokens::default() }, &row, 0);
        assert_eq!(short.cached_nano_usd, short.uncached_nano_usd);
        // However it was sent, what counts is how long it was.
        let as_read = Tokens { read: 9_000, input: 1_000, output: 10, ..Tokens::default() };
        let as_input = Tokens { input: 10_000, output: 10, ..Tokens::default() };
        assert_eq!(InRealtime::of(&as_read, &row, 9_000), InRealtime::of(&as_input, &row, 9_000));
    }

    #[test]
    fn cached_tokens_cost_as_input_where_a_row_does_not_name_their_price() {
        let row: PriceRow =
            serde_json::from_value(json!({"model": "vllm/qwen", "from": "2026-01-01", "input": 1, "output": 2}))
                .unwrap();
        let usage = json!({"input_tokens": 40, "cache_read_input_tokens": 60, "output_tokens": 1});
        assert_eq!(cost(&usage, &row, false).paid_nano_usd, 100 * 1000 + 2000);
    }

    #[test]
    fn a_long_prompt_costs_haiku_five_times_as_much() {
        let row = price("anthropic/claude-haiku-5-5", day("2026-11-20"), &[]).unwrap();
        let of = |input: u64| cost(&json!({"input_tokens": input, "output_tokens": 0}), &row, false).paid_nano_usd;
        assert_eq!((of(100_000), of(100_001)), (100_000 * 100, 100_001 * 500));
    }

    #[test]
    fn a_dated_model_name_has_its_familys_price_and_configured_rows_win_from_their_day() {
        let listed = price("anthropic/claude-haiku-4-5-20251001", day("2026-11-20"), &[]).unwrap();
        assert!((listed.input - 1.0).abs() < f64::EPSILON);
        let own = PriceRow { input: 9.0, from: "2026-11-20".parse().unwrap(), ..listed.clone() };
        let at =
            |when| price("anthropic/claude-haiku-4-5-20251001", day(when), std::slice::from_ref(&own)).unwrap().input;
        assert!((at("2026-11-19") - 1.0).abs() < f64::EPSILON);
        assert!((at("2026-11-20") - 9.0).abs() < f64::EPSILON);
        assert!(price("local-vllm/qwen", day("2026-11-20"), &[]).is_none());
    }

    #[test]
    fn a_configured_price_holds_for_a_snapshot_of_its_model_and_the_snapshots_own_wins() {
        let listed = price("anthropic/claude-haiku-4-5", day("2026-11-20"), &[]).unwrap();
        let row = |model: &str, input, from: &str| PriceRow {
            model: model.to_owned(),
            input,
            from: from.parse().unwrap(),
            ..listed.clone()
        };
        let own = [row("openai/gpt-4.1", 2.0, "2026-11-01"), row("openai/gpt-4.1-2025-04-14", 3.0, "2026-10-01")];
        let at = |model, rows: &[PriceRow]| price(model, day("2026-11-20"), rows).map(|row| row.input.to_string());
        assert_eq!(at("openai/gpt-4.1-2025-04-14", &own[..1]).as_deref(), Some("2"));
        assert_eq!(at("openai/gpt-4.1-2025-04-14", &own).as_deref(), Some("3"));
        assert_eq!(at("openai/gpt-4.1-mini", &own), None);
    }

    #[test]
    fn usages_of_several_hops_are_added_at_any_depth() {
        let one = json!({ "input_tokens": 5, "cache_creation": { "ephemeral_1h_input_tokens": 7 }, "service_tier": "batch", "server_tool_use": null });
        let two = json!({ "input_tokens": 2, "output_tokens": 3, "cache_creation": { "ephemeral_1h_input_tokens": 1 }, "server_tool_use": { "web_search_requests": 1 } });
        let sum = json!({ "input_tokens": 7, "cache_creation": { "ephemeral_1h_input_tokens": 8 }, "service_tier": "batch",
            "server_tool_use": { "web_search_requests": 1 }, "output_tokens": 3 });
        assert_eq!(added([&one, &two].into_iter()), Some(sum));
        assert_eq!(added([&one].into_iter()), Some(one.clone()), "a single hop's is its own");
        assert_eq!(added(std::iter::empty()), None);
    }
}
