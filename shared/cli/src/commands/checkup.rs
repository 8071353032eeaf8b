//! `doctor --aws`.

use serde_json::json;

use super::{Session, doctor};
use crate::aws::checkup::{self, Check, Verdict};
use crate::error::ExpectedError;
use crate::table::Surface;

pub(super) async fn checkup(session: &mut Session<'_>) -> anyhow::Result<()> {
    let message = "--aws looks at a stack on AWS, and none is named";
    let (checks, region) = match session.stack(message, "name it with --stack, or leave --aws out").await {
        Ok((aws, stack)) => {
            (checkup::look(&aws, &stack, session.connection.timeout()).await, Some(aws.region().to_owned()))
        }
        Err(error @ (ExpectedError::NoCredentials { .. } | ExpectedError::NoRegion)) => {
            let rest = Check::skipped("everything else", "without credentials and a region AWS cannot be asked");
            (vec![Check::failed("credentials", &error), rest], None)
        }
        Err(error) => return Err(error.into()),
    };
    let found = checks.iter().filter(|check| check.verdict == Verdict::Found).count();
    if session.connection.json {
        let stack = &session.connection.stack;
        session.output.json(&json!({"ok": found == 0, "stack": stack, "region": region, "checks": checks}));
    } else {
        let width = usize::from(Surface::of(session.output).width);
        let lines: Vec<String> = checks.iter().flat_map(|check| lines(check, width)).collect();
        session.output.data(&lines.join("\n"));
    }
    if found == 0 {
        return Ok(());
    }
    let message = if found == 1 { "1 finding is".to_owned() } else { format!("{found} findings are") };
    let message = format!("{message} left to be repaired");
    Err(ExpectedError::Unwell { message, fixable: false }.into())
}

/// A line for what is well; what was found says what it is and what to do on lines of its own.
fn lines(check: &Check, width: usize) -> Vec<String> {
    let Check { subject, verdict, message, hint } = check;
    let mark = verdict.mark();
    let room = width.saturating_sub(doctor::INDENT.len());
    match verdict {
        Verdict::Ok | Verdict::Skipped => vec![format!("{mark:<5}  {subject}: {message}")],
        Verdict::Found => {
            let mut lines = vec![format!("{mark:<5}  {subject}")];
            lines.extend(doctor::wrapped(message, room));
            lines.extend(hint.iter().flat_map(|hint| doctor::wrapped(&format!("hint: {hint}"), room)));
            lines
        }
    }
}
