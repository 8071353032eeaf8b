//! What methods take, in the form to write today.
//!
//! A request type describes: the names, kinds and limits of its method's parameters, and its comments are what the API's
//! description says of them. The server reads requests by its own rules (`engine::jobs`), which name every bad field at once
//! and also take what older `OpenClaw` versions wrote; a test compares the two, so that every name the server takes is a
//! field here or is named in its type's comment.
//!
//! Conventions: `null` is the same as leaving an optional field out. Texts and words are described in the form to write; the
//! server also takes words in any letter case and cuts off blanks around a text.

mod heartbeat;
mod hooks;
mod job;
mod jobs;
mod other;
mod parts;
mod patch;
mod runs;
mod sessions;
mod shelves;

pub use heartbeat::{HeartbeatNotes, LastHeartbeat};
pub use hooks::{AgentHook, HookBatch, NamedHookBody, WakeHook};
pub use job::{
    AgentTurnPayload, AtSchedule, BatchInput, CronSchedule, EverySchedule, JobInput, PayloadInput, ScheduleInput,
    StateInput, SystemEventPayload,
};
pub use jobs::{GetJob, ListJobs, RemoveJob, RunJob, RunMode, Switched, UpdateJob};
pub use other::{
    ApplyConfig, CheckUp, CostBy, GetConfig, GetStatus, ImportJobs, PlanRuns, SendEvent, SetConfig, SumCosts,
    UnsetConfig, ValidateConfig,
};
pub use parts::{AlertInput, AlertRuleInput, DeliveryInput, DestinationInput, ModeInput};
pub use patch::{JobPatch, PayloadPatch, SchedulePatch};
pub use runs::{CancelRun, GetRun, ListRuns, PathWord, StatusWord};
pub use sessions::{GetSession, ListSessions, RemoveSession};
pub use shelves::{
    GetDocument, GetMemory, ListDocuments, ListMemory, PutDocument, PutMemory, RemoveDocument, RemoveMemory,
};
