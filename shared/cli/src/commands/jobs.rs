//! Jobs: `add`, `list`, `get`, `edit`, `rm`, `enable`, `disable`.

use nightshift_domain::job::Job;
use nightshift_domain::schedule::parse_duration;
use nightshift_wire::RemoveAnswer;
use serde_json::{Value, json};

use super::{Session, read, read_text, refuse, show};
use crate::args::{AddArgs, EditArgs, JobArg, ListArgs, PayloadFlags, RmArgs};
use crate::error::ExpectedError;
use crate::request;
use crate::table::Surface;

/// Jobs per page where all are read.
const PAGE: u32 = 200;

pub(super) async fn add(session: &mut Session<'_>, args: &AddArgs) -> anyhow::Result<()> {
    refuse(&args.foreign)?;
    if counts_from_now(args.first.as_deref()) || counts_from_now(args.schedule.at.as_deref()) {
        session.meet().await;
    }
    let job = request::add(args, message_file(&args.payload)?, session.now)?;
    let answer = session.call("cron.add", &job).await?;
    show_job(session, &answer)
}

pub(super) async fn edit(session: &mut Session<'_>, args: &EditArgs) -> anyhow::Result<()> {
    refuse(&args.foreign)?;
    if counts_from_now(args.schedule.at.as_deref()) {
        session.meet().await;
    }
    let patch = request::edit(args, message_file(&args.payload)?, session.now)?;
    update(session, &args.id, &patch).await
}

/// Whether a time is given as a duration, which the API's clock and not ours begins.
pub(super) fn counts_from_now(text: Option<&str>) -> bool {
    text.is_some_and(|text| parse_duration(text.trim().trim_start_matches('+')).is_ok())
}

pub(super) async fn switch(session: &mut Session<'_>, args: &JobArg, enabled: bool) -> anyhow::Result<()> {
    update(session, &args.id, &json!({"enabled": enabled})).await
}

async fn update(session: &mut Session<'_>, id: &str, patch: &Value) -> anyhow::Result<()> {
    let answer = session.call("cron.update", &json!({"jobId": id, "patch": patch})).await?;
    show_job(session, &answer)
}

pub(super) async fn get(session: &mut Session<'_>, args: &JobArg) -> anyhow::Result<()> {
    let answer = session.call("cron.get", &json!({"jobId": args.id})).await?;
    session.output.json(&answer);
    Ok(())
}

pub(super) async fn show(session: &mut Session<'_>, args: &JobArg) -> anyhow::Result<()> {
    if !session.output.is_looked_at() {
        return get(session, args).await;
    }
    let answer = session.call("cron.get", &json!({"jobId": args.id})).await?;
    show_job(session, &answer)
}

pub(super) async fn list(session: &mut Session<'_>, args: &ListArgs) -> anyhow::Result<()> {
    let mut page = json!({"limit": args.limit.unwrap_or(PAGE)});
    if args.all {
        page["includeDisabled"] = json!(true);
    }
    if let Some(agent) = &args.agent {
        page["agentId"] = json!(agent);
    }
    if let Some(cursor) = &args.cursor {
        page["cursor"] = json!(cursor);
    }
    let mut answer = session.call("cron.list", &page).await?;
    while args.limit.is_none() && answer["nextCursor"].is_string() {
        page["cursor"] = answer["nextCursor"].clone();
        let mut next = session.call("cron.list", &page).await?;
        if let (Some(jobs), Some(more)) = (answer["jobs"].as_array_mut(), next["jobs"].as_array_mut()) {
            jobs.append(more);
        }
        answer["nextCursor"] = next["nextCursor"].take();
    }
    if session.json_wanted(&answer) {
        return Ok(());
    }
    let jobs: Vec<Job> = read(&answer["jobs"])?;
    if jobs.is_empty() {
        session.output.say(if args.all { "no jobs" } else { "no enabled jobs; --all shows the others" });
    } else {
        let table = show::jobs(&jobs, session.now, Surface::of(session.output));
        session.output.data(&table);
    }
    if let Some(cursor) = answer["nextCursor"].as_str() {
        session.output.hint(&format!("more with --cursor {cursor}"));
    }
    Ok(())
}

/// Removes a job, after asking where there is somebody to ask.
pub(super) async fn remove(session: &mut Session<'_>, args: &RmArgs) -> anyhow::Result<()> {
    if !args.yes && session.output.ask(&format!("remove job {}?", args.id)) == Some(false) {
        return Err(ExpectedError::NotConfirmed.into());
    }
    let mut request = json!({"jobId": args.id});
    if args.cancel_runs {
        request["cancelRuns"] = json!(true);
    }
    let answer = session.call("cron.remove", &request).await?;
    let removed = read::<RemoveAnswer>(&answer)?.removed;
    let shown = session.json_wanted(&answer);
    match (removed, shown) {
        (false, _) => Err(ExpectedError::NoSuchJob { id: args.id.clone() }.into()),
        (true, true) => Ok(()),
        (true, false) => {
            session.output.data(&format!("removed {}", args.id));
            Ok(())
        }
    }
}

/// A job after it was written, and what the API has to remark about it.
fn show_job(session: &mut Session<'_>, answer: &Value) -> anyhow::Result<()> {
    if !session.json_wanted(answer) {
        let job: Job = read(answer)?;
        session.output.data(&show::job(&job, session.now, Surface::of(session.output)));
    }
    for note in answer["notes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        session.output.note(note);
    }
    Ok(())
}

/// What `--message-file` holds, without the line end that files end with.
fn message_file(flags: &PayloadFlags) -> Result<Option<String>, ExpectedError> {
    let text = flags.message_file.as_deref().map(read_text).transpose()?;
    Ok(text.map(|text| text.trim_end_matches(['\n', '\r']).to_owned()))
}
