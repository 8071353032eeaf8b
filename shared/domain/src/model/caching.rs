//! When a hop's prefix is worth keeping in the prompt cache.
//!
//! A written prefix costs 1.25 times its input price for five minutes and twice for an hour, and a tenth when it is read
//! ("Pricing" page, 2026-10-01), so that it pays from the second hop on. In a batch it is read only by the *next* batch, an
//! hour apart at most: requests in one cold batch do not see each other's writes. Within one request the provider's own loop
//! reads what it wrote a step before, where it is asked to. The thresholds are those at which a cached
//! turn is the cheaper one where nearly every read hits; short prefixes are left alone in batches because they lose already
//! when a third of the reads miss, and misses of up to 70 % are documented ("Batch processing" page, 2026-10-01).

use super::{CacheFor, TurnMessage};
use crate::planner::Way;
use crate::run::Path;

/// Below the least that some model caches, tokens; less is silently not cached. The least is 512 to 4,096, by model.
const LEAST_CACHED: u64 = 4096;
/// Least prefix that is worth an hour in the cache between batches, tokens.
const LEAST_FOR_AN_HOUR: u64 = 10_000;
/// Fewest hops of a batched turn that make up for writing an hour.
const HOPS_FOR_AN_HOUR: u32 = 3;
/// Bytes that a token has, about; more of English, fewer of most other languages and of JSON.
pub const BYTES_PER_TOKEN: u64 = 4;

/// What a hop is, and what is expected after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prospect {
    /// The path it takes.
    pub path: Path,
    /// Its number, from 1.
    pub hop: u32,
    /// How many hops the turn will have, as far as the job's last run tells.
    pub expected_hops: Option<u32>,
    /// Whether the provider may call our tools within the hop.
    pub loops: bool,
    /// How many it will call there, as far as the job's last run with such hops tells.
    pub expected_calls: Option<u32>,
    /// What the turn begins with: system prompt, tools, history and prompt, tokens.
    pub prefix_tokens: u64,
    /// All that this hop sends, tokens.
    pub sent_tokens: u64,
    /// Whether it is offered tools that Nightshift runs. Without them a turn has one hop, whatever it had last time.
    pub client_tools: bool,
    /// The way that was chosen for the whole turn, where one was: it says what becomes of the cache in its batches.
    pub way: Option<Way>,
}

/// For how long the prefix of a hop is kept; `None` where it is not.
pub fn cache_for(prospect: Prospect) -> Option<CacheFor> {
    let Prospect { path, hop, expected_hops, prefix_tokens, sent_tokens, client_tools, way, .. } = prospect;
    if !client_tools {
        return None;
    }
    let expected = expected_hops.unwrap_or(1);
    match path {
        Path::Batch if way == Some(Way::BatchHour) => Some(CacheFor::Hour),
        // The prefix is the same in every hop, so that those that would read it do not stop short of asking.
        Path::Batch if way.is_none() && expected >= HOPS_FOR_AN_HOUR && prefix_tokens > LEAST_FOR_AN_HOUR => {
            Some(CacheFor::Hour)
        }
        // The provider's loop reads what it has just written, but only where the request has a mark ("Web search tool" page,
        // "Prompt caching", 2026-10-01); without one each of its steps pays for the whole prompt.
        Path::Batch | Path::Realtime if prospect.calls_within() > 0 && sent_tokens >= LEAST_CACHED => {
            Some(CacheFor::FiveMinutes)
        }
        Path::Realtime if (expected >= 2 || hop >= 2) && sent_tokens >= LEAST_CACHED => Some(CacheFor::FiveMinutes),
        Path::Batch | Path::Realtime => None,
    }
}

impl Prospect {
    /// How many of our tools the provider is expected to call within the hop. Where no turn tells, the first hop of one whose way
    /// is one call has what the job's last one did in hops of its own, or one, as it was reckoned with several steps.
    fn calls_within(&self) -> u32 {
        let guess = match self.way {
            Some(Way::OneCall) if self.hop == 1 => self.expected_hops.unwrap_or(2).saturating_sub(1),
            Some(Way::OneCall | Way::Batch | Way::BatchHour | Way::Realtime) | None => 0,
        };
        if self.loops { self.expected_calls.unwrap_or(guess) } else { 0 }
    }
}

/// About how many tokens a hop with this system prompt, these tools and these messages has.
pub fn estimated_tokens(system: Option<&str>, tools: Option<&str>, messages: &[TurnMessage]) -> u64 {
    let texts = messages.iter().map(|message| message.content.as_str()).chain(system).chain(tools);
    texts.map(|text| text.len() as u64).sum::<u64>() / BYTES_PER_TOKEN
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Role;

    /// Tokens that each hop adds to the conversation.
    const GROWTH: u64 = 2000;

    /// How a turn is sent.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Sent {
        Plain,
        FiveMinutes,
        Hour,
    }

    #[derive(Clone, Copy)]
    struct Turn {
        prefix: u64,
        output: u64,
        hops: u32,
    }

    impl Turn {
        fn sent(self, hop: u32) -> u64 {
            self.prefix + GROWTH * u64::from(hop - 1)
        }
    }

    /// The cost of a turn whose hops are sent as `how` says, in input tokens: output counts five times, writes 1.25 or 2
    /// times, reads a tenth; `hits` of the reads of a batch hit, the others write anew.
    #[expect(clippy::cast_precision_loss, reason = "some thousand tokens")]
    fn cost(turn: Turn, path: Path, hits: f64, how: impl Fn(u32) -> Sent) -> f64 {
        let mut kept = 0.0;
        let mut total = 0.0;
        for hop in 1..=turn.hops {
            let sent = turn.sent(hop) as f64;
            let written = |factor: f64, hits: f64| {
                let read = hits * (0.1 * kept + factor * (sent - kept));
                read + (1.0 - hits) * factor * sent
            };
            let first = kept == 0.0;
            total += match how(hop) {
                Sent::Plain => sent,
                Sent::FiveMinutes => written(1.25, 1.0),
                Sent::Hour => written(2.0, if first { 1.0 } else { hits }),
            };
            kept = if how(hop) == Sent::Plain { kept } else { sent };
            total += 5.0 * turn.output as f64;
        }
        if path == Path::Batch { total / 2.0 } else { total }
    }

    fn best_realtime(turn: Turn) -> f64 {
        let plain = cost(turn, Path::Realtime, 1.0, |_| Sent::Plain);
        plain.min(cost(turn, Path::Realtime, 1.0, |_| Sent::FiveMinutes))
    }

    /// The same where a prefix has to be long enough for any model; the table takes it that a shorter one is cached too.
    fn realtime_of_every_model(turn: Turn) -> f64 {
        let long = |hop| if turn.sent(hop) < LEAST_CACHED { Sent::Plain } else { Sent::FiveMinutes };
        cost(turn, Path::Realtime, 1.0, |_| Sent::Plain).min(cost(turn, Path::Realtime, 1.0, long))
    }

    /// What the rule does for a turn that has as many hops as the one before.
    fn ruled(turn: Turn, path: Path) -> impl Fn(u32) -> Sent {
        move |hop| {
            let sent_tokens = turn.sent(hop);
            let expected_hops = Some(turn.hops);
            let client_tools = true;
            let prefix_tokens = turn.prefix;
            let (loops, expected_calls, way) = (false, None, None);
            match cache_for(Prospect {
                path,
                hop,
                expected_hops,
                loops,
                expected_calls,
                prefix_tokens,
                sent_tokens,
                client_tools,
                way,
            }) {
                None => Sent::Plain,
                Some(CacheFor::FiveMinutes) => Sent::FiveMinutes,
                Some(CacheFor::Hour) => Sent::Hour,
            }
        }
    }

    const HOPS: [u32; 6] = [1, 2, 3, 4, 5, 10];
    type Ratios = [f64; HOPS.len()];
    /// The table by which the rules were made: prefix and output per hop, and what a batch of so many hops costs beside the
    /// best realtime, uncached and with an hour's cache where 98 % of the reads hit.
    const TABLE: [(u64, u64, Ratios, Option<Ratios>); 4] = [
        (20_000, 500, [0.50, 0.68, 0.88, 1.04, 1.17, 1.61], Some([0.94, 0.75, 0.73, 0.72, 0.72, 0.69])),
        (20_000, 2000, [0.50, 0.63, 0.75, 0.83, 0.90, 1.13], Some([0.83, 0.67, 0.65, 0.64, 0.63, 0.61])),
        (3_000, 1500, [0.50, 0.53, 0.59, 0.63, 0.68, 0.88], None),
        (60_000, 800, [0.50, 0.71, 0.95, 1.14, 1.31, 1.84], Some([0.97, 0.77, 0.75, 0.74, 0.73, 0.71])),
    ];

    #[test]
    fn the_costs_are_those_of_the_table_and_the_rule_is_never_a_tenth_worse_than_another_choice_in_it() {
        for (prefix, output, plain, hour) in TABLE {
            for (at, hops) in HOPS.into_iter().enumerate() {
                let turn = Turn { prefix, output, hops };
                let realtime = best_realtime(turn);
                let of = |how: Sent| cost(turn, Path::Batch, 0.98, |_| how);
                let mut choices = vec![of(Sent::Plain)];
                let near = |cost: f64, printed: f64| (cost / realtime - printed).abs() < 0.006;
                assert!(
                    near(of(Sent::Plain), plain[at]),
                    "{prefix}/{output}, {hops} hops: {}",
                    of(Sent::Plain) / realtime
                );
                if let Some(hour) = hour {
                    choices.push(of(Sent::Hour));
                    assert!(
                        near(of(Sent::Hour), hour[at]),
                        "{prefix}/{output}, {hops} hops: {}",
                        of(Sent::Hour) / realtime
                    );
                }
                let best = choices.into_iter().fold(f64::INFINITY, f64::min);
                let batch = cost(turn, Path::Batch, 0.98, ruled(turn, Path::Batch));
                assert!(batch <= 1.1 * best, "{prefix}/{output}, {hops} hops in batches: {batch} and {best}");
                let live = cost(turn, Path::Realtime, 1.0, ruled(turn, Path::Realtime));
                let real = realtime_of_every_model(turn);
                assert!(live <= 1.1 * real, "{prefix}/{output}, {hops} hops: {live} and {real}");
            }
        }
    }

    #[test]
    fn a_short_prefix_in_batches_loses_already_when_a_third_of_the_reads_miss() {
        for hops in HOPS {
            let turn = Turn { prefix: 3000, output: 1500, hops };
            let plain = cost(turn, Path::Batch, 0.6, |_| Sent::Plain);
            assert!(cost(turn, Path::Batch, 0.6, |_| Sent::Hour) > plain, "{hops} hops");
        }
    }

    #[test]
    fn each_rule_holds_from_its_threshold_on() {
        let base = Prospect {
            path: Path::Batch,
            hop: 1,
            expected_hops: Some(3),
            loops: false,
            expected_calls: None,
            prefix_tokens: 10_001,
            sent_tokens: 10_001,
            client_tools: true,
            way: None,
        };
        let live = Prospect { path: Path::Realtime, expected_hops: Some(2), sent_tokens: 4096, ..base };
        let one_call =
            Prospect { loops: true, expected_hops: Some(1), expected_calls: Some(1), sent_tokens: 4096, ..base };
        let first = Prospect { way: Some(Way::OneCall), expected_hops: Some(2), expected_calls: None, ..one_call };
        let rows = [
            (one_call, Some(CacheFor::FiveMinutes)),
            (Prospect { sent_tokens: 4095, ..one_call }, None),
            (Prospect { expected_calls: None, ..one_call }, None),
            (Prospect { loops: false, ..one_call }, None),
            (first, Some(CacheFor::FiveMinutes)),
            (Prospect { expected_hops: Some(1), ..first }, None),
            (Prospect { expected_hops: None, ..first }, Some(CacheFor::FiveMinutes)),
            (Prospect { hop: 2, ..first }, None),
            (Prospect { expected_calls: Some(0), ..first }, None),
            (Prospect { way: Some(Way::Batch), loops: false, ..first }, None),
            // Hops of a turn that has some of both: an hour's mark is read by the loop too.
            (Prospect { expected_hops: Some(3), prefix_tokens: 10_001, ..one_call }, Some(CacheFor::Hour)),
            (Prospect { expected_hops: Some(2), hop: 2, expected_calls: Some(0), ..one_call }, None),
            // One call that goes on in realtime.
            (Prospect { path: Path::Realtime, ..one_call }, Some(CacheFor::FiveMinutes)),
            (Prospect { path: Path::Realtime, expected_calls: Some(0), ..one_call }, None),
            (base, Some(CacheFor::Hour)),
            (Prospect { hop: 5, ..base }, Some(CacheFor::Hour)),
            (Prospect { prefix_tokens: 10_000, ..base }, None),
            (Prospect { expected_hops: Some(2), hop: 2, ..base }, None),
            (Prospect { expected_hops: None, hop: 2, ..base }, None),
            (Prospect { client_tools: false, ..base }, None),
            (live, Some(CacheFor::FiveMinutes)),
            (Prospect { sent_tokens: 4095, ..live }, None),
            (Prospect { expected_hops: Some(1), ..live }, None),
            (Prospect { expected_hops: None, ..live }, None),
            (Prospect { expected_hops: None, hop: 2, ..live }, Some(CacheFor::FiveMinutes)),
            (Prospect { client_tools: false, hop: 2, ..live }, None),
        ];
        for (prospect, expected) in rows {
            assert_eq!(cache_for(prospect), expected, "{prospect:?}");
        }
    }

    #[test]
    fn tokens_are_estimated_from_all_that_is_sent() {
        let message = TurnMessage { role: Role::User, content: "x".repeat(400) };
        assert_eq!(estimated_tokens(Some("12345678"), Some("[ab]"), &[message.clone(), message]), 203);
        assert_eq!(estimated_tokens(None, None, &[]), 0);
    }
}
