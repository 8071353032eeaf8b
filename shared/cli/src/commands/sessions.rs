//! `sessions list|show|rm`.

use std::fmt::Write as _;

use nightshift_wire::{SessionAnswer, SessionPage, SessionView};
use serde_json::{Value, json};

use super::{Session, read};
use crate::args::{ListSessionsArgs, RmSessionArgs, SessionArg};
use crate::error::ExpectedError;
use crate::human;
use crate::table::{Grid, Surface, Tone, pairs_within};

/// Sessions per page where all are read.
const PAGE: u32 = 200;

pub(super) async fn list(session: &mut Session<'_>, args: &ListSessionsArgs) -> anyhow::Result<()> {
    let mut page = json!({"limit": args.limit.unwrap_or(PAGE)});
    if let Some(agent) = &args.agent {
        page["agentId"] = json!(agent);
    }
    if let Some(cursor) = &args.cursor {
        page["cursor"] = json!(cursor);
    }
    let mut answer = session.call("sessions.list", &page).await?;
    while args.limit.is_none() && answer["nextCursor"].is_string() {
        page["cursor"] = answer["nextCursor"].clone();
        let mut next = session.call("sessions.list", &page).await?;
        if let (Some(rows), Some(more)) = (answer["sessions"].as_array_mut(), next["sessions"].as_array_mut()) {
            rows.append(more);
        }
        answer["nextCursor"] = next["nextCursor"].take();
    }
    if session.json_wanted(&answer) {
        return Ok(());
    }
    let SessionPage { sessions, next_cursor } = read(&answer)?;
    if sessions.is_empty() {
        session.output.say("no sessions");
    } else {
        let mut grid = Grid::new(&["name", "messages", "tokens", "last", "status"], &["name"]);
        for one in &sessions {
            let plain = |text: String| (text, Tone::Plain);
            let last = human::relative(one.updated_at_ms, session.now);
            let counts = [one.messages, one.tokens].map(|count| plain(count.to_string()));
            let [messages, tokens] = counts;
            grid.row(vec![plain(one.name.clone()), messages, tokens, plain(last), status(one)]);
        }
        session.output.data(&grid.render(Surface::of(session.output)));
    }
    if let Some(cursor) = next_cursor {
        session.output.hint(&format!("more with --cursor {cursor}"));
    }
    Ok(())
}

pub(super) async fn show(session: &mut Session<'_>, args: &SessionArg) -> anyhow::Result<()> {
    let answer = session.call("sessions.get", &named(args)).await?;
    if session.json_wanted(&answer) {
        return Ok(());
    }
    let SessionAnswer { session: one, history } = read(&answer)?;
    let surface = Surface::of(session.output);
    let mut text = pairs_within(
        &[
            ("session", Some(one.name.clone())),
            ("agent", Some(one.agent_id.clone())),
            ("status", Some(status(&one).0)),
            ("run", one.held_by.clone()),
            ("messages", Some(one.messages.to_string())),
            ("tokens", Some(format!("about {}", one.tokens))),
            ("began", Some(human::relative_and_exact(one.created_at_ms, session.now))),
            ("last", Some(human::relative_and_exact(one.updated_at_ms, session.now))),
        ],
        usize::from(surface.width),
    );
    for said in &history {
        let from = said.run_id.as_deref().map(|run| format!("  {run}")).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = write!(text, "\n\n{}{from}\n{}", said.role, said.text);
    }
    session.output.data(&text);
    Ok(())
}

/// Removes a session, after asking where there is somebody to ask.
pub(super) async fn remove(session: &mut Session<'_>, args: &RmSessionArgs) -> anyhow::Result<()> {
    let name = &args.session.name;
    if !args.yes && session.output.ask(&format!("remove session {name} and its history?")) == Some(false) {
        return Err(ExpectedError::NotConfirmed.into());
    }
    let answer = session.call("sessions.remove", &named(&args.session)).await?;
    if !session.json_wanted(&answer) {
        session.output.data(&format!("removed {name}"));
    }
    Ok(())
}

fn named(args: &SessionArg) -> Value {
    let mut request = json!({"name": args.name});
    if let Some(agent) = &args.agent {
        request["agentId"] = json!(agent);
    }
    request
}

fn status(session: &SessionView) -> (String, Tone) {
    let waiting = if session.waiting > 0 { format!(", {} waiting", session.waiting) } else { String::new() };
    match &session.held_by {
        Some(_) => (format!("in use{waiting}"), Tone::Busy),
        None => (format!("free{waiting}"), Tone::Plain),
    }
}
