use super::super::fixture::{Log, handler, open, settled, start};
use super::*;
use nightshift_engine::ManualClock;

const ECHO: &str = "nightshift-echo";

fn seconds(count: i64) -> TimeDelta {
    TimeDelta::seconds(count)
}

/// Notes the second of each attempt and its payload, and always fails.
fn failing(clock: &ManualClock, log: &Log) -> Arc<dyn super::super::Handler> {
    let (clock, log) = (clock.clone(), log.clone());
    handler(move |payload, context| {
        let line = format!(
            "{} {} {}",
            (clock.now() - start()).num_seconds(),
            String::from_utf8_lossy(&payload),
            context.request_id
        );
        log.note(line);
        Box::pin(async { Err(FunctionError::new("Boom", "no luck")) })
    })
}

/// Parks for a minute, noting when it starts and ends.
fn sleeping(clock: &ManualClock, log: &Log) -> Arc<dyn super::super::Handler> {
    let (clock, log) = (clock.clone(), log.clone());
    handler(move |payload, _| {
        let (clock, log) = (clock.clone(), log.clone());
        let name = String::from_utf8_lossy(&payload).into_owned();
        Box::pin(async move {
            log.note(format!("{name} starts"));
            clock.sleep_until(clock.now() + seconds(30)).await;
            log.note(format!("{name} ends"));
            Ok(payload)
        })
    })
}

#[tokio::test]
async fn an_accepted_event_is_on_disk_until_it_has_succeeded() {
    let (state, clock, log) = (StateDb::memory().unwrap(), ManualClock::new(start()), Log::default());
    let lambda = open(&state, Arc::new(clock.clone()), sleeping(&clock, &log)).await;
    lambda.enqueue(ECHO, Bytes::from_static(b"1")).unwrap();
    assert_eq!(state.list(EVENTS).unwrap().len(), 1);
    assert_eq!(lambda.in_flight(), 1);
    settled(&lambda, &clock).await;
    clock.advance(seconds(30));
    settled(&lambda, &clock).await;
    assert_eq!(lambda.in_flight(), 0);
    assert!(state.list(EVENTS).unwrap().is_empty());
    assert_eq!(log.lines(), ["1 starts", "1 ends"]);
}

#[tokio::test]
async fn a_failing_event_runs_three_times_under_one_id_and_becomes_a_dead_letter() {
    let (state, clock, log) = (StateDb::memory().unwrap(), ManualClock::new(start()), Log::default());
    let lambda = open(&state, Arc::new(clock.clone()), failing(&clock, &log)).await;
    let id = lambda.enqueue(ECHO, Bytes::from_static(b"7")).unwrap();
    settled(&lambda, &clock).await;
    for wait in [60, 120] {
        assert_eq!(lambda.in_flight(), 0);
        assert_eq!(clock.next_wake(), Some(clock.now() + seconds(wait)));
        clock.advance(seconds(wait));
        assert_eq!(lambda.in_flight(), 1, "a retry is in flight from the instant it is due");
        settled(&lambda, &clock).await;
    }
    assert_eq!(log.lines(), [format!("0 7 {id}"), format!("60 7 {id}"), format!("180 7 {id}")]);
    assert!(state.list(EVENTS).unwrap().is_empty());
    assert_eq!(clock.next_wake(), None);
    let letters = lambda.dead_letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0]["requestContext"]["requestId"], json!(id));
    assert_eq!(letters[0]["requestContext"]["approximateInvokeCount"], 3);
    assert_eq!(letters[0]["requestPayload"], 7);
    assert_eq!(letters[0]["responsePayload"]["errorType"], "Boom");
}

#[tokio::test]
async fn a_retry_keeps_its_due_time_when_the_process_is_started_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.sqlite");
    let (clock, log) = (ManualClock::new(start()), Log::default());
    {
        let first = open(&StateDb::open(&path).unwrap(), Arc::new(clock.clone()), failing(&clock, &log)).await;
        first.enqueue(ECHO, Bytes::from_static(b"7")).unwrap();
        settled(&first, &clock).await;
        first.shutdown().await;
    }
    while clock.next_wake().is_some() {
        tokio::task::yield_now().await;
    }
    clock.advance(seconds(20));
    let second = open(&StateDb::open(&path).unwrap(), Arc::new(clock.clone()), failing(&clock, &log)).await;
    second.resume().await;
    assert_eq!((second.in_flight(), clock.next_wake()), (0, Some(start() + seconds(60))));
    clock.advance(seconds(40));
    settled(&second, &clock).await;
    let when: Vec<_> = log.lines().iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(when, ["0", "60"]);
}

#[tokio::test]
async fn events_cut_off_by_a_shutdown_run_again_at_once_and_in_order() {
    let (state, clock, log) = (StateDb::memory().unwrap(), ManualClock::new(start()), Log::default());
    let first = open(&state, Arc::new(clock.clone()), sleeping(&clock, &log)).await;
    for payload in ["1", "2", "3"] {
        first.enqueue(ECHO, Bytes::from_static(payload.as_bytes())).unwrap();
    }
    settled(&first, &clock).await;
    first.shutdown().await;
    assert_eq!(first.in_flight(), 0);
    first.enqueue(ECHO, Bytes::from_static(b"4")).unwrap();
    assert_eq!(log.lines(), ["1 starts", "2 starts"]);

    let second = open(&state, Arc::new(clock.clone()), sleeping(&clock, &log)).await;
    second.resume().await;
    second.resume().await;
    while second.in_flight() > 0 {
        settled(&second, &clock).await;
        clock.advance(seconds(30));
        settled(&second, &clock).await;
    }
    let expected = ["1 starts", "2 starts", "1 ends", "2 ends", "3 starts", "4 starts", "3 ends", "4 ends"];
    assert_eq!(log.lines()[2..], expected);
    assert!(state.list(EVENTS).unwrap().is_empty());
}

#[tokio::test]
async fn a_full_function_makes_the_rest_wait_in_order_without_hiding_that_it_is_settled() {
    let (state, clock, log) = (StateDb::memory().unwrap(), ManualClock::new(start()), Log::default());
    let lambda = open(&state, Arc::new(clock.clone()), sleeping(&clock, &log)).await;
    for payload in ["1", "2", "3", "4", "5"] {
        lambda.enqueue(ECHO, Bytes::from_static(payload.as_bytes())).unwrap();
    }
    let mut most = 0;
    while lambda.in_flight() > 0 {
        settled(&lambda, &clock).await;
        most = most.max(clock.parked());
        clock.advance(seconds(30));
    }
    assert_eq!(most, 2);
    let started: Vec<_> = log.lines().into_iter().filter(|line| line.ends_with("starts")).collect();
    assert_eq!(started, ["1 starts", "2 starts", "3 starts", "4 starts", "5 starts"]);
}

#[tokio::test]
async fn a_change_is_seen_by_who_asked_before_it_happened() {
    let (state, clock, log) = (StateDb::memory().unwrap(), ManualClock::new(start()), Log::default());
    let lambda = open(&state, Arc::new(clock.clone()), failing(&clock, &log)).await;
    let changed = lambda.changed();
    lambda.enqueue(ECHO, Bytes::new()).unwrap();
    changed.await;
}

#[tokio::test]
async fn an_event_of_a_function_that_is_gone_stays_in_the_queue() {
    let (state, clock, log) = (StateDb::memory().unwrap(), ManualClock::new(start()), Log::default());
    let event = json!({
        "requestId": "r", "function": "nightshift-gone", "payload": "{}", "receivedAt": start(), "failures": 0,
        "dueAt": null,
    });
    state.put(EVENTS, &format!("{:016}", 41), &event).unwrap();
    let lambda = open(&state, Arc::new(clock.clone()), failing(&clock, &log)).await;
    lambda.resume().await;
    lambda.enqueue(ECHO, Bytes::new()).unwrap();
    let keys: Vec<_> = state.list(EVENTS).unwrap().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, [format!("{:016}", 41), format!("{:016}", 42)]);
}
