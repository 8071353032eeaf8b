//! What may happen in a world, as data: generated, shrunk, and written down as JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::channel::SendPlan;
use crate::mishap::Mishap;
use crate::provider::{BatchPlan, Plan};

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Op {
    /// Time passes.
    Advance {
        /// So much of it.
        seconds: u32,
    },
    /// A job is added in one of the places for jobs.
    AddJob {
        /// The place.
        job: u8,
        /// What it is like.
        shape: Shape,
    },
    /// A job is added that puts a text before the main session, once.
    Remind {
        /// The place for jobs.
        job: u8,
        /// In so many seconds.
        seconds: u32,
        /// Whether that wakes the session.
        now: bool,
    },
    /// Somebody puts a text before the main session.
    Tell {
        /// Whether that wakes it.
        now: bool,
    },
    /// The main session is to look around every so many minutes.
    Beat {
        /// How many; 0 is never.
        minutes: u32,
    },
    /// A job is changed.
    EditJob {
        /// Its place.
        job: u8,
        /// What of it.
        edit: Edit,
    },
    /// A job is switched on or off.
    Switch {
        /// Its place.
        job: u8,
        /// Whether on.
        on: bool,
    },
    /// A job is removed.
    Remove {
        /// Its place.
        job: u8,
    },
    /// A job is run by hand.
    RunNow {
        /// Its place.
        job: u8,
    },
    /// One of the runs that are alive is stopped.
    Cancel {
        /// Which, of those there are.
        nth: u8,
    },
    /// A timer fires at once; a one-shot is gone then.
    FireEarly {
        /// Which, of those there are.
        nth: u8,
    },
    /// A timer fires at once, and at its time as well.
    FireTwice {
        /// Which.
        nth: u8,
    },
    /// A timer does not fire before so much time has passed.
    FireLate {
        /// Which.
        nth: u8,
        /// How long, seconds.
        seconds: u32,
    },
    /// A timer is lost.
    LoseTimer {
        /// Which.
        nth: u8,
    },
    /// The next envelopes are each handed over twice.
    Twice {
        /// How many.
        envelopes: u8,
    },
    /// The next invocations are functions of the previous release.
    Older {
        /// How many.
        invocations: u8,
    },
    /// Calls go wrong.
    Mishap(Mishap),
    /// The provider has something in mind.
    Provider(Plan),
    /// The channels have.
    Send(SendPlan),
    /// Ready hops wait for company so long.
    Window {
        /// Seconds.
        seconds: u32,
    },
    /// So many realtime turns may be in flight.
    Places {
        /// How many.
        most: u32,
    },
    /// Somebody looks whether all is well.
    Doctor {
        /// Whether it mends what it finds.
        repair: bool,
    },
}

impl Op {
    /// Whether it may happen on a day on which nothing breaks.
    pub fn is_calm(&self) -> bool {
        match self {
            Self::Advance { .. }
            | Self::AddJob { .. }
            | Self::Remind { .. }
            | Self::Tell { .. }
            | Self::Beat { .. }
            | Self::EditJob { .. }
            | Self::Switch { .. }
            | Self::Remove { .. }
            | Self::RunNow { .. }
            | Self::Cancel { .. }
            | Self::Window { .. } => true,
            Self::Provider(Plan::Batch(plan)) => *plan == BatchPlan { takes: plan.takes, ..BatchPlan::default() },
            Self::Provider(plan) => matches!(plan, Plan::Answer(_)),
            Self::FireEarly { .. }
            | Self::FireTwice { .. }
            | Self::FireLate { .. }
            | Self::LoseTimer { .. }
            | Self::Twice { .. }
            | Self::Older { .. }
            | Self::Mishap(_)
            | Self::Send(_)
            | Self::Places { .. }
            | Self::Doctor { .. } => false,
        }
    }
}

/// What a job is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// When it runs.
    pub when: When,
    /// How its turns reach a model.
    pub path: Way,
    /// What becomes of missed occurrences.
    pub missed: Missed,
    /// What becomes of a fire while a run is alive.
    pub overlap: Overlap,
    /// Where its answers go.
    pub to: To,
    /// Whether its runs go on with one session.
    pub session: bool,
    /// Whether it has tools.
    pub tools: bool,
    /// Whether every failure and every skip is told elsewhere, at once; a failure is told by the default rules otherwise.
    #[serde(default)]
    pub eager: bool,
}

/// When a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum When {
    /// Every so many minutes.
    Every(u32),
    /// Once, so many seconds after it was added.
    In(u32),
    /// At this minute of each hour.
    Hourly(u8),
    /// At this hour of each day.
    Daily(u8),
}

/// How turns reach a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Way {
    /// At once.
    Realtime,
    /// In batches; the turn may wait so many minutes.
    Batch {
        /// How long.
        minutes: u32,
        /// Whether it goes on in realtime then.
        then_realtime: bool,
    },
}

/// `missed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missed {
    /// Recorded only.
    Skip,
    /// The latest one runs.
    Once,
    /// All run.
    All,
}

/// `overlap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// Skipped.
    Skip,
    /// Beside it.
    Allow,
    /// One waits.
    Queue,
}

/// Where answers go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum To {
    /// Nowhere.
    Nobody,
    /// A chat that shows every repeat.
    Chat,
    /// A chat that drops repeats.
    CarefulChat,
    /// An address.
    Webhook,
}

/// A change of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Edit {
    /// Its times.
    When(When),
    /// Its rule for overlaps.
    Overlap(Overlap),
    /// Its rule for what was missed.
    Missed(Missed),
    /// How its turns reach a model.
    Way(Way),
    /// What it asks.
    Text(u8),
}

/// How many places for jobs there are.
pub const JOBS: u8 = 4;

/// The id of the job in a place.
pub fn job_id(job: u8) -> String {
    format!("job-{}", job % JOBS)
}

impl When {
    fn json(self, now: chrono::DateTime<chrono::Utc>) -> Value {
        match self {
            Self::Every(minutes) => json!({ "kind": "every", "everyMs": u64::from(minutes) * 60_000 }),
            Self::In(seconds) => {
                let at = now + chrono::TimeDelta::seconds(i64::from(seconds));
                json!({ "kind": "at", "at": at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true) })
            }
            Self::Hourly(minute) => {
                json!({ "kind": "cron", "expr": format!("{} * * * *", minute % 60), "staggerMs": 0 })
            }
            Self::Daily(hour) => json!({ "kind": "cron", "expr": format!("7 {} * * *", hour % 24) }),
        }
    }
}

/// The request that adds a reminder.
pub fn reminder(job: u8, seconds: u32, wakes: bool, now: chrono::DateTime<chrono::Utc>) -> Value {
    json!({
        "jobId": job_id(job), "name": job_id(job), "schedule": When::In(seconds).json(now), "sessionTarget": "main",
        "wakeMode": if wakes { "now" } else { "next-heartbeat" },
        "payload": { "kind": "systemEvent", "text": "Think of it." },
    })
}

impl Way {
    fn json(self) -> Value {
        match self {
            Self::Realtime => json!({ "enabled": false }),
            Self::Batch { minutes, then_realtime } => json!({
                "enabled": true, "maxWaitMs": u64::from(minutes) * 60_000,
                "onTimeout": if then_realtime { "realtime" } else { "fail" },
            }),
        }
    }
}

impl To {
    fn json(self, job: u8) -> Value {
        match self {
            Self::Nobody => json!({ "mode": "none" }),
            Self::Chat => json!({ "mode": "announce", "channel": "telegram", "to": format!("chat-{job}") }),
            Self::CarefulChat => json!({ "mode": "announce", "channel": "discord", "to": format!("chat-{job}") }),
            Self::Webhook => json!({ "mode": "webhook", "to": format!("https://hooks.example/{job}") }),
        }
    }
}

impl Shape {
    /// The request that adds a job like this.
    pub fn json(self, job: u8, now: chrono::DateTime<chrono::Utc>) -> Value {
        let mut input = json!({
            "jobId": job_id(job), "name": format!("Job {}", job % JOBS), "schedule": self.when.json(now),
            "missed": self.missed, "overlap": self.overlap, "delivery": self.to.json(job),
            "payload": { "kind": "agentTurn", "message": "Say how it went.", "batch": self.path.json() },
        });
        // Some are wanted by a time: at that of the schedule, or somewhat later.
        if let (When::Daily(hour), Way::Batch { minutes, then_realtime: true }) = (self.when, self.path) {
            let by = format!("{:02}:{:02}", hour % 24, 7 + minutes % 3 * 20);
            input["payload"]["batch"]["deliverBy"] = json!(by);
        }
        if self.session {
            input["sessionTarget"] = json!(format!("session:s{}", job % 2));
        }
        if self.eager {
            input["failureAlert"] = json!({ "after": 1, "cooldownMs": 0, "includeSkipped": true,
                "channel": "telegram", "to": format!("alerts-{job}") });
        }
        if self.tools {
            input["payload"]["toolsAllow"] = json!(["memory", "message"]);
        }
        input
    }
}

impl Edit {
    /// The request that changes the job so.
    pub fn json(self, job: u8, now: chrono::DateTime<chrono::Utc>) -> Value {
        let patch = match self {
            Self::When(when) => json!({ "schedule": when.json(now) }),
            Self::Overlap(overlap) => json!({ "overlap": overlap }),
            Self::Missed(missed) => json!({ "missed": missed }),
            Self::Way(way) => {
                let mut batch = way.json();
                batch["deliverBy"] = Value::Null;
                json!({ "payload": { "kind": "agentTurn", "batch": batch } })
            }
            Self::Text(n) => json!({ "payload": { "kind": "agentTurn", "message": format!("Say it again, {n}.") } }),
        };
        json!({ "jobId": job_id(job), "patch": patch })
    }
}
