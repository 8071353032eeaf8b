//! What is stored and what is sent: schedules, groups, tokens, in the service's own member names.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The account of every local ARN.
pub const ACCOUNT: &str = "000000000000";
/// The Region of every local ARN.
pub const REGION: &str = "us-east-1";
/// The group that always exists.
pub(super) const DEFAULT_GROUP: &str = "default";

/// Instants as the protocol has them: a number of seconds since 1970, to the millisecond.
pub(super) mod epoch {
    use chrono::{DateTime, Utc};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
    use serde_json::{Number, Value};

    /// The number for `instant`, whole where it can be.
    pub(in crate::scheduler) fn number(instant: DateTime<Utc>) -> Value {
        let millis = instant.timestamp_millis();
        if millis % 1000 == 0 {
            return Value::from(millis / 1000);
        }
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of any year the service takes fit 52 bits")]
        let seconds = millis as f64 / 1000.0;
        Number::from_f64(seconds).map_or(Value::Null, Value::Number)
    }

    #[expect(clippy::ref_option, reason = "the signature serde asks for")]
    pub(in crate::scheduler) fn serialize<S: Serializer>(at: &Option<DateTime<Utc>>, to: S) -> Result<S::Ok, S::Error> {
        at.map(number).serialize(to)
    }

    pub(in crate::scheduler) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<DateTime<Utc>>, D::Error> {
        let Some(seconds) = Option::<f64>::deserialize(from)? else { return Ok(None) };
        #[expect(clippy::cast_possible_truncation, reason = "a cast saturates, and what saturates is no instant")]
        let millis = (seconds * 1000.0).round() as i64;
        DateTime::from_timestamp_millis(millis).map(Some).ok_or_else(|| D::Error::custom("no such instant"))
    }
}

/// The body of `CreateSchedule` and `UpdateSchedule`, unchecked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ScheduleRequest {
    pub(super) group_name: Option<String>,
    pub(super) schedule_expression: Option<String>,
    pub(super) schedule_expression_timezone: Option<String>,
    #[serde(default, with = "epoch")]
    pub(super) start_date: Option<DateTime<Utc>>,
    #[serde(default, with = "epoch")]
    pub(super) end_date: Option<DateTime<Utc>>,
    pub(super) description: Option<String>,
    pub(super) state: Option<String>,
    pub(super) kms_key_arn: Option<String>,
    pub(super) target: Option<Target>,
    pub(super) flexible_time_window: Option<FlexibleTimeWindow>,
    pub(super) action_after_completion: Option<String>,
    #[serde(skip_serializing)]
    pub(super) client_token: Option<String>,
}

/// A checked schedule with the service's defaults filled in; also what `GetSchedule` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Spec {
    pub(super) name: String,
    pub(super) group_name: String,
    pub(super) schedule_expression: String,
    pub(super) schedule_expression_timezone: String,
    #[serde(default, with = "epoch", skip_serializing_if = "Option::is_none")]
    pub(super) start_date: Option<DateTime<Utc>>,
    #[serde(default, with = "epoch", skip_serializing_if = "Option::is_none")]
    pub(super) end_date: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    pub(super) state: State,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kms_key_arn: Option<String>,
    pub(super) target: Target,
    pub(super) flexible_time_window: FlexibleTimeWindow,
    pub(super) action_after_completion: ActionAfterCompletion,
}

impl Spec {
    pub(super) fn key(&self) -> Key {
        Key { group: self.group_name.clone(), name: self.name.clone() }
    }
}

/// Whether a schedule fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// It does.
    Enabled,
    /// It does not.
    Disabled,
}

impl State {
    /// As the service spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "ENABLED",
            Self::Disabled => "DISABLED",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum ActionAfterCompletion {
    None,
    Delete,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct FlexibleTimeWindow {
    pub(super) mode: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) maximum_window_in_minutes: Option<i64>,
}

/// What is invoked. Members of other targets than Lambda are kept as they came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Target {
    #[serde(default)]
    pub(super) arn: String,
    #[serde(default)]
    pub(super) role_arn: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) dead_letter_config: Option<DeadLetterConfig>,
    #[serde(default)]
    pub(super) retry_policy: RetryPolicy,
    #[serde(flatten)]
    pub(super) other: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeadLetterConfig {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) arn: Option<String>,
}

/// Defaults are the maxima (API model: 60–86,400 s and 0–185).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct RetryPolicy {
    pub(super) maximum_event_age_in_seconds: i64,
    pub(super) maximum_retry_attempts: i64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { maximum_event_age_in_seconds: 86_400, maximum_retry_attempts: 185 }
    }
}

/// A schedule's place; ordered as lists are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) group: String,
    pub(super) name: String,
}

impl Key {
    /// Its document's key. Names hold no slash.
    pub(super) fn document(&self) -> String {
        format!("{}/{}", self.group, self.name)
    }

    pub(super) fn arn(&self) -> String {
        format!("arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/{}", self.document())
    }
}

/// One schedule as stored: a single document, so that each change to it is one write.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) spec: Spec,
    pub(super) created_at: DateTime<Utc>,
    pub(super) modified_at: DateTime<Utc>,
    /// Tells it from an earlier schedule of its name.
    pub(super) incarnation: u64,
    /// Changes with the timing; a fire under way when it changed does not count for the new one.
    pub(super) arming: u64,
    /// When the present timing took effect.
    pub(super) armed_at: DateTime<Utc>,
    /// Nominal instants up to here are done with: accepted by the target, waiting as a retry, or given up.
    pub(super) done_through: Option<DateTime<Utc>>,
    pub(super) retries: Vec<Retry>,
    /// The call that wrote it last, so that its token is not forgotten by a crash right after the write.
    pub(super) request: Option<TokenUse>,
}

/// A fire the target refused, to be tried again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Retry {
    pub(super) scheduled_for: DateTime<Utc>,
    pub(super) first_attempt_at: DateTime<Utc>,
    /// Attempts made so far.
    pub(super) attempts: u32,
    pub(super) due_at: DateTime<Utc>,
    /// The target it was meant for, where the schedule has another one by now.
    pub(super) target: Option<Target>,
}

/// A remembered `ClientToken`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TokenUse {
    pub(super) operation: String,
    pub(super) token: String,
    /// Of the request without its token.
    pub(super) digest: u64,
    /// What was answered; empty for deletions.
    pub(super) arn: String,
    pub(super) at: DateTime<Utc>,
}

/// How long a token is remembered. The service names no figure.
pub(super) const TOKEN_MEMORY: TimeDelta = TimeDelta::hours(24);

/// A schedule group as stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) created_at: DateTime<Utc>,
    pub(super) modified_at: DateTime<Utc>,
    pub(super) deleting: bool,
    pub(super) tags: Vec<Tag>,
    pub(super) request: Option<TokenUse>,
}

impl Group {
    pub(super) fn arn_of(name: &str) -> String {
        format!("arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/{name}")
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tag {
    pub(super) key: String,
    pub(super) value: String,
}

/// FNV-1a: the same on every machine and in every release, which the standard hasher does not promise.
pub(super) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
