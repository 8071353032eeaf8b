//! What was sent to the model, recorded from a fake's log and judged by others: the official SDK's types, or a mock that
//! serves the published specification.

use std::io::Write as _;
use std::process::{Command, Stdio};

use nightshift_fake_anthropic::Fake;
use serde_json::{Value, json};

use crate::process::{tools, workspace};

/// The calls a fake was sent that the API understood, oldest first: `path`, `betas` (the header, or null) and `body` of
/// creating messages and batches.
///
/// Calls the fake refused are left out: whoever makes one on purpose does not want it judged.
pub fn calls(fake: &Fake) -> Vec<Value> {
    let requests = fake.requests();
    let created = requests.iter().filter(|call| call["method"] == "POST" && call["status"] != 400);
    let wanted = created.filter(|call| {
        let path = call["path"].as_str().unwrap_or_default().split('?').next();
        matches!(path, Some("/v1/messages" | "/v1/messages/batches"))
    });
    let recorded =
        |call: &Value| json!({"path": call["path"], "betas": call["headers"]["anthropic-beta"], "body": call["body"]});
    wanted.map(recorded).collect()
}

/// What the judge said about some calls.
#[derive(Debug)]
pub struct Verdict {
    /// How many bodies fit.
    pub good: usize,
    /// A line for each that does not: its path and what is wrong.
    pub bad: Vec<String>,
}

/// Judges calls by the request types of the official Python SDK, with unknown fields forbidden as far as they allow.
pub fn judge(calls: &[Value]) -> Verdict {
    let python = tools().join("venv/bin/python");
    assert!(python.exists(), "no Python tools in {}: `make tools` installs them", tools().display());
    let mut child = Command::new(python)
        .arg(workspace().join("tests/sdk/request_shapes.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the judge starts");
    let lines = calls.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    let mut stdin = child.stdin.take().expect("the judge has an input");
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().expect("the judge ends");
    writer.join().expect("the writer ends").expect("the judge reads all");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let starting =
        |word: &str| said.lines().filter(|line| line.starts_with(word)).map(str::to_owned).collect::<Vec<_>>();
    let verdict = Verdict { good: starting("ok ").len(), bad: starting("FAILED ") };
    let complete = verdict.good + verdict.bad.len() == calls.len();
    assert!(complete, "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    verdict
}

/// Writes calls where `NIGHTSHIFT_RECORD` says, one JSON object a line behind what is there, for another judge to replay
/// (`make steady`). Without the variable it does nothing.
pub fn keep(calls: &[Value]) {
    let Some(path) = std::env::var_os("NIGHTSHIFT_RECORD") else { return };
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).expect("the record can be opened");
    for call in calls {
        writeln!(file, "{call}").expect("the record can be written");
    }
}
