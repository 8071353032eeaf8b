use futures::FutureExt;

use super::*;
use crate::gate::Verdict;
use crate::provider::tests::Always;

struct Bench {
    clock: ManualClock,
    channels: Arc<SimChannel>,
}

impl Bench {
    fn new() -> Self {
        let clock = ManualClock::new(DateTime::from_timestamp(1_795_219_200, 0).unwrap());
        Self { channels: SimChannel::new(clock.clone()), clock }
    }

    fn send(&self, name: &str, verdict: Verdict) -> Option<Result<Sent, SendErrorKind>> {
        let opened = self.channels.channels(Arc::new(Always(verdict)), 7);
        let channel = opened.open(&Config::default(), name, None).now_or_never().unwrap().unwrap();
        let target = channel.target("chat", None).unwrap();
        let body = Rendered { text: "hi".to_owned(), plain: None, media: None };
        let message = Outgoing { target: &target, body: &body, idempotency_key: "k" };
        let until = self.clock.now() + TimeDelta::seconds(30);
        let sent = channel.send(&message, until).now_or_never();
        sent.map(|answer| answer.map_err(|error| error.kind))
    }
}

#[test]
fn a_repeat_is_shown_where_nobody_drops_it_and_counts_as_seen_twice() {
    let bench = Bench::new();
    for name in ["telegram", "discord"] {
        assert_eq!(bench.send(name, Verdict::FailAfter), Some(Err(SendErrorKind::Unknown)));
        assert!(bench.send(name, Verdict::Go).unwrap().is_ok());
    }
    let seen = bench.channels.seen_twice();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(seen[0].contains("telegram"), "{seen:?}");
    bench.clock.advance(TimeDelta::minutes(2));
    assert!(bench.send("discord", Verdict::Go).unwrap().is_ok());
    assert_eq!(bench.channels.seen_twice().len(), 2, "out of its window a repeat is shown");
}

#[test]
fn what_failed_before_never_arrives_and_its_sender_may_not_be_told_so() {
    let bench = Bench::new();
    let kinds: Vec<_> = (0..3).map(|_| bench.send("telegram", Verdict::FailBefore).unwrap().unwrap_err()).collect();
    assert_eq!(kinds, [SendErrorKind::NotTaken, SendErrorKind::NotTaken, SendErrorKind::Unknown]);
    assert_eq!(bench.send("telegram", Verdict::CrashBefore), None);
    assert!(bench.channels.sent().is_empty());
    assert_eq!(bench.send("telegram", Verdict::CrashAfter), None);
    assert_eq!(bench.channels.sent().len(), 1);
}

#[test]
fn a_send_that_takes_longer_than_its_sender_waits_arrives_all_the_same() {
    let bench = Bench::new();
    bench.channels.plan(SendPlan::Slow(60));
    let opened = bench.channels.channels(Arc::new(Always(Verdict::Go)), 7);
    let channel = opened.open(&Config::default(), "telegram", None).now_or_never().unwrap().unwrap();
    let target = channel.target("chat", None).unwrap();
    let body = Rendered { text: "hi".to_owned(), plain: None, media: None };
    let message = Outgoing { target: &target, body: &body, idempotency_key: "k" };
    let mut sent = channel.send(&message, bench.clock.now() + TimeDelta::seconds(30));
    assert!((&mut sent).now_or_never().is_none());
    bench.clock.advance(TimeDelta::seconds(30));
    assert_eq!((&mut sent).now_or_never().unwrap().unwrap_err().kind, SendErrorKind::Unknown);
    drop(sent);
    assert_eq!(bench.channels.sent().len(), 1);
    bench.channels.plan(SendPlan::Refused);
    assert_eq!(bench.send("telegram", Verdict::Go), Some(Err(SendErrorKind::Refused)));
}
