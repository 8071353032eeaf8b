//! The template, deployed: `sam deploy` into ministack, which checks every signature and every role, and a batch job that runs
//! there from `cron add` to its message, through the very files that go to AWS.
//!
//! `make check-infra` builds what it deploys and runs it. Here time is real: timers of ministack are up to ten seconds late.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nightshift_engine::SystemClock;
use nightshift_fake_anthropic::{Fake, Options};
use nightshift_tests::chats::{Chats, TELEGRAM_TOKEN};
use nightshift_tests::ministack::Ministack;
use nightshift_tests::process::{Said, pause, program, tools, workspace};
use serde_json::{Value, json};

use super::template::STACK;

/// How long the fake's batches take: the first look at one is two minutes after it was made.
const BATCH_MS: u64 = 20_000;
/// How often a run is asked after, and how far apart.
const ASKED: u32 = 150;
const APART: Duration = Duration::from_secs(2);
/// What ministack knows as the account's owner.
const OWNER: [(&str, &str); 4] = [
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
    ("AWS_REGION", "us-east-1"),
    ("AWS_DEFAULT_REGION", "us-east-1"),
];

/// ministack 1.5.33 judges every call about a schedule as one of the group `default`, whatever group it names. So each role is
/// granted there what it is granted in its own group, and nothing else.
const SAME_IN_DEFAULT: &str = "
import json
for role in c.list_roles()['Roles']:
    for name in c.list_role_policies(RoleName=role['RoleName'])['PolicyNames']:
        policy = c.get_role_policy(RoleName=role['RoleName'], PolicyName=name)['PolicyDocument']
        policy = json.loads(policy) if isinstance(policy, str) else policy
        own = [one for one in policy['Statement'] if ':schedule/' in str(one['Resource'])]
        for one in own:
            one['Resource'] = one['Resource'].rsplit('/', 2)[0] + '/default/*'
        if own:
            document = json.dumps({'Version': policy['Version'], 'Statement': own})
            c.put_role_policy(RoleName=role['RoleName'], PolicyName='same-in-default', PolicyDocument=document)
            print(role['RoleName'])
";

struct Deployment {
    ministack: Ministack,
    folder: tempfile::TempDir,
    url: String,
}

impl Deployment {
    /// A program of the account's owner.
    fn owners(&self, program: impl Into<PathBuf>) -> Command {
        let mut command = Command::new(program.into());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", self.folder.path());
        command.envs(OWNER).env("AWS_ENDPOINT_URL", self.ministack.url()).env("SAM_CLI_TELEMETRY", "0");
        command.stdin(Stdio::null());
        command
    }

    fn nightshift(&self, words: &[&str], input: &str) -> Said {
        use std::io::Write as _;
        let mut command = self.owners(program("nightshift"));
        command.args(words).env("NO_COLOR", "1").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if !self.url.is_empty() {
            command.env("NIGHTSHIFT_URL", &self.url).env("NIGHTSHIFT_AUTH", "iam");
        }
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// The answer of a command that must succeed.
    fn json(&self, words: &[&str]) -> Value {
        let said = self.nightshift(&[words, &["--json"]].concat(), "");
        assert_eq!(said.code, 0, "{words:?}: {}{}", said.out, said.err);
        serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{words:?}: {}", said.out))
    }

    fn secret(&self, name: &str, value: &str) {
        let said = self.nightshift(&["config", "secret", "set", name, "--stack", STACK], value);
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    }

    /// Asks the account itself, as its owner: a few lines of boto3, which the SAM CLI comes with.
    fn boto(&self, service: &str, lines: &str) -> String {
        let script = format!("import boto3\nc = boto3.client('{service}')\n{lines}");
        let output = self.owners(tools().join("infra/bin/python")).args(["-c", &script]).output().unwrap();
        assert!(output.status.success(), "{lines}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn deploy(&self) {
        let built = workspace().join("target/sam/build/template.yaml");
        assert!(built.is_file(), "{} is not there: `make check-infra` builds it", built.display());
        self.boto("s3", "c.create_bucket(Bucket='deployments')");
        let mut sam = self.owners(tools().join("infra/bin/sam"));
        sam.args(["deploy", "--stack-name", STACK, "--s3-bucket", "deployments", "--capabilities", "CAPABILITY_IAM"]);
        sam.args(["--no-confirm-changeset", "--no-progressbar", "--template-file"]).arg(&built);
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
        sam.args([
            "--parameter-overrides",
            &format!("Architecture={architecture}"),
            "PublicFront=true",
            "LogLevel=DEBUG",
        ]);
        // ministack knows no alarms over a formula; cfn-lint has judged that one.
        sam.arg("NoBatchDays=0");
        let output = sam.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(self.boto("iam", SAME_IN_DEFAULT).lines().count(), 6, "a role for each function");
    }

    /// The bucket of the texts, which the template does not name.
    fn bucket(&self) -> String {
        let resource = format!("StackName='{STACK}', LogicalResourceId='Blobs'");
        let lines =
            format!("print(c.describe_stack_resource({resource})['StackResourceDetail']['PhysicalResourceId'])");
        self.boto("cloudformation", &lines)
    }

    /// Where the function URL of `function` answers here: the host of the real one stands in the path.
    fn function_url(&self, function: &str) -> String {
        let lines = format!("print(c.get_function_url_config(FunctionName='{STACK}-{function}')['FunctionUrl'])");
        let url = self.boto("lambda", &lines);
        let id = url.trim_start_matches("https://").split('.').next().unwrap().to_owned();
        format!("{}/_aws/lambda-url/{id}", self.ministack.url())
    }

    /// The run, once it is over.
    async fn over(&self, run: &str) -> Value {
        let mut last = Value::Null;
        for _ in 0..ASKED {
            last = self.json(&["cron", "runs", "--run-id", run]);
            if !last["endedAtMs"].is_null() && last["deliveryStatus"] != "pending" {
                return last;
            }
            pause(APART).await;
        }
        panic!("it does not end: {last:#}");
    }
}

/// What the functions said, for whoever looks for why it failed.
impl Drop for Deployment {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let script = "import boto3\nc = boto3.client('logs')\nfor g in c.describe_log_groups()['logGroups']:\n \
            for e in c.filter_log_events(logGroupName=g['logGroupName'])['events']: print(g['logGroupName'], e['message'].rstrip())";
        if let Ok(output) = self.owners(tools().join("infra/bin/python")).args(["-c", script]).output() {
            eprintln!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        }
    }
}

/// A fake of the model's API on the machine's clock.
async fn model() -> (Fake, String) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let fake = Fake::open(Options {
        clock: Arc::new(SystemClock),
        state_dir: None,
        base_url: url.clone(),
        mcp_origins: std::collections::BTreeMap::new(),
    });
    let fake = fake.unwrap();
    fake.script(serde_json::from_value(json!({ "batchDurationMs": BATCH_MS })).unwrap()).unwrap();
    let router = fake.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (fake, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "deploys what `make check-infra` builds"]
async fn a_batch_job_runs_through_the_deployed_functions_with_every_role_enforced() {
    let ministack = Ministack::strict().expect("`make tools` installs ministack");
    let mut here = Deployment { ministack, folder: tempfile::tempdir().unwrap(), url: String::new() };
    here.deploy();
    let (_fake, model_url) = model().await;
    let chats = Chats::serve().await;

    here.secret("anthropic-key", "sk-ant-api03-of-the-deployment-test");
    here.secret("telegram", TELEGRAM_TOKEN);
    here.secret("hook-token", "knock knock");
    here.url = here.function_url("api");
    let config = json!({
        "providers": { "anthropic": { "baseUrl": model_url, "apiKey": "ssm:anthropic-key" } },
        "hooks": { "enabled": true, "token": "ssm:hook-token" },
        "channels": { "telegram": { "accounts": { "default": { "baseUrl": chats.url, "botToken": "ssm:telegram" } } } },
    });
    let file = here.folder.path().join("config.json");
    std::fs::write(&file, config.to_string()).unwrap();
    let applied = here.nightshift(&["config", "apply", file.to_str().unwrap()], "");
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);

    let well = here.nightshift(&["doctor", "--aws", "--stack", STACK], "");
    eprintln!("{}{}", well.out, well.err);

    // A text too long for a row lies in the bucket, and what is not there is absent, not forbidden.
    let long = here.folder.path().join("long.md");
    std::fs::write(&long, "long ".repeat(10_000)).unwrap();
    let put = || here.nightshift(&["documents", "put", "long.md", "--file", long.to_str().unwrap()], "");
    // The bucket takes nothing that comes without TLS, and ministack has none.
    assert_ne!(put().code, 0, "the bucket's policy holds");
    here.boto("s3", &format!("c.delete_bucket_policy(Bucket='{}')", here.bucket()));
    let put = put();
    assert_eq!(put.code, 0, "{}{}", put.out, put.err);
    let got = here.nightshift(&["documents", "get", "long.md"], "");
    assert_eq!((got.code, got.out.trim_end().len()), (0, 49_999), "{}", got.err);

    // Nobody gets in without a signature.
    let client = reqwest::Client::new();
    let unsigned = client.post(format!("{}/v1/cron.list", here.url)).body("{}").send().await.unwrap();
    assert_eq!(unsigned.status().as_u16(), 403);

    let job = here.json(&[
        "cron",
        "add",
        "--name",
        "Deployed",
        "--cron",
        "0 7 * * *",
        "--tz",
        "Europe/Vienna",
        "--message",
        "Summarize.",
        "--batch",
        "--announce",
        "--channel",
        "telegram",
        "--to",
        "42",
    ]);
    let job = job["jobId"].as_str().unwrap().to_owned();
    let begun = here.json(&["cron", "run", &job]);
    let run = here.over(begun["runId"].as_str().unwrap()).await;
    assert_eq!(
        (&run["status"], &run["deliveryStatus"], &run["path"]),
        (&json!("ok"), &json!("delivered"), &json!("batch"))
    );
    let arrived = chats.arrived();
    assert_eq!(arrived.len(), 1, "{arrived:?}");
    assert_eq!(arrived[0].body["chat_id"], json!("42"));

    // A timer of ministack begins a run by itself.
    let soon = here.json(&[
        "cron",
        "add",
        "--name",
        "Soon",
        "--at",
        "65s",
        "--message",
        "Say hello.",
        "--no-batch",
        "--announce",
        "--channel",
        "telegram",
        "--to",
        "43",
        "--keep-after-run",
    ]);
    let soon = soon["jobId"].as_str().unwrap().to_owned();
    let mut begun = Value::Null;
    for _ in 0..ASKED {
        begun = here.json(&["cron", "runs", &soon])["runs"][0]["runId"].clone();
        if begun.is_string() {
            break;
        }
        pause(APART).await;
    }
    let run = here.over(begun.as_str().expect("its timer fired")).await;
    assert_eq!((&run["status"], &run["deliveryStatus"]), (&json!("ok"), &json!("delivered")));

    // At the public address a hook wakes the main session, whose answer goes where the last one arrived.
    let public = here.function_url("tools");
    let wake = |token: &'static str| {
        let asked = client.post(format!("{public}/hooks/wake")).bearer_auth(token);
        asked.header("content-type", "application/json").body(r#"{"text": "The door is open."}"#).send()
    };
    assert_eq!(wake("guess").await.unwrap().status().as_u16(), 401);
    let woken = wake("knock knock").await.unwrap();
    assert_eq!(woken.status().as_u16(), 200, "{}", woken.text().await.unwrap());
    for _ in 0..ASKED {
        if chats.arrived().len() == 3 {
            break;
        }
        pause(APART).await;
    }
    let arrived = chats.arrived();
    assert_eq!(arrived.len(), 3, "{arrived:?}");
    assert_eq!(arrived[2].body["chat_id"], json!("43"));

    // The roles are what lets the functions work: without its own, a function is refused.
    let role =
        here.boto("lambda", &format!("print(c.get_function(FunctionName='{STACK}-poll')['Configuration']['Role'])"));
    let role = role.rsplit('/').next().unwrap();
    here.boto("iam", &format!("c.delete_role_policy(RoleName='{role}', PolicyName='poll')"));
    let swept = here.boto(
        "lambda",
        &format!("r = c.invoke(FunctionName='{STACK}-poll', Payload=b'{{\"v\":1,\"k\":\"sweep\"}}')\nprint(r.get('FunctionError'), r['Payload'].read().decode())"),
    );
    assert!(swept.contains("AccessDenied"), "{swept}");
}
