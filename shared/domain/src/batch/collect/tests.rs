//! Which hops share a window, when it ends, and how its members are split.

use super::*;
use crate::run::{Said, Talk};

fn now() -> DateTime<Utc> {
    "2026-11-20T07:00:12Z".parse().unwrap()
}

/// A ready run of `provider` that has `minutes` left.
fn ready(provider: &str, minutes: i64, on_timeout: &str) -> Run {
    let slot = "2026-11-20T07:00:00Z";
    serde_json::from_value(serde_json::json!({
        "key": "a_20261120T070000Z", "jobId": "a", "jobName": "a", "agentId": "main", "origin": "schedule",
        "slot": slot, "sequence": 1, "task": { "task": "turn" }, "createdAt": slot, "startedAt": null, "endedAt": null,
        "state": { "state": "ready", "hop": 1, "attempt": 1, "tries": 0 }, "stateSince": slot, "rev": 1,
        "turn": { "message": "hello" }, "prompt": { "inline": "0123456789" }, "delivery": null,
        "plan": {
            "path": "batch", "provider": provider, "model": "m", "maxTokens": 1, "onTimeout": on_timeout,
            "deadline": now() + TimeDelta::minutes(minutes), "realtimeSeconds": 1, "maxHops": 1,
        },
    }))
    .unwrap()
}

fn window(run: &Run, seconds: u32, at: DateTime<Utc>) -> Option<String> {
    window_of(run, seconds, at).map(|id| id.to_string())
}

#[test]
fn hops_share_a_window_where_provider_wish_class_and_bucket_are_the_same() {
    let day = ready("anthropic", 24 * 60, "fail");
    let id = window(&day, 60, now()).unwrap();
    assert!(id.starts_with("20261120T070100Z-") && id.ends_with("-11-f"), "{id}");
    assert_eq!(window(&ready("anthropic", 17 * 60 + 5, "fail"), 60, now()).unwrap(), id, "the same class");
    let others = [
        window(&ready("other", 24 * 60, "fail"), 60, now()),
        window(&ready("anthropic", 24 * 60, "realtime"), 60, now()),
        window(&ready("anthropic", 17 * 60, "fail"), 60, now()),
        window(&day, 60, now() + TimeDelta::seconds(48)),
        window(&day, 120, now()),
    ];
    for other in others {
        assert_ne!(other.unwrap(), id);
    }
}

#[test]
fn a_window_ends_with_its_bucket_and_is_a_minute_long_at_least() {
    let run = ready("anthropic", 7 * 24 * 60, "fail");
    for (seconds, end) in [
        (1, "2026-11-20T07:01:00Z"),
        (60, "2026-11-20T07:01:00Z"),
        (300, "2026-11-20T07:05:00Z"),
        (3_600, "2026-11-20T08:00:00Z"),
        (86_400, "2026-11-21T00:00:00Z"),
    ] {
        let id = window_of(&run, seconds, now()).unwrap();
        assert_eq!(id.ends_at(), end.parse::<DateTime<Utc>>().unwrap(), "{seconds}");
    }
    // An instant on the grid opens the next bucket.
    let sharp = "2026-11-20T07:01:00Z".parse().unwrap();
    assert_eq!(window_of(&run, 60, sharp).unwrap().ends_at(), sharp + TimeDelta::minutes(1));
    assert_eq!(WindowId::new("nonsense").ends_at(), DateTime::UNIX_EPOCH);
}

#[test]
fn nothing_waits_without_windows_or_where_it_would_take_half_the_time_left() {
    let run = |minutes| ready("anthropic", minutes, "fail");
    assert_eq!(window(&run(60), 0, now()), None);
    assert_eq!(window(&run(1), 60, now()), None);
    assert!(window(&run(2), 60, now()).is_some());
    assert_eq!(window(&run(24 * 60), 86_400, now()), None, "17 hours of 24");
    assert!(window(&run(24 * 60), 43_200, now()).is_some(), "5 hours of 24");
    let mut running = run(60);
    running.state = State::Running { hop: 1, starts: 1, tries: 0 };
    assert_eq!(window(&running, 60, now()), None);
}

#[test]
fn every_name_made_of_a_window_fits_64_characters_of_the_narrow_alphabet() {
    for (minutes, wish) in [(2, "fail"), (7 * 24 * 60, "realtime")] {
        let id = window_of(&ready(&"provider-".repeat(40), minutes, wish), 60, now()).unwrap();
        let timer = id.timer(u32::MAX);
        assert!(timer.len() <= 64, "{timer}");
        assert!(timer.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{timer}");
    }
}

#[test]
fn deadlines_of_a_class_are_within_a_factor_of_two() {
    let classes: Vec<u32> =
        [0, 1, 2, 3, 4, 5, 1024, 1025, 1440, 2048].map(|minutes| deadline_class(TimeDelta::minutes(minutes))).to_vec();
    assert_eq!(classes, [0, 0, 1, 2, 2, 3, 10, 11, 11, 11]);
}

#[test]
fn rows_are_split_by_number_and_by_size_in_their_order() {
    let caps = |rows, bytes| Caps { rows, bytes };
    let rows = |sizes: &[u64]| sizes.iter().copied().map(|bytes| (bytes, bytes)).collect::<Vec<_>>();
    assert_eq!(split(rows(&[1, 2, 3, 4, 5]), caps(2, 1_000)), [vec![1, 2], vec![3, 4], vec![5]]);
    assert_eq!(split(rows(&[4, 6, 1, 9, 2]), caps(10, 10)), [vec![4, 6], vec![1, 9], vec![2]]);
    // One that is too large for any batch of several goes alone, and the next does not join it.
    assert_eq!(split(rows(&[3, 500, 3, 3]), caps(10, 10)), [vec![3], vec![500], vec![3, 3]]);
    assert_eq!(split(rows(&[]), caps(1, 1)), Vec::<Vec<u64>>::new());
    assert_eq!(split(rows(&[u64::MAX, u64::MAX]), caps(0, 0)), [vec![u64::MAX], vec![u64::MAX]]);
    let many = split((0..250_000).map(|n| (n, 1)), Caps::default());
    assert_eq!(many.iter().map(Vec::len).collect::<Vec<_>>(), [100_000, 100_000, 50_000]);
}

#[test]
fn a_row_is_as_large_as_its_texts() {
    let mut run = ready("anthropic", 60, "fail");
    let bare = row_bytes(&run);
    assert_eq!(bare, ROW_OVERHEAD + 10);
    let said = |content| Said { role: crate::model::Role::Assistant, content };
    run.talk = Talk { said: vec![said(Text::Blob { key: "k".into(), bytes: 7_000 })], ..Talk::default() };
    run.plan.as_mut().unwrap().system = Some(Text::Inline("12345".into()));
    assert_eq!(row_bytes(&run), bare + 7_000 + 5);
}

#[test]
fn a_window_is_opened_once_sealed_by_one_and_opened_again_by_whoever_comes_late() {
    let id = window_of(&ready("anthropic", 60, "fail"), 60, now()).unwrap();
    let open = Window::opened(&id, None, now()).unwrap();
    assert_eq!((open.timers, open.rev, open.attention_at()), (1, 1, Some(now() + LEAST_AHEAD)));
    assert_eq!(Window::opened(&id, Some(&open), now()), None);

    let mine = open.taken("me", now()).unwrap();
    assert_eq!(mine.taken("they", now()).unwrap_err().owner, "me");
    assert!(mine.taken("me", now()).is_ok());
    assert_eq!(mine.attention_at(), Some(now() + SEALING));
    assert!(mine.taken("they", now() + SEALING).is_ok());

    let closed = mine.left(true);
    assert_eq!((closed.attention_at(), closed.rev), (None, 3));
    let late = id.ends_at() + TimeDelta::minutes(3);
    let again = Window::opened(&id, Some(&closed), late).unwrap();
    assert_eq!((again.timers, again.rev, again.seal_at), (2, 4, late + LEAST_AHEAD));
}

#[test]
fn a_ready_run_of_before_there_were_windows_waits_in_none() {
    let run = ready("anthropic", 60, "fail");
    assert_eq!(run.state.window(), None);
    assert!(!serde_json::to_string(&run.state).unwrap().contains("window"));
}
