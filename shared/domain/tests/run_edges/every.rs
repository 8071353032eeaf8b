//! Every state, every event and every run that the tests walk through.

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::batch::WindowId;
use nightshift_domain::job::{AgentTurn, DeliveryStatus, OnTimeout, WakeMode};
use nightshift_domain::model::{ModelErrorKind, Reply, StopReason};
use nightshift_domain::money::Cost;
use nightshift_domain::run::{
    Books, CallState, CancelReason, Effect, Event, Origin, Path, Plan, RowResult, Run, State, Talk, Task, Text,
    ToolCall, Transition, Via, WaitReason, next,
};
use nightshift_domain::session::{Cut, Hold, InSession};
use nightshift_domain::{AttemptId, JobId, RunKey};

pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_219_200, 0).unwrap()
}

pub(crate) fn plan(path: Path, on_timeout: OnTimeout) -> Plan {
    Plan {
        path,
        way: None,
        reason: None,
        fallback_reason: None,
        provider: "anthropic".into(),
        model: "claude-sonnet-5-5".into(),
        max_tokens: 1000,
        effort: None,
        thinking: None,
        fallback: 0,
        fallbacks_left: 0,
        tools: None,
        client_tools: Vec::new(),
        mcp_servers: Vec::new(),
        endpoint: None,
        system: None,
        target: None,
        deadline: now() + TimeDelta::hours(1),
        on_timeout,
        realtime_seconds: 600,
        searches: 0,
        max_hops: 2,
        notes: Vec::new(),
    }
}

pub(crate) fn call(hop: u32) -> ToolCall {
    let input = Text::Inline("{}".into());
    ToolCall { id: "toolu_1".into(), hop, name: "memory".into(), input, via: Via::Hop, state: CallState::Asked }
}

pub(crate) fn run(state: State, plan: Option<Plan>, cancel_requested: bool) -> Run {
    let job_id = JobId::parse("job-1").unwrap();
    Run {
        key: RunKey::of_slot(&job_id, now()),
        job_id,
        job_name: "Job".into(),
        agent_id: "main".into(),
        origin: Origin::Schedule,
        task: Task::Turn,
        slot: now(),
        sequence: 1,
        created_at: now(),
        claimed_by: None,
        due_by: None,
        started_at: None,
        ended_at: None,
        state,
        state_since: now(),
        lease: None,
        rev: 7,
        turn: AgentTurn::default(),
        prompt: Text::Inline("hello".into()),
        delivery: None,
        plan,
        session: None,
        wakes: false,
        beat: None,
        talk: Talk { calls: vec![call(1), call(2)], ..Talk::default() },
        hops: Vec::new(),
        planning_tries: 0,
        seen_waiting: None,
        place: None,
        timers: 0,
        answer: None,
        delivery_status: None,
        delivery_note: None,
        cancel_requested,
        cost: Cost::default(),
        budget: None,
        reserve: Box::default(),
        books: Books::default(),
        alerts: None,
        events: Vec::new(),
    }
}

/// Every state, with whatever inside it makes a difference.
pub(crate) fn states() -> Vec<State> {
    let batch = AttemptId::new("01KAHJ5Z3M7Q2W4E6R8T0YABCD");
    let mut all = vec![
        State::Due,
        State::Waiting { reason: WaitReason::Overlap },
        State::Waiting { reason: WaitReason::Session },
        State::Waiting { reason: WaitReason::Heartbeat },
        State::Waiting { reason: WaitReason::Place { hop: 1, tries: 0 } },
        State::Delivering,
        State::Succeeded,
        State::DeliveryFailed,
        State::DeliveryUnknown,
        State::Failed { code: "x".into(), message: "x".into() },
        State::Skipped { reason: "x".into() },
        State::Canceled,
    ];
    for (hop, attempt, tries) in [(1, 1, 0), (1, 2, 0), (2, 1, 5), (1, 1, 5), (1, 6, 0)] {
        let b = batch.clone();
        all.push(State::Running { hop, starts: attempt, tries });
        all.push(State::Tools { hop, starts: attempt + 1 });
        all.push(State::Tools { hop, starts: attempt });
        all.push(State::Paused { hop, resume_at: now(), tries, attempt });
        all.push(State::Ready { hop, attempt, tries, window: None });
        let window = Some(WindowId::new("20261120T080000Z-0123456789ab-11-f"));
        all.push(State::Ready { hop, attempt, tries, window });
        all.push(State::Submitting { hop, attempt, tries, batch: b.clone() });
        all.push(State::Submitted { hop, attempt, batch: b.clone() });
        for why in [CancelReason::Timeout, CancelReason::Requested] {
            all.push(State::Canceling { hop, attempt, batch: b.clone(), why });
        }
    }
    all.push(State::Paused { hop: 0, resume_at: now(), tries: 1, attempt: 1 });
    all
}

pub(crate) fn replies() -> Vec<Reply> {
    let stops = [
        "end_turn",
        "max_tokens",
        "stop_sequence",
        "tool_use",
        "pause_turn",
        "refusal",
        "model_context_window_exceeded",
        "something_newer",
    ];
    let of = |stop: &str, text: &str| Reply {
        message_id: "msg_1".into(),
        request_id: None,
        model: "claude-sonnet-5-5".into(),
        stop_reason: StopReason::parse(stop),
        content: "[]".into(),
        text: text.into(),
        usage: serde_json::Value::Null,
        container: None,
    };
    stops.iter().map(|stop| of(stop, "text")).chain([of("end_turn", " ")]).collect()
}

pub(crate) const KINDS: [ModelErrorKind; 13] = [
    ModelErrorKind::Auth,
    ModelErrorKind::Permission,
    ModelErrorKind::Billing,
    ModelErrorKind::SpendLimit,
    ModelErrorKind::NotFound,
    ModelErrorKind::Invalid,
    ModelErrorKind::TooLarge,
    ModelErrorKind::RateLimited,
    ModelErrorKind::Overloaded,
    ModelErrorKind::Server,
    ModelErrorKind::Timeout,
    ModelErrorKind::NotSent,
    ModelErrorKind::Unanswered,
];

/// A session that is being summarised.
pub(crate) fn in_session() -> InSession {
    let cut = Cut { from: 2, messages: 2, again: false, done: false, summary: None };
    InSession { agent: "main".into(), name: "work".into(), alone: false, hold: Hold::Held, cut: Some(cut) }
}

pub(crate) fn events() -> impl Iterator<Item = Event> {
    let text = || "x".to_owned();
    let mut all = vec![
        Event::Planned(Box::new(plan(Path::Realtime, OnTimeout::Fail))),
        Event::Planned(Box::new(plan(Path::Batch, OnTimeout::Fail))),
        Event::Refused { code: text(), message: text() },
        Event::PlaceFreed,
        Event::Skipped { reason: text() },
        Event::Queued { note: None },
        Event::ToolsRan,
        Event::TimeRanOut,
        Event::Resumed,
        Event::HolderDied,
        Event::Sealed(AttemptId::new("01KAHJ5Z3M7Q2W4E6R8T0YABCE")),
        Event::LeftOut,
        Event::BatchCreated { remote: text() },
        Event::BatchLost,
        Event::BatchAmbiguous,
        Event::BatchEnded(RowResult::Canceled),
        Event::BatchEnded(RowResult::Expired),
        Event::BatchEnded(RowResult::Missing),
        Event::BatchEnded(RowResult::Unreadable),
        Event::DeadlinePassed,
        Event::CancelRequested,
    ];
    for kind in KINDS {
        all.push(Event::ModelFailed { kind, message: text(), retry_after: None });
        all.push(Event::BatchRefused { kind, message: text(), retry_after: None });
        all.push(Event::BatchEnded(RowResult::Errored { kind, message: text() }));
    }
    for reply in replies() {
        all.push(Event::Replied(reply.clone()));
        all.push(Event::BatchEnded(RowResult::Succeeded(Box::new(reply))));
    }
    for status in [
        DeliveryStatus::Delivered,
        DeliveryStatus::Failed,
        DeliveryStatus::Unknown,
        DeliveryStatus::Suppressed,
        DeliveryStatus::NotRequested,
    ] {
        all.push(Event::Delivered(status));
    }
    all.into_iter()
}

/// Every run, every event, and what the machine makes of them.
pub(crate) fn walk(mut see: impl FnMut(&Run, &Event, &Transition)) {
    let plans = [
        None,
        Some(plan(Path::Realtime, OnTimeout::Fail)),
        Some(plan(Path::Batch, OnTimeout::Fail)),
        Some(plan(Path::Batch, OnTimeout::Realtime)),
        Some(Plan { fallbacks_left: 1, ..plan(Path::Realtime, OnTimeout::Fail) }),
        Some(Plan { fallbacks_left: 1, ..plan(Path::Batch, OnTimeout::Fail) }),
    ];
    for state in states() {
        for plan in &plans {
            for canceled in [false, true] {
                let before = run(state.clone(), plan.clone(), canceled);
                let mut compacting = before.clone();
                compacting.session = Some(in_session());
                let mut failed_before = before.clone();
                failed_before.talk.failed_rows = 1;
                let task = Task::QueueEvent { wake: WakeMode::Now };
                let queueing = Run { task, ..before.clone() };
                for (before, event) in [before, compacting, failed_before, queueing]
                    .iter()
                    .flat_map(|run| events().map(move |event| (run, event)))
                {
                    if let Ok(transition) = next(before, event.clone(), now()) {
                        see(before, &event, &transition);
                        // The same where ready hops wait for others.
                        if transition.effects.contains(&Effect::Submit) {
                            let window = WindowId::new("20261120T080000Z-0123456789ab-11-f");
                            see(before, &event, &transition.clone().collected(window, now()));
                        }
                        // The same where all places for realtime turns are taken.
                        if transition.run.state.is_running() && !before.state.is_running() {
                            see(before, &event, &transition.parked(now()));
                        }
                    }
                }
            }
        }
    }
}
