//! Flags of `cron add` and `cron edit`.
//!
//! Spelled as `OpenClaw` spells them, because scripts for it must work here. What a flag may hold is judged by the API;
//! only words of a closed list and durations are read here.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use nightshift_domain::job::Thinking;
use nightshift_domain::schedule::{DurationError, parse_duration};

use super::{AlertFlags, BatchMode, ClearFlags, Missed, OfJobs, OnTimeout, Overlap, Refused, Wake};

const ADD_EXAMPLES: &str = "\
Examples:
  nightshift cron add \"0 7 * * *\" \"Sum up the night.\" --tz Europe/Berlin
  nightshift cron add \"0 3 * * *\" \"Digest.\" --batch --batch-timeout 2h
  nightshift cron add --at 20m --system-event \"Check the calendar.\" --wake now";

/// Reads a duration as milliseconds; a number without a unit is milliseconds.
pub(super) fn millis(text: &str) -> Result<u64, DurationError> {
    parse_duration(text).map(|duration| duration.num_milliseconds().unsigned_abs())
}

fn thinking_words() -> impl clap::builder::TypedValueParser<Value = String> {
    PossibleValuesParser::new(Thinking::WORDS.map(|(word, _)| word)).map(|word| word.to_ascii_lowercase())
}

/// Flags of `cron add`.
#[derive(Debug, Args)]
#[command(after_help = ADD_EXAMPLES)]
pub struct AddArgs {
    /// When to run: a cron expression in quotes, a duration from now, an ISO time, or "every 20m"
    ///
    /// With --at, --every or --cron it is the job's name instead.
    #[arg(value_name = "SCHEDULE_OR_NAME")]
    pub first: Option<String>,

    /// What to ask the agent
    #[arg(value_name = "MESSAGE")]
    pub second: Option<String>,

    /// What is too much, so that the complaint can say how it came about.
    #[arg(hide = true)]
    pub rest: Vec<String>,

    /// What people call the job; made from its text otherwise
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub name: Option<String>,

    /// Add it disabled
    #[arg(long)]
    pub disabled: bool,

    /// Update the job that was added with this key, if there is one
    #[arg(long, value_name = "KEY")]
    pub declaration_key: Option<String>,

    /// When.
    #[command(flatten)]
    pub schedule: ScheduleFlags,
    /// What.
    #[command(flatten)]
    pub payload: PayloadFlags,
    /// Half price.
    #[command(flatten)]
    pub batch: BatchFlags,
    /// Where the answer goes.
    #[command(flatten)]
    pub delivery: DeliveryFlags,
    /// How it runs.
    #[command(flatten)]
    pub rules: RuleFlags,
    /// Who hears of failures.
    #[command(flatten)]
    pub alert: AlertFlags,
    /// Refused ones.
    #[command(flatten)]
    pub foreign: Refused<OfJobs>,
}

/// Flags of `cron edit`.
#[derive(Debug, Args)]
pub struct EditArgs {
    /// The job's id
    pub id: String,

    /// What people call the job
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub name: Option<String>,

    /// Let its schedule run it
    #[arg(long, conflicts_with = "disable")]
    pub enable: bool,

    /// Stop its schedule from running it
    #[arg(long)]
    pub disable: bool,

    /// When.
    #[command(flatten)]
    pub schedule: ScheduleFlags,
    /// What.
    #[command(flatten)]
    pub payload: PayloadFlags,
    /// Half price.
    #[command(flatten)]
    pub batch: BatchFlags,
    /// Where the answer goes.
    #[command(flatten)]
    pub delivery: DeliveryFlags,
    /// How it runs.
    #[command(flatten)]
    pub rules: RuleFlags,
    /// Who hears of failures.
    #[command(flatten)]
    pub alert: AlertFlags,
    /// Back to the default.
    #[command(flatten)]
    pub clear: ClearFlags,
    /// Refused ones.
    #[command(flatten)]
    pub foreign: Refused<OfJobs>,
}

/// When to run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Schedule")]
pub struct ScheduleFlags {
    /// Run once: an ISO time, epoch milliseconds, or a duration from now such as 20m
    #[arg(long, value_name = "WHEN", conflicts_with_all = ["every", "cron"])]
    pub at: Option<String>,

    /// Run at a fixed interval, such as 10m, 1h or 1d
    #[arg(long, value_name = "DURATION", value_parser = millis, conflicts_with = "cron")]
    pub every: Option<u64>,

    /// Run at the times of a cron expression: 5 fields, 6 with leading seconds, or a nickname
    #[arg(long, value_name = "EXPR")]
    pub cron: Option<String>,

    /// IANA time zone of --cron, or of --at without an offset
    #[arg(long, value_name = "ZONE")]
    pub tz: Option<String>,

    /// Start exactly at the time, without stagger
    #[arg(long, conflicts_with = "stagger")]
    pub exact: bool,

    /// Spread the job's start over this window, the same way every time
    #[arg(long, value_name = "DURATION", value_parser = millis)]
    pub stagger: Option<u64>,
}

/// What to do.
#[derive(Debug, Args)]
#[command(next_help_heading = "Payload")]
pub struct PayloadFlags {
    /// What to ask the agent, in a session of its own
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with_all = ["message_file", "system_event"])]
    pub message: Option<String>,

    /// Read the message from a file, or from standard input with -
    #[arg(long, value_name = "PATH", allow_hyphen_values = true, conflicts_with = "system_event")]
    pub message_file: Option<PathBuf>,

    /// What to queue for the agent's main session
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub system_event: Option<String>,

    /// Model: provider/model, or an alias such as opus
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,

    /// Models to try when the first one is unavailable, separated by commas
    #[arg(long, value_name = "LIST")]
    pub fallbacks: Option<String>,

    /// How hard to think
    #[arg(long, value_name = "LEVEL", value_parser = thinking_words(), ignore_case = true)]
    pub thinking: Option<String>,

    /// How long the turn may take in realtime
    #[arg(long, value_name = "N")]
    pub timeout_seconds: Option<u64>,

    /// Leave out the agent's instructions and documents
    #[arg(long, overrides_with = "no_light_context")]
    pub light_context: bool,

    /// Put the agent's instructions and documents in
    #[arg(long, overrides_with = "light_context")]
    pub no_light_context: bool,

    /// Tools the agent may use, separated by commas; an empty text means none
    #[arg(long, value_name = "LIST")]
    pub tools: Option<String>,
}

/// Half price for answers that can wait.
#[derive(Debug, Args)]
#[command(next_help_heading = "Batch")]
pub struct BatchFlags {
    /// Go through Message Batches, at half the token price; --batch=auto lets Nightshift decide per run
    ///
    /// The mode follows an equals sign, never a space.
    #[arg(long, value_name = "MODE", value_enum, num_args = 0..=1, require_equals = true)]
    // `Some(None)` is the flag alone.
    pub batch: Option<Option<BatchMode>>,

    /// Run in realtime, whatever the default is
    #[arg(long, conflicts_with_all = ["batch", "batch_timeout", "batch_on_timeout", "deliver_by", "earliest"])]
    pub no_batch: bool,

    /// How long the whole turn may wait, such as 2h; 24h without it
    #[arg(long, value_name = "DURATION", value_parser = millis)]
    pub batch_timeout: Option<u64>,

    /// What happens when it waited that long
    #[arg(long, value_name = "ACTION", value_enum)]
    pub batch_on_timeout: Option<OnTimeout>,

    /// Have the answer by this time of day, such as 07:00, in the schedule's time zone
    #[arg(long, value_name = "HH:MM")]
    pub deliver_by: Option<String>,

    /// Do not start before this time of day
    #[arg(long, value_name = "HH:MM")]
    pub earliest: Option<String>,
}

/// Where the answer goes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Delivery")]
#[expect(clippy::struct_excessive_bools, reason = "one per flag")]
pub struct DeliveryFlags {
    /// Send the answer to a chat; the default for jobs with a message
    #[arg(long, conflicts_with_all = ["no_deliver", "webhook"])]
    pub announce: bool,

    /// Same as --announce
    #[arg(long, conflicts_with_all = ["no_deliver", "webhook"])]
    pub deliver: bool,

    /// Send the answer nowhere
    #[arg(long, conflicts_with = "webhook")]
    pub no_deliver: bool,

    /// POST the finished run to this address
    #[arg(long, value_name = "URL", conflicts_with = "to")]
    pub webhook: Option<String>,

    /// Channel: telegram, slack, discord, …, or last
    #[arg(long, value_name = "CHANNEL")]
    pub channel: Option<String>,

    /// Chat, user or number, as the channel writes it
    #[arg(long, value_name = "DEST", allow_hyphen_values = true)]
    pub to: Option<String>,

    /// Thread or topic
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    pub thread_id: Option<String>,

    /// Account of the channel
    #[arg(long, value_name = "ID")]
    pub account: Option<String>,

    /// Run even if the target cannot be found
    #[arg(long, overrides_with = "no_best_effort_deliver")]
    pub best_effort_deliver: bool,

    /// Fail, before anything is paid, if the target cannot be found
    #[arg(long, overrides_with = "best_effort_deliver")]
    pub no_best_effort_deliver: bool,
}

/// How it runs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rules")]
pub struct RuleFlags {
    /// What the job is for
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub description: Option<String>,

    /// Agent that runs it; the default agent otherwise
    #[arg(long, value_name = "ID")]
    pub agent: Option<String>,

    /// Session: main, isolated or session:<name>; the payload decides otherwise
    #[arg(long, value_name = "TARGET")]
    pub session: Option<String>,

    /// When the main session looks at what the job left there
    #[arg(long, value_name = "MODE", value_enum)]
    pub wake: Option<Wake>,

    /// Remove the job after its first success; the default for --at
    #[arg(long, conflicts_with = "keep_after_run")]
    pub delete_after_run: bool,

    /// Keep the job, disabled, after a success of --at
    #[arg(long)]
    pub keep_after_run: bool,

    /// What becomes of occurrences missed while nothing could run
    #[arg(long, value_name = "POLICY", value_enum)]
    pub missed: Option<Missed>,

    /// What becomes of an occurrence while an earlier run is live
    #[arg(long, value_name = "POLICY", value_enum)]
    pub overlap: Option<Overlap>,

    /// Drop an occurrence that would start later than this
    #[arg(long, value_name = "DURATION", value_parser = millis)]
    pub max_lateness: Option<u64>,

    /// Most that one run may cost, US dollars
    #[arg(long, value_name = "USD")]
    pub budget_run: Option<f64>,

    /// Most that the job's runs may cost in a day (UTC), US dollars
    #[arg(long, value_name = "USD")]
    pub budget_day: Option<f64>,

    /// Most that they may cost in a month (UTC), US dollars
    #[arg(long, value_name = "USD")]
    pub budget_month: Option<f64>,
}
