//! A Telegram Bot API written by others takes our messages: what we send is what bots send.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test says what it skipped, and fails where it stands")]

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nightshift_tests::local::{Local, batch_job};
use nightshift_tests::process::{pause, tools, workspace};
use serde_json::{Value, json};

const TOKEN: &str = "123456:third-party";
const REPORT: &str = "# Report\n\n**All** is [well](https://e.io/a?b=1&c=2):\n\n- one < two\n- `x`\n\n```sh\nls\n```";

/// `telegram-test-api` on a free port; ended when dropped, and when this process ends.
struct Mock {
    child: Child,
    url: String,
    script: std::path::PathBuf,
}

impl Mock {
    /// Starts it; `None` where it is not installed.
    async fn start() -> Option<Self> {
        let folder = tools().join("node");
        if !folder.join("node_modules/telegram-test-api").exists() {
            return None;
        }
        // Node looks for packages beside the script.
        let script = folder.join(format!("telegram_mock-{}.mjs", std::process::id()));
        std::fs::copy(workspace().join("tests/sdk/telegram_mock.mjs"), &script).unwrap();
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let child = Command::new("node")
            .arg(&script)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mock = Self { child, url: format!("http://127.0.0.1:{port}"), script };
        for _ in 0..200 {
            if reqwest::get(&mock.url).await.is_ok() {
                return Some(mock);
            }
            pause(Duration::from_millis(50)).await;
        }
        panic!("the mock does not answer at {}", mock.url);
    }

    /// What the bot sent, in order.
    async fn messages(&self) -> Vec<Value> {
        let request =
            reqwest::Client::new().post(format!("{}/getUpdatesHistory", self.url)).json(&json!({ "token": TOKEN }));
        let history: Value = request.send().await.unwrap().json().await.unwrap();
        let updates = history["result"].as_array().unwrap().iter();
        updates.map(|update| update["message"].clone()).collect()
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.script);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_third_party_mock_of_telegram_takes_a_report_into_its_topic_and_in_several_messages() {
    let Some(mock) = Mock::start().await else {
        println!("skipped: telegram-test-api is not installed; `make tools` installs it where npm is there");
        return;
    };
    let local = Local::start().await;
    let token = local.dir.path().join("telegram-token");
    std::fs::write(&token, TOKEN).unwrap();
    let account =
        json!({ "botToken": format!("file:{}", token.display()), "baseUrl": mock.url, "textChunkLimit": 400 });
    local.configure(&json!({ "channels": { "telegram": { "accounts": { "default": account } } } })).await;
    let long = format!("{REPORT}\n\n{}", "Many words follow here. ".repeat(40));
    local.script(json!({ "batchDurationMs": 60_000, "replies": [{ "match": "*", "text": long }] }));
    let mut job = batch_job("Report.");
    job["delivery"] = json!({ "mode": "announce", "to": "telegram:-1001234567890:topic:7" });
    let id = local.add(&job).await;
    local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    local.advance(20).await;
    let run = local.last_run(&id).await;
    assert_eq!(run["deliveryStatus"], "delivered", "{run:#}");

    let messages = mock.messages().await;
    assert!(messages.len() > 2, "{messages:#?}");
    for message in &messages {
        assert_eq!((&message["chat_id"], &message["message_thread_id"]), (&json!("-1001234567890"), &json!(7)));
        assert_eq!(message["parse_mode"], "HTML");
    }
    let first = messages[0]["text"].as_str().unwrap();
    let report = "Report\n\n<b>All</b> is <a href=\"https://e.io/a?b=1&amp;c=2\">well</a>:\n\n• one &lt; two\n• <code>x</code>\n\n\
        <pre><code class=\"language-sh\">ls\n</code></pre>\nMany words";
    assert!(first.starts_with(report), "{first}");
    let words: usize = messages.iter().map(|message| message["text"].as_str().unwrap().matches("words").count()).sum();
    assert_eq!(words, 40);
}
