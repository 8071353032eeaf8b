//! ministack, an AWS emulator that shares no code with ours: the second opinion of the contract tests.
//!
//! It is a Python program that `make tools` installs; without it the tests that want it say so and pass.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::process::tools;

/// How often a starting ministack is asked whether it answers, and how far apart. It takes half a second.
const ASKED: u32 = 300;
const APART: Duration = Duration::from_millis(100);

/// A running ministack, stopped when dropped.
#[derive(Debug)]
pub struct Ministack {
    child: Child,
    url: String,
    /// Its working folder, removed with it.
    folder: PathBuf,
}

impl Ministack {
    /// Starts one on a free port of the loopback interface. `None`, with a line that says why, where it is not installed:
    /// it is looked for in `venv/bin` of `NIGHTSHIFT_TOOLS`, else of `.tools` in the workspace.
    pub fn available() -> Option<Self> {
        Self::found(false)
    }

    /// The same as an account that checks every signature and role.
    pub fn strict() -> Option<Self> {
        Self::found(true)
    }

    fn found(strict: bool) -> Option<Self> {
        let program = tools().join("venv/bin/ministack");
        if !program.is_file() {
            skipped(&format!("ministack is not installed ({} is absent)", program.display()));
            return None;
        }
        match Self::start(&program, strict) {
            Ok(ministack) => Some(ministack),
            Err(error) => panic!("{} is there but does not start: {error}", program.display()),
        }
    }

    /// Where it answers.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn start(program: &Path, strict: bool) -> std::io::Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let folder = std::env::temp_dir().join(format!("nightshift-ministack-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let mut command = Command::new(program);
        command.current_dir(&folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // A clean environment: functions it runs inherit all of it.
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", &folder);
        command.env("BIND_HOST", "127.0.0.1").env("GATEWAY_PORT", port.to_string()).env("LAMBDA_EXECUTOR", "local");
        command.env("AUTH", if strict { "true" } else { "false" });
        let child = command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")).spawn()?;
        let mut ministack = Self { child, url: format!("http://127.0.0.1:{port}"), folder };
        for _ in 0..ASKED {
            if let Some(status) = ministack.child.try_wait()? {
                return Err(std::io::Error::other(format!("it ended at once with {status}")));
            }
            if answers(port) {
                return Ok(ministack);
            }
            std::thread::sleep(APART);
        }
        Err(std::io::Error::other("it does not answer"))
    }
}

impl Drop for Ministack {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /_ministack/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(head.starts_with(b"HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}

/// Says why a test did nothing.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so to the person who runs it")]
pub fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}
