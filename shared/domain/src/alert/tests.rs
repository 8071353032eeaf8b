use serde_json::{Value, json};

use super::*;
use crate::config::Config;
use crate::job::{AgentTurn, Defaults, DeliveryMode, on_run_moved, parse_new};
use crate::money::Cost;
use crate::run::{Books, Lease, Origin, Talk, Task, Text, attention_at};
use crate::{JobId, RunKey};

fn config(cron: &Value) -> Config {
    serde_json::from_value(json!({ "cron": cron })).unwrap()
}

/// An hourly job that sends to a chat, changed by `patch`.
fn record(patch: &Value) -> JobRecord {
    let mut job = json!({
        "name": "flaky", "schedule": { "kind": "cron", "expr": "0 * * * *", "tz": "UTC" },
        "payload": { "kind": "agentTurn", "message": "the secret question" },
        "delivery": { "mode": "announce", "channel": "telegram", "to": "42" },
    });
    for (name, value) in patch.as_object().unwrap() {
        job[name] = value.clone();
    }
    let defaults = Defaults { config: &Config::default(), now: at("2026-11-01T00:00:00Z"), local: false };
    JobRecord::new(parse_new(&job, &defaults, JobId::parse("j1").unwrap()).unwrap())
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A run that is about to end, of nine minutes past the hour `hour` of the month.
fn run(record: &JobRecord, hour: i64, origin: Origin) -> (Run, DateTime<Utc>) {
    let slot = at("2026-11-01T00:00:00Z") + TimeDelta::hours(hour);
    let key = RunKey::of_slot(&record.job.job_id, slot);
    let run = Run {
        slot,
        key,
        job_id: record.job.job_id.clone(),
        job_name: record.job.name.clone(),
        agent_id: "main".to_owned(),
        origin,
        task: Task::Turn,
        sequence: 1,
        created_at: slot,
        claimed_by: None,
        due_by: None,
        started_at: Some(slot),
        ended_at: Some(slot),
        state: State::Due,
        state_since: slot,
        lease: None,
        rev: 1,
        turn: AgentTurn::default(),
        prompt: Text::Inline("the secret question".to_owned()),
        delivery: record.job.delivery.clone(),
        plan: None,
        session: None,
        wakes: false,
        beat: None,
        talk: Talk::default(),
        hops: Vec::new(),
        planning_tries: 0,
        seen_waiting: None,
        place: None,
        timers: 0,
        answer: None,
        delivery_status: None,
        delivery_note: None,
        cancel_requested: false,
        cost: Cost::default(),
        budget: None,
        reserve: Box::default(),
        books: Books::default(),
        alerts: None,
        events: Vec::new(),
    };
    (run, slot + TimeDelta::minutes(9))
}

/// Lets a run end as `word` says; what is told of it then.
///
/// `ok`, `ok, refused` and `ok, unknown` (its answer was), `fail <code>`, `by hand, fail <code>`, `skip <reason>`, `cancel`.
fn ends(record: &mut JobRecord, hour: i64, word: &str, config: &Config) -> Vec<Notice> {
    let (origin, word) = word.strip_prefix("by hand, ").map_or((Origin::Schedule, word), |rest| (Origin::Manual, rest));
    let (mut run, now) = run(record, hour, origin);
    let (state, delivered) = match word.split_once(' ').unwrap_or((word, "")) {
        ("ok", _) => (State::Succeeded, Some(DeliveryStatus::Delivered)),
        ("ok,", "refused") => (State::DeliveryFailed, Some(DeliveryStatus::Failed)),
        ("ok,", _) => (State::DeliveryUnknown, Some(DeliveryStatus::Unknown)),
        ("fail", code) => (State::Failed { code: code.to_owned(), message: format!("it was {code}") }, None),
        ("skip", reason) => (State::Skipped { reason: reason.to_owned() }, None),
        (_, _) => (State::Canceled, None),
    };
    (run.state, run.delivery_status) = (state, delivered);
    run.delivery_note = Some("chat not found".to_owned());
    let step = on_run_moved(record, &State::Delivering, &run, now).unwrap();
    *record = step.record;
    on_ended(record, &mut run, step.disabled, &config.cron, now);
    run.alerts.map(|alerts| alerts.notices).unwrap_or_default()
}

/// What a story comes to: an hour, how its run ends, and what is told, by kind and number.
fn tell(record: &mut JobRecord, config: &Config, story: &[(i64, &str, &str)]) {
    for (hour, word, wanted) in story {
        let told: Vec<String> = ends(record, *hour, word, config)
            .into_iter()
            .map(|notice| match notice.count {
                0 | 1 => notice.kind.word().to_owned(),
                many => format!("{} {many}", notice.kind.word()),
            })
            .collect();
        assert_eq!(told.join(", "), *wanted, "hour {hour}: {word}");
    }
}

#[test]
fn a_cause_is_told_once_a_changed_one_after_the_cooldown_and_the_end_once() {
    let mut job = record(&json!({ "failureAlert": { "cooldownMs": 4 * 3_600_000 } }));
    tell(
        &mut job,
        &Config::default(),
        &[
            (0, "fail timeout", ""),
            (1, "fail timeout", "failed 2"),
            (2, "fail timeout", ""),
            (3, "fail auth", ""),
            (4, "cancel", ""),
            (5, "fail auth", "failed 5"),
            (6, "skip backoff", ""),
            (20, "fail timeout", ""),
            (21, "fail auth", ""),
            (22, "ok", "recovered"),
            (23, "ok", ""),
            // Another incident, and it is told again; the cooldown is between any two alerts.
            (24, "fail timeout", ""),
            (25, "fail timeout", "failed 2"),
            (26, "ok", "recovered"),
            (27, "fail timeout", ""),
            (28, "fail timeout", ""),
            (29, "fail timeout", "failed 3"),
            (30, "ok", "recovered"),
            // One failure between two successes, and one that nobody was told of.
            (31, "fail timeout", ""),
            (32, "ok", ""),
        ],
    );
}

#[test]
fn ten_scheduled_failures_switch_a_job_off_and_those_by_hand_count_and_alert_only() {
    let mut job = record(&json!({}));
    for hour in 0..12 {
        ends(&mut job, hour, "by hand, fail auth", &Config::default());
    }
    assert!(job.job.enabled && job.job.state.consecutive_errors == 12);
    for hour in 12..21 {
        assert_eq!(ends(&mut job, hour, "fail auth", &Config::default()), []);
    }
    assert!(job.job.enabled, "nine of its own");
    tell(&mut job, &Config::default(), &[(21, "fail auth", "disabled 10")]);
    assert!(!job.job.enabled && job.job.state.auto_disabled.as_ref().unwrap().consecutive_errors == 10);
    // It works again when it is run by hand; it stays switched off until somebody switches it on.
    tell(&mut job, &Config::default(), &[(22, "by hand, ok", "recovered")]);
    job.begin_anew();
    assert_eq!(
        (job.job.state.auto_disabled, job.job.state.consecutive_errors, job.incident),
        (None, 0, Box::default())
    );

    let mut quiet = record(&json!({ "failureAlert": false }));
    for hour in 0..10 {
        assert_eq!(ends(&mut quiet, hour, "fail auth", &Config::default()), []);
    }
    assert!(!quiet.job.enabled, "it is switched off all the same");
}

#[test]
fn a_row_of_before_scheduled_failures_were_counted_takes_all_for_such() {
    let mut old = serde_json::to_value(record(&json!({}))).unwrap();
    old["job"]["state"]["consecutiveErrors"] = json!(9);
    let fields = old.as_object_mut().unwrap();
    assert!(
        !fields.contains_key("incident") && !fields.contains_key("scheduledErrors"),
        "nothing is written of nothing"
    );
    let mut job: JobRecord = serde_json::from_value(old).unwrap();
    tell(&mut job, &Config::default(), &[(0, "fail auth", "disabled 10")]);
}

#[test]
fn skips_count_where_that_is_asked_for_and_those_somebody_wished_never() {
    let mut job = record(&json!({ "failureAlert": { "includeSkipped": true } }));
    let story = [
        (0, "skip overlap", ""),
        (1, "skip backoff", ""),
        (2, "skip cron_disabled", ""),
        (3, "skip overlap", "skipped 2"),
        (4, "skip overlap", ""),
        (5, "fail timeout", ""),
        (6, "skip too_late", ""),
        (7, "skip too_late", "skipped 2"),
        (8, "ok", "recovered"),
    ];
    tell(&mut job, &Config::default(), &story);
    let mut silent = record(&json!({}));
    for (hour, word, _) in story {
        assert_eq!(ends(&mut silent, hour, word, &Config::default()), [], "{word}");
    }
}

#[test]
fn an_answer_that_does_not_arrive_is_told_elsewhere_at_once_and_is_no_failure() {
    let destination = json!({ "mode": "announce", "channel": "telegram", "to": "42",
        "failureDestination": { "channel": "slack", "to": "C1" } });
    let mut job = record(&json!({ "delivery": destination }));
    tell(
        &mut job,
        &Config::default(),
        &[
            (0, "ok, refused", "delivery"),
            (2, "ok, refused", ""),
            (4, "ok, unknown", "delivery"),
            (6, "fail auth", ""),
            (8, "ok, refused", ""),
            (10, "ok", "recovered"),
            (11, "ok", ""),
            (12, "ok, unknown", "delivery"),
            (13, "fail auth", ""),
            (14, "fail auth", "failed 2"),
            (15, "ok", "recovered"),
        ],
    );
    assert_eq!(job.job.state.consecutive_errors, 0);
    // Where the alert would go the same way, nobody is told.
    tell(&mut record(&json!({})), &Config::default(), &[(0, "ok, refused", ""), (2, "ok, unknown", "")]);
    let same = json!({ "failureAlert": { "channel": "telegram", "to": "42" } });
    tell(&mut record(&same), &Config::default(), &[(0, "ok, refused", "")]);
}

#[test]
fn a_one_shot_is_told_of_at_its_only_failure_unless_it_says_otherwise() {
    let at = json!({ "kind": "at", "at": "2026-11-02T00:00:00Z" });
    let once = |alert: Value| record(&json!({ "schedule": at, "failureAlert": alert }));
    let mut job = once(json!(true));
    let notices = ends(&mut job, 24, "fail auth", &Config::default());
    assert!(notices[0].last_chance && !job.job.enabled);
    tell(&mut once(json!({ "after": 2 })), &Config::default(), &[(24, "fail auth", "")]);
    tell(&mut once(json!({ "includeSkipped": true })), &Config::default(), &[(24, "skip missed", "skipped")]);
}

#[test]
fn batches_that_are_refused_again_and_again_are_told_of_once() {
    let mut job = record(&json!({}));
    let config = config(&json!({ "batch": { "unexpectedFallbackAlertAfter": 3 } }));
    let mut ended = |hour: i64, path: Path, reason: Option<&str>| {
        let (mut run, now) = run(&job, hour, Origin::Schedule);
        let plan = json!({ "path": path, "fallbackReason": reason, "provider": "anthropic", "model": "m",
            "maxTokens": 1, "deadline": now, "onTimeout": "fail", "realtimeSeconds": 1, "maxHops": 1 });
        (run.plan, run.state) = (Some(serde_json::from_value(plan).unwrap()), State::Succeeded);
        on_ended(&mut job, &mut run, false, &config.cron, now);
        run.alerts.map_or(0, |alerts| alerts.notices.len())
    };
    let refused = Some("batch_refused");
    let story = [
        (Path::Realtime, refused, 0),
        (Path::Realtime, refused, 0),
        (Path::Realtime, Some("model_without_batches"), 0),
    ];
    let then = [
        (Path::Realtime, refused, 1),
        (Path::Realtime, refused, 0),
        (Path::Batch, None, 0),
        (Path::Realtime, refused, 0),
    ];
    for (hour, (path, reason, wanted)) in (0..).zip(story.into_iter().chain(then)) {
        assert_eq!(ended(hour, path, reason), wanted, "hour {hour}");
    }
}

#[test]
fn the_place_is_the_first_that_is_named_and_a_mode_alone_takes_the_first_of_its_kind() {
    let dest = json!({ "mode": "announce", "channel": "telegram", "to": "42", "failureDestination": { "channel": "slack", "to": "C1" } });
    let hook = json!({ "mode": "announce", "channel": "telegram", "to": "42",
        "failureDestination": { "mode": "webhook", "to": "https://h.example/" } });
    let nowhere =
        json!({ "mode": "announce", "channel": "telegram", "to": "42", "failureDestination": { "mode": "none" } });
    let none = json!({ "mode": "none" });
    let careless = json!({ "mode": "announce", "channel": "telegram", "to": "42", "bestEffort": true });
    let on = json!({ "failureAlert": { "enabled": true, "after": 5, "channel": "discord", "to": "7" } });
    let off = json!({ "failureAlert": { "enabled": false, "after": 5, "channel": "discord", "to": "7" } });
    let bare = json!({ "failureAlert": {} });
    let mute = json!({ "failureAlert": { "mode": "none" } });
    let cases = [
        // The job, the configuration, and where its alerts go.
        (json!({}), json!({}), "primary telegram 42, after 2"),
        (json!({}), on.clone(), "discord 7, after 5"),
        (json!({}), off.clone(), "nowhere"),
        (json!({}), bare.clone(), "primary telegram 42, after 2"),
        (json!({}), mute.clone(), "nowhere"),
        (json!({ "failureAlert": true }), mute, "primary telegram 42, after 2"),
        (json!({ "failureAlert": false }), on.clone(), "nowhere"),
        (json!({ "failureAlert": true }), off.clone(), "primary telegram 42, after 5"),
        (json!({ "failureAlert": { "after": 1 } }), on.clone(), "discord 7, after 1"),
        (json!({ "failureAlert": { "channel": "slack", "to": "C9" } }), on.clone(), "slack C9, after 5"),
        (
            json!({ "failureAlert": { "channel": "slack", "to": "C9" }, "delivery": dest }),
            on.clone(),
            "slack C9, after 5",
        ),
        (json!({ "delivery": dest }), on.clone(), "slack C1, after 5"),
        (json!({ "delivery": dest }), off.clone(), "slack C1, after 5"),
        (json!({ "delivery": hook }), on.clone(), "a webhook, after 5"),
        (
            json!({ "delivery": hook, "failureAlert": { "mode": "announce" } }),
            json!({}),
            "primary telegram 42, after 2",
        ),
        (json!({ "delivery": nowhere }), on.clone(), "nowhere"),
        (
            json!({ "delivery": nowhere, "failureAlert": { "channel": "slack", "to": "C9" } }),
            on.clone(),
            "slack C9, after 5",
        ),
        (json!({ "delivery": careless }), json!({}), "nowhere"),
        (json!({ "delivery": careless }), on.clone(), "nowhere"),
        (json!({ "delivery": careless, "failureAlert": true }), json!({}), "primary telegram 42, after 2"),
        (json!({ "delivery": none }), json!({}), "nowhere"),
        (json!({ "delivery": none }), bare, "its agent's route, after 2"),
        (json!({ "delivery": none, "failureAlert": { "channel": "slack" } }), json!({}), "slack, after 2"),
        (json!({ "delivery": none, "failureAlert": { "mode": "none" } }), on, "nowhere"),
    ];
    for (job, cron, wanted) in cases {
        let rules = rules(&record(&job).job, config(&cron).cron.failure_alert.as_ref());
        let shown = rules.map_or("nowhere".to_owned(), |rules| {
            let Route { mode, channel, to, primary, .. } = &rules.route;
            let place = [channel, to].into_iter().flatten().cloned().collect::<Vec<_>>().join(" ");
            let place = match (mode, place.is_empty()) {
                (DeliveryMode::Webhook, _) => "a webhook".to_owned(),
                (_, true) => rules.route.shown(),
                (_, false) => place,
            };
            format!("{}{place}, after {}", if *primary { "primary " } else { "" }, rules.after)
        });
        assert_eq!(shown, wanted, "{job} under {cron}");
    }
}

#[test]
fn the_texts_are_short_and_hold_neither_markup_nor_what_was_asked() {
    let mut job = record(&json!({}));
    job.job.name = "*flaky* [x](http://x) snake_case".to_owned();
    let (run, now) = run(&job, 12, Origin::Schedule);
    let notice = |kind, count, code: &str, message: &str| Notice {
        kind,
        at: now,
        route: Route::default(),
        count,
        cause: Some(Cause { code: code.to_owned(), message: message.to_owned() }),
        signature: None,
        last_chance: false,
        fate: None,
    };
    let plain = |kind, count| text(&notice(kind, count, "x", "command exited\n with code 3"), &run, Style::Plain);
    let name = "*flaky* [x](http://x) snake_case";
    assert_eq!(
        plain(Kind::Failed, 2),
        format!(
            "Automation \"{name}\" failed 2 times\nCause: command exited with code 3\nRun started: 2026-11-01 12:00 UTC"
        )
    );
    assert_eq!(
        plain(Kind::Recovered, 0),
        format!("Automation \"{name}\" recovered\nThe latest run completed successfully.")
    );
    assert_eq!(
        plain(Kind::AutoDisabled, 10),
        format!(
            "⚠️ Automation \"{name}\" was auto-disabled after 10 consecutive run failures.\nCause: command exited with code 3\n\
             Run started: 2026-11-01 12:00 UTC\nTo enable it again: nightshift cron enable j1"
        )
    );
    assert!(plain(Kind::Failed, 1).starts_with(&format!("Automation \"{name}\" failed\n")));
    let chat = text(&notice(Kind::Failed, 2, "x", "a <b> `c` _d_"), &run, Style::Markdown);
    assert!(chat.contains(r"\*flaky\* \[x\](http://x) snake_case") && chat.contains(r"a \<b\> \`c\` \_d\_"), "{chat}");
    let long = text(&notice(Kind::Failed, 2, "x", &"é".repeat(2_000)), &run, Style::Plain);
    assert!(long.chars().count() < 700 && long.contains("é…"));
    for kind in [Kind::Failed, Kind::Skipped, Kind::Recovered, Kind::AutoDisabled, Kind::Delivery, Kind::Fallback] {
        assert!(!plain(kind, 3).contains("secret question"), "{kind:?}");
    }
}

#[test]
fn what_became_of_an_alert_is_shown_and_one_that_reached_nobody_may_be_told_again() {
    let mut job = record(&json!({}));
    ends(&mut job, 0, "fail auth", &Config::default());
    let mut notice = ends(&mut job, 1, "fail auth", &Config::default()).pop().unwrap();
    let shown = |job: &JobRecord| {
        let state = &job.job.state;
        (state.last_failure_notification_delivered, state.last_failure_notification_delivery_error.clone())
    };
    assert_eq!(shown(&job), (None, None));
    notice.fate = Some(Fate { status: DeliveryStatus::Failed, error: Some("chat not found".to_owned()) });
    on_sent(&mut job, &notice);
    assert_eq!(shown(&job), (Some(false), Some("chat not found".to_owned())));
    // Nobody was told, so nobody is told that it is over, and the cause is told after the cooldown.
    let mut well = job.clone();
    assert_eq!(ends(&mut well, 2, "ok", &Config::default()), []);
    let mut again = ends(&mut job, 3, "fail auth", &Config::default()).pop().unwrap();
    assert_eq!((again.kind, shown(&job)), (Kind::Failed, (None, None)));
    // What became of the older one is not told for the younger.
    on_sent(&mut job, &notice);
    assert_eq!(shown(&job), (None, None));
    again.fate = Some(Fate { status: DeliveryStatus::Delivered, error: None });
    on_sent(&mut job, &again);
    assert_eq!(shown(&job), (Some(true), None));
}

#[test]
fn a_run_that_is_over_is_looked_at_until_its_alerts_are_over_too() {
    let mut job = record(&json!({ "failureAlert": { "after": 1 } }));
    let (mut run, now) = run(&job, 0, Origin::Schedule);
    run.state = State::Failed { code: "auth".to_owned(), message: "refused".to_owned() };
    assert_eq!(attention_at(&run), None);
    job = on_run_moved(&job, &State::Delivering, &run, now).unwrap().record;
    on_ended(&mut job, &mut run, false, &Config::default().cron, now);
    assert_eq!(attention_at(&run), Some(now + TimeDelta::minutes(5)));
    run.lease = Some(Lease { owner: "one".to_owned(), until: now + TimeDelta::seconds(90) });
    assert_eq!(attention_at(&run), Some(now + TimeDelta::seconds(90)));
    run.alerts.as_mut().unwrap().notices[0].fate = Some(Fate { status: DeliveryStatus::Unknown, error: None });
    assert_eq!((attention_at(&run), run.due_alerts()), (None, None));
    let read: Run = serde_json::from_value(serde_json::to_value(&run).unwrap()).unwrap();
    assert_eq!(read, run);
}
