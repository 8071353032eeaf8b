//! Where each row is: the texts of the primary and index keys.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use nightshift_domain::batch::WindowId;
use nightshift_domain::budget::{Period, Purse, Scope};
use nightshift_domain::cost::SpendOf;
use nightshift_domain::ids::slot_text;
use nightshift_domain::shelf::ShelfId;
use nightshift_domain::{AttemptId, JobId, RunKey};
use nightshift_engine::ports::DueItem;

/// How many partitions of the due index runs are spread over, and batches.
pub(crate) const DUE_SHARDS: u32 = 4;
/// How many rows jobs are counted in: jobs that are written at the same moment seldom meet in one.
const TALLY_SHARDS: u32 = 8;
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

    pub(crate) fn window(id: &WindowId) -> Self {
        Self::meta(window_partition(id))
    }

    pub(crate) fn collected(id: &WindowId, run: &RunKey) -> Self {
        Self { pk: window_partition(id), sk: format!("{RUN_PREFIX}{run}") }
    }

    pub(crate) fn remote(remote: &str) -> Self {
        Self::meta(format!("MSGBATCH#{remote}"))
    }

    pub(crate) fn chunk(run: &RunKey, origin: &str, index: u32) -> Self {
        Self { pk: job_partition(&run.job_id()), sk: format!("{}{index:04}", chunk_prefix(run, origin)) }
    }

    pub(crate) fn endpoint_call(run: &RunKey, id: &str) -> Self {
        Self { pk: job_partition(&run.job_id()), sk: format!("CALL#{run}#{id}") }
    }

    pub(crate) fn event(agent: &str, id: &str) -> Self {
        Self { pk: session_partition(agent), sk: format!("{EVENT_PREFIX}{id}") }
    }

    pub(crate) fn shelf(id: &ShelfId) -> Self {
        Self { pk: shelf_partition(id), sk: "INDEX".to_owned() }
    }

    /// A name has at most 200 characters of four bytes, so that it fits a sort key.
    pub(crate) fn sheet(id: &ShelfId, name: &str) -> Self {
        Self { pk: shelf_partition(id), sk: format!("TEXT#{name}") }
    }

    pub(crate) fn session(agent: &str, name: &str) -> Self {
        Self { pk: session_partition(agent), sk: format!("{SESSION_PREFIX}{name}") }
    }

    pub(crate) fn exchange(agent: &str, name: &str, n: u64) -> Self {
        Self { pk: session_partition(agent), sk: format!("{}{n:012}", exchange_prefix(name)) }
    }

    pub(crate) fn counter(name: &str) -> Self {
        Self { pk: COUNTERS.to_owned(), sk: name.to_owned() }
    }

    /// A purse.
    pub(crate) fn purse(purse: &Purse) -> Self {
        let pk = match &purse.scope {
            Scope::Job(job) => format!("PURSE#job#{job}"),
            Scope::Agent(agent) => format!("PURSE#agent#{agent}"),
            Scope::All => "PURSE#all".to_owned(),
        };
        let sk = match purse.period {
            Period::Day(day) => format!("DAY#{day}"),
            Period::Month(first) => format!("MONTH#{}", first.format("%Y-%m")),
        };
        Self { pk, sk }
    }

    /// The totals of a day. An agent's name may be anything; a row says itself what it is of.
    pub(crate) fn spend(of: &SpendOf) -> Self {
        let sk = format!("{}{}#{}#{}", spend_prefix(&of.job_id), of.agent_id, of.model, of.path);
        Self { pk: spend_partition(of.day), sk }
    }

    /// The count of the jobs of a shard.
    pub(crate) fn jobs(shard: u32) -> Self {
        Self::counter(&format!("{JOBS_PREFIX}{shard}"))
    }

    /// What `cron status` shows of the configuration.
    pub(crate) fn settings() -> Self {
        Self::counter(SETTINGS)
    }

    pub(crate) fn stop(provider: &str) -> Self {
        Self::counter(&format!("{STOP_PREFIX}{provider}"))
    }

    pub(crate) fn place(place: u32) -> Self {
        Self::counter(&format!("{PLACE_PREFIX}{place:04}"))
    }

    pub(crate) fn waiter(since: DateTime<Utc>, run: &RunKey) -> Self {
        Self::counter(&format!("{WAITER_PREFIX}{}#{run}", instant(since)))
    }

    pub(crate) fn config() -> Self {
        Self::meta("CONFIG".to_owned())
    }

    pub(crate) fn memo(name: &str) -> Self {
        Self::meta(format!("MEMO#{name}"))
    }

    /// The row that stands for `what` in the due index.
    pub(crate) fn of_due(what: &DueItem) -> Self {
        match what {
            DueItem::Run(key) => Self::run(key),
            DueItem::Batch(id) => Self::batch(id),
            DueItem::Job(id) => Self::job(id),
            DueItem::Window(id) => Self::window(id),
        }
    }

    pub(crate) fn answer(key: &str) -> Self {
        Self::meta(format!("REQ#{key}"))
    }
}

pub(crate) const RUN_PREFIX: &str = "RUN#";
pub(crate) const EVENT_PREFIX: &str = "EVT#";
pub(crate) const SESSION_PREFIX: &str = "HEAD#";
/// Counters, places and those that wait for one, in this order, so that one query has the first two and one the last two.
/// Counters begin with a letter, which sorts between `#` and `~`.
pub(crate) const COUNTERS: &str = "COUNT";
pub(crate) const SETTINGS: &str = "#SETTINGS";
pub(crate) const JOBS_PREFIX: &str = "#JOBS#";
pub(crate) const STOP_PREFIX: &str = "#STOP#";
pub(crate) const PLACE_PREFIX: &str = "~HOLD#";
pub(crate) const WAITER_PREFIX: &str = "~WAIT#";
/// The partition of the due index that jobs stand in by their next run.
pub(crate) const NEXT: &str = "NEXT";
/// The partition of the due index that windows stand in: there are few at a time.
pub(crate) const WINDOWS: &str = "WINDOWS";
pub(crate) const JOBS: &str = "JOBS";
pub(crate) const BATCHES: &str = "BATCHES";

pub(crate) fn job_partition(id: &JobId) -> String {
    format!("JOB#{id}")
}

/// A window and the runs in it. A partition takes about 1,000 writes a second (Best practices for partition keys page,
/// 2026-10), of which a run that comes or goes in a transaction is two.
pub(crate) fn window_partition(id: &WindowId) -> String {
    format!("WIN#{id}")
}

fn shelf_partition(id: &ShelfId) -> String {
    match id {
        ShelfId::Memory(agent) => format!("MEM#{agent}"),
        ShelfId::Documents => "DOCS".to_owned(),
    }
}

pub(crate) fn session_partition(agent: &str) -> String {
    format!("SESS#{agent}")
}

/// A session's name has no `#`, so that no other session's exchanges begin so.
pub(crate) fn exchange_prefix(name: &str) -> String {
    format!("SAID#{name}#")
}

pub(crate) fn chunk_prefix(run: &RunKey, origin: &str) -> String {
    format!("OUT#{run}#{origin}#")
}

pub(crate) fn day_partition(day: NaiveDate) -> String {
    format!("RUNS#{}", day.format("%Y-%m-%d"))
}

/// The totals of a day. A partition takes about 1,000 writes a second and splits where it is hot (Best practices for
/// partition keys page, 2026-10).
pub(crate) fn spend_partition(day: NaiveDate) -> String {
    format!("COST#{}", day.format("%Y-%m-%d"))
}

/// A job's id has no `#`, so that no other job's totals begin so.
pub(crate) fn spend_prefix(job: &str) -> String {
    format!("{job}#")
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

/// The partition and place of `what` in the due index. Each kind has partitions of its own, so that none hides another.
/// Jobs have a single one, because the earliest of all is asked for; it takes about 1,000 writes a second (Best practices
/// for partition keys page, 2026-10), of which a move of the next run is two.
pub(crate) fn due(what: &DueItem, at: DateTime<Utc>) -> (String, String) {
    let (partition, word, id) = match what {
        DueItem::Run(key) => (due_partition(shard(key.as_str(), DUE_SHARDS)), "RUN", key.as_str()),
        DueItem::Batch(id) => (poll_partition(shard(id.as_str(), DUE_SHARDS)), "BATCH", id.as_str()),
        DueItem::Job(id) => (NEXT.to_owned(), "JOB", id.as_str()),
        DueItem::Window(id) => (WINDOWS.to_owned(), "WIN", id.as_str()),
    };
    (partition, format!("{}#{word}#{id}", instant(at)))
}

pub(crate) fn due_partition(shard: u32) -> String {
    format!("DUE#{shard}")
}

pub(crate) fn poll_partition(shard: u32) -> String {
    format!("POLL#{shard}")
}

/// Which of the counters of jobs a job is in.
pub(crate) fn tally_shard(id: &JobId) -> u32 {
    shard(id.as_str(), TALLY_SHARDS)
}

/// When a place in the due index falls due.
pub(crate) fn due_instant(place: &str) -> Option<DateTime<Utc>> {
    place.split_once('#')?.0.parse().ok()
}

/// What a place in the due index stands for; `None` for kinds of a later release.
pub(crate) fn due_item(place: &str) -> Option<DueItem> {
    let mut parts = place.splitn(3, '#').skip(1);
    match (parts.next()?, parts.next()?) {
        ("RUN", key) => RunKey::parse(key).ok().map(DueItem::Run),
        ("BATCH", id) => Some(DueItem::Batch(AttemptId::new(id))),
        ("WIN", id) => Some(DueItem::Window(WindowId::new(id))),
        ("JOB", id) => JobId::parse(id).ok().map(DueItem::Job),
        _ => None,
    }
}

fn shard(id: &str, of: u32) -> u32 {
    hash(id) % of
}

/// FNV-1a: the same on every machine and in every release, because rows are found by it.
pub(crate) fn hash(id: &str) -> u32 {
    id.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
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
            DueItem::Job(JobId::parse("a-1").unwrap()),
            DueItem::Window(WindowId::new("20261120T070100Z-0123456789ab-11-f")),
        ] {
            let (_, place) = due(&what, at);
            assert_eq!(due_instant(&place), Some(at));
            assert!(place < instant(at + chrono::TimeDelta::milliseconds(1)));
            assert_eq!(due_item(&place), Some(what));
        }
        assert_eq!(due_item("2026-11-20T07:00:00.000Z#LATER#x"), None);
    }

    #[test]
    fn counters_places_and_waiters_sort_in_this_order() {
        let run = RunKey::parse("a_20261120T070000Z").unwrap();
        let at = DateTime::from_timestamp(1_795_219_200, 0).unwrap();
        let keys = [
            Key::jobs(7),
            Key::settings(),
            Key::stop("anthropic"),
            Key::counter("A"),
            Key::counter("zero"),
            Key::place(0),
            Key::place(999),
            Key::waiter(at, &run),
            Key::waiter(at + chrono::TimeDelta::milliseconds(1), &run),
        ];
        assert!(keys.is_sorted_by_key(|key| (key.pk.clone(), key.sk.clone())), "{keys:#?}");
    }

    #[test]
    fn the_longest_name_fits_an_index_key() {
        let id = JobId::parse("a").unwrap();
        assert!(job_place(&"İ".repeat(5_000), &id).len() < 1_024);
        assert_eq!(job_place("Morning Brief", &id), "morning brief#a");
    }
}
