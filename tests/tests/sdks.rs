//! The official SDKs drive the fake: what they accept is what the fake may claim to be.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test says what it skipped, and fails where it stands")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nightshift_tests::process::{pause, program, tools, workspace};

/// The fake's own program, on a free port; ended when dropped.
struct Fake {
    child: Child,
    url: String,
}

impl Fake {
    async fn start() -> Self {
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let child = Command::new(program("nightshift-fake-anthropic"))
            .args(["--port", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let fake = Self { child, url: format!("http://127.0.0.1:{port}") };
        for _ in 0..100 {
            if reqwest::get(format!("{}/_fake/requests", fake.url)).await.is_ok() {
                return fake;
            }
            pause(Duration::from_millis(50)).await;
        }
        panic!("the fake does not answer at {}", fake.url);
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a script against the fake; every check it makes is a line of its output.
fn drive(mut command: Command, url: &str) -> usize {
    let output = command
        .env("ANTHROPIC_BASE_URL", url)
        .env("ANTHROPIC_API_KEY", "sk-ant-api03-not-a-real-key")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said.lines().filter(|line| line.starts_with("ok")).count()
}

#[tokio::test]
async fn the_official_python_sdk_drives_the_fake() {
    let python = tools().join("venv/bin/python");
    assert!(python.exists(), "no Python tools in {}: `make tools` installs them", tools().display());
    let fake = Fake::start().await;
    let mut command = Command::new(python);
    command.arg(workspace().join("tests/sdk/python_sdk.py"));
    let checks = drive(command, &fake.url);
    assert!(checks >= 40, "only {checks} checks ran");
}

#[tokio::test]
async fn the_official_typescript_sdk_drives_the_fake() {
    let folder = tools().join("node");
    if !folder.join("node_modules/@anthropic-ai/sdk").exists() {
        println!("skipped: the TypeScript SDK is not installed; `make tools` installs it where npm is there");
        return;
    }
    // Node looks for packages beside the script.
    let script = folder.join(format!("typescript_sdk-{}.mjs", std::process::id()));
    std::fs::copy(workspace().join("tests/sdk/typescript_sdk.mjs"), &script).unwrap();
    let fake = Fake::start().await;
    let mut command = Command::new(Path::new("node"));
    command.arg(&script);
    let checks = drive(command, &fake.url);
    std::fs::remove_file(&script).unwrap();
    assert!(checks >= 40, "only {checks} checks ran");
}
