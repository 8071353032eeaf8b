//! What is kept, what is long, and who is next.

use super::*;
use serde_json::json;

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_219_200 + 60 * minute, 0).unwrap()
}

fn key(id: &str) -> RunKey {
    RunKey::parse(&format!("{id}_20261120T070000Z")).unwrap()
}

fn said(role: Role, text: &str) -> Said {
    Said { role, content: Text::Inline(json!(text).to_string()) }
}

fn exchange(n: u64, bytes: u64) -> Exchange {
    let messages = [(Role::User, "asked"), (Role::Assistant, "said")];
    let said = messages.map(|(role, word)| said(role, &format!("{word} {n}"))).into();
    Exchange { n, run: key("a"), at: at(0), said, bytes }
}

/// A session with exchanges of these lengths.
fn session(bytes: &[u64]) -> (Session, Vec<Exchange>) {
    let mut session = Session::new("main", "work", at(0));
    let exchanges: Vec<Exchange> = (0..).zip(bytes).map(|(n, bytes)| exchange(n, *bytes)).collect();
    for one in &exchanges {
        session = session.released(None, Some(one.clone()), at(1)).session;
    }
    (session, exchanges)
}

fn reply(stop_reason: &StopReason, text: &str) -> Reply {
    let reply = json!({ "messageId": "m", "model": "x", "stopReason": stop_reason, "content": "[]", "text": text, "usage": {} });
    serde_json::from_value(reply).unwrap()
}

fn run_with(session: &Session, exchanges: &[Exchange], cut: Option<&Cut>) -> Run {
    let run = json!({
        "key": key("a"), "jobId": "a", "jobName": "a", "agentId": "main", "origin": "schedule", "slot": at(0),
        "sequence": 1, "task": { "task": "turn" }, "createdAt": at(0), "startedAt": null, "endedAt": null,
        "state": { "state": "running", "hop": 1, "starts": 1, "tries": 0 }, "stateSince": at(0), "rev": 1,
        "turn": { "message": "" }, "prompt": { "inline": "p" }, "delivery": null,
        "session": { "agent": "main", "name": "work", "hold": "held", "cut": cut },
    });
    let mut run: Run = serde_json::from_value(run).unwrap();
    run.talk.opening = session.opening(exchanges);
    run
}

fn texts(opening: &[Said]) -> Vec<String> {
    let text = |said: &Said| match &said.content {
        Text::Inline(raw) => serde_json::from_str(raw).unwrap(),
        Text::Blob { key, .. } => key.clone(),
    };
    opening.iter().map(text).collect()
}

#[test]
fn a_history_is_long_by_its_share_of_the_models_context_or_by_its_count() {
    let (short, exchanges) = session(&[30_000, 30_000]);
    assert_eq!((short.bytes(), short.tokens(), short.messages()), (60_000, 20_000, 4));
    assert_eq!(short.cut(Some(50_000), &exchanges), None, "40 % of 50,000 is not more than 40 %");
    assert!(short.cut(Some(49_900), &exchanges).is_some());
    assert_eq!(short.cut(None, &exchanges), None);
    let (long, exchanges) = session(&[300_000, 3]);
    assert!(long.cut(None, &exchanges).is_some(), "more than 100,000 tokens");
    assert_eq!(long.cut(Some(1_000_000), &exchanges), None);
    let (many, exchanges) = session(&[1; MOST_EXCHANGES]);
    assert_eq!(many.cut(None, &exchanges).unwrap().from, MOST_EXCHANGES as u64 - 4);
    let (fewer, exchanges) = session(&[1; MOST_EXCHANGES - 1]);
    assert_eq!(fewer.cut(None, &exchanges), None);
}

#[test]
fn the_last_exchanges_stay_as_long_as_they_are_not_long_themselves() {
    let cut = |bytes: &[u64]| {
        let (session, exchanges) = session(bytes);
        let cut = session.cut(None, &exchanges).unwrap();
        (cut.from, cut.messages)
    };
    assert_eq!(cut(&[300_000, 10, 10, 10, 10, 10]), (2, 8));
    assert_eq!(cut(&[300_000, 40_000, 40_000, 10]), (2, 4), "a quarter of the limit is 75,000 bytes");
    assert_eq!(cut(&[10, 10, 300_001]), (3, 0), "the newest is too long to stay");
}

#[test]
fn a_summary_stands_for_the_older_part_in_the_run_and_then_in_the_session() {
    let (session, exchanges) = session(&[300_000, 1, 2, 3, 4, 5]);
    let cut = session.cut(None, &exchanges).unwrap();
    let mut run = run_with(&session, &exchanges, Some(&cut));
    assert!(run.is_compacting());
    let text = summary_in(&reply(&StopReason::EndTurn, " All was well. ")).unwrap();
    let summary = Summary { content: Text::Inline(json!(text).to_string()), bytes: 50 };
    run.session.as_mut().unwrap().cut.as_mut().unwrap().summary = Some(summary.clone());
    run.compact();
    assert!(!run.is_compacting());
    let opening = texts(&run.talk.opening);
    assert_eq!(opening[0], "[Summary of this conversation so far]\n\nAll was well.");
    assert_eq!(opening[1..3], ["asked 2", "said 2"]);
    assert_eq!(opening.len(), 9);

    let cut = run.session.unwrap().cut;
    let Change { session, put, drop } = session.released(cut.as_ref(), Some(exchange(6, 6)), at(9));
    assert_eq!((put.unwrap().n, drop), (6, vec![0, 1]));
    assert_eq!((session.summary, session.next, session.updated_at), (Some(summary), 7, at(9)));
    assert_eq!(session.kept.iter().map(|kept| kept.n).collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
}

#[test]
fn without_a_summary_the_oldest_are_dropped_and_an_earlier_summary_stays() {
    let (mut session, exchanges) = session(&[300_000, 1, 2, 3, 4, 5]);
    let earlier = Summary { content: Text::Inline(json!("earlier").to_string()), bytes: 9 };
    session.summary = Some(earlier.clone());
    let mut run = run_with(&session, &exchanges, session.cut(None, &exchanges).as_ref());
    assert!(run.compact().contains("its 4 oldest messages were dropped"));
    assert_eq!(texts(&run.talk.opening)[..2], ["earlier", "asked 2"]);
    let cut = run.session.unwrap().cut;
    let Change { session: kept, drop, .. } = session.released(cut.as_ref(), None, at(9));
    assert_eq!((kept.kept, drop), (session.kept.clone(), vec![]), "a turn that failed drops nothing");
    let Change { session, drop, .. } = session.released(cut.as_ref(), Some(exchange(6, 6)), at(9));
    assert_eq!((session.summary, drop, session.updated_at), (Some(earlier), vec![0, 1], at(9)));
}

#[test]
fn a_cut_that_was_never_made_changes_nothing() {
    let (session, exchanges) = session(&[300_000, 1]);
    let cut = session.cut(None, &exchanges);
    let Change { session: after, put, drop } = session.released(cut.as_ref(), None, at(9));
    assert_eq!((put, drop, after.kept, after.rev), (None, vec![], session.kept.clone(), session.rev + 1));
}

#[test]
fn only_a_whole_text_is_a_summary() {
    for stop in [StopReason::MaxTokens, StopReason::Refusal, StopReason::ToolUse, StopReason::Other("x".into())] {
        assert_eq!(summary_in(&reply(&stop, "Half of")), None);
    }
    assert_eq!(summary_in(&reply(&StopReason::EndTurn, " \n")), None);
    assert!(summary_in(&reply(&StopReason::StopSequence, "x")).is_some());
}

#[test]
fn the_texts_of_all_hops_are_kept_and_the_tools_named_in_a_line() {
    let tools = ["memory".to_owned(), "web_search".to_owned()];
    let kept = answer_kept(["I look.", " ", "It rains.\n"], &tools);
    assert_eq!(kept, "I look.\n\nIt rains.\n\n[tools used: memory, web_search]");
    assert_eq!(answer_kept(["It rains."], &[]), "It rains.");
}

#[test]
fn who_takes_it_leaves_the_line_and_takes_the_dead_along() {
    let (a, b, c) = (key("a"), key("b"), key("c"));
    let new = Session::new("main", "work", at(0));
    let taken = new.taken(&a, &[]).session;
    assert_eq!((taken.rev, taken.holder.clone()), (1, Some(a.clone())));
    let queued = taken.queued(&b).unwrap().session.queued(&c).unwrap().session;
    assert_eq!(queued.waiting, [b.clone(), c.clone()]);
    assert_eq!(queued.queued(&b), None);
    assert_eq!(queued.left(&a), None);
    assert_eq!(queued.left(&b).unwrap().session.waiting, std::slice::from_ref(&c));
    let released = queued.released(None, None, at(1)).session;
    assert_eq!((released.holder.clone(), released.waiting.len()), (None, 2));
    let next = released.taken(&c, &[b]).session;
    assert_eq!((next.holder, next.waiting, next.rev), (Some(c), vec![], 5));
}

#[test]
fn a_line_has_an_end() {
    let mut session = Session::new("main", "work", at(0));
    for n in 0..MOST_WAITING {
        session = session.queued(&key(&format!("job-{n}"))).unwrap().session;
    }
    assert_eq!(session.queued(&key("one-more")), None);
}
