//! Use cases behind the API: jobs, their timers, and what people ask about them.
//!
//! Guarantee: a refused request changes nothing; a request that was cut off may be repeated, and with the same [`Stamp`]
//! the repeat makes the same ids, so that it finds what the first one left. It knows no HTTP: refusals are named here and
//! given their status by the `api` function.
//!
//! Order of writes: a job's timer is set after its row is written and removed before its row is. A stop in between leaves
//! a job without a timer, which a repeat of the request mends, or the sweep once its next run is overdue, and never a timer
//! without a job.

mod act;
mod check;
mod cost;
mod doctor;
mod edit;
mod heartbeats;
mod hooks;
mod import;
mod params;
mod plan;
mod read;
mod refusal;
mod sessions;
mod settings;
mod shelves;
mod text;
mod timing;

pub use act::{Canceled, Ran, cancel, event_id, run_now, system_event};
pub(crate) use check::next_check;
pub use cost::{CostReport, cost};
pub use doctor::{Checkup, Finding, FindingKind, doctor};
pub(crate) use doctor::{look_at_job, round};
pub use edit::{add, remove, update};
pub(crate) use edit::{add_within, update_within};
pub(crate) use heartbeats::armed;
pub use heartbeats::{Heartbeats, Noted, heartbeat_last, heartbeat_notes};
pub use hooks::{Hook, hook};
pub use import::{Imported, import};
pub use plan::{Planned, plan};
pub use read::{Listed, Shown, Status, get, list, run_get, runs, status};
pub use refusal::Refusal;
pub use sessions::{Message, session_get, session_remove, sessions_list};
pub use settings::{Applied, Validated, config_apply, config_get, config_set, config_unset, config_validate};
pub use shelves::{
    Kept, Put, Remembered, documents_get, documents_list, documents_put, documents_remove, memory_get, memory_list,
    memory_put, memory_remove,
};
pub use text::{load, load_job, load_message, store_form};
pub use timing::{default_zone, next_start, timer_for};

use chrono::{DateTime, Utc};
use nightshift_domain::JobId;
use nightshift_domain::config::Config;
use nightshift_domain::job::Defaults;

use crate::deps::{Deps, Invocation};

/// How often a row may be changed by others between our read and our write.
const MAX_RACES: u32 = 5;

/// The time and the chance that a request's ids are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// When the request first came.
    pub at: DateTime<Utc>,
    /// The chance it drew then.
    pub bits: u128,
    /// Whether this is a repeat of a request that may have been carried out.
    pub repeated: bool,
}

impl Stamp {
    /// The stamp of a request that nobody can repeat.
    pub fn fresh(deps: &Deps, now: DateTime<Utc>) -> Self {
        Self { at: now, bits: deps.entropy.bits(), repeated: false }
    }

    /// A job id: a random UUID (RFC 9562, version 4), as `OpenClaw`'s.
    pub(crate) fn job_id(&self) -> Option<JobId> {
        let bits = (self.bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
        let hex = format!("{bits:032x}");
        let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        JobId::parse(&parts.join("-")).ok()
    }

    /// A ULID.
    pub(crate) fn ulid(&self) -> String {
        ulid::Ulid::from_parts(u64::try_from(self.at.timestamp_millis()).unwrap_or(0), self.bits).to_string()
    }
}

/// Who asks, when, and with what.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The outside world.
    pub deps: &'a Deps,
    /// The invocation that carries it out.
    pub invocation: &'a Invocation,
    /// The present, read once.
    pub now: DateTime<Utc>,
    /// What its ids are made of.
    pub stamp: Stamp,
}

impl Request<'_> {
    fn defaults<'c>(&self, config: &'c Config) -> Defaults<'c> {
        Defaults { config, now: self.now, local: self.deps.settings.local }
    }
}

#[cfg(test)]
pub(crate) mod tests;
