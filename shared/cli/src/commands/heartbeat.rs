//! `heartbeat`: `last`, `notes`.

use nightshift_wire::{HeartbeatAnswer, NotesAnswer, RunView};
use serde_json::{Value, json};

use super::{Session, read, read_text};
use crate::args::{Heartbeat, HeartbeatArgs, NotesArgs};
use crate::human;
use crate::table::{one_line, pairs};

pub(super) async fn heartbeat(session: &mut Session<'_>, command: &Heartbeat) -> anyhow::Result<()> {
    match command {
        Heartbeat::Last(args) => last(session, args).await,
        Heartbeat::Notes(args) => notes(session, args).await,
    }
}

fn of_agent(args: &HeartbeatArgs) -> Value {
    args.agent.as_ref().map_or_else(|| json!({}), |agent| json!({"agentId": agent}))
}

async fn last(session: &mut Session<'_>, args: &HeartbeatArgs) -> anyhow::Result<()> {
    let answer = session.call("heartbeat.last", &of_agent(args)).await?;
    if session.json_wanted(&answer) {
        return Ok(());
    }
    let HeartbeatAnswer { agent_id, every_ms, next_run_at_ms, queued, last, last_turn, .. } = read(&answer)?;
    let cadence = match every_ms {
        Some(every) => format!("every {}", human::duration(every)),
        None if last.is_none() => "not begun: the first event, notes or heartbeat setting begins it".to_owned(),
        None => "off".to_owned(),
    };
    let told = |run: &RunView| {
        let how = run
            .error
            .as_ref()
            .map_or_else(|| run.state.clone(), |error| format!("{}: {}", run.state, one_line(&error.message)));
        format!("{}, {}, {how}", run.run_id, human::relative(run.scheduled_at_ms, session.now))
    };
    let lines = [
        ("agent", Some(agent_id)),
        ("cadence", Some(cadence)),
        ("next", next_run_at_ms.map(|at| human::relative(at, session.now))),
        ("queued", Some(format!("{queued} events"))),
        ("last", last.as_ref().map(told)),
        ("last turn", last_turn.as_ref().map(told)),
    ];
    session.output.data(&pairs(&lines));
    Ok(())
}

async fn notes(session: &mut Session<'_>, args: &NotesArgs) -> anyhow::Result<()> {
    let mut request = of_agent(&args.whose);
    let text = match (&args.set, &args.file, args.unset) {
        (Some(text), _, _) => Some(text.clone()),
        (None, Some(file), _) => Some(read_text(file)?),
        (None, None, true) => Some(String::new()),
        (None, None, false) => None,
    };
    let writes = text.is_some();
    if let Some(text) = text {
        request["text"] = json!(text);
    }
    if let Some(revision) = args.expected_revision {
        request["expectedRevision"] = json!(revision);
    }
    let answer = session.call("heartbeat.notes", &request).await?;
    if session.json_wanted(&answer) {
        return Ok(());
    }
    let NotesAnswer { agent_id, text, changed, bytes, revision, .. } = read(&answer)?;
    if writes {
        session.output.data(&format!("notes of {agent_id}: {bytes} bytes, revision {revision}"));
        if !changed {
            session.output.note("nothing changed: it was so already");
        }
    } else if let Some(text) = text.filter(|text| !text.is_empty()) {
        session.output.exact(&text);
        session.output.aside(&format!("revision {revision}"));
    } else {
        session.output.say(&format!("{agent_id} has no notes"));
    }
    Ok(())
}
