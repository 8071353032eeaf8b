//! `cron doctor`.

use nightshift_wire::DoctorAnswer;
use serde_json::{Value, json};

use super::{Session, read};
use crate::args::DoctorArgs;
use crate::error::ExpectedError;
use crate::table::Surface;

/// Before each line of a finding.
pub(super) const INDENT: &str = "       ";

pub(super) async fn doctor(session: &mut Session<'_>, args: &DoctorArgs) -> anyhow::Result<()> {
    let whole = check(session, args).await?;
    let answer: DoctorAnswer = read(&whole)?;
    if !session.json_wanted(&whole) {
        let text = report(&answer, Surface::of(session.output).width);
        session.output.data(&text);
    }
    if answer.settling_jobs > 0 {
        let (jobs, were) = count(answer.settling_jobs, "job");
        session.output.note(&format!("{jobs} {were} changed a moment ago and not judged yet; ask again"));
    }
    if answer.truncated {
        session.output.note("not everything could be looked at in the time there was; ask again");
    }
    let left = answer.findings.iter().filter(|finding| !finding.repaired).count();
    if left == 0 {
        return Ok(());
    }
    let (findings, are) = count(u64::try_from(left).unwrap_or(u64::MAX), "finding");
    let verb = if are == "was" { "is" } else { "are" };
    let message = format!("{findings} {verb} left to be repaired");
    Err(ExpectedError::Unwell { message, fixable: !args.fix }.into())
}

/// The whole check, however many answers it comes in, as one answer.
async fn check(session: &mut Session<'_>, args: &DoctorArgs) -> anyhow::Result<Value> {
    let mut request = json!({ "repair": args.fix, "deep": args.deep });
    let mut whole = session.call("cron.doctor", &request).await?;
    while let Some(cursor) = whole["nextCursor"].as_str() {
        request["cursor"] = json!(cursor);
        let mut next = session.call("cron.doctor", &request).await?;
        // Each answer is truncated but the last, and says by itself whether it is well.
        let ok = whole["ok"] == json!(true) && next["ok"] == json!(true);
        for sum in ["checkedJobs", "settlingJobs"] {
            next[sum] = json!(whole[sum].as_u64().unwrap_or(0) + next[sum].as_u64().unwrap_or(0));
        }
        // An answer that only goes on with the batches does not look at the timers.
        let timers = [&whole, &next].map(|answer| answer["checkedTimers"].as_u64().unwrap_or(0));
        next["checkedTimers"] = json!(timers[0].max(timers[1]));
        if let (Some(before), Some(after)) = (whole["findings"].as_array_mut(), next["findings"].as_array_mut()) {
            before.append(after);
        }
        next["findings"] = whole["findings"].take();
        next["ok"] = json!(ok);
        whole = next;
    }
    Ok(whole)
}

/// What was found, a line or a few each, within `width` columns.
fn report(answer: &DoctorAnswer, width: u16) -> String {
    let checked = format!("{}, {}", count(answer.checked_jobs, "job").0, count(answer.checked_timers, "timer").0);
    if answer.findings.is_empty() {
        return format!("all is well: {checked}");
    }
    let repaired = answer.findings.iter().filter(|finding| finding.repaired).count();
    let mut lines = Vec::new();
    for finding in &answer.findings {
        let mark = if finding.repaired { "fixed" } else { "found" };
        lines.push(format!("{mark}  {}", finding.kind));
        lines.extend(wrapped(&finding.message, usize::from(width).saturating_sub(INDENT.len())));
    }
    let findings = count(u64::try_from(answer.findings.len()).unwrap_or(u64::MAX), "finding").0;
    lines.push(String::new());
    lines.push(format!("{checked}: {findings}, {repaired} repaired"));
    lines.join("\n")
}

/// A text in lines of at most `width` characters, set in; a longer word has a line of its own.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines.into_iter().map(|line| format!("{INDENT}{line}")).collect()
}

/// `1 job` and `was`, `2 jobs` and `were`.
fn count(number: u64, what: &str) -> (String, &'static str) {
    if number == 1 { (format!("1 {what}"), "was") } else { (format!("{number} {what}s"), "were") }
}
