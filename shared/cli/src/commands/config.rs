//! `config get|set|unset|validate|apply|schema`.

use std::path::Path;

use nightshift_domain::config::{Change, ConfigPath, unknown_field};
use nightshift_wire::{ConfigAnswer, ConfigApplied, ConfigValidated};
use serde_json::{Value, json};

use super::{Session, read, read_text};
use crate::args::{ApplyArgs, GetArgs, SetArgs, UnsetArgs, ValidateArgs};
use crate::error::ExpectedError;

/// What may stand in the document, for an editor.
pub(super) fn schema(session: &mut Session<'_>) {
    session.output.json(&nightshift_wire::schema::config());
}

/// The document alone goes to stdout, so that it can be edited and applied again; a field alone, so that a script can use it.
pub(super) async fn get(session: &mut Session<'_>, args: &GetArgs) -> anyhow::Result<()> {
    let path = args.path.as_deref().map(parse_path).transpose()?;
    let answer = session.call("config.get", &json!({})).await?;
    let Some(path) = path else {
        if session.json_wanted(&answer) {
            return Ok(());
        }
        let ConfigAnswer { revision, config } = read(&answer)?;
        session.output.json(&config);
        session.output.aside(&format!("revision {revision}"));
        return Ok(());
    };
    let ConfigAnswer { revision, config } = read(&answer)?;
    match (path.get(&config), session.connection.json) {
        (None, _) => {
            let hint = unknown_field(&path).and_then(|fault| fault.hint);
            return Err(ExpectedError::NotSet { path: path.to_string(), hint }.into());
        }
        (Some(Value::String(text)), false) => session.output.data(text),
        (Some(value), _) => session.output.json(value),
    }
    if !session.connection.json {
        session.output.aside(&format!("revision {revision}"));
    }
    Ok(())
}

pub(super) async fn set(session: &mut Session<'_>, args: &SetArgs) -> anyhow::Result<()> {
    parse_path(&args.path)?;
    let mut request = json!({"path": args.path, "value": value(args)?});
    if let Some(revision) = args.expected_revision {
        request["expectedRevision"] = json!(revision);
    }
    let answer = session.call("config.set", &request).await?;
    show(session, &answer, "it was so already")
}

pub(super) async fn unset(session: &mut Session<'_>, args: &UnsetArgs) -> anyhow::Result<()> {
    let path = parse_path(&args.path)?;
    let mut request = json!({"path": args.path});
    if let Some(revision) = args.expected_revision {
        request["expectedRevision"] = json!(revision);
    }
    let answer = session.call("config.unset", &request).await?;
    show(session, &answer, &format!("{path} was not set"))
}

/// Tells every bad field of a file, or of what is stored.
pub(super) async fn validate(session: &mut Session<'_>, args: &ValidateArgs) -> anyhow::Result<()> {
    let document = match &args.file {
        Some(file) => unwrap(read_document(file)?).0,
        None => read::<ConfigAnswer>(&session.call("config.get", &json!({})).await?)?.config,
    };
    let answer = session.call("config.validate", &json!({"config": document})).await?;
    let shown = session.json_wanted(&answer);
    let ConfigValidated { ok, faults, notes } = read(&answer)?;
    if !shown {
        for note in &notes {
            session.output.note(note);
        }
    }
    if !ok {
        return Err(ExpectedError::BadFields(faults).into());
    }
    if !shown {
        session.output.data("the document is good");
    }
    Ok(())
}

/// Replaces the document unless somebody else was faster.
pub(super) async fn apply(session: &mut Session<'_>, args: &ApplyArgs) -> anyhow::Result<()> {
    let (config, revision) = unwrap(read_document(&args.file)?);
    let revision = match args.expected_revision.or(revision) {
        Some(revision) => revision,
        None => read::<ConfigAnswer>(&session.call("config.get", &json!({})).await?)?.revision,
    };
    let answer = session.call("config.apply", &json!({"config": config, "expectedRevision": revision})).await?;
    show(session, &answer, "it was so already")
}

/// What changed, and what to know about it.
fn show(session: &mut Session<'_>, answer: &Value, idle: &str) -> anyhow::Result<()> {
    if session.json_wanted(answer) {
        return Ok(());
    }
    let ConfigApplied { revision, jobs_moved, changes, more_changes, notes, .. } = read(answer)?;
    for change in &changes {
        session.output.data(&line(change));
    }
    if more_changes > 0 {
        session.output.data(&format!("and {more_changes} more"));
    }
    session.output.data(&format!("revision {revision}"));
    if changes.is_empty() && answer.get("changes").is_some() {
        session.output.note(&format!("nothing changed: {idle}"));
    }
    if jobs_moved > 0 {
        session.output.note(&format!("jobs that now run at other times: {jobs_moved}"));
    }
    for note in &notes {
        session.output.note(note);
    }
    Ok(())
}

fn line(change: &Change) -> String {
    let side = |side: &Option<Value>| side.as_ref().map_or_else(|| "(not set)".to_owned(), Value::to_string);
    format!("{}: {} → {}", change.path, side(&change.old), side(&change.new))
}

fn parse_path(text: &str) -> Result<ConfigPath, ExpectedError> {
    ConfigPath::parse(text).map_err(|fault| ExpectedError::Usage { message: fault.message, hint: fault.hint })
}

/// What the value is meant to be.
fn value(args: &SetArgs) -> Result<Value, ExpectedError> {
    if args.text {
        return Ok(Value::from(args.value.as_str()));
    }
    match serde_json::from_str(&args.value) {
        Ok(value) => Ok(value),
        // Its own words may hold the value, which may be a secret.
        Err(error) if args.json_value => Err(ExpectedError::usage_hint(
            format!("the value is not JSON: line {}, column {}", error.line(), error.column()),
            "leave --json-value out for a text",
        )),
        Err(_) => Ok(Value::from(args.value.as_str())),
    }
}

fn read_document(file: &Path) -> Result<Value, ExpectedError> {
    let text = read_text(file)?;
    serde_json::from_str(&text).map_err(|source| ExpectedError::ParseFile { path: file.to_owned(), source })
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

    #[test]
    fn a_value_is_json_where_it_is_json_unless_it_is_said_otherwise() {
        let given = |text: &str, is_text, json_value| {
            let path = "cron.enabled".to_owned();
            value(&SetArgs { path, value: text.to_owned(), text: is_text, json_value, expected_revision: None }).ok()
        };
        for (text, read) in [("4", json!(4)), ("-0.5", json!(-0.5)), ("[\"*\"]", json!(["*"])), ("null", Value::Null)] {
            assert_eq!(given(text, false, false), Some(read.clone()));
            assert_eq!(given(text, false, true), Some(read));
            assert_eq!(given(text, true, false), Some(json!(text)));
        }
        assert_eq!(given("Europe/Vienna", false, false), Some(json!("Europe/Vienna")));
        assert_eq!(given("Europe/Vienna", false, true), None);
    }
}
