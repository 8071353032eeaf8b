//! `config get`, `config apply`.

use nightshift_wire::{ConfigAnswer, ConfigApplied};
use serde_json::{Value, json};

use super::{Session, read, read_text};
use crate::args::ApplyArgs;
use crate::error::ExpectedError;

/// The document alone goes to stdout, so that it can be edited and applied again.
pub(super) async fn get(session: &mut Session<'_>) -> anyhow::Result<()> {
    let answer = session.call("config.get", &json!({})).await?;
    if session.json_wanted(&answer) {
        return Ok(());
    }
    let ConfigAnswer { revision, config } = read(&answer)?;
    session.output.json(&config);
    session.output.aside(&format!("revision {revision}"));
    Ok(())
}

/// Replaces the document unless somebody else was faster.
pub(super) async fn apply(session: &mut Session<'_>, args: &ApplyArgs) -> anyhow::Result<()> {
    let text = read_text(&args.file)?;
    let parsed = serde_json::from_str(&text);
    let written: Value = parsed.map_err(|source| ExpectedError::ParseFile { path: args.file.clone(), source })?;
    let (config, revision) = unwrap(written);
    let revision = match args.expected_revision.or(revision) {
        Some(revision) => revision,
        None => read::<ConfigAnswer>(&session.call("config.get", &json!({})).await?)?.revision,
    };
    let answer = session.call("config.apply", &json!({"config": config, "expectedRevision": revision})).await?;
    if session.json_wanted(&answer) {
        return Ok(());
    }
    let ConfigApplied { revision, jobs_moved, .. } = read(&answer)?;
    session.output.data(&format!("revision {revision}"));
    if jobs_moved > 0 {
        session.output.note(&format!("jobs that now run at other times: {jobs_moved}"));
    }
    Ok(())
}

/// The document, and the revision it was read at where it is what `config get --json` printed.
fn unwrap(mut written: Value) -> (Value, Option<u64>) {
    let is_answer = written.as_object().is_some_and(|object| object.len() == 2 && object.contains_key("config"));
    match (is_answer, written["revision"].as_u64()) {
        (true, revision @ Some(_)) => (written["config"].take(), revision),
        (_, _) => (written, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_config_get_printed_is_applied_at_its_revision() {
        let document = json!({"cron": {"enabled": true}});
        assert_eq!(unwrap(json!({"revision": 7, "config": document})), (document.clone(), Some(7)));
        assert_eq!(unwrap(document.clone()), (document, None));
    }
}
