//! Names of things, and every name derived from them.
//!
//! Guarantee: whatever is derived here (Anthropic's `custom_id`, EventBridge schedule names) fits 64 characters of
//! `[0-9A-Za-z_-]`, the narrower of the two services' rules (Anthropic batch-processing page; Scheduler API model).

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, NaiveDateTime, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::FieldError;

/// Longest job id, so that every derived name fits.
pub const JOB_ID_MAX: usize = 36;

/// What the id of a heartbeat's built-in job begins with; the agent's follows.
const HEARTBEAT: &str = "hb-";
/// What the id of an agent's built-in job for inbound hooks begins with; the agent's follows.
const HOOK: &str = "hk-";

const SLOT_FORMAT: &str = "%Y%m%dT%H%M%SZ";
/// Crockford's base 32, as ULIDs are written.
const ALPHABET: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

macro_rules! text_id {
    ($name:ident) => {
        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// A job's id: 1 to 36 characters of `[0-9A-Za-z-]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(String);
text_id!(JobId);

impl JobId {
    /// Checks and takes `text`.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let fits = !text.is_empty()
            && text.len() <= JOB_ID_MAX
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(FieldError::new("invalid_job_id", "jobId", format!("\"{}\" is not a job id", text.escape_debug()))
                .hint("1 to 36 letters, digits and hyphens"))
        }
    }

    /// The built-in job whose runs are the heartbeats of `agent`.
    ///
    /// # Errors
    /// A name that no job id can be made of; no agent is configured with one.
    pub fn heartbeat(agent: &str) -> Result<Self, FieldError> {
        Self::parse(&format!("{HEARTBEAT}{agent}"))
    }

    /// The agent whose heartbeats are this job's runs.
    pub fn heartbeat_agent(&self) -> Option<&str> {
        self.0.strip_prefix(HEARTBEAT)
    }

    /// The built-in job whose runs are those that inbound hooks ask of `agent`.
    ///
    /// # Errors
    /// As [`Self::heartbeat`].
    pub fn hook(agent: &str) -> Result<Self, FieldError> {
        Self::parse(&format!("{HOOK}{agent}"))
    }

    /// Whether its runs are those that inbound hooks ask for.
    pub fn is_hook(&self) -> bool {
        self.0.starts_with(HOOK)
    }

    /// Whether it is one of the product's own: nobody adds, changes or removes it by name.
    pub fn is_built_in(&self) -> bool {
        self.0.starts_with(HEARTBEAT) || self.0.starts_with(HOOK)
    }

    /// Refuses an id of the product's own.
    pub fn not_built_in(self) -> Result<Self, FieldError> {
        if !self.is_built_in() {
            return Ok(self);
        }
        let message = format!("ids that begin with {HEARTBEAT} and {HOOK} are the product's own");
        let fault = FieldError::new("reserved_job_id", "jobId", message);
        Err(match self.heartbeat_agent() {
            Some(agent) => fault
                .hint(format!("{self} is a heartbeat: agents.entries.{agent}.heartbeat says when and how it beats")),
            None if self.is_hook() => {
                fault.hint(format!("{self} has the runs that hooks asked for; hooks are configured"))
            }
            None => fault.hint("choose another id"),
        })
    }

    /// The id of a job that comes from elsewhere: `text` where it can be one, else a name made of its digest, the same
    /// every time.
    pub fn imported(text: &str) -> Self {
        Self::parse(text).and_then(Self::not_built_in).unwrap_or_else(|_| {
            let digest = Sha256::digest(text.as_bytes());
            Self(digest.iter().take(12).fold("import-".to_owned(), |id, byte| format!("{id}{byte:02x}")))
        })
    }

    /// The name of the job's own schedule.
    pub fn timer_name(&self) -> String {
        format!("j-{self}")
    }
}

impl TryFrom<String> for JobId {
    type Error = FieldError;
    fn try_from(text: String) -> Result<Self, FieldError> {
        Self::parse(&text)
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.0
    }
}

impl JsonSchema for JobId {
    fn schema_name() -> Cow<'static, str> {
        "JobId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9A-Za-z-]{1,36}$",
            "description": "A job's id: 1 to 36 letters, digits and hyphens.",
        })
    }
}

/// A run's key: `<jobId>_<slot>` for an occurrence, `<jobId>_m<time><random>` for a run somebody asked for. The key alone
/// tells job and slot, so it finds its row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunKey(String);
text_id!(RunKey);

impl RunKey {
    /// The run of the occurrence at `slot`.
    pub fn of_slot(job: &JobId, slot: DateTime<Utc>) -> Self {
        Self(format!("{job}_{}", slot_text(slot)))
    }

    /// A run asked for at `now`: ten characters of time, ten of chance (both ends of a ULID).
    pub fn manual(job: &JobId, ulid: &str) -> Self {
        let (time, chance) = (&ulid[..10], &ulid[ulid.len() - 10..]);
        Self(format!("{job}_m{time}{chance}"))
    }

    /// A run that happened elsewhere at `at` and is told from others of that instant by `identity`: in the form of
    /// [`RunKey::manual`], with ten letters of a digest for chance, so that it is the same every time.
    pub fn imported(job: &JobId, at: DateTime<Utc>, identity: &str) -> Self {
        let digest = Sha256::digest(identity.as_bytes());
        let bits = digest.iter().take(8).fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
        let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0);
        Self(format!("{job}_m{}{}", letters(millis), letters(bits)))
    }

    /// Checks and takes `text`.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let key = Self(text.to_owned());
        let known = text.split_once('_').is_some_and(|(job, rest)| {
            JobId::parse(job).is_ok() && (parse_slot(rest).is_some() || manual_time(rest).is_some())
        });
        if known {
            Ok(key)
        } else {
            Err(FieldError::new("invalid_run_id", "runId", format!("\"{}\" is not a run id", text.escape_debug()))
                .hint("run ids look like <jobId>_20261120T070000Z; `nightshift cron runs` lists them"))
        }
    }

    /// The job it belongs to.
    pub fn job_id(&self) -> JobId {
        JobId(self.0.split_once('_').map_or_else(String::new, |(job, _)| job.to_owned()))
    }

    /// The instant it sorts by, to the second: its slot, or when it was asked for.
    pub fn slot(&self) -> DateTime<Utc> {
        let rest = self.0.split_once('_').map_or("", |(_, rest)| rest);
        parse_slot(rest).or_else(|| manual_time(rest)).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// The `custom_id` of a batch row: unique per hop and attempt, so a late result of a given-up attempt is told apart.
    pub fn custom_id(&self, hop: u32, attempt: u32) -> String {
        format!("{self}_{hop}_{attempt}")
    }

    /// The run, hop and attempt behind a `custom_id` of ours.
    pub fn of_custom_id(custom_id: &str) -> Option<(Self, u32, u32)> {
        let mut parts = custom_id.rsplitn(3, '_');
        let attempt = parts.next()?.parse().ok()?;
        let hop = parts.next()?.parse().ok()?;
        Some((Self::parse(parts.next()?).ok()?, hop, attempt))
    }

    /// The name of the timer that wakes the main session again after this heartbeat failed.
    pub fn wake_timer(&self) -> String {
        format!("h-{self}")
    }

    /// The name of the run's `n`-th resume timer.
    pub fn resume_timer(&self, n: u32) -> String {
        format!("r-{self}-{n}")
    }
}

impl TryFrom<String> for RunKey {
    type Error = FieldError;
    fn try_from(text: String) -> Result<Self, FieldError> {
        Self::parse(&text)
    }
}

impl From<RunKey> for String {
    fn from(key: RunKey) -> Self {
        key.0
    }
}

impl JsonSchema for RunKey {
    fn schema_name() -> Cow<'static, str> {
        "RunId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": concat!(
                "^[0-9A-Za-z-]{1,36}_(",
                "[0-9]{4}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]Z|",
                "m[0-7][0-9A-HJKMNP-TV-Z]{9}[0-9A-Za-z]{10})$"
            ),
            "description": "A run's id: its job's id, and the occurrence it stands for (`brief_20261120T070000Z`) or, for a \
                run that was asked for, `m` and 20 characters.",
        })
    }
}

/// Our id of one attempt to create a batch (a ULID): it exists before Anthropic's id does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId(String);
text_id!(AttemptId);

impl AttemptId {
    /// Takes a ULID.
    pub fn new(ulid: impl Into<String>) -> Self {
        Self(ulid.into())
    }

    /// The name of the batch's `n`-th poll timer.
    pub fn poll_timer(&self, n: u32) -> String {
        format!("p-{self}-{n}")
    }
}

/// `20261120T070000Z`.
pub fn slot_text(instant: DateTime<Utc>) -> String {
    instant.format(SLOT_FORMAT).to_string()
}

fn parse_slot(text: &str) -> Option<DateTime<Utc>> {
    NaiveDateTime::parse_from_str(text, SLOT_FORMAT).ok().map(|naive| naive.and_utc())
}

/// The lowest fifty bits of `number`, in ten letters.
fn letters(number: u64) -> String {
    let letter = |place: u32| {
        let index = usize::try_from((number >> (5 * place)) & 31).unwrap_or(0);
        char::from(ALPHABET.as_bytes()[index])
    };
    (0..10).rev().map(letter).collect()
}

/// The instant in the first ten characters of a ULID (48 bits of milliseconds in Crockford's base 32).
fn manual_time(text: &str) -> Option<DateTime<Utc>> {
    let rest = text.strip_prefix('m').filter(|rest| rest.len() == 20)?;
    let mut millis: i64 = 0;
    for letter in rest.chars().take(10) {
        millis = millis.checked_mul(32)?.checked_add(i64::try_from(ALPHABET.find(letter)?).ok()?)?;
    }
    let instant = DateTime::from_timestamp_millis(millis)?;
    rest.bytes().all(|byte| byte.is_ascii_alphanumeric()).then_some(instant)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ULID: &str = "01KAHJ5Z3M7Q2W4E6R8T0YABCD";

    fn longest() -> JobId {
        JobId::parse(&"x".repeat(JOB_ID_MAX)).unwrap()
    }

    #[test]
    fn every_derived_name_of_the_longest_job_fits_64_characters() {
        let slot = DateTime::from_timestamp(1_795_219_200, 0).unwrap();
        for key in [RunKey::of_slot(&longest(), slot), RunKey::manual(&longest(), ULID)] {
            for name in [key.custom_id(99, 9), key.resume_timer(999), longest().timer_name()] {
                assert!(name.len() <= 64, "{name} has {} characters", name.len());
                assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
            }
        }
        assert!(AttemptId::new(ULID).poll_timer(100_000).len() <= 64);
    }

    #[test]
    fn a_run_key_alone_tells_its_job_and_slot() {
        let slot = DateTime::from_timestamp(1_795_219_200, 0).unwrap();
        let key = RunKey::of_slot(&longest(), slot);
        assert_eq!(RunKey::parse(key.as_str()).unwrap(), key);
        assert_eq!((key.job_id(), key.slot()), (longest(), slot));

        let manual = RunKey::manual(&longest(), ULID);
        assert_eq!(RunKey::parse(manual.as_str()).unwrap().slot().timestamp_millis() / 1000, manual.slot().timestamp());
        assert_eq!(RunKey::of_custom_id(&manual.custom_id(2, 3)), Some((manual, 2, 3)));
    }

    #[test]
    fn an_imported_run_has_the_same_key_every_time_and_sorts_by_its_time() {
        let at = DateTime::from_timestamp_millis(1_795_219_200_123).unwrap();
        let key = RunKey::imported(&longest(), at, "one");
        assert_eq!(RunKey::parse(key.as_str()).unwrap(), key);
        assert_eq!((key.job_id(), key.slot()), (longest(), at));
        assert_eq!(RunKey::imported(&longest(), at, "one"), key);
        assert_ne!(RunKey::imported(&longest(), at, "two"), key);
        assert!(key.custom_id(99, 9).len() <= 64);
        let ulid = ulid_text(at);
        assert_eq!(RunKey::manual(&longest(), &format!("{ulid}Q2W4E6R8T0YABCDE")).slot(), at);
    }

    fn ulid_text(at: DateTime<Utc>) -> String {
        letters(u64::try_from(at.timestamp_millis()).unwrap())
    }

    #[test]
    fn an_id_from_elsewhere_is_kept_where_it_can_be_and_derived_where_not() {
        assert_eq!(JobId::imported("job-123").as_str(), "job-123");
        let odd = JobId::imported("ops/nightly digest");
        assert_eq!(odd, JobId::imported("ops/nightly digest"));
        assert_ne!(odd, JobId::imported("ops/nightly digest "));
        assert!(JobId::parse(odd.as_str()).is_ok(), "{odd}");
    }

    #[test]
    fn ids_with_other_characters_are_refused() {
        for text in ["", "a_b", "a b", "a:b", "ü", &"x".repeat(37)] {
            assert!(JobId::parse(text).is_err(), "{text}");
        }
        for text in ["", "job", "job_", "job_20261120", "job_m123", "_20261120T070000Z"] {
            assert!(RunKey::parse(text).is_err(), "{text}");
        }
    }
}
