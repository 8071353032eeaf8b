//! The Schedulers under test.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_sdk_scheduler::Client;
use aws_sdk_scheduler::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_scheduler::operation::get_schedule::GetScheduleOutput;
use chrono::{DateTime, Utc};
use nightshift_domain::event::{Envelope, Wake};
use nightshift_domain::{AttemptId, JobId};
use nightshift_engine::ManualClock;
use nightshift_engine::ports::{JobTimer, TimerSpec};
use nightshift_local::scheduler::{Scheduler, Target, TargetError};
use nightshift_local::state::StateDb;
use nightshift_timers::{Functions, SchedulerTimers, ensure_group};
use serde_json::Value;

pub(crate) const FUNCTIONS: &str = "arn:aws:lambda:us-east-1:000000000000:function:nightshift-";
pub(crate) const ROLE: &str = "arn:aws:iam::000000000000:role/nightshift-scheduler";
pub(crate) const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:nightshift-dead";

/// Timers with their clock and the service behind them.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) timers: SchedulerTimers,
    pub(crate) client: Client,
    pub(crate) group: String,
    pub(crate) clock: ManualClock,
    /// Our own scheduler and what it has invoked.
    pub(crate) ours: Option<(Scheduler, Arc<Invoked>)>,
}

/// What was invoked: function ARN and event.
#[derive(Debug, Default)]
pub(crate) struct Invoked(Mutex<Vec<(String, Value)>>);

impl Invoked {
    /// All of it since the last call.
    pub(crate) fn take(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Target for Invoked {
    async fn invoke(&self, arn: &str, input: String) -> Result<(), TargetError> {
        let event = serde_json::from_str(&input).expect("an event is JSON");
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((arn.to_owned(), event));
        Ok(())
    }
}

pub(crate) fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(2_000_000_000, 0).unwrap()
}

impl World {
    pub(crate) async fn ours() -> Self {
        let clock = ManualClock::new(start());
        let invoked = Arc::new(Invoked::default());
        let target: Arc<dyn Target> = Arc::clone(&invoked) as _;
        let scheduler = Scheduler::open(StateDb::memory().unwrap(), Arc::new(clock.clone()), target).unwrap();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = scheduler.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { ours: Some((scheduler, invoked)), ..Self::with_clock(&url, "nightshift", clock).await }
    }

    pub(crate) async fn on_endpoint(url: &str, group: &str) -> Self {
        Self::with_clock(url, group, ManualClock::new(start())).await
    }

    async fn with_clock(url: &str, group: &str, clock: ManualClock) -> Self {
        let config = aws_sdk_scheduler::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(url)
            .build();
        let client = Client::from_conf(config);
        ensure_group(&client, group).await.unwrap();
        // A repeat finds it in place.
        ensure_group(&client, group).await.unwrap();
        let functions = Functions::new(FUNCTIONS);
        let timers = SchedulerTimers::new(client.clone(), group, ROLE, functions, Arc::new(clock.clone()));
        Self { timers: timers.dead_letters(QUEUE), client, group: group.to_owned(), clock, ours: None }
    }

    /// The schedule as the service shows it.
    pub(crate) async fn schedule(&self, name: &str) -> Option<GetScheduleOutput> {
        match self.client.get_schedule().group_name(&self.group).name(name).send().await {
            Ok(schedule) => Some(schedule),
            Err(error) => {
                let service = error.into_service_error();
                assert!(service.is_resource_not_found_exception(), "{service:?}");
                None
            }
        }
    }

    /// How many there are.
    pub(crate) async fn count(&self) -> usize {
        self.client.list_schedules().group_name(&self.group).send().await.unwrap().schedules().len()
    }
}

pub(crate) fn job_timer(spec: TimerSpec, enabled: bool) -> JobTimer {
    let j = JobId::parse("a-1").unwrap();
    let wake = Wake::Job { j: j.clone(), g: 3, s: "2033-05-18T07:00:00Z".into(), slot: None, nb: None };
    JobTimer { name: j.timer_name(), job: j, spec, envelope: Envelope::new(wake), enabled }
}

pub(crate) fn cron(expression: &str, timezone: &str) -> TimerSpec {
    TimerSpec::Recurring { expression: expression.to_owned(), timezone: timezone.to_owned(), start: None }
}

pub(crate) fn poll(n: u32) -> Envelope {
    Envelope::new(Wake::Poll { b: AttemptId::new("01KAHJ5Z3M7Q2W4E6R8T0YABCD"), n })
}
