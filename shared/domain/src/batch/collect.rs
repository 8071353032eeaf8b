//! Which ready hops go into one batch: the windows they wait in, and how the members of a window are split.
//!
//! Guarantee: a window's name alone tells when it ends, and hops share one only where they share the provider, what
//! happens at their deadline, and how far away that is. What it does not know: who is in it (that is the table's).

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::RunKey;
use crate::ids::slot_text;
use crate::job::OnTimeout;
use crate::run::{Held, Lease, Run, State, Text};
use crate::schedule::parse_slot;

use super::LEAST_AHEAD;

/// Shortest window that is kept: timers are precise to a minute (EventBridge Scheduler user guide, 2026-10), so that a
/// shorter one would make more batches and end no earlier.
pub const SHORTEST: TimeDelta = TimeDelta::seconds(60);
/// Most rows of a batch (batch-processing page, 2026-10: 100,000 requests or 256 MB, whichever is reached first).
pub const MOST_ROWS: usize = 100_000;
/// Where a batch of several rows is cut: a tenth of the API's 256 MB, so that texts that grow on the wire (escapes) still
/// fit, a create is answered within its minute, and its body is held in a function's memory. A larger row goes alone.
pub const BODY_BYTES: u64 = 20 * 1024 * 1024;
/// What a row has beside its texts: names, numbers, a tool's settings. An estimate.
const ROW_OVERHEAD: u64 = 512;
/// How long whoever seals a window has it to itself.
const SEALING: TimeDelta = TimeDelta::minutes(5);

/// A window's name: `<end>-<provider>-<class>-<f or r>`, at most 48 characters, so that every name made of it fits 64.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WindowId(String);

impl WindowId {
    /// Takes a name that was made here.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// When it ends. A name that was not made here has ended long ago, so that somebody looks at it.
    pub fn ends_at(&self) -> DateTime<Utc> {
        self.0.split_once('-').and_then(|(end, _)| parse_slot(end)).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// The name of the window's `n`-th timer.
    pub fn timer(&self, n: u32) -> String {
        format!("w-{self}-{n}")
    }
}

impl fmt::Display for WindowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The window that `run`, which is ready at `now`, waits in; `None` where it is to be submitted at once: there are no windows
/// (`seconds` is 0), or waiting would take more than half the time the turn has left.
pub fn window_of(run: &Run, seconds: u32, now: DateTime<Utc>) -> Option<WindowId> {
    let plan = run.plan.as_ref()?;
    if seconds == 0 || !matches!(run.state, State::Ready { .. }) {
        return None;
    }
    let end = end_of_bucket(seconds, now);
    let left = plan.deadline - now;
    if (end - now).max(LEAST_AHEAD) * 2 > left {
        return None;
    }
    let digest = Sha256::digest(plan.provider.as_bytes());
    let provider = digest.iter().take(6).fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let wish = match plan.on_timeout {
        OnTimeout::Fail => 'f',
        OnTimeout::Realtime => 'r',
    };
    // A turn that is wanted at a time leaves its batch then, which nobody else may keep open.
    let class = match &run.due_by {
        Some(_) => slot_text(plan.deadline),
        None => format!("{:02}", deadline_class(left)),
    };
    Some(WindowId(format!("{}-{provider}-{class}-{wish}", slot_text(end))))
}

/// The end of the bucket that `now` is in, on the grid of `seconds` since the epoch.
fn end_of_bucket(seconds: u32, now: DateTime<Utc>) -> DateTime<Utc> {
    let width = i64::from(seconds).max(SHORTEST.num_seconds());
    let end = (now.timestamp().div_euclid(width) + 1) * width;
    DateTime::from_timestamp(end, 0).unwrap_or(now)
}

/// How far away a deadline is, by powers of two of a minute: n for at most 2^n minutes. A batch is stopped only when all its
/// members have waited long enough, so the first to give up pays for rows it no longer wants until the last one does;
/// within a class that is at most as long again as it waited.
fn deadline_class(left: TimeDelta) -> u32 {
    let minutes = u64::try_from(left.num_minutes().max(1)).unwrap_or(1);
    minutes.next_power_of_two().trailing_zeros()
}

/// What the run's next row will take of a batch's body, about: the texts it is made of. They do not change while it waits.
pub fn row_bytes(run: &Run) -> u64 {
    let size = |text: &Text| match text {
        Text::Inline(text) => text.len() as u64,
        Text::Blob { bytes, .. } => *bytes,
    };
    let said = run.talk.opening.iter().chain(&run.talk.said).map(|said| &said.content);
    let frozen = run.plan.iter().flat_map(|plan| plan.system.iter().chain(&plan.tools));
    ROW_OVERHEAD + std::iter::once(&run.prompt).chain(said).chain(frozen).map(size).sum::<u64>()
}

/// What a batch may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Most rows.
    pub rows: usize,
    /// Where it is cut, in bytes of its rows.
    pub bytes: u64,
}

impl Default for Caps {
    fn default() -> Self {
        Self { rows: MOST_ROWS, bytes: BODY_BYTES }
    }
}

/// Splits `rows`, each with its size, into batches within `caps`, in their order. One that is larger than the cap by itself
/// goes alone: the API takes 256 MB, and what is larger than that it refuses.
pub fn split<T>(rows: impl IntoIterator<Item = (T, u64)>, caps: Caps) -> Vec<Vec<T>> {
    let mut batches: Vec<Vec<T>> = Vec::new();
    let mut filled = 0_u64;
    for (row, bytes) in rows {
        let fits = |batch: &Vec<T>| batch.len() < caps.rows.max(1) && filled.saturating_add(bytes) <= caps.bytes;
        if let Some(batch) = batches.last_mut().filter(|batch| fits(batch)) {
            batch.push(row);
            filled += bytes;
        } else {
            batches.push(vec![row]);
            filled = bytes;
        }
    }
    batches
}

/// A run that waits in a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Collected {
    /// The run.
    pub run: RunKey,
    /// What its row takes of a body, about.
    pub bytes: u64,
}

/// A window: who opened it armed its timer, who seals it closes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// Its name.
    pub id: WindowId,
    /// How many timers were armed for it; names the next one.
    pub timers: u32,
    /// When its timer is due.
    pub seal_at: DateTime<Utc>,
    /// Who seals it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealer: Option<Lease>,
    /// Whether nobody was left in it. Whoever comes late opens it again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
    /// Rises with every write.
    pub rev: u64,
}

impl Window {
    /// The window called `id` as somebody opens it at `now`, where `before` is what stands there. `None` where it is open.
    pub fn opened(id: &WindowId, before: Option<&Self>, now: DateTime<Utc>) -> Option<Self> {
        if before.is_some_and(|before| !before.closed) {
            return None;
        }
        Some(Self {
            id: id.clone(),
            timers: before.map_or(0, |before| before.timers) + 1,
            seal_at: id.ends_at().max(now + LEAST_AHEAD),
            sealer: None,
            closed: false,
            rev: before.map_or(0, |before| before.rev) + 1,
        })
    }

    /// The window with `owner` at its seal.
    ///
    /// # Errors
    /// [`Held`] while somebody else is.
    pub fn taken(&self, owner: &str, now: DateTime<Utc>) -> Result<Self, Held> {
        if let Some(lease) = self.sealer.as_ref().filter(|lease| lease.until > now && lease.owner != owner) {
            return Err(Held { owner: lease.owner.clone(), until: lease.until });
        }
        let mut taken = self.clone();
        taken.sealer = Some(Lease { owner: owner.to_owned(), until: now + SEALING });
        taken.rev += 1;
        Ok(taken)
    }

    /// The window with nobody at its seal; `closed` where nobody is in it either.
    #[must_use]
    pub fn left(&self, closed: bool) -> Self {
        Self { sealer: None, closed, rev: self.rev + 1, ..self.clone() }
    }

    /// When the sweeper should look at it; `None` once it is closed.
    pub fn attention_at(&self) -> Option<DateTime<Utc>> {
        let at = self.sealer.as_ref().map_or(self.seal_at, |lease| lease.until);
        (!self.closed).then_some(at)
    }
}

#[cfg(test)]
#[path = "collect/tests.rs"]
mod tests;
