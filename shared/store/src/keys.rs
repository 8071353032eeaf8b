//! Where each row is: the texts of the primary and index keys.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use nightshift_domain::ids::slot_text;
use nightshift_domain::{AttemptId, JobId, RunKey};
use nightshift_engine::ports::DueItem;

/// How many partitions the due index is spread over.
pub(crate) const DUE_SHARDS: u32 = 4;
/// The sort key of rows that are alone in their partition.
const META: &str = "META";
/// Letters of a name that take part in sorting; an index key holds 1,024 bytes.
const NAME_LETTERS: usize = 128;

/// A primary key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

impl Key {
    fn meta(pk: String) -> Self {
        Self { pk, sk: META.to_owned() }
    }

    pub(crate) fn job(id: &JobId) -> Self {
        Self::meta(job_partition(id))
    }

    pub(crate) fn declaration(key: &str) -> Self {
        Self::meta(format!("DECL#{key}"))
    }

    /// The key alone tells job and slot, so it finds its row.
    pub(crate) fn run(key: &RunKey) -> Self {
        Self { pk: job_partition(&key.job_id()), sk: format!("{RUN_PREFIX}{}#{key}", slot_text(key.slot())) }
    }

    pub(crate) fn batch(id: &AttemptId) -> Self {
        Self::meta(format!("BATCH#{id}"))
    }

    pub(crate) fn remote(remote: &str) -> Self {
        Self::meta(format!("MSGBATCH#{remote}"))
    }

    pub(crate) fn chunk(run: &RunKey, origin: &str, index: u32) -> Self {
        Self { pk: job_partition(&run.job_id()), sk: format!("{}{index:04}", chunk_prefix(run, origin)) }
    }

    pub(crate) fn event(agent: &str, id: &str) -> Self {
        Self { pk: session_partition(agent), sk: format!("{EVENT_PREFIX}{id}") }
    }

    pub(crate) fn counter(name: &str) -> Self {
        Self { pk: COUNTERS.to_owned(), sk: name.to_owned() }
    }

    pub(crate) fn config() -> Self {
        Self::meta("CONFIG".to_owned())
    }

    pub(crate) fn answer(key: &str) -> Self {
        Self::meta(format!("REQ#{key}"))
    }
}

pub(crate) const RUN_PREFIX: &str = "RUN#";
pub(crate) const EVENT_PREFIX: &str = "EVT#";
pub(crate) const COUNTERS: &str = "COUNT";
pub(crate) const JOBS: &str = "JOBS";
pub(crate) const BATCHES: &str = "BATCHES";

pub(crate) fn job_partition(id: &JobId) -> String {
    format!("JOB#{id}")
}

pub(crate) fn session_partition(agent: &str) -> String {
    format!("SESS#{agent}")
}

pub(crate) fn chunk_prefix(run: &RunKey, origin: &str) -> String {
    format!("OUT#{run}#{origin}#")
}

pub(crate) fn day_partition(day: NaiveDate) -> String {
    format!("RUNS#{}", day.format("%Y-%m-%d"))
}

/// An instant as text that sorts: `2026-11-20T07:00:00.000Z`.
pub(crate) fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A job's place in the list: by name without case, then by id.
pub(crate) fn job_place(name: &str, id: &JobId) -> String {
    let lower: String = name.to_lowercase().chars().take(NAME_LETTERS).collect();
    format!("{lower}#{id}")
}

/// The partition and place of `what` in the due index.
pub(crate) fn due(what: &DueItem, at: DateTime<Utc>) -> (String, String) {
    let (word, id) = match what {
        DueItem::Run(key) => ("RUN", key.as_str()),
        DueItem::Batch(id) => ("BATCH", id.as_str()),
    };
    (due_partition(shard(id)), format!("{}#{word}#{id}", instant(at)))
}

pub(crate) fn due_partition(shard: u32) -> String {
    format!("DUE#{shard}")
}

/// What a place in the due index stands for; `None` for kinds of a later release.
pub(crate) fn due_item(place: &str) -> Option<DueItem> {
    let mut parts = place.splitn(3, '#').skip(1);
    match (parts.next()?, parts.next()?) {
        ("RUN", key) => RunKey::parse(key).ok().map(DueItem::Run),
        ("BATCH", id) => Some(DueItem::Batch(AttemptId::new(id))),
        _ => None,
    }
}

/// FNV-1a: the same on every machine and in every release, because rows are found by it.
fn shard(id: &str) -> u32 {
    let hash = id.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash % DUE_SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_key_alone_finds_its_row_and_rows_of_a_job_sort_by_slot() {
        let early = Key::run(&RunKey::parse("a-1_20261120T070000Z").unwrap());
        let late = Key::run(&RunKey::parse("a-1_20261120T080000Z").unwrap());
        assert_eq!(early.pk, "JOB#a-1");
        assert_eq!(early.sk, "RUN#20261120T070000Z#a-1_20261120T070000Z");
        assert!(early.sk < late.sk);
        let by_hand = Key::run(&RunKey::parse("a-1_m01KAHJ5Z3MW4E6R8T0YA").unwrap());
        assert!(by_hand.sk.starts_with("RUN#20"), "{}", by_hand.sk);
    }

    #[test]
    fn a_place_in_the_due_index_tells_what_it_stands_for() {
        let at = DateTime::from_timestamp(1_795_219_200, 0).unwrap();
        for what in [
            DueItem::Run(RunKey::parse("a_20261120T070000Z").unwrap()),
            DueItem::Batch(AttemptId::new("01KAHJ5Z3M7Q2W4E6R8T0YABCD")),
        ] {
            let (partition, place) = due(&what, at);
            assert!(partition.starts_with("DUE#") && place < instant(at + chrono::TimeDelta::milliseconds(1)));
            assert_eq!(due_item(&place), Some(what));
        }
        assert_eq!(due_item("2026-11-20T07:00:00.000Z#LATER#x"), None);
    }

    #[test]
    fn the_longest_name_fits_an_index_key() {
        let id = JobId::parse("a").unwrap();
        assert!(job_place(&"İ".repeat(5_000), &id).len() < 1_024);
        assert_eq!(job_place("Morning Brief", &id), "morning brief#a");
    }
}
