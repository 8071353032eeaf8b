//! `cron runs`: the API's pages of runs, put together to what was asked for.
//!
//! Filters of the API are its own; text search, `--offset`, and more rows than a page holds are done here, page by page.

use chrono::{DateTime, Utc};
use nightshift_wire::RunView;
use serde_json::{Value, json};

use super::{Session, read, show};
use crate::args::{RunsArgs, Sort};
use crate::error::ExpectedError;
use crate::table::Surface;

/// Most rows of a page of the API.
const PAGE: u32 = 200;
/// Rows shown where nobody says how many.
const DEFAULT: u32 = 50;
/// How many pages are read at most before the search is called off and says so.
const MOST_PAGES: usize = 50;

/// Lists runs.
pub(super) async fn list(session: &mut Session<'_>, args: &RunsArgs) -> anyhow::Result<()> {
    let by_page = args.query.is_none() && args.offset.is_none() && args.limit.is_none_or(|limit| limit <= PAGE);
    let mut answer = if by_page { page(session, args, args.limit).await? } else { gathered(session, args).await? };
    if args.sort == Sort::Asc {
        for rows in ["runs", "entries"] {
            if let Some(rows) = answer[rows].as_array_mut() {
                rows.reverse();
            }
        }
    }
    let shown = session.json_wanted(&answer);
    let runs: Vec<RunView> = read(&answer["runs"])?;
    if runs.is_empty() {
        return nothing(session, args).await;
    }
    if shown {
        return Ok(());
    }
    let table = show::runs(&runs, args.job_id().is_some(), session.now, Surface::of(session.output));
    session.output.data(&table);
    // A cursor is exact and for programs, which find it in the JSON; a person counts.
    match (answer["nextCursor"].as_str(), &args.cursor) {
        (Some(next), Some(_)) => session.output.hint(&format!("older ones with --cursor {next}")),
        (Some(_), None) => session.output.hint(&format!("older ones with --offset {}", runs.len())),
        (None, _) => {
            if let Some(offset) = answer["nextOffset"].as_u64() {
                session.output.hint(&format!("older ones with --offset {offset}"));
            }
        }
    }
    Ok(())
}

/// The request of a page.
fn request(args: &RunsArgs, limit: Option<u32>, cursor: Option<&str>) -> Value {
    let mut request = json!({});
    let fields = [
        ("jobId", args.job_id().map(Value::from)),
        ("status", args.status.map(|status| status.word().into())),
        ("deliveryStatus", args.delivery_status.map(|status| status.word().into())),
        ("path", args.path.map(|path| path.word().into())),
        ("limit", limit.map(Value::from)),
        ("cursor", cursor.map(Value::from)),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            request[name] = value;
        }
    }
    request
}

/// One page, as the API gives it.
async fn page(session: &mut Session<'_>, args: &RunsArgs, limit: Option<u32>) -> anyhow::Result<Value> {
    session.call("cron.runs", &request(args, limit, args.cursor.as_deref())).await
}

/// As many pages as it takes. The answer has `OpenClaw`'s `offset`, `limit`, `hasMore` and `nextOffset`.
async fn gathered(session: &mut Session<'_>, args: &RunsArgs) -> anyhow::Result<Value> {
    let (offset, limit) = (args.offset.unwrap_or(0) as usize, args.limit.unwrap_or(DEFAULT) as usize);
    let wanted = args.query.as_deref().map(str::to_lowercase);
    // One more than is shown tells whether there are more.
    let enough = offset + limit + 1;
    let mut found: Vec<Value> = Vec::new();
    let mut cursor = args.cursor.clone();
    let mut end = false;
    for _ in 0..MOST_PAGES {
        let missing = u32::try_from(enough - found.len()).unwrap_or(PAGE);
        let size = if wanted.is_some() { PAGE } else { missing.min(PAGE) };
        let mut answer = session.call("cron.runs", &request(args, Some(size), cursor.as_deref())).await?;
        cursor = answer["nextCursor"].as_str().map(str::to_owned);
        let Value::Array(rows) = answer["runs"].take() else { break };
        found.extend(rows.into_iter().filter(|row| wanted.as_deref().is_none_or(|text| has(row, text))));
        end = cursor.is_none();
        if end || found.len() >= enough {
            break;
        }
    }
    let more = found.len() >= enough;
    if !end && !more {
        let days = oldest(&found, session.now);
        session
            .output
            .note(&format!("the search ended after {MOST_PAGES} pages{days}; name a job to look further back"));
    }
    let rows: Vec<Value> = found.into_iter().skip(offset).take(limit).collect();
    let next = more.then_some(offset + limit);
    Ok(json!({"entries": rows.clone(), "runs": rows, "nextCursor": null, "offset": offset, "limit": limit,
        "hasMore": more, "nextOffset": next}))
}

/// How far back the rows go.
fn oldest(rows: &[Value], now: DateTime<Utc>) -> String {
    let at = rows.last().and_then(|row| row["createdAtMs"].as_i64());
    at.map(|at| format!(", at runs of {}", crate::human::relative(at, now))).unwrap_or_default()
}

/// Whether a run has `text`, which is in lower case, in one of its texts.
fn has(run: &Value, text: &str) -> bool {
    let texts = [
        &run["runId"],
        &run["jobName"],
        &run["summary"],
        &run["error"]["code"],
        &run["error"]["message"],
        &run["deliveryError"],
    ];
    texts.iter().filter_map(|value| value.as_str()).any(|value| value.to_lowercase().contains(text))
}

/// No rows: nothing fits the filters, the job has not run yet, or there is no such job.
async fn nothing(session: &mut Session<'_>, args: &RunsArgs) -> anyhow::Result<()> {
    let filtered = args.status.is_some()
        || args.delivery_status.is_some()
        || args.path.is_some()
        || args.query.is_some()
        || args.offset.is_some_and(|offset| offset > 0)
        || args.cursor.is_some();
    let Some(id) = args.job_id() else {
        session.output.say(if filtered { "no runs fit" } else { "no runs yet" });
        return Ok(());
    };
    if filtered {
        let any = session.call("cron.runs", &json!({"jobId": id, "limit": 1})).await?;
        if any["runs"].as_array().is_some_and(|rows| !rows.is_empty()) {
            session.output.say("no runs of this job fit");
            return Ok(());
        }
    }
    match session.call("cron.get", &json!({"jobId": id})).await {
        Ok(_) => {
            session.output.say("this job has not run yet");
            Ok(())
        }
        Err(error) => match error.downcast_ref::<ExpectedError>() {
            Some(ExpectedError::Api(failure)) if failure.status == 404 => {
                Err(ExpectedError::NoHistory { id: id.to_owned() }.into())
            }
            Some(_) | None => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_looks_at_ids_names_answers_and_errors_in_any_case() {
        let run = json!({"runId": "job-1_x", "jobName": "Digest", "summary": "Nichts NEUES", "model": "opus",
            "error": {"code": "model_refusal", "message": "it refused"}, "deliveryError": "chat not found"});
        for text in ["job-1", "digest", "neues", "refusal", "it refused", "chat not"] {
            assert!(has(&run, text), "{text}");
        }
        assert!(!has(&run, "opus"));
        assert!(!has(&json!({}), "x"));
    }
}
