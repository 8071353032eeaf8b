//! The states of a run. Variants hold only what that state has.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::AttemptId;
use crate::batch::WindowId;

/// How a run stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum State {
    /// Claimed, not yet planned.
    Due,
    /// Waits for a place.
    Waiting {
        /// Which.
        reason: WaitReason,
    },
    /// A realtime hop is with the model.
    Running {
        /// Its number, from 1.
        hop: u32,
        /// How often it was started.
        starts: u32,
        /// Retries this hop has had.
        tries: u32,
    },
    /// The tools its hop asked for are at work.
    Tools {
        /// The hop that asked.
        hop: u32,
        /// How often somebody began to run them.
        starts: u32,
    },
    /// Waits for its time to go on.
    Paused {
        /// The hop to go on with.
        hop: u32,
        /// When.
        resume_at: DateTime<Utc>,
        /// Retries this hop has had.
        tries: u32,
        /// Which batch attempt is next, when its hops are batched.
        attempt: u32,
    },
    /// Its hop is to be put in a batch.
    Ready {
        /// The hop.
        hop: u32,
        /// Which try at it.
        attempt: u32,
        /// Retries this hop has had.
        tries: u32,
        /// The window it waits in for others; none where it is submitted at once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        window: Option<WindowId>,
    },
    /// The intent to create its batch is written; whether it exists is not known yet.
    Submitting {
        /// The hop.
        hop: u32,
        /// Which try at it.
        attempt: u32,
        /// Retries this hop has had.
        tries: u32,
        /// The batch.
        batch: AttemptId,
    },
    /// Its batch is at work.
    Submitted {
        /// The hop.
        hop: u32,
        /// Which try at it.
        attempt: u32,
        /// The batch.
        batch: AttemptId,
    },
    /// Its batch was told to stop; a result may still have made it.
    Canceling {
        /// The hop.
        hop: u32,
        /// Which try at it.
        attempt: u32,
        /// The batch.
        batch: AttemptId,
        /// Why.
        why: CancelReason,
    },
    /// It has an answer that is not yet delivered.
    Delivering,
    /// Done, and delivered where that was asked.
    Succeeded,
    /// Done, but the far side refused the answer.
    DeliveryFailed,
    /// Done, but whether the answer arrived is not known.
    DeliveryUnknown,
    /// Ended without an answer.
    Failed {
        /// The failure code.
        code: String,
        /// What happened, for a person.
        message: String,
    },
    /// Did not run.
    Skipped {
        /// Why.
        reason: String,
    },
    /// Stopped on request.
    Canceled,
}

/// What a waiting run waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WaitReason {
    /// The job's earlier run.
    Overlap,
    /// The session it goes on with, which another run has.
    Session,
    /// The heartbeat that answers what it queued for its agent's main session.
    Heartbeat,
    /// One of the places that bound how many realtime turns are in flight.
    Place {
        /// The hop to go on with.
        hop: u32,
        /// Retries this hop has had.
        tries: u32,
    },
}

/// Why a batch was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CancelReason {
    /// It waited its time.
    Timeout,
    /// Somebody asked.
    Requested,
}

impl State {
    /// The names of the states that [`State::is_terminal`] is true of, for a table that asks by name.
    pub const TERMINAL: [&'static str; 6] =
        ["succeeded", "deliveryFailed", "deliveryUnknown", "failed", "skipped", "canceled"];

    /// The state's name, as the README's table and the API have it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Waiting { .. } => "waiting",
            Self::Running { .. } => "running",
            Self::Tools { .. } => "tools",
            Self::Paused { .. } => "paused",
            Self::Ready { .. } => "ready",
            Self::Submitting { .. } => "submitting",
            Self::Submitted { .. } => "submitted",
            Self::Canceling { .. } => "canceling",
            Self::Delivering => "delivering",
            Self::Succeeded => "succeeded",
            Self::DeliveryFailed => "deliveryFailed",
            Self::DeliveryUnknown => "deliveryUnknown",
            Self::Failed { .. } => "failed",
            Self::Skipped { .. } => "skipped",
            Self::Canceled => "canceled",
        }
    }

    /// What it waits for, where it waits: `overlap`, `session`, `heartbeat`, `place` or `window`.
    pub fn waits_for(&self) -> Option<&'static str> {
        if self.window().is_some() {
            return Some("window");
        }
        let Self::Waiting { reason } = self else { return None };
        Some(match reason {
            WaitReason::Overlap => "overlap",
            WaitReason::Session => "session",
            WaitReason::Heartbeat => "heartbeat",
            WaitReason::Place { .. } => "place",
        })
    }

    /// Whether nothing can happen to it any more.
    pub fn is_terminal(&self) -> bool {
        match self {
            Self::Succeeded
            | Self::DeliveryFailed
            | Self::DeliveryUnknown
            | Self::Failed { .. }
            | Self::Skipped { .. }
            | Self::Canceled => true,
            Self::Due
            | Self::Waiting { .. }
            | Self::Running { .. }
            | Self::Tools { .. }
            | Self::Paused { .. }
            | Self::Ready { .. }
            | Self::Submitting { .. }
            | Self::Submitted { .. }
            | Self::Canceling { .. }
            | Self::Delivering => false,
        }
    }

    /// Whether it counts as live for its job's overlap rule: a turn does, also one that waits for a place; a delivery does
    /// not, nor does a run that waits for the job's earlier one.
    pub fn occupies_job(&self) -> bool {
        !self.is_terminal() && !matches!(self, Self::Delivering | Self::Waiting { reason: WaitReason::Overlap })
    }

    /// Whether it keeps the place it has: a realtime turn gives it back when it ends or pauses, not while its tools are at work.
    pub fn keeps_place(&self) -> bool {
        matches!(self, Self::Running { .. } | Self::Tools { .. })
    }

    /// Whether a realtime hop of it is in flight, so that it needs a place.
    pub fn is_running(&self) -> bool {
        matches!(self, Self::Running { .. })
    }

    /// Which try at its hop is with the model, from 1; 0 where none is.
    pub fn attempt(&self) -> u32 {
        match self {
            Self::Running { starts, .. } => *starts,
            Self::Submitting { attempt, .. } | Self::Submitted { attempt, .. } | Self::Canceling { attempt, .. } => {
                *attempt
            }
            Self::Due
            | Self::Waiting { .. }
            | Self::Tools { .. }
            | Self::Paused { .. }
            | Self::Ready { .. }
            | Self::Delivering
            | Self::Succeeded
            | Self::DeliveryFailed
            | Self::DeliveryUnknown
            | Self::Failed { .. }
            | Self::Skipped { .. }
            | Self::Canceled => 0,
        }
    }

    /// Whether it waits in a batch for this try at this hop.
    pub fn is_at(&self, wanted: u32, try_at_it: u32) -> bool {
        match self {
            Self::Submitting { hop, attempt, .. }
            | Self::Submitted { hop, attempt, .. }
            | Self::Canceling { hop, attempt, .. } => (*hop, *attempt) == (wanted, try_at_it),
            Self::Due
            | Self::Waiting { .. }
            | Self::Running { .. }
            | Self::Tools { .. }
            | Self::Paused { .. }
            | Self::Ready { .. }
            | Self::Delivering
            | Self::Succeeded
            | Self::DeliveryFailed
            | Self::DeliveryUnknown
            | Self::Failed { .. }
            | Self::Skipped { .. }
            | Self::Canceled => false,
        }
    }

    /// The window it waits in.
    pub fn window(&self) -> Option<&WindowId> {
        if let Self::Ready { window, .. } = self { window.as_ref() } else { None }
    }

    /// The batch it is in.
    pub fn batch(&self) -> Option<&AttemptId> {
        match self {
            Self::Submitting { batch, .. } | Self::Submitted { batch, .. } | Self::Canceling { batch, .. } => {
                Some(batch)
            }
            Self::Due
            | Self::Waiting { .. }
            | Self::Running { .. }
            | Self::Tools { .. }
            | Self::Paused { .. }
            | Self::Ready { .. }
            | Self::Delivering
            | Self::Succeeded
            | Self::DeliveryFailed
            | Self::DeliveryUnknown
            | Self::Failed { .. }
            | Self::Skipped { .. }
            | Self::Canceled => None,
        }
    }

    /// The code and a sentence of a run that ended without an answer.
    pub fn failure(&self) -> Option<(String, String)> {
        match self {
            Self::Failed { code, message } => Some((code.clone(), message.clone())),
            Self::Skipped { reason } => {
                Some((reason.clone(), format!("the run was skipped: {}", reason.replace('_', " "))))
            }
            Self::Canceled => Some(("canceled".to_owned(), "the run was stopped on request".to_owned())),
            Self::Due
            | Self::Waiting { .. }
            | Self::Running { .. }
            | Self::Tools { .. }
            | Self::Paused { .. }
            | Self::Ready { .. }
            | Self::Submitting { .. }
            | Self::Submitted { .. }
            | Self::Canceling { .. }
            | Self::Delivering
            | Self::Succeeded
            | Self::DeliveryFailed
            | Self::DeliveryUnknown => None,
        }
    }
}
