//! `engine::ports::Timers` on EventBridge Scheduler.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_scheduler::Client;
use aws_sdk_scheduler::operation::create_schedule::CreateScheduleError;
use aws_sdk_scheduler::operation::create_schedule::builders::CreateScheduleFluentBuilder;
use aws_sdk_scheduler::operation::create_schedule_group::CreateScheduleGroupError;
use aws_sdk_scheduler::operation::delete_schedule::DeleteScheduleError;
use aws_sdk_scheduler::operation::get_schedule::GetScheduleError;
use aws_sdk_scheduler::operation::update_schedule::UpdateScheduleError;
use aws_sdk_scheduler::operation::update_schedule::builders::UpdateScheduleFluentBuilder;
use chrono::{DateTime, Utc};
use nightshift_domain::event::Envelope;
use nightshift_engine::Clock;
use nightshift_engine::ports::{JobTimer, Page, TimerEntry, TimerError, TimerView, Timers};

use crate::error::{failed, schedule_failed};
use crate::spec::{Destination, Spec, no_window};
use crate::{Functions, read};

/// How often a set timer changes under our hands between update and create before we give up.
const RACES: usize = 3;

/// Schedules on a page of a list, the most there are (Scheduler API, `ListSchedules`).
const PAGE: i32 = 100;

/// Timers as schedules of one group.
#[derive(Debug, Clone)]
pub struct SchedulerTimers {
    client: Client,
    group: String,
    role_arn: String,
    dead_letter_arn: Option<String>,
    functions: Functions,
    clock: Arc<dyn Clock>,
}

impl SchedulerTimers {
    /// Timers in `group` that invoke `functions` in the name of `role_arn`; `clock` says what lies in the past.
    pub fn new(
        client: Client,
        group: impl Into<String>,
        role_arn: impl Into<String>,
        functions: Functions,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (group, role_arn) = (group.into(), role_arn.into());
        Self { client, group, role_arn, dead_letter_arn: None, functions, clock }
    }

    /// The same with a queue for events that Lambda did not take within the retries.
    #[must_use]
    pub fn dead_letters(self, queue_arn: impl Into<String>) -> Self {
        Self { dead_letter_arn: Some(queue_arn.into()), ..self }
    }

    fn create(
        &self,
        operation: &str,
        spec: &Spec,
        function_arn: &str,
    ) -> Result<CreateScheduleFluentBuilder, TimerError> {
        let target = self.destination(function_arn).target(&spec.input).map_err(|error| failed(operation, error))?;
        let window = no_window().map_err(|error| failed(operation, error))?;
        let create = self.client.create_schedule().group_name(&self.group).name(&spec.name).target(target);
        let create = create.flexible_time_window(window).set_start_date(spec.start).state(spec.state.clone());
        let create = create.schedule_expression(&spec.expression).schedule_expression_timezone(&spec.timezone);
        Ok(create.action_after_completion(spec.after.clone()))
    }

    fn update(
        &self,
        operation: &str,
        spec: &Spec,
        function_arn: &str,
    ) -> Result<UpdateScheduleFluentBuilder, TimerError> {
        let target = self.destination(function_arn).target(&spec.input).map_err(|error| failed(operation, error))?;
        let window = no_window().map_err(|error| failed(operation, error))?;
        let update = self.client.update_schedule().group_name(&self.group).name(&spec.name).target(target);
        let update = update.flexible_time_window(window).set_start_date(spec.start).state(spec.state.clone());
        let update = update.schedule_expression(&spec.expression).schedule_expression_timezone(&spec.timezone);
        Ok(update.action_after_completion(spec.after.clone()))
    }

    fn destination<'a>(&'a self, function_arn: &'a str) -> Destination<'a> {
        Destination { function: function_arn, role: &self.role_arn, dead_letters: self.dead_letter_arn.as_deref() }
    }
}

#[async_trait]
impl Timers for SchedulerTimers {
    /// Updates the schedule, or creates it where it is absent: updates are the frequent case. The SDK gives every call a
    /// token of its own, so its repeats after a lost answer count once.
    ///
    /// # Crash safety
    /// One request does it. Stopped before it, the old timer stands and the caller's repeat sets the new one; an event of
    /// the old one may still arrive afterwards.
    async fn put_job(&self, timer: &JobTimer) -> Result<(), TimerError> {
        let operation = format!("set timer {}", timer.name);
        let spec = Spec::of_job(timer, self.clock.now()).map_err(|error| failed(&operation, error))?;
        let function_arn = self.functions.arn(timer.envelope.kind.function());
        let mut last = None;
        for _ in 0..RACES {
            let Err(error) = self.update(&operation, &spec, &function_arn)?.send().await else { return Ok(()) };
            if !error.as_service_error().is_some_and(UpdateScheduleError::is_resource_not_found_exception) {
                return Err(schedule_failed(&operation, error));
            }
            let Err(error) = self.create(&operation, &spec, &function_arn)?.send().await else { return Ok(()) };
            let raced = error.as_service_error().is_some_and(CreateScheduleError::is_conflict_exception);
            let error = schedule_failed(&operation, error);
            if !raced {
                return Err(error);
            }
            last = Some(error);
        }
        last.map_or(Ok(()), Err)
    }

    /// # Crash safety
    /// One request; a repeat finds nothing and is content. One more event may arrive after it.
    async fn remove(&self, name: &str) -> Result<(), TimerError> {
        let operation = format!("remove timer {name}");
        match self.client.delete_schedule().group_name(&self.group).name(name).send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error.as_service_error().is_some_and(DeleteScheduleError::is_resource_not_found_exception) =>
            {
                Ok(())
            }
            Err(error) => Err(failed(&operation, error)),
        }
    }

    /// # Crash safety
    /// One request; the name makes a repeat find the timer of the first. A repeat after it fired and deleted itself fires
    /// once more, which an envelope tolerates.
    async fn arm(&self, name: &str, at: DateTime<Utc>, envelope: &Envelope) -> Result<(), TimerError> {
        let operation = format!("arm timer {name}");
        let spec = Spec::once(name, at, envelope, self.clock.now()).map_err(|error| failed(&operation, error))?;
        let function_arn = self.functions.arn(envelope.kind.function());
        let create = self.create(&operation, &spec, &function_arn)?.client_token(spec.client_token(&function_arn));
        match create.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(CreateScheduleError::is_conflict_exception) => Ok(()),
            Err(error) => Err(schedule_failed(&operation, error)),
        }
    }

    /// One page of `ListSchedules`; the service lists at most 100 a page, and is asked at most 50 times a second
    /// (EventBridge Scheduler quotas, 2026-10).
    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<Page<TimerEntry>, TimerError> {
        let prefix = Some(prefix).filter(|prefix| !prefix.is_empty()).map(str::to_owned);
        let request = self.client.list_schedules().group_name(&self.group).set_name_prefix(prefix);
        let request = request.max_results(PAGE).set_next_token(cursor.map(str::to_owned));
        let page = request.send().await.map_err(|error| failed("list timers", error))?;
        let items = page.schedules.iter().filter_map(read::entry).collect();
        Ok(Page { items, next: page.next_token })
    }

    async fn get(&self, name: &str) -> Result<Option<TimerView>, TimerError> {
        match self.client.get_schedule().group_name(&self.group).name(name).send().await {
            Ok(schedule) => Ok(Some(read::view(name, &schedule, &self.functions))),
            Err(error) if error.as_service_error().is_some_and(GetScheduleError::is_resource_not_found_exception) => {
                Ok(None)
            }
            Err(error) => Err(failed(&format!("read timer {name}"), error)),
        }
    }
}

/// Creates the schedule group called `group` where it is absent. On AWS the SAM template does.
pub async fn ensure_group(client: &Client, group: &str) -> Result<(), TimerError> {
    match client.create_schedule_group().name(group).send().await {
        Ok(_) => Ok(()),
        Err(error) if error.as_service_error().is_some_and(CreateScheduleGroupError::is_conflict_exception) => Ok(()),
        Err(error) => Err(failed(&format!("create schedule group {group}"), error)),
    }
}
