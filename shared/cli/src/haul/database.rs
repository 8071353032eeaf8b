//! `OpenClaw`'s state database, which holds its jobs since release 2026.6.
//!
//! It is opened for reading only. What is relied on is small: the table `cron_jobs` with the columns `store_key`, `job_json`,
//! `state_json` and `updated_at`, and, up to the release that dropped it, `cron_run_logs` with `store_key`, `ts` and
//! `entry_json` (`OpenClaw` pull request 88285 and issue 152592; the same columns are read by clawmetry's pull request 3428).

use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use super::{Haul, Line, merge_state};
use crate::error::ExpectedError;

/// Reads jobs, how they fared, and their runs.
pub(super) fn read(haul: &mut Haul, path: &Path) -> Result<(), ExpectedError> {
    let failed = |source| ExpectedError::ReadDatabase { path: path.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    if !has_table(&connection, "cron_jobs").map_err(failed)? {
        return Err(ExpectedError::usage_hint(
            format!("{} has no table cron_jobs", path.display()),
            "give OpenClaw's state/openclaw.sqlite, or what `openclaw cron list --all --json` prints",
        ));
    }
    let stores = stores(&connection).map_err(failed)?;
    let Some((store, others)) = stores.split_first() else { return Ok(()) };
    for other in others {
        haul.notes.push(format!("the jobs of store {other} are left out: those of {store} changed last"));
    }
    for (job, state) in jobs(&connection, store).map_err(failed)? {
        let text = |what: &str, text: &str| parse(path, what, text);
        let mut job = text("a job", &job)?;
        if let Some(state) = state {
            merge_state(&mut job, &text("how a job fared", &state)?);
        }
        haul.jobs.push(job);
    }
    if !has_table(&connection, "cron_run_logs").map_err(failed)? {
        haul.notes.push(format!(
            "{} keeps run history in a form that is not known here: `openclaw cron runs --id <job> --json` prints it for --runs",
            path.display()
        ));
        return Ok(());
    }
    for (job, entry) in runs(&connection, store).map_err(failed)? {
        let mut entry = parse(path, "a run", &entry)?;
        if let Value::Object(map) = &mut entry {
            map.entry("jobId").or_insert_with(|| Value::from(job));
        }
        haul.runs.push(Line { entry, file: path.display().to_string(), number: None });
    }
    Ok(())
}

fn parse(path: &Path, what: &str, text: &str) -> Result<Value, ExpectedError> {
    serde_json::from_str(text)
        .map_err(|error| ExpectedError::usage(format!("{what} in {} is not JSON: {error}", path.display())))
}

fn has_table(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    let count = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?1";
    connection.query_row(count, [name], |row| row.get::<_, i64>(0)).map(|count| count > 0)
}

/// The stores there are jobs of, the one that changed last first: one per `cron.store` path that was ever configured.
fn stores(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let keys = "SELECT store_key FROM cron_jobs GROUP BY store_key ORDER BY max(updated_at) DESC, store_key";
    connection.prepare(keys)?.query_map([], |row| row.get(0))?.collect()
}

fn jobs(connection: &Connection, store: &str) -> rusqlite::Result<Vec<(String, Option<String>)>> {
    let rows = "SELECT job_json, state_json FROM cron_jobs WHERE store_key = ?1 ORDER BY job_id";
    connection.prepare(rows)?.query_map([store], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn runs(connection: &Connection, store: &str) -> rusqlite::Result<Vec<(String, String)>> {
    let rows = "SELECT job_id, entry_json FROM cron_run_logs WHERE store_key = ?1 ORDER BY job_id, ts";
    connection.prepare(rows)?.query_map([store], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
