//! The real `nightshift-local` process, to be killed without warning.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nightshift_local::Ready;
use serde_json::Value;

/// How often the ready file is looked for, a hundredth of a second apart.
const TRIES: u32 = 30_000;

/// A running process. Asked to end when dropped; [`Process::kill`] does not ask.
pub struct Process {
    child: Running,
    /// Where everything is.
    pub ready: Ready,
    http: reqwest::Client,
}

/// A child that is asked to end when dropped, whether it became ready or not.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        stop(&mut self.0);
    }
}

impl Process {
    /// Starts the program on `state_dir`.
    pub async fn start(state_dir: &Path, args: &[&str]) -> Self {
        Self::start_in(state_dir, args, &[]).await
    }

    /// The same with more variables.
    pub async fn start_in(state_dir: &Path, args: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::ready(spawn(state_dir, args, variables, None), state_dir).await
    }

    /// The same, with all that it says written to `log`.
    pub async fn start_logged(state_dir: &Path, args: &[&str], variables: &[(&str, &str)], log: &Path) -> Self {
        Self::ready(spawn(state_dir, args, variables, Some(log)), state_dir).await
    }

    async fn ready(child: Child, state_dir: &Path) -> Self {
        let mut child = Running(child);
        let ready_file = state_dir.with_extension("ready");
        for _ in 0..TRIES {
            // The file is removed when a stack starts and written by rename when it answers.
            if let Ok(text) = std::fs::read_to_string(&ready_file) {
                let ready: Ready = serde_json::from_str(&text).expect("the ready file is JSON");
                if ready.pid == child.0.id() {
                    return Self { child, ready, http: reqwest::Client::new() };
                }
            }
            assert!(
                child.0.try_wait().expect("the child can be asked").is_none(),
                "nightshift-local ended at its start"
            );
            pause(Duration::from_millis(10)).await;
        }
        panic!("nightshift-local did not become ready");
    }

    /// Starts the program on `state_dir` and kills it `after` that, ready or not.
    pub async fn start_and_kill(state_dir: &Path, args: &[&str], after: Duration) {
        let mut child = spawn(state_dir, args, &[], None);
        pause(after).await;
        child.kill().expect("our own child can be killed");
        child.wait().expect("our own child can be waited for");
    }

    /// Posts to a path of the front; `None` when the process was held or killed meanwhile.
    pub async fn post(&self, path: &str, body: &Value) -> Option<Value> {
        let request = self.http.post(format!("{}{path}", self.ready.url)).bearer_auth(&self.ready.token).json(body);
        request.send().await.ok()?.json().await.ok()
    }

    /// Posts `body` as it is, with these headers and no others of ours; the status and what was answered.
    pub async fn knock(&self, path: &str, headers: &[(&str, &str)], body: String) -> (u16, Value) {
        let mut request = self.http.post(format!("{}{path}", self.ready.url)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.expect("the front answers");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("the answer has a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Gets a path of the front.
    pub async fn get(&self, path: &str) -> Option<Value> {
        let request = self.http.get(format!("{}{path}", self.ready.url)).bearer_auth(&self.ready.token);
        request.send().await.ok()?.json().await.ok()
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.0.kill().expect("our own child can be killed");
        self.child.0.wait().expect("our own child can be waited for");
    }
}

fn spawn(state_dir: &Path, args: &[&str], variables: &[(&str, &str)], log: Option<&Path>) -> Child {
    let (out, err) = match log {
        Some(log) => {
            let file =
                || std::fs::OpenOptions::new().create(true).append(true).open(log).expect("a log can be written");
            (Stdio::from(file()), Stdio::from(file()))
        }
        None if std::env::var_os("RUST_LOG").is_some() => (Stdio::null(), Stdio::inherit()),
        None => (Stdio::null(), Stdio::null()),
    };
    Command::new(program("nightshift-local"))
        .args(["--port", "0", "--state-dir"])
        .arg(state_dir)
        .arg("--ready-file")
        .arg(state_dir.with_extension("ready"))
        .args(args)
        .envs(variables.iter().copied())
        .current_dir(workspace())
        .env_remove("ANTHROPIC_API_KEY")
        .env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "error".to_owned()))
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn()
        .expect("nightshift-local is built")
}

/// Asks a child to end, so that it ends what it started itself, and kills it when it does not.
fn stop(child: &mut Child) {
    let id = child.id().to_string();
    for _ in 0..100 {
        // A child that has ended is reaped here, and its id is nobody's business any more.
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        let _ = Command::new("kill").args(["-TERM", &id]).stderr(Stdio::null()).status();
        std::thread::sleep(Duration::from_millis(100));
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// A program of the workspace, which stands beside the tests' own folder.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own program");
    let folder = test.parent().and_then(Path::parent).expect("tests run from target/<profile>/deps");
    folder.join(name)
}

/// What `nightshift` said and how it ended.
#[derive(Debug)]
pub struct Said {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Runs the real `nightshift` against `ready`, with nothing of the caller's settings. It blocks: call it where blocking is
/// allowed.
pub fn nightshift<S: AsRef<std::ffi::OsStr>>(ready: &Ready, words: &[S]) -> Said {
    let output = Command::new(program("nightshift"))
        .args(words)
        .env("NIGHTSHIFT_URL", &ready.url)
        .env("NIGHTSHIFT_TOKEN", &ready.token)
        .env("NO_COLOR", "1")
        .env_remove("COLUMNS")
        .stdin(Stdio::null())
        .output()
        .expect("nightshift is built");
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The workspace's folder.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests stand in the workspace").to_path_buf()
}

/// The folder of pinned helpers.
pub fn tools() -> PathBuf {
    std::env::var_os("NIGHTSHIFT_TOOLS").map_or_else(|| workspace().join(".tools"), PathBuf::from)
}

/// Waits in real time, for another process.
#[expect(clippy::disallowed_methods, reason = "another process does not run on our clock")]
pub async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}
