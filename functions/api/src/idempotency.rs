//! Requests that may be sent twice.
//!
//! Guarantee: of all requests with one key and method, within 24 hours, every one makes the same ids, and once one of them
//! was carried out to its end the others get its answer. A refusal is not remembered: nothing was done.
//!
//! Two rows per key: the *stamp*, written before anything is done, from which the ids are made, and the *answer*, written
//! after. Stopped between the two, a repeat is carried out again with the same stamp, and finds what the first one left.

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_engine::Deps;
use nightshift_engine::jobs::Stamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tracing::warn;

use crate::auth::hex;
use crate::error::Fault;

/// How long a key is remembered.
const KEPT: TimeDelta = TimeDelta::hours(24);
/// Longest answer that is kept as it is; a longer one is a job with a long text, which is read again instead.
const ANSWER_MAX: usize = 32 * 1024;

/// The guard of one request.
pub(crate) struct Guard {
    /// What the rows are named after: method and key, in digest, because a key may be any text.
    name: String,
    digest: String,
}

/// How a guarded request stands.
pub(crate) enum Begun {
    /// It is to be carried out, with this stamp.
    Stamp(Stamp),
    /// It was carried out, with this answer.
    Answered(Value),
    /// It was carried out; its answer is this job.
    AnsweredWithJob(String),
}

impl Guard {
    /// The guard of a request of `method` with `body` under `key`.
    pub(crate) fn new(method: &str, key: &str, body: &Value) -> Self {
        let of = |text: String| hex(&Sha256::digest(text.as_bytes()));
        Self { name: of(format!("{method}\n{key}")), digest: of(format!("{method}\n{body}")) }
    }

    fn stamp_row(&self) -> String {
        format!("{}-stamp", self.name)
    }

    fn answer_row(&self) -> String {
        format!("{}-answer", self.name)
    }

    /// Looks the key up, and writes its stamp where it has none.
    pub(crate) async fn begin(&self, deps: &Deps, now: DateTime<Utc>) -> Result<Begun, Fault> {
        let (answer_row, stamp_row) = (self.answer_row(), self.stamp_row());
        let (answer, stamp) = tokio::try_join!(deps.store.recall(&answer_row), deps.store.recall(&stamp_row))?;
        if let Some((digest, answer)) = answer {
            if digest != self.digest {
                return Err(Fault::KeyReused);
            }
            return Ok(match answer.get("jobId").and_then(Value::as_str) {
                Some(id) => Begun::AnsweredWithJob(id.to_owned()),
                None => Begun::Answered(answer.get("answer").cloned().unwrap_or_default()),
            });
        }
        if let Some(stamp) = stamp.as_ref().and_then(|(_, stamp)| read(stamp)) {
            return Ok(Begun::Stamp(Stamp { repeated: true, ..stamp }));
        }
        let drawn = Stamp::fresh(deps, now);
        deps.store.remember(&stamp_row, &self.digest, &write(&drawn), now + KEPT).await?;
        // Of two at the same time the first one stays.
        let kept = deps.store.recall(&stamp_row).await?.and_then(|(_, stamp)| read(&stamp));
        Ok(Begun::Stamp(match kept {
            Some(kept) if kept.bits != drawn.bits => Stamp { repeated: true, ..kept },
            Some(_) | None => drawn,
        }))
    }

    /// Keeps the answer. Failing that, a repeat is carried out again and finds everything done.
    pub(crate) async fn end(&self, deps: &Deps, answer: &Value, now: DateTime<Utc>) {
        let kept = match answer.get("jobId") {
            Some(id) if answer.to_string().len() > ANSWER_MAX => json!({ "jobId": id }),
            Some(_) | None => json!({ "answer": answer }),
        };
        if let Err(error) = deps.store.remember(&self.answer_row(), &self.digest, &kept, now + KEPT).await {
            warn!("the answer to a request with an Idempotency-Key is not kept: {error}");
        }
    }
}

fn write(stamp: &Stamp) -> Value {
    json!({ "atMs": stamp.at.timestamp_millis(), "bits": format!("{:032x}", stamp.bits) })
}

fn read(value: &Value) -> Option<Stamp> {
    let at = DateTime::from_timestamp_millis(value.get("atMs")?.as_i64()?)?;
    let bits = u128::from_str_radix(value.get("bits")?.as_str()?, 16).ok()?;
    Some(Stamp { at, bits, repeated: false })
}
