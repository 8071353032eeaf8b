//! The README's table of edges is what the state machine does, no more and no less.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use chrono::TimeDelta;
use nightshift_domain::AttemptId;
use nightshift_domain::batch::WindowId;
use nightshift_domain::heartbeat::{SystemEvent, left_by};
use nightshift_domain::job::OnTimeout;
use nightshift_domain::metrics::{self, Metric};
use nightshift_domain::model::{ModelErrorKind, Role, StopReason};
use nightshift_domain::money::Cost;
use nightshift_domain::run::{
    CancelReason, Effect, Endpoint, Event, Hop, Path, Plan, RowResult, Run, Said, State, Talk, Text, Transition,
    WaitReason, attention_at, next,
};
use nightshift_domain::run_token::TokenKey;

mod every;

use every::{KINDS, in_session, now, plan, replies, run, states, walk};

#[test]
fn the_terminal_states_are_known_by_name() {
    for state in states() {
        assert_eq!(State::TERMINAL.contains(&state.name()), state.is_terminal(), "{}", state.name());
    }
    assert!(State::TERMINAL.iter().all(|name| states().iter().any(|state| state.name() == *name)));
}

fn table() -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut edges: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    walk(|before, event, transition| {
        let key = (before.state.name().to_owned(), event.name().to_owned());
        edges.entry(key).or_default().insert(transition.run.state.name().to_owned());
    });
    edges
}

#[test]
fn the_table_in_the_readme_is_the_state_machine() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let section = readme.split("<!-- edges -->").nth(1).expect("the README has a table between <!-- edges --> marks");
    let written: BTreeMap<(String, String), BTreeSet<String>> = section
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| state") && !line.starts_with("| ---"))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let to = cells[2].split(',').map(|state| state.trim().to_owned()).collect();
            ((cells[0].to_owned(), cells[1].to_owned()), to)
        })
        .collect();
    let real = table();
    let mut wanted = String::new();
    for ((from, cause), to) in &real {
        let to: Vec<&str> = to.iter().map(String::as_str).collect();
        writeln!(wanted, "| {from} | {cause} | {} |", to.join(", ")).unwrap();
    }
    assert!(written == real, "the README's table should be:\n{wanted}");
}

#[test]
fn every_transition_raises_the_revision_and_ends_a_run_exactly_when_it_closes_it() {
    walk(|before, event, transition| {
        let context = format!("{} --{}--> {}", before.state.name(), event.name(), transition.run.state.name());
        assert_eq!(transition.run.rev, before.rev + 1, "{context}");
        let closes = transition.effects.contains(&Effect::Close);
        assert_eq!(closes, transition.run.state.is_terminal(), "{context}");
        assert_eq!(transition.run.ended_at.is_some(), transition.run.state.is_terminal(), "{context}");
        assert!(!before.state.is_terminal(), "{context}");
    });
}

#[test]
fn every_end_is_measured_once_and_nothing_else_is_taken_for_one() {
    let ends = [Metric::RunsSucceeded, Metric::RunsFailed, Metric::RunsSkipped];
    walk(|before, event, transition| {
        let reading = metrics::moved(before, event, &transition.run);
        let ended = reading.values.iter().filter(|(metric, _)| ends.contains(metric)).count();
        let context = format!("{} --{}--> {}", before.state.name(), event.name(), transition.run.state.name());
        assert_eq!(ended, usize::from(transition.run.state.is_terminal()), "{context}");
        let names: BTreeSet<_> = reading.values.iter().map(|(metric, _)| metric.name()).collect();
        assert_eq!(names.len(), reading.values.len(), "{context}: {reading:?}");
    });
}

#[test]
fn a_run_that_is_not_over_always_has_somebody_who_will_look_at_it() {
    walk(|before, event, transition| {
        let after = &transition.run;
        let context = format!("{} --{}--> {}", before.state.name(), event.name(), after.state.name());
        let queued = matches!(after.state, State::Waiting { reason: WaitReason::Place { .. } });
        assert_eq!(attention_at(after).is_none(), after.state.is_terminal() || queued, "{context}");
    });
}

/// An answer that is in the books.
fn hop(n: u32, stop: &str) -> Hop {
    Hop {
        n,
        path: Path::Realtime,
        model: "m".into(),
        message_id: "msg".into(),
        request_id: None,
        batch: None,
        stop_reason: stop.into(),
        usage: serde_json::Value::Null,
        cost: Cost::default(),
        in_realtime: None,
        at: now(),
        compaction: false,
        unused: false,
        attempt: 1,
        waited_seconds: None,
    }
}

#[test]
fn a_queued_event_is_over_with_an_answer_counts_a_paid_turn_and_else_stays_as_it_is() {
    let queued = [SystemEvent::new("main".into(), "e".into(), "call".into(), now(), now() + TimeDelta::days(7))];
    let mut seen = BTreeSet::new();
    walk(|before, event, transition| {
        let mut after = transition.run.clone();
        let is_paid = matches!(event, Event::Replied(_) | Event::BatchEnded(RowResult::Succeeded(_)));
        if is_paid {
            // Whoever takes an answer in books it before it is judged.
            after.hops.push(hop(1, "end_turn"));
        }
        let after = &after;
        let context = format!("{} --{}--> {}", before.state.name(), event.name(), after.state.name());
        let left = left_by(after, &queued, now());
        let answered = left.iter().any(|event| event.fate.as_ref().is_some_and(|fate| fate.answered));
        assert_eq!(answered, after.state == State::Delivering, "{context}");
        let tried = left.iter().any(|event| event.fate.is_none() && event.tries == 1);
        assert_eq!(left.len(), usize::from(answered || tried), "{context}");
        if tried {
            assert!(matches!(after.state, State::Failed { .. } | State::Canceled), "{context}");
        }
        if after.state == State::Canceled {
            assert!(tried, "{context}: a turn that is always stopped would see it for ever");
        }
        if matches!(after.state, State::Failed { .. }) {
            let is_unheard = after.books.unanswered() > 0;
            assert_eq!(tried, is_paid || is_unheard, "{context}");
            seen.insert((is_paid, is_unheard));
        }
    });
    assert!([(false, false), (true, false), (false, true)].iter().all(|kind| seen.contains(kind)), "{seen:?}");
}

#[test]
fn a_ready_run_that_waits_for_others_rests_and_is_looked_at_after_its_window() {
    let window = WindowId::new("20261122T080000Z-0123456789ab-11-f");
    let before = run(State::Due, Some(plan(Path::Batch, OnTimeout::Fail)), false);
    let planned = Event::Planned(Box::new(plan(Path::Batch, OnTimeout::Fail)));
    let Transition { run, effects } = next(&before, planned, now()).unwrap().collected(window.clone(), now());
    assert_eq!(run.state.window(), Some(&window));
    assert_eq!((effects, run.lease.is_none()), (vec![Effect::Collect(window.clone())], true));
    assert!(run.events.last().unwrap().detail.as_ref().unwrap().contains("until 2026-11-22T08:00:00Z"));
    assert_eq!(attention_at(&run), Some(window.ends_at() + TimeDelta::minutes(5)));
    let sealed = next(&run, Event::Sealed(AttemptId::new("01A")), now()).unwrap().run;
    assert_eq!(sealed.state.window(), None);
}

#[test]
fn a_run_moves_from_a_refused_batch_to_half_of_it_and_back_where_neither_takes_it() {
    let batch = AttemptId::new;
    let state = State::Submitting { hop: 2, attempt: 1, tries: 3, batch: batch("01A") };
    let before = run(state.clone(), Some(plan(Path::Batch, OnTimeout::Fail)), false);
    assert!(next(&before, Event::Sealed(batch("01A")), now()).is_err(), "it is in there already");
    let moved = next(&before, Event::Sealed(batch("01B")), now()).unwrap().run;
    assert_eq!(moved.state, State::Submitting { hop: 2, attempt: 1, tries: 3, batch: batch("01B") });
    let Transition { run: left, effects } = next(&moved, Event::LeftOut, now()).unwrap();
    assert_eq!(left.state, State::Ready { hop: 2, attempt: 1, tries: 3, window: None });
    assert_eq!(effects, [Effect::Submit]);
    let unwanted = run(state, Some(plan(Path::Batch, OnTimeout::Fail)), true);
    assert_eq!(next(&unwanted, Event::LeftOut, now()).unwrap().run.state, State::Canceled);
}

#[test]
fn a_run_that_waits_for_a_place_goes_on_where_it_stood_and_loses_no_time() {
    let paused = State::Paused { hop: 2, resume_at: now(), tries: 3, attempt: 1 };
    let before = run(paused, Some(plan(Path::Realtime, OnTimeout::Fail)), false);
    let parked = next(&before, Event::Resumed, now()).unwrap().parked(now());
    assert_eq!(parked.run.state, State::Waiting { reason: WaitReason::Place { hop: 2, tries: 3 } });
    assert!(parked.effects.is_empty() && parked.run.lease.is_none());
    let later = now() + TimeDelta::minutes(7);
    let freed = next(&parked.run, Event::PlaceFreed, later).unwrap();
    assert_eq!(freed.run.state, State::Running { hop: 2, starts: 1, tries: 3 });
    assert_eq!(freed.effects, [Effect::CallModel]);
    let deadline = |run: &Run| run.plan.as_ref().unwrap().deadline;
    assert_eq!(deadline(&freed.run) - deadline(&before), TimeDelta::minutes(7));
}

#[test]
fn a_canceled_batch_answer_is_never_delivered_and_a_late_one_is() {
    let batch = AttemptId::new("01KAHJ5Z3M7Q2W4E6R8T0YABCD");
    let answered = |why| {
        let state = State::Canceling { hop: 1, attempt: 1, batch: batch.clone(), why };
        let before = run(state, Some(plan(Path::Batch, OnTimeout::Fail)), why == CancelReason::Requested);
        let ended = Event::BatchEnded(RowResult::Succeeded(Box::new(replies()[0].clone())));
        next(&before, ended, now()).unwrap().run.state
    };
    assert_eq!(answered(CancelReason::Requested), State::Canceled);
    assert_eq!(answered(CancelReason::Timeout), State::Delivering);
}

#[test]
fn the_retry_ladder_ends_and_honours_what_the_provider_asks() {
    use nightshift_domain::run::retry_delay;
    let seconds =
        |tries, asked: Option<i64>| retry_delay(tries, asked.map(TimeDelta::seconds)).map(|wait| wait.num_seconds());
    assert_eq!(
        (0..6).map(|tries| seconds(tries, None)).collect::<Vec<_>>(),
        [Some(30), Some(60), Some(300), Some(900), Some(3600), None]
    );
    assert_eq!(seconds(0, Some(120)), Some(120));
    assert_eq!(seconds(2, Some(120)), Some(300));
}

#[test]
fn a_first_hop_that_fails_for_a_passing_reason_is_planned_again_for_the_next_model_and_keeps_its_deadline() {
    let failed = Event::ModelFailed { kind: ModelErrorKind::Overloaded, message: "busy".into(), retry_after: None };
    let before = run(
        State::Running { hop: 1, starts: 1, tries: 0 },
        Some(Plan { fallbacks_left: 1, ..plan(Path::Realtime, OnTimeout::Fail) }),
        false,
    );
    let again = next(&before, failed.clone(), now()).unwrap();
    assert_eq!((&again.run.state, again.run.talk.fallback), (&State::Due, 1));
    assert_eq!(again.effects, [Effect::Plan]);
    let later = now() + TimeDelta::minutes(5);
    let mut second = plan(Path::Realtime, OnTimeout::Fail);
    second.deadline = later + TimeDelta::hours(1);
    let planned = next(&again.run, Event::Planned(Box::new(second)), later).unwrap();
    assert_eq!(planned.run.plan.as_ref().unwrap().deadline, before.plan.as_ref().unwrap().deadline);
    // No model is left, and a later hop never changes its model: thinking blocks are only its own.
    let retried = next(&planned.run, failed.clone(), later).unwrap();
    assert_eq!(retried.run.state.name(), "paused");
    let second_hop = Run { state: State::Running { hop: 2, starts: 1, tries: 0 }, ..before };
    assert_eq!(next(&second_hop, failed, now()).unwrap().run.state.name(), "paused");
}

#[test]
fn a_hop_that_stops_for_tools_has_them_run_before_the_next_on_the_path_of_its_plan() {
    for (path, then) in [(Path::Realtime, "running"), (Path::Batch, "ready")] {
        let before = run(State::Tools { hop: 1, starts: 1 }, Some(plan(path, OnTimeout::Fail)), false);
        let ran = next(&before, Event::ToolsRan, now()).unwrap();
        assert_eq!(ran.run.state.name(), then);
        let lost = next(&before, Event::HolderDied, now()).unwrap();
        assert_eq!((&lost.run.state, lost.effects), (&State::Tools { hop: 1, starts: 2 }, vec![Effect::RunTools]));
        let given_up = Run { state: State::Tools { hop: 1, starts: 3 }, ..before };
        assert_eq!(next(&given_up, Event::HolderDied, now()).unwrap().run.state.failure().unwrap().0, "tools_too_long");
    }
    let asked = replies().into_iter().find(|reply| reply.stop_reason == StopReason::ToolUse).unwrap();
    let running =
        |hop| run(State::Running { hop, starts: 1, tries: 0 }, Some(plan(Path::Realtime, OnTimeout::Fail)), false);
    assert_eq!(next(&running(1), Event::Replied(asked.clone()), now()).unwrap().effects, [Effect::RunTools]);
    let code = |run: &Run| next(run, Event::Replied(asked.clone()), now()).unwrap().run.state.failure().unwrap().0;
    assert_eq!(code(&running(2)), "hop_cap");
    assert_eq!(code(&Run { talk: Talk::default(), ..running(1) }), "unexpected_tool_use");
}

/// A run whose first hop summarises its session, in this state.
fn compacting(state: State, path: Path) -> Run {
    let mut run = run(state, Some(plan(path, OnTimeout::Fail)), false);
    let said = |text: &str| Said { role: Role::User, content: Text::Inline(format!("\"{text}\"")) };
    run.talk.opening = ["1", "2", "3", "4"].map(said).into();
    run.session = Some(in_session());
    run
}

#[test]
fn whatever_a_summarising_hop_answers_the_turn_itself_comes_next() {
    let batch = AttemptId::new("01KAHJ5Z3M7Q2W4E6R8T0YABCD");
    for reply in replies() {
        let running = compacting(State::Running { hop: 1, starts: 1, tries: 0 }, Path::Realtime);
        let Transition { run, effects } = next(&running, Event::Replied(reply.clone()), now()).unwrap();
        assert_eq!(run.state, State::Running { hop: 2, starts: 1, tries: 0 }, "{:?}", reply.stop_reason);
        assert_eq!((effects, run.is_compacting()), (vec![Effect::CallModel], false));
        assert_eq!(run.talk.opening.len(), 2, "no summary was put there: the older half is dropped");
        assert_eq!(run.plan.unwrap().notes.len(), 1);

        let submitted = compacting(State::Submitted { hop: 1, attempt: 1, batch: batch.clone() }, Path::Batch);
        let ended = Event::BatchEnded(RowResult::Succeeded(Box::new(reply)));
        let Transition { run, effects } = next(&submitted, ended, now()).unwrap();
        assert_eq!(run.state, State::Ready { hop: 2, attempt: 1, tries: 0, window: None });
        assert_eq!((effects, run.is_compacting()), (vec![Effect::Submit], false));
    }
}

#[test]
fn a_history_that_no_longer_fits_the_model_is_shortened_and_what_may_pass_is_tried_again() {
    let running = || compacting(State::Running { hop: 1, starts: 1, tries: 0 }, Path::Realtime);
    for kind in KINDS {
        let failed = Event::ModelFailed { kind, message: "x".into(), retry_after: None };
        let run = next(&running(), failed, now()).unwrap().run;
        match (kind, &run.state) {
            (ModelErrorKind::Invalid | ModelErrorKind::TooLarge, State::Paused { hop: 2, tries: 0, .. }) => {
                assert_eq!((run.talk.opening.len(), run.is_compacting()), (2, false));
            }
            (_, State::Paused { hop: 1, tries: 1, .. }) => assert!(kind.is_transient() && run.is_compacting()),
            (_, state) => assert!(!kind.is_transient() && matches!(state, State::Failed { .. }), "{kind:?}: {state:?}"),
        }
    }
    let batch = AttemptId::new("01KAHJ5Z3M7Q2W4E6R8T0YABCD");
    let submitted = compacting(State::Submitted { hop: 1, attempt: 1, batch }, Path::Batch);
    let refused = RowResult::Errored { kind: ModelErrorKind::Invalid, message: "prompt is too long".into() };
    let run = next(&submitted, Event::BatchEnded(refused), now()).unwrap().run;
    assert_eq!(run.state, State::Ready { hop: 2, attempt: 1, tries: 0, window: None });
    assert_eq!(run.talk.opening.len(), 2);
}

#[test]
fn a_run_whose_session_is_busy_waits_unplanned_and_is_planned_when_it_is_free() {
    let before = run(State::Due, None, false);
    let behind = Transition::behind(&before, "busy".into(), now());
    assert_eq!((behind.run.rev, behind.run.plan.is_none(), behind.effects), (before.rev + 1, true, vec![]));
    assert!(attention_at(&behind.run).is_some(), "the sweeper looks at it");
    assert!(behind.run.state.occupies_job());
    let freed = next(&behind.run, Event::PlaceFreed, now()).unwrap();
    assert_eq!((freed.run.state, freed.effects), (State::Due, vec![Effect::Plan]));
    assert_eq!(next(&behind.run, Event::CancelRequested, now()).unwrap().run.state, State::Canceled);
}

#[test]
fn tools_act_only_for_a_turn_that_still_has_time() {
    let tools = |path, on_timeout| run(State::Tools { hop: 1, starts: 1 }, Some(plan(path, on_timeout)), false);
    let late = |before: &Run| next(before, Event::DeadlinePassed, now()).unwrap();
    let code = |before: &Run| late(before).run.state.failure().unwrap().0;
    assert_eq!(code(&tools(Path::Realtime, OnTimeout::Fail)), "timeout");
    assert_eq!(code(&tools(Path::Batch, OnTimeout::Fail)), "batch_timeout");
    let goes_on = late(&tools(Path::Batch, OnTimeout::Realtime));
    assert_eq!(goes_on.run.state, State::Tools { hop: 1, starts: 1 });
    assert_eq!(goes_on.effects, [Effect::RunTools]);
    let plan = goes_on.run.plan.unwrap();
    assert!(plan.path == Path::Realtime && plan.deadline > now(), "it has a realtime turn's time");
}

#[test]
fn a_turn_whose_time_is_up_says_what_took_it() {
    let mut run =
        run(State::Running { hop: 1, starts: 1, tries: 0 }, Some(plan(Path::Realtime, OnTimeout::Fail)), false);
    let ends = |run: &Run| {
        let ended = next(run, Event::DeadlinePassed, now()).unwrap().run.state;
        let State::Failed { message, .. } = ended else { panic!("{ended:?}") };
        message
    };
    let plain = "the turn took longer than it may";
    run.state = State::Paused { hop: 1, resume_at: now(), tries: 1, attempt: 1 };
    assert_eq!(ends(&run), plain);
    run.state = State::Running { hop: 1, starts: 1, tries: 0 };
    let (kind, message) = (ModelErrorKind::Overloaded, "HTTP 529".to_owned());
    let overloaded = Event::ModelFailed { kind, message, retry_after: None };
    let mut waits = next(&run, overloaded, now()).unwrap().run;
    assert_eq!(ends(&waits), format!("{plain}; the last failure was model_overloaded: HTTP 529"));
    waits.log(now(), "tools", None);
    assert_eq!(ends(&waits), plain, "it went on since");
}

#[test]
fn an_answer_that_was_given_before_a_pause_is_an_answer() {
    let empty = replies().into_iter().find(|reply| reply.text.trim().is_empty()).unwrap();
    let answered = |before: &str, answer: Option<Text>| {
        let state = State::Running { hop: 2, starts: 1, tries: 0 };
        let mut run = run(state, Some(plan(Path::Realtime, OnTimeout::Fail)), false);
        (run.hops, run.answer) = (vec![hop(1, before), hop(2, "end_turn")], answer);
        next(&run, Event::Replied(empty.clone()), now()).unwrap().run.state.name()
    };
    let said = || Some(Text::Inline("All of it.".into()));
    assert_eq!(answered("pause_turn", said()), "delivering");
    assert_eq!(answered("pause_turn", None), "failed");
    assert_eq!(answered("tool_use", said()), "failed", "what was said beside a tool is not the answer");
}

#[test]
fn a_waiting_run_that_was_looked_at_stands_behind_what_is_due_meanwhile() {
    for reason in [WaitReason::Overlap, WaitReason::Session] {
        let mut waits = run(State::Waiting { reason }, None, false);
        let first = attention_at(&waits).unwrap();
        waits.seen_waiting = Some(first + TimeDelta::minutes(1));
        let again = attention_at(&waits).unwrap();
        assert!(again > waits.seen_waiting.unwrap(), "{again} is not after the look");
        // A look of an earlier wait does not bring it forward.
        waits.seen_waiting = Some(now() - TimeDelta::hours(1));
        assert_eq!(attention_at(&waits), Some(first));
    }
}

#[test]
fn the_endpoint_of_a_run_that_is_to_stop_is_closed() {
    let endpoint = Endpoint {
        url: "https://nightshift.example/mcp".into(),
        tools: vec!["message".into()],
        key: TokenKey::new(1, 2),
        expires: now() + TimeDelta::hours(25),
    };
    let with = |cancel_requested| {
        let batch = AttemptId::new("01KAHJ5Z3M7Q2W4E6R8T0YABCD");
        let plan = Plan { endpoint: Some(endpoint.clone()), ..plan(Path::Batch, OnTimeout::Fail) };
        run(State::Submitted { hop: 1, attempt: 1, batch }, Some(plan), cancel_requested)
    };
    assert!(with(false).open_endpoint().is_some());
    assert!(with(true).open_endpoint().is_none());
}

#[test]
fn a_row_that_failed_is_tried_once_more_and_a_batch_that_never_came_to_be_is_no_try() {
    let batch = AttemptId::new("01KAHJ5Z3M7Q2W4E6R8T0YABCD");
    let planned = || Some(plan(Path::Batch, OnTimeout::Fail));
    let lost = [
        run(State::Submitting { hop: 1, attempt: 1, tries: 0, batch: batch.clone() }, planned(), false),
        // It was taken for another one's until that one's results were read.
        run(State::Submitted { hop: 1, attempt: 1, batch: batch.clone() }, planned(), false),
    ];
    for before in lost {
        let mut run = next(&before, Event::BatchLost, now()).unwrap().run;
        assert!(matches!(run.state, State::Paused { hop: 1, attempt: 2, .. }), "{:?}", run.state);
        // Its rows have ids of their own, should the lost batch turn up after all.
        run.state = State::Submitted { hop: 1, attempt: 2, batch: batch.clone() };
        let mut again = next(&run, Event::BatchEnded(RowResult::Expired), now()).unwrap().run;
        assert!(matches!(again.state, State::Ready { attempt: 3, .. }), "{:?}", again.state);
        again.state = State::Submitted { hop: 1, attempt: 3, batch: batch.clone() };
        let spent = next(&again, Event::BatchEnded(RowResult::Expired), now()).unwrap().run;
        assert_eq!(spent.state.name(), "failed");
        let mut replied = next(&again, Event::BatchEnded(RowResult::Succeeded(Box::new(replies().remove(0)))), now());
        assert_eq!(replied.as_mut().unwrap().run.talk.failed_rows, 0, "the next hop has its own");
    }
}

#[test]
fn a_create_that_is_lost_again_and_again_ends_the_run() {
    let batch = AttemptId::new("01KAHJ5Z3M7Q2W4E6R8T0YABCD");
    for attempt in 1.. {
        let state = State::Submitted { hop: 1, attempt, batch: batch.clone() };
        let lost = next(&run(state, Some(plan(Path::Batch, OnTimeout::Fail)), false), Event::BatchLost, now()).unwrap();
        if lost.run.state.is_terminal() {
            assert_eq!(attempt, 6, "the ladder has five steps");
            return;
        }
    }
}

#[test]
fn only_calls_that_may_have_been_paid_count_as_starts_of_a_hop_and_do_so_across_its_pauses() {
    let failed = |kind| Event::ModelFailed { kind, message: "m".into(), retry_after: None };
    let free = || failed(ModelErrorKind::Overloaded);
    let paid = || failed(ModelErrorKind::Unanswered);
    let after = |events: Vec<Event>| {
        let state = State::Running { hop: 1, starts: 1, tries: 0 };
        let mut run = run(state, Some(plan(Path::Realtime, OnTimeout::Fail)), false);
        for event in events {
            run = next(&run, event, now()).unwrap().run;
            if let State::Paused { .. } = run.state {
                run = next(&run, Event::Resumed, now()).unwrap().run;
            }
        }
        run.state.name()
    };
    assert_eq!(after(vec![free(), paid()]), "running", "the refusal was for nothing");
    assert_eq!(after(vec![free(), free(), paid(), free()]), "running");
    for spent in [vec![paid(), paid()], vec![paid(), free(), paid()], vec![paid(), Event::HolderDied]] {
        assert_eq!(after(spent.clone()), "failed", "{spent:?}");
    }
    // A row of the release before says that it was tried again, and not why.
    let state = State::Running { hop: 1, starts: 1, tries: 1 };
    let before = run(state, Some(plan(Path::Realtime, OnTimeout::Fail)), false);
    assert_eq!(next(&before, paid(), now()).unwrap().run.state.name(), "failed");
}
