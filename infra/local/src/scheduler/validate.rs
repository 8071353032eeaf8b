//! The service's own refusals, before anything is written.
//!
//! Constraints of single members come first and together (`2 validation errors detected: …`), then what members mean to
//! each other. Limits: the API model of 2021-06-30 and the User Guide, "Schedule types".

use chrono::{DateTime, TimeDelta, Utc};

use super::error::ApiError;
use super::expression::Expression;
use super::model::{
    ActionAfterCompletion, DEFAULT_GROUP, FlexibleTimeWindow, ScheduleRequest, Spec, State, Tag, Target,
};

/// Bytes of `Target.Input`.
const MAX_INPUT_BYTES: usize = 256 * 1024;
/// How far back `StartDate` may lie. Reported by users of `CreateSchedule` and `UpdateSchedule`; the CDK checks the same.
const START_DATE_GRACE: TimeDelta = TimeDelta::minutes(5);

/// Violations of single members, worded as the service words them.
#[derive(Debug, Default)]
pub(super) struct Violations {
    found: Vec<String>,
}

impl Violations {
    fn add(&mut self, value: Option<&str>, member: &str, constraint: &str) {
        let value = value.map(|value| format!(" '{value}'")).unwrap_or_default();
        self.found.push(format!("Value{value} at '{member}' failed to satisfy constraint: Member must {constraint}"));
    }

    fn missing(&mut self, member: &str) {
        self.add(None, member, "not be null");
    }

    fn length(&mut self, value: &str, member: &str, low: usize, high: usize) {
        let length = value.chars().count();
        if length < low {
            self.add(Some(value), member, &format!("have length greater than or equal to {low}"));
        } else if length > high {
            self.add(Some(value), member, &format!("have length less than or equal to {high}"));
        }
    }

    fn characters(&mut self, value: &str, member: &str, extra: &str, pattern: &str) {
        if !value.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c)) {
            self.add(Some(value), member, &format!("satisfy regular expression pattern: {pattern}"));
        }
    }

    /// The name of a schedule, a group, or the start of one.
    pub(super) fn name(&mut self, value: &str, member: &str) {
        self.length(value, member, 1, 64);
        self.characters(value, member, "-_.", "^[0-9a-zA-Z-_.]+$");
    }

    pub(super) fn token(&mut self, value: Option<&str>) {
        if let Some(value) = value {
            self.length(value, "clientToken", 1, 64);
            self.characters(value, "clientToken", "-_", "^[a-zA-Z0-9-_]+$");
        }
    }

    /// `MaxResults`: 1–100, default 100.
    pub(super) fn page(&mut self, value: Option<&str>) -> usize {
        match value.map(str::parse::<i64>) {
            None => 100,
            Some(Ok(size @ 1..=100)) => usize::try_from(size).unwrap_or(100),
            Some(Ok(size)) => {
                let bound = if size < 1 { "greater than or equal to 1" } else { "less than or equal to 100" };
                self.add(value, "maxResults", &format!("have value {bound}"));
                1
            }
            Some(Err(_)) => {
                self.add(value, "maxResults", "be a number");
                1
            }
        }
    }

    /// A member with a closed set of values; `default` where absent.
    pub(super) fn choice<T: Copy>(&mut self, value: Option<&str>, member: &str, all: &[(&str, T)], default: T) -> T {
        let Some(value) = value else { return default };
        if let Some((_, choice)) = all.iter().find(|(name, _)| *name == value) {
            return *choice;
        }
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        self.add(Some(value), member, &format!("satisfy enum value set: [{}]", names.join(", ")));
        default
    }

    fn range(&mut self, value: i64, member: &str, low: i64, high: i64) {
        if value < low {
            self.add(Some(&value.to_string()), member, &format!("have value greater than or equal to {low}"));
        } else if value > high {
            self.add(Some(&value.to_string()), member, &format!("have value less than or equal to {high}"));
        }
    }

    /// At most 200 tags, keys of 1–128 and values of 1–256 characters.
    pub(super) fn tags(&mut self, tags: &[Tag]) {
        if tags.len() > 200 {
            self.add(None, "tags", "have length less than or equal to 200");
        }
        for tag in tags {
            self.length(&tag.key, "tags.member.key", 1, 128);
            self.length(&tag.value, "tags.member.value", 1, 256);
        }
    }

    /// `Ok` when nothing was found.
    pub(super) fn finish(self) -> Result<(), ApiError> {
        let count = self.found.len();
        if count == 0 {
            return Ok(());
        }
        let plural = if count == 1 { "" } else { "s" };
        Err(ApiError::Validation(format!("{count} validation error{plural} detected: {}", self.found.join("; "))))
    }
}

pub(super) const STATES: &[(&str, State)] = &[("ENABLED", State::Enabled), ("DISABLED", State::Disabled)];
const ACTIONS: &[(&str, ActionAfterCompletion)] =
    &[("NONE", ActionAfterCompletion::None), ("DELETE", ActionAfterCompletion::Delete)];
const MODES: &[(&str, bool)] = &[("OFF", false), ("FLEXIBLE", true)];

/// Checks a whole request and fills in what the service fills in. Does not know which groups exist.
pub(super) fn schedule(name: &str, request: ScheduleRequest, now: DateTime<Utc>) -> Result<Spec, ApiError> {
    let mut violations = Violations::default();
    violations.name(name, "name");
    let group_name = request.group_name.unwrap_or_else(|| DEFAULT_GROUP.to_owned());
    violations.name(&group_name, "groupName");
    violations.token(request.client_token.as_deref());
    if let Some(description) = &request.description {
        violations.length(description, "description", 0, 512);
    }
    let schedule_expression = request.schedule_expression.unwrap_or_else(|| {
        violations.missing("scheduleExpression");
        "-".to_owned()
    });
    violations.length(&schedule_expression, "scheduleExpression", 1, 256);
    let schedule_expression_timezone = request.schedule_expression_timezone.unwrap_or_else(|| "UTC".to_owned());
    violations.length(&schedule_expression_timezone, "scheduleExpressionTimezone", 1, 50);
    let state = violations.choice(request.state.as_deref(), "state", STATES, State::Enabled);
    let action = request.action_after_completion.as_deref();
    let action_after_completion =
        violations.choice(action, "actionAfterCompletion", ACTIONS, ActionAfterCompletion::None);
    let window = window(&mut violations, request.flexible_time_window);
    let target = target_members(&mut violations, request.target);
    violations.finish()?;
    let (Some(window), Some(target)) = (window, target) else {
        return Err(ApiError::Validation("1 validation error detected: a required member is null".to_owned()));
    };
    let spec = Spec {
        name: name.to_owned(),
        group_name,
        schedule_expression,
        schedule_expression_timezone,
        start_date: request.start_date,
        end_date: request.end_date,
        description: request.description,
        state,
        kms_key_arn: request.kms_key_arn,
        target,
        flexible_time_window: window,
        action_after_completion,
    };
    meaning(&spec, now)?;
    Ok(spec)
}

fn window(violations: &mut Violations, window: Option<FlexibleTimeWindow>) -> Option<FlexibleTimeWindow> {
    let Some(window) = window else {
        violations.missing("flexibleTimeWindow");
        return None;
    };
    if window.mode.is_none() {
        violations.missing("flexibleTimeWindow.mode");
    }
    violations.choice(window.mode.as_deref(), "flexibleTimeWindow.mode", MODES, false);
    if let Some(minutes) = window.maximum_window_in_minutes {
        violations.range(minutes, "flexibleTimeWindow.maximumWindowInMinutes", 1, 1440);
    }
    Some(window)
}

fn target_members(violations: &mut Violations, target: Option<Target>) -> Option<Target> {
    let Some(target) = target else {
        violations.missing("target");
        return None;
    };
    for (value, member) in [(&target.arn, "target.arn"), (&target.role_arn, "target.roleArn")] {
        if value.is_empty() {
            violations.missing(member);
        } else {
            violations.length(value, member, 1, 1600);
        }
    }
    if !target.role_arn.is_empty() && !is_role(&target.role_arn) {
        let pattern = "satisfy regular expression pattern: ^arn:aws[a-z-]*:iam::\\d{12}:role\\/[\\w+=,.@\\/-]+$";
        violations.add(Some(&target.role_arn), "target.roleArn", pattern);
    }
    let policy = target.retry_policy;
    let age = policy.maximum_event_age_in_seconds;
    violations.range(age, "target.retryPolicy.maximumEventAgeInSeconds", 60, 86_400);
    violations.range(policy.maximum_retry_attempts, "target.retryPolicy.maximumRetryAttempts", 0, 185);
    if target.input.as_deref() == Some("") {
        violations.add(Some(""), "target.input", "have length greater than or equal to 1");
    }
    Some(target)
}

fn is_role(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    matches!(parts.as_slice(), ["arn", partition, "iam", "", account, role]
        if partition.starts_with("aws")
            && account.len() == 12
            && account.bytes().all(|byte| byte.is_ascii_digit())
            && role.strip_prefix("role/").is_some_and(|name| !name.is_empty()))
}

/// What members mean together.
fn meaning(spec: &Spec, now: DateTime<Utc>) -> Result<(), ApiError> {
    let refuse = |message: &str| Err(ApiError::Validation(message.to_owned()));
    let expression = Expression::parse(&spec.schedule_expression, &spec.schedule_expression_timezone)
        .map_err(|error| ApiError::Validation(error.to_string()))?;
    let window = &spec.flexible_time_window;
    match (window.mode.as_deref(), window.maximum_window_in_minutes) {
        (Some("FLEXIBLE"), None) => return refuse("MaximumWindowInMinutes must be provided when Mode is FLEXIBLE."),
        (Some("OFF"), Some(_)) => return refuse("MaximumWindowInMinutes must not be provided when Mode is OFF."),
        _ => {}
    }
    if !expression.is_one_time() {
        if spec.start_date.is_some_and(|start| start < now - START_DATE_GRACE) {
            return refuse("The StartDate you specify cannot be earlier than 5 minutes ago.");
        }
        if spec.start_date.zip(spec.end_date).is_some_and(|(start, end)| start >= end) {
            return refuse("The StartDate you specify must come before the EndDate.");
        }
        if spec.action_after_completion == ActionAfterCompletion::Delete && spec.end_date.is_none() {
            return refuse("An EndDate is required for a recurring schedule with ActionAfterCompletion DELETE.");
        }
    }
    target_meaning(&spec.target)
}

fn target_meaning(target: &Target) -> Result<(), ApiError> {
    let refuse = |message: &str| Err(ApiError::Validation(message.to_owned()));
    let parts: Vec<&str> = target.arn.splitn(6, ':').collect();
    let ["arn", partition, service, _, _, resource] = parts.as_slice() else {
        return refuse("Provided Arn is not in correct format.");
    };
    if !partition.starts_with("aws") || service.is_empty() || resource.is_empty() {
        return refuse("Provided Arn is not in correct format.");
    }
    if let Some(queue) = target.dead_letter_config.as_ref().and_then(|config| config.arn.as_deref())
        && (!queue.starts_with("arn:aws") || !queue.contains(":sqs:") || queue.rsplit('.').next() == Some("fifo"))
    {
        return refuse("The dead-letter queue must be a standard Amazon SQS queue.");
    }
    let Some(input) = &target.input else { return Ok(()) };
    if input.len() > MAX_INPUT_BYTES {
        return refuse("Target Input cannot be larger than 256 KB.");
    }
    // Only templated targets are checked; a universal target's input is not looked at on creation.
    if *service == "lambda" && serde_json::from_str::<serde::de::IgnoredAny>(input).is_err() {
        return refuse("Target Input must be well-formed JSON for a Lambda target.");
    }
    Ok(())
}
