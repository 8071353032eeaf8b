//! `config secret set|list|rm`.

use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;

use serde_json::{Value, json};

use super::Session;
use crate::args::{RmSecretArgs, Secret, SetSecretArgs};
use crate::aws::Aws;
use crate::aws::parameters::{self, Kept, SecretValue};
use crate::error::ExpectedError;
use crate::human;
use crate::table::{Grid, Surface, Tone};

pub(super) async fn secret(session: &mut Session<'_>, command: &Secret) -> anyhow::Result<()> {
    match command {
        Secret::Set(args) => set(session, args).await,
        Secret::List => list(session).await,
        Secret::Rm(args) => remove(session, args).await,
    }
}

async fn stack(session: &Session<'_>) -> Result<(Aws, String), ExpectedError> {
    let message = "secrets are kept for stacks on AWS, and none is named";
    session
        .stack(message, "name it with --stack; on the local stack write env:NAME or file:/path into the configuration")
        .await
}

async fn set(session: &mut Session<'_>, args: &SetSecretArgs) -> anyhow::Result<()> {
    // Before a person types it for nothing.
    let (aws, stack) = stack(session).await?;
    let value = SecretValue::parse(&value(args)?)?;
    let version = parameters::put(&aws, &stack, &args.name, value).await?;
    let reference = format!("ssm:{}", args.name);
    if session.connection.json {
        session.output.json(&json!({"reference": reference, "version": version}));
    } else {
        session.output.data(&reference);
        session.output.aside(&format!("version {version} of {}", parameters::parameter(&stack, &args.name)));
    }
    Ok(())
}

/// The value as it was given; on a terminal it is asked for, and not shown.
fn value(args: &SetSecretArgs) -> Result<String, ExpectedError> {
    let (text, from) = if let Some(file) = &args.file {
        (std::fs::read_to_string(file), file.clone())
    } else if std::io::stdin().is_terminal() {
        (rpassword::prompt_password(format!("value of {}: ", args.name)), PathBuf::from("the terminal"))
    } else {
        let mut text = String::new();
        (std::io::stdin().read_to_string(&mut text).map(|_| text), PathBuf::from("standard input"))
    };
    text.map_err(|source| ExpectedError::ReadFile { path: from, source })
}

async fn list(session: &mut Session<'_>) -> anyhow::Result<()> {
    let (aws, stack) = stack(session).await?;
    let kept = parameters::list(&aws, &stack).await?;
    if session.connection.json {
        let secrets: Vec<Value> = kept.iter().map(as_json).collect();
        session.output.json(&json!({"secrets": secrets}));
    } else if kept.is_empty() {
        session.output.say(&format!("the stack {stack} has no secrets"));
    } else {
        let mut grid = Grid::new(&["name", "version", "changed"], &["name"]);
        for one in &kept {
            let changed = one.changed_at_ms.map_or_else(|| "-".to_owned(), |at| human::relative(at, session.now));
            let cells = [one.name.clone(), one.version.to_string(), changed];
            grid.row(cells.into_iter().map(|cell| (cell, Tone::Plain)).collect());
        }
        let table = grid.render(Surface::of(session.output));
        session.output.data(&table);
    }
    Ok(())
}

fn as_json(one: &Kept) -> Value {
    json!({"name": one.name, "reference": format!("ssm:{}", one.name), "version": one.version,
        "changedAtMs": one.changed_at_ms})
}

async fn remove(session: &mut Session<'_>, args: &RmSecretArgs) -> anyhow::Result<()> {
    let (aws, stack) = stack(session).await?;
    let question = format!("remove secret {} of stack {stack}?", args.name);
    if !args.yes && session.output.ask(&question) == Some(false) {
        return Err(ExpectedError::NotConfirmed.into());
    }
    if !parameters::remove(&aws, &stack, &args.name).await? {
        return Err(ExpectedError::NoSuchSecret { stack, name: args.name.clone() }.into());
    }
    if session.connection.json {
        session.output.json(&json!({"ok": true, "removed": true}));
    } else {
        session.output.data(&format!("removed {}", args.name));
    }
    Ok(())
}
