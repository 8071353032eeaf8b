//! A timer in the Scheduler's words.

use aws_sdk_scheduler::types::{
    ActionAfterCompletion, DeadLetterConfig, FlexibleTimeWindow, FlexibleTimeWindowMode, RetryPolicy, ScheduleState,
    Target,
};
use aws_smithy_types::DateTime as SdkInstant;
use aws_smithy_types::error::operation::BuildError;
use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::event::{Envelope, Wake};
use nightshift_engine::ports::{JobTimer, TimerSpec};
use sha2::{Digest, Sha256};

/// What EventBridge puts in place of this: the time the schedule was due (Scheduler user guide, context attributes).
const SCHEDULED_TIME: &str = "<aws.scheduler.scheduled-time>";
/// How far ahead a one-shot is moved whose time is past. The service is not documented to fire such a one (aws.md §1.2).
const SOON: TimeDelta = TimeDelta::seconds(5);
/// How often, and how long, the Scheduler repeats an invocation that Lambda did not take. It only hands the event to
/// Lambda's queue, so a failure means throttling or an outage; after an hour the sweeper, which comes every quarter of an
/// hour, has found the run anyway, and the default of 185 times in a day would fire yesterday's occurrences in a burst.
const RETRIES: i32 = 10;
const RETRY_FOR_SECONDS: i32 = 3_600;

/// A schedule, whole: an update resets every member that is left out.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub(crate) name: String,
    pub(crate) expression: String,
    pub(crate) timezone: String,
    pub(crate) start: Option<SdkInstant>,
    pub(crate) state: ScheduleState,
    pub(crate) after: ActionAfterCompletion,
    /// The event, as JSON.
    pub(crate) input: String,
}

/// Where a schedule's event goes, and in whose name; all ARNs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Destination<'a> {
    pub(crate) function: &'a str,
    pub(crate) role: &'a str,
    pub(crate) dead_letters: Option<&'a str>,
}

impl Spec {
    /// A job's own timer.
    pub(crate) fn of_job(timer: &JobTimer, now: DateTime<Utc>) -> Result<Self, serde_json::Error> {
        let state = if timer.enabled { ScheduleState::Enabled } else { ScheduleState::Disabled };
        match &timer.spec {
            TimerSpec::Once(at) => Ok(Self { state, ..Self::once(&timer.name, *at, &timer.envelope, now)? }),
            TimerSpec::Recurring { expression, timezone, start } => Ok(Self {
                name: timer.name.clone(),
                expression: expression.clone(),
                timezone: timezone.clone(),
                start: start.map(|start| SdkInstant::from_secs(whole_second(start).timestamp())),
                state,
                after: ActionAfterCompletion::None,
                input: serde_json::to_string(&with_scheduled_time(&timer.envelope))?,
            }),
        }
    }

    /// A one-shot that deletes itself.
    pub(crate) fn once(
        name: &str,
        at: DateTime<Utc>,
        envelope: &Envelope,
        now: DateTime<Utc>,
    ) -> Result<Self, serde_json::Error> {
        let at = whole_second(if at <= now { now + SOON } else { at });
        Ok(Self {
            name: name.to_owned(),
            expression: format!("at({})", at.format("%Y-%m-%dT%H:%M:%S")),
            timezone: "UTC".to_owned(),
            start: None,
            state: ScheduleState::Enabled,
            after: ActionAfterCompletion::Delete,
            input: serde_json::to_string(envelope)?,
        })
    }

    /// Says that a repeat is the same request. Only for names that are never used again: where one schedule is set back and
    /// forth, the third request equals the first and must not be taken for its repeat.
    pub(crate) fn client_token(&self, function_arn: &str) -> String {
        let mut digest = Sha256::new();
        for part in [&self.name, &self.expression, &self.input, function_arn] {
            digest.update(part.as_bytes());
            digest.update([0]);
        }
        format!("{:x}", digest.finalize())
    }
}

impl Destination<'_> {
    pub(crate) fn target(self, input: &str) -> Result<Target, BuildError> {
        let retry =
            RetryPolicy::builder().maximum_retry_attempts(RETRIES).maximum_event_age_in_seconds(RETRY_FOR_SECONDS);
        let dead_letters = self.dead_letters.map(|arn| DeadLetterConfig::builder().arn(arn).build());
        let target = Target::builder().arn(self.function).role_arn(self.role).input(input);
        target.retry_policy(retry.build()).set_dead_letter_config(dead_letters).build()
    }
}

/// Fire at the time itself; the stagger is ours.
pub(crate) fn no_window() -> Result<FlexibleTimeWindow, BuildError> {
    FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build()
}

/// A recurring job's envelope carries the time each fire was due.
fn with_scheduled_time(envelope: &Envelope) -> Envelope {
    let mut envelope = envelope.clone();
    if let Wake::Job { s, .. } = &mut envelope.kind {
        SCHEDULED_TIME.clone_into(s);
    }
    envelope
}

/// The next whole second: `at(…)` takes no fraction, and a timer must not fire early.
fn whole_second(instant: DateTime<Utc>) -> DateTime<Utc> {
    let rest = instant.timestamp_subsec_nanos();
    if rest == 0 { instant } else { instant + TimeDelta::nanoseconds(1_000_000_000 - i64::from(rest)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightshift_domain::{AttemptId, JobId};

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_219_200, 0).unwrap()
    }

    fn poll() -> Envelope {
        Envelope::new(Wake::Poll { b: AttemptId::new("01KAHJ5Z3M7Q2W4E6R8T0YABCD"), n: 1 })
    }

    fn job(spec: TimerSpec, enabled: bool) -> JobTimer {
        let j = JobId::parse("a").unwrap();
        let wake = Wake::Job { j: j.clone(), g: 1, s: "2026-11-20T07:00:00Z".into(), slot: None, nb: None };
        JobTimer { job: j, name: "j-a".into(), spec, envelope: Envelope::new(wake), enabled }
    }

    #[test]
    fn a_one_shot_is_rounded_up_to_the_second_and_deletes_itself() {
        let spec = Spec::once("p-1", now() + TimeDelta::milliseconds(60_001), &poll(), now()).unwrap();
        assert_eq!(spec.expression, "at(2026-11-21T00:01:01)");
        assert_eq!((spec.timezone.as_str(), spec.after), ("UTC", ActionAfterCompletion::Delete));
    }

    #[test]
    fn a_one_shot_is_never_set_in_the_past() {
        for late in [0, 1, 86_400] {
            let spec = Spec::once("p-1", now() - TimeDelta::seconds(late), &poll(), now()).unwrap();
            assert_eq!(spec.expression, "at(2026-11-21T00:00:05)", "{late}");
        }
    }

    #[test]
    fn a_recurring_job_asks_for_the_time_of_each_fire_and_a_one_shot_carries_its_own() {
        let rate = TimerSpec::Recurring {
            expression: "rate(5 minutes)".into(),
            timezone: "UTC".into(),
            start: Some(now() + TimeDelta::milliseconds(1)),
        };
        let spec = Spec::of_job(&job(rate, false), now()).unwrap();
        assert!(spec.input.contains(r#""s":"<aws.scheduler.scheduled-time>""#), "{}", spec.input);
        assert_eq!((spec.state, spec.after), (ScheduleState::Disabled, ActionAfterCompletion::None));
        assert_eq!(spec.start.map(|start| start.secs()), Some(now().timestamp() + 1));
        let once = Spec::of_job(&job(TimerSpec::Once(now() + TimeDelta::hours(7)), true), now()).unwrap();
        assert!(once.input.contains(r#""s":"2026-11-20T07:00:00Z""#), "{}", once.input);
    }

    #[test]
    fn the_token_of_a_one_shot_is_the_same_for_the_same_timer_only() {
        let at = now() + TimeDelta::minutes(2);
        let token = |name: &str, at| Spec::once(name, at, &poll(), now()).unwrap().client_token("arn");
        assert_eq!(token("p-1", at), token("p-1", at));
        assert_ne!(token("p-1", at), token("p-2", at));
        assert_ne!(token("p-1", at), token("p-1", at + TimeDelta::seconds(1)));
        assert!(token("p-1", at).len() <= 64);
    }
}
