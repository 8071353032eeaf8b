//! Ctrl-C while a run is waited for, as a terminal sends it to the real program.

#![expect(clippy::unwrap_used, reason = "a failing test says where")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc;

const RUN: &str = "job-1_m01KAHJ5Z3M7Q2W4E6R8";

/// The path of a request, once all of it is read.
fn read_request(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    head.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn ctrl_c_ends_the_wait_with_its_own_code_and_says_that_the_run_goes_on() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (asked, waits) = mpsc::channel();
    std::thread::spawn(move || {
        // The second request, for the run, is never answered: the wait is on for as long as nobody ends it.
        let mut unanswered = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let path = read_request(&stream);
            if path == "/v1/cron.run" {
                let body = format!(r#"{{"ok":true,"enqueued":true,"runId":"{RUN}"}}"#);
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
            } else {
                asked.send(path).unwrap();
                unanswered.push(stream);
            }
        }
    });
    let child = Command::new(env!("CARGO_BIN_EXE_nightshift"))
        .args(["cron", "run", "job-1", "--wait", "--url", &url, "--token", "t"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(waits.recv().unwrap(), "/v1/cron.runGet");
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(130), 0), "{said}");
    assert!(said.contains(&format!("error: no longer waiting for run {RUN}\nhint: it goes on; ")), "{said}");
    assert!(
        said.contains(&format!("cron runs --run-id {RUN}")) && said.contains(&format!("cron cancel {RUN}")),
        "{said}"
    );
}
