//! What timers and functions send each other: envelopes of ids, never of state.
//!
//! An envelope says where to look, not what changed, so a repeat, a late or an early one is harmless.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::batch::WindowId;
use crate::{AttemptId, JobId, RunKey};

/// The version of the envelope's shape.
pub const ENVELOPE_VERSION: u8 = 1;

/// A wake-up. The letters are short because every schedule stores one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Shape version.
    pub v: u8,
    /// What to look at.
    #[serde(flatten)]
    pub kind: Wake,
}

impl Envelope {
    /// An envelope of today's version.
    pub fn new(kind: Wake) -> Self {
        Self { v: ENVELOPE_VERSION, kind }
    }
}

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "k", rename_all = "camelCase")]
pub enum Wake {
    /// A job may be due (its schedule fired, or a one-shot of its chain).
    Job {
        /// The job.
        j: JobId,
        /// The generation of the definition that armed the timer.
        g: u64,
        /// When the timer was due: EventBridge fills `<aws.scheduler.scheduled-time>`, one-shots carry their own.
        s: String,
        /// The occurrence a one-shot stands for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slot: Option<DateTime<Utc>>,
        /// Not to be started before this instant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nb: Option<DateTime<Utc>>,
    },
    /// A run may go on: paused, waiting, asked for by hand, or left by a dead lease.
    Resume {
        /// The run.
        r: RunKey,
    },
    /// A batch may have changed.
    Poll {
        /// Our attempt id.
        b: AttemptId,
        /// Which poll of the ladder this is, from 1.
        n: u32,
    },
    /// A window has ended: the hops in it go into batches.
    Window {
        /// The window.
        w: WindowId,
    },
    /// A run has something to deliver.
    Deliver {
        /// The run.
        r: RunKey,
    },
    /// An agent's main session has something to look at that cannot wait for its next heartbeat.
    Heartbeat {
        /// The agent.
        a: String,
    },
    /// Look for whatever was lost.
    Sweep,
}

impl Wake {
    /// The function that takes this envelope. An agent's heartbeats are runs of a built-in job, which have a function of
    /// their own.
    pub fn function(&self) -> Function {
        match self {
            Self::Job { j, .. } if j.heartbeat_agent().is_some() => Function::Heartbeat,
            Self::Resume { r } if r.job_id().heartbeat_agent().is_some() => Function::Heartbeat,
            Self::Job { .. } | Self::Resume { .. } => Function::Trigger,
            Self::Poll { .. } | Self::Window { .. } | Self::Sweep => Function::Poll,
            Self::Deliver { .. } => Function::Deliver,
            Self::Heartbeat { .. } => Function::Heartbeat,
        }
    }
}

/// The functions that take envelopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Function {
    /// Starts and resumes runs.
    Trigger,
    /// Looks after batches and sweeps.
    Poll,
    /// Sends answers and closes runs.
    Deliver,
    /// Looks after main sessions.
    Heartbeat,
}

impl Function {
    /// The name within a deployment.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Poll => "poll",
            Self::Deliver => "deliver",
            Self::Heartbeat => "heartbeat",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_small_and_survives_a_round_trip() {
        let kinds = [
            Wake::Job {
                j: JobId::parse("a-1").unwrap(),
                g: 3,
                s: "<aws.scheduler.scheduled-time>".into(),
                slot: None,
                nb: None,
            },
            Wake::Poll { b: AttemptId::new("01KAHJ5Z3M7Q2W4E6R8T0YABCD"), n: 4 },
            Wake::Window { w: WindowId::new("20261120T070100Z-0123456789ab-11-f") },
            Wake::Sweep,
        ];
        for kind in kinds {
            let envelope = Envelope::new(kind);
            let text = serde_json::to_string(&envelope).unwrap();
            assert!(text.len() < 200, "{text}");
            assert_eq!(serde_json::from_str::<Envelope>(&text).unwrap(), envelope);
        }
    }
}
