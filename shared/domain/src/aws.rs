//! What AWS charges for a run, reckoned from the calls that a run of its kind makes (the README's tables of counted calls).
//!
//! Guarantee: pure, and made of a run's answers alone, so that it grows with them. What it does not know: free tiers, what was
//! repeated, what the tools of a turn called, storage, and how long an answer in realtime took, which it takes from its length.

use crate::batch::looks_within;
use crate::money::{NanoUsd, Tokens};
use crate::run::{Hop, Path};

/// An invocation of a function with its 2 KB of logs (Lambda $0.20 a million, CloudWatch Logs $0.50 a GB; price pages of
/// us-east-1, 2026-11).
const INVOCATION: NanoUsd = 200 + 1_000;
/// A GB-second on arm64 ($0.0000133334; same).
const GB_SECOND: f64 = 13_333.4;
/// The memory that four of the functions have: 256 MB.
const MEMORY_GB: f64 = 0.25;
/// A write request unit of a table on demand ($0.625 a million; same).
const WRITE: NanoUsd = 625;
/// A read request unit ($0.125 a million; same).
const READ: NanoUsd = 125;
/// A schedule ($1 a million; same).
const SCHEDULE: NanoUsd = 1_000;
/// What a model writes in a second, tokens; an estimate.
const TOKENS_A_SECOND: u64 = 50;
/// How many looks at a batch are reckoned where nobody knows how long it was waited for: those of a quarter of an hour.
const USUAL_LOOKS: u32 = 6;

/// Calls, by what they are charged as.
#[derive(Debug, Clone, Copy)]
struct Calls {
    invocations: u64,
    /// How long they run together.
    ms: u64,
    writes: u64,
    reads: u64,
    schedules: u64,
}

impl Calls {
    fn cost(self) -> NanoUsd {
        #[expect(clippy::cast_precision_loss, reason = "some hours at most")]
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few cents")]
        let time = (self.ms as f64 / 1_000.0 * MEMORY_GB * GB_SECOND) as NanoUsd;
        self.invocations * INVOCATION + time + self.writes * WRITE + self.reads * READ + self.schedules * SCHEDULE
    }
}

/// One more look at a batch.
pub fn look() -> NanoUsd {
    Calls { invocations: 1, ms: 400, writes: 4, reads: 2, schedules: 1 }.cost()
}

/// What `hop` adds to what its run costs; `first` says that it has the run's beginning and end with it.
pub fn of_hop(hop: &Hop, first: bool) -> NanoUsd {
    // One that nobody waited for, and came all the same.
    let late = hop.unused && hop.path == Path::Batch && hop.waited_seconds.is_none();
    let calls = match (late, hop.path, first) {
        (true, _, _) => Calls { invocations: 0, ms: 0, writes: 14, reads: 2, schedules: 0 },
        (false, Path::Batch, true) => Calls { invocations: 2, ms: 1_800, writes: 100, reads: 10, schedules: 1 },
        (false, Path::Batch, false) => Calls { invocations: 0, ms: 500, writes: 64, reads: 6, schedules: 0 },
        (false, Path::Realtime, true) => {
            Calls { invocations: 2, ms: 800 + written_in_ms(hop), writes: 72, reads: 11, schedules: 1 }
        }
        (false, Path::Realtime, false) => {
            Calls { invocations: 0, ms: written_in_ms(hop), writes: 28, reads: 4, schedules: 0 }
        }
    };
    let looks = match (late, hop.path) {
        (false, Path::Batch) => hop.waited_seconds.map_or(USUAL_LOOKS, looks_within),
        (true, _) | (false, Path::Realtime) => 0,
    };
    calls.cost() + NanoUsd::from(looks) * look()
}

fn written_in_ms(hop: &Hop) -> u64 {
    Tokens::of(&hop.usage).output.saturating_mul(1_000) / TOKENS_A_SECOND
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::money::usd;

    fn hop(path: Path, waited: Option<u32>, output: u64) -> Hop {
        let hop = json!({
            "n": 1, "path": path, "model": "m", "messageId": "msg_1", "stopReason": "end_turn",
            "cost": { "paidNanoUsd": 1, "realtimeNanoUsd": 1 },
            "usage": { "output_tokens": output }, "at": "2026-11-20T06:00:00Z", "waitedSeconds": waited,
        });
        serde_json::from_value(hop).unwrap()
    }

    #[test]
    fn three_thousand_runs_a_month_cost_what_the_readme_says() {
        let of = |hop: &Hop| (usd(3_000 * of_hop(hop, true)) * 100.0).round() / 100.0;
        assert!((of(&hop(Path::Batch, Some(45 * 60), 3_000)) - 0.39).abs() < 0.011);
        assert!((of(&hop(Path::Realtime, None, 3_000)) - 0.76).abs() < 0.011);
    }

    #[test]
    fn a_batch_is_looked_at_more_seldom_the_longer_it_takes() {
        let looks = [0, 120, 121, 600, 2_700, 86_400].map(looks_within);
        assert_eq!(looks, [1, 1, 2, 5, 9, 102]);
        assert_eq!(look(), 1_200 + 1_333 + 2_500 + 250 + 1_000);
    }

    #[test]
    fn an_answer_of_no_use_costs_its_booking_alone() {
        let late = Hop { unused: true, ..hop(Path::Batch, None, 10) };
        assert!(of_hop(&late, false) < 10_000);
        assert!(of_hop(&hop(Path::Batch, None, 10), false) < of_hop(&hop(Path::Batch, None, 10), true));
    }
}
