use serde_json::{Value, json};

use super::*;
use crate::JobId;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn config(document: &Value) -> Config {
    Config::parse(document).unwrap()
}

fn rules(beat: &Value) -> (Config, HeartbeatRules) {
    let config =
        config(&json!({ "agents": { "entries": { "main": { "heartbeat": beat, "timezone": "Europe/Vienna" } } } }));
    let (_, agent, _) = config.agent(Some("main"));
    let rules = config.heartbeat_of(&agent);
    (config, rules)
}

fn event(id: &str, text: &str) -> SystemEvent {
    let now = at("2026-11-20T08:00:00Z");
    SystemEvent::new("main".into(), id.into(), text.into(), now, now + TimeDelta::days(7))
}

fn job(config: &Config, agent: &str, before: Option<&Job>) -> Job {
    job_of(JobId::heartbeat(agent).unwrap(), agent, config, before, at("2026-11-20T08:00:00Z"))
}

#[test]
fn the_hours_begin_with_their_first_minute_and_end_before_their_last_in_the_agents_zone() {
    let day = json!({ "activeHours": { "start": "08:00", "end": "22:00" } });
    let night = json!({ "activeHours": { "start": "22:00", "end": "06:30" } });
    let late = json!({ "activeHours": { "start": "08:00", "end": "24:00", "timezone": "America/New_York" } });
    for (hours, when, awake) in [
        // Vienna is an hour ahead of UTC in November, two in July.
        (&day, "2026-11-20T06:59:59Z", false),
        (&day, "2026-11-20T07:00:00Z", true),
        (&day, "2026-11-20T20:59:59Z", true),
        (&day, "2026-11-20T21:00:00Z", false),
        (&day, "2026-07-20T06:00:00Z", true),
        (&day, "2026-07-20T20:00:00Z", false),
        (&night, "2026-11-20T21:00:00Z", true),
        (&night, "2026-11-20T05:29:00Z", true),
        (&night, "2026-11-20T05:30:00Z", false),
        (&late, "2026-11-21T04:59:00Z", true),
        (&late, "2026-11-21T05:00:00Z", false),
        (&json!({}), "2026-11-20T03:00:00Z", true),
    ] {
        let (config, rules) = rules(hours);
        assert_eq!(is_awake(&rules, "main", &config, at(when)), awake, "{hours} at {when}");
    }
}

#[test]
fn notes_of_headings_stubs_and_comments_are_blank() {
    for blank in ["", "\n \n", "# Heartbeat\n\n- [ ]\n* \n", "<!-- later -->\n```md\n```", "## \n-\n<!--", "- [x]"] {
        assert!(is_blank(blank), "{blank:?}");
    }
    for said in ["Look at the mail.", "# Heartbeat\n- [ ] mail", "#hashtag", "<!-- a --> b", "-1"] {
        assert!(!is_blank(said), "{said:?}");
    }
}

#[test]
fn a_heartbeat_is_paid_for_events_notes_or_a_prompt_but_not_for_what_others_said() {
    let (_, plain) = rules(&json!({}));
    let (_, asked) = rules(&json!({ "prompt": "Look at the mail." }));
    let quiet = SystemEvent { quiet: true, ..event("a", "Cron: done") };
    assert!(is_idle(&plain, &[], ""));
    assert!(is_idle(&plain, std::slice::from_ref(&quiet), "# Notes\n"));
    assert!(!is_idle(&plain, &[quiet, event("b", "call home")], ""));
    assert!(!is_idle(&plain, &[], "look at the mail"));
    assert!(!is_idle(&asked, &[], ""));
}

#[test]
fn a_turn_takes_up_the_oldest_events_that_fit_and_one_at_least() {
    let many: Vec<SystemEvent> = (0..100).map(|n| event(&format!("{n:03}"), "x")).collect();
    assert_eq!(taken_up(&many).len(), MOST_EVENTS);
    let long: Vec<SystemEvent> = (0..5).map(|n| event(&format!("{n}"), &"x".repeat(30_000))).collect();
    assert_eq!(taken_up(&long).len(), 2);
    assert_eq!(taken_up(&[event("a", &"x".repeat(100_000))]).len(), 1);
    assert!(taken_up(&[]).is_empty());
    // Many summaries do not keep an event waiting that asks for a turn.
    let mut mixed: Vec<SystemEvent> =
        (0..100).map(|n| SystemEvent { quiet: true, ..event(&format!("{n:03}"), "Cron: done") }).collect();
    mixed.push(event("100", "call home"));
    let taken = taken_up(&mixed);
    assert_eq!((taken.len(), taken.last().unwrap().id.as_str(), taken[0].id.as_str()), (MOST_EVENTS, "100", "000"));
}

#[test]
fn it_is_told_its_notes_and_events_in_the_agents_time_and_the_session_keeps_the_events() {
    let (_, plain) = rules(&json!({}));
    let events = [event("a", "call home\n"), event("b", "mail is here")];
    let now = at("2026-11-20T08:30:00Z");
    let text = prompt(&plain, &events, "- watch the oven", "Europe/Vienna", now);
    assert!(text.starts_with("[heartbeat Fri 2026-11-20 09:30 CET]\n\nThis is a heartbeat"), "{text}");
    assert!(text.contains("HEARTBEAT_OK"), "{text}");
    let tail = "\n\nYour notes:\n\n- watch the oven\n\nEvents:\n\n- Fri 2026-11-20 09:00 CET: call home\n\
        - Fri 2026-11-20 09:00 CET: mail is here";
    assert!(text.ends_with(tail), "{text}");
    let (_, own) = rules(&json!({ "prompt": "Look at the mail.\n" }));
    assert_eq!(prompt(&own, &[], "#\n", "UTC", now), "[heartbeat Fri 2026-11-20 08:30 UTC]\n\nLook at the mail.");
    assert_eq!(kept(&[], "UTC", now), "[heartbeat Fri 2026-11-20 08:30 UTC]");
    assert!(kept(&events, "UTC", now).ends_with("UTC: mail is here"));
}

#[test]
fn the_job_follows_the_configuration_and_keeps_its_grid_and_how_it_fared() {
    let plain = Config::default();
    let mut first = job(&plain, "main", None);
    assert_eq!((first.enabled, first.job_id.as_str(), first.name.as_str()), (true, "hb-main", "Heartbeat of main"));
    assert!(matches!(first.schedule, Schedule::Every { every_ms: 1_800_000, .. }), "{:?}", first.schedule);
    assert!(!job(&plain, "gone", None).enabled, "an agent that is not configured");
    first.schedule = Schedule::Every { every_ms: 1_800_000, anchor_ms: 5 };
    first.state.consecutive_errors = 3;
    let again = job(&plain, "main", Some(&first));
    assert!(is_same(&again, &first), "{again:?}");
    assert_eq!((&again.schedule, again.state.consecutive_errors), (&first.schedule, 3));
    let (off, _) = rules(&json!({ "every": "0m" }));
    let off = job(&off, "main", Some(&first));
    assert_eq!((off.enabled, &off.schedule), (false, &first.schedule));
    let (slow, _) = rules(&json!({ "every": "2h", "isolatedSession": true, "lightContext": true, "model": "haiku" }));
    let slow = job(&slow, "main", Some(&first));
    assert!(!is_same(&slow, &first) && slow.session_target == SessionTarget::Isolated);
    assert!(matches!(slow.schedule, Schedule::Every { every_ms: 7_200_000, anchor_ms } if anchor_ms != 5));
    let Payload::AgentTurn(turn) = slow.payload else { panic!("{:?}", slow.payload) };
    assert!(turn.light_context && turn.model.as_deref() == Some("haiku"));
    assert_eq!(turn.batch.map(|batch| batch.enabled), Some(false), "nobody waits a day to look around");
}

#[test]
fn its_answer_goes_to_the_owner_the_last_place_a_channel_or_nowhere() {
    let target = |beat: Value| {
        let route = json!({ "channel": "telegram", "to": "42", "accountId": "me" });
        let main = json!({ "heartbeat": beat, "defaultRoute": route });
        let delivery =
            job(&config(&json!({ "agents": { "entries": { "main": main } } })), "main", None).delivery.unwrap();
        (delivery.mode, delivery.channel, delivery.to, delivery.account_id)
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(target(json!({})), (DeliveryMode::Announce, None, None, None));
    assert_eq!(target(json!({ "target": "none" })).0, DeliveryMode::None);
    assert_eq!(
        target(json!({ "target": "owner" })),
        (DeliveryMode::Announce, some("telegram"), some("42"), some("me"))
    );
    let slack = json!({ "target": "slack", "to": "channel:C1" });
    assert_eq!(target(slack), (DeliveryMode::Announce, some("slack"), some("channel:C1"), None));
}

#[test]
fn an_event_is_given_up_after_three_turns_that_were_paid_and_failed() {
    let (run, now) = (RunKey::parse("hb-main_20261120T080000Z").unwrap(), at("2026-11-20T09:00:00Z"));
    let mut tried = event("a", "call home");
    for n in 1..MOST_TRIES {
        tried = tried.tried(&run, now);
        assert_eq!((tried.tries, &tried.fate, tried.text.as_str()), (n, &None, "call home"));
    }
    let given_up = tried.tried(&run, now);
    assert_eq!(given_up.fate, Some(Fate { by: run.clone(), answered: false }));
    assert_eq!((given_up.text.as_str(), given_up.expires_at), ("", now + REMEMBERED));
    assert_eq!(event("b", "x").over(&run, true, now).fate, Some(Fate { by: run, answered: true }));
}

#[test]
fn ids_of_heartbeats_and_hooks_are_nobody_elses() {
    assert_eq!(JobId::heartbeat("ops").unwrap().heartbeat_agent(), Some("ops"));
    assert_eq!(JobId::parse("brief").unwrap().heartbeat_agent(), None);
    let fault = JobId::parse("hb-main").unwrap().not_built_in().unwrap_err();
    assert!(fault.hint.unwrap().contains("agents.entries.main.heartbeat"));
    assert!(JobId::parse("hk-main").unwrap().not_built_in().is_err());
    assert!(JobId::imported("hb-main").as_str().starts_with("import-"));
    assert!(JobId::heartbeat(&"x".repeat(34)).is_err());
}

#[test]
fn a_long_queue_loses_what_is_stale_and_then_summaries_and_never_what_a_run_waits_for() {
    let now = at("2026-11-20T09:00:00Z");
    let run = Some(RunKey::parse("call_20261120T080000Z").unwrap());
    let queue = vec![
        SystemEvent { expires_at: now, ..event("0", "stale") },
        SystemEvent { run, ..event("1", "call home") },
        event("2", "older"),
        SystemEvent { quiet: true, ..event("3", "Cron: done") },
        event("4", "newer"),
    ];
    let left = |most| {
        let (fresh, leaving) = shortened(queue.clone(), most, now);
        let ids: Vec<String> = fresh.into_iter().map(|event| event.id).collect();
        (ids.concat(), leaving.concat())
    };
    assert_eq!(left(9), ("1234".to_owned(), "0".to_owned()));
    assert_eq!(left(3), ("124".to_owned(), "03".to_owned()));
    assert_eq!(left(2), ("14".to_owned(), "032".to_owned()));
    assert_eq!(left(0), ("1".to_owned(), "0324".to_owned()));
}

#[test]
fn a_run_that_waits_is_told_of_an_answer_of_turns_that_failed_and_of_time_that_ran_out() {
    let (now, by) = (at("2026-11-20T09:00:00Z"), RunKey::parse("hb-main_20261120T080000Z").unwrap());
    let queued = event("a", "call home");
    assert_eq!(outcome(Some(&queued), now), None);
    assert_eq!(outcome(Some(&queued.over(&by, true, now)), now), Some(Event::PlaceFreed));
    let code = |event: Option<&SystemEvent>, now| match outcome(event, now) {
        Some(Event::Refused { code, .. }) => code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code(Some(&queued.over(&by, false, now)), now), "heartbeat_failed");
    assert_eq!(code(Some(&queued), queued.expires_at), "event_expired");
    assert_eq!(code(None, now), "event_expired");
}

#[test]
fn one_that_was_asked_for_is_a_turn_and_one_that_was_woken_is_while_its_event_waits() {
    let (_, plain) = rules(&json!({}));
    let (asked, woken) = (Beat { asked: true, ..Beat::default() }, Beat { woken: true, ..Beat::default() });
    let loud = [event("a", "call home")];
    let quiet = [SystemEvent { quiet: true, ..event("a", "Cron: done") }];
    assert!(asked.is_turn(&plain, &[], ""));
    assert!(woken.is_turn(&plain, &loud, "") && !woken.is_turn(&plain, &quiet, "look at the mail"));
    assert!(
        Beat::default().is_turn(&plain, &quiet, "look at the mail") && !Beat::default().is_turn(&plain, &quiet, "")
    );
}
