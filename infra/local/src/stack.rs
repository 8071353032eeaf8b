//! Starts the whole stack: the fixture of the tests and the program people run are this one function.
//!
//! Guarantee: loopback only, dummy AWS credentials, nothing of the caller's environment in the functions; killed at any
//! moment and started again on the same folder, nothing is lost and what fell due fires.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use axum::http::{HeaderMap, Method};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use nightshift_boot::{Environment, ModelPlace, SystemEntropy};
use nightshift_domain::event::{Envelope, Function, Wake};
use nightshift_engine::ports::{Entropy, Secret};
use nightshift_engine::{Clock, Deps, ManualClock, SystemClock};
use nightshift_fake_anthropic::Fake;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;
use tracing::{debug, info};

use crate::actions::{ACTIONS_VAR, Actions};
use crate::advance::{Driver, remembered};
use crate::console::Console;
use crate::endpoints::{Ports, clients, dynamodb, scheduler, serve};
use crate::front::{self, Front};
use crate::functions::{self, PREFIX};
use crate::gate::Gate;
use crate::lambda::{Host, InvokeError, Lambda};
use crate::options::{ClockChoice, FunctionHost, ModelChoice, Options};
use crate::scheduler::{Scheduler, Target, TargetError};
use crate::state::StateDb;
use crate::table::{self, Table};

/// The front's port when none is asked for.
pub const DEFAULT_PORT: u16 = 4710;
/// The file in the state folder by which the command line finds a running stack.
pub use nightshift_wire::profile::PROFILE_FILE;

/// The key functions use with the fake: it takes any, and this one says what it is.
const FAKE_KEY: &str = "sk-ant-api03-fake-key-of-the-local-stack";
/// The sweeper's interval (DESIGN §4).
const SWEEP_RATE: &str = "rate(15 minutes)";

/// What the ready file says, and the profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    /// The API and the control surface.
    pub url: String,
    /// The bearer token of both.
    pub token: String,
    /// The DynamoDB API.
    pub dynamodb_url: String,
    /// The EventBridge Scheduler API.
    pub scheduler_url: String,
    /// The Lambda Invoke API.
    pub lambda_url: String,
    /// The model.
    pub anthropic_url: String,
    /// The process.
    pub pid: u32,
}

/// A running stack. Dropping it stops the servers; [`Stack::stop`] also waits for child processes.
pub struct Stack {
    /// Where everything is.
    pub ready: Ready,
    /// Every call on the wire.
    pub gate: Gate,
    /// The fake model, unless another one is used.
    pub fake: Option<Fake>,
    /// What was delivered to the console.
    pub console: Console,
    /// The timers.
    pub scheduler: Scheduler,
    clock: Arc<dyn Clock>,
    driver: Option<Driver>,
    lambda: Lambda,
    tasks: Vec<JoinHandle<()>>,
    files: Vec<PathBuf>,
    /// The table's server and the folder's lock, which end with the stack.
    _kept: (Table, File),
}

impl Stack {
    /// The clock of the stack: who waits on a manual one by [`Clock::sleep_until`] lets it move on.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    /// Starts everything and returns when everything answers.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let dir = &options.state_dir;
        std::fs::create_dir_all(dir.join("blobs")).with_context(|| format!("cannot use {}", dir.display()))?;
        // Prompts and answers are kept here: they are their owner's alone.
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))?;
        let lock = lock(dir)?;
        let state = StateDb::open(&dir.join("stack.sqlite"))?;
        let token = token(dir)?;
        let (clock, manual) = clock(&options, &state)?;
        let mut files = Vec::new();
        for file in options.ready_file.iter().cloned().chain([dir.join(PROFILE_FILE)]) {
            let _ = std::fs::remove_file(&file);
            files.push(file);
        }
        let mut ports = Ports::bind(options.port).await?;
        let folder = std::env::var_os(ACTIONS_VAR).filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let actions = Actions::into_folder(folder.as_deref()).context("actions cannot be noted")?;
        let gate = Gate::noting(actions.clone());
        let mut tasks = Vec::new();

        let table = Table::open(Some(&dir.join("table.sqlite"))).await?;
        tasks.push(serve(ports.dynamodb.take(), gate.guard("dynamodb", table.router())));
        let direct = dynamodb(table.address());
        nightshift_store::create_table(&direct, "nightshift").await.context("the table could not be made")?;
        tasks.push(tokio::spawn(table::sweep_expired(direct, "nightshift".to_owned(), clock.clone())));

        let console = Console::new(state.clone(), clock.clone(), options.print);
        tasks.push(serve(ports.console.take(), gate.guard("console", console.router())));

        let (model, anthropic_url, fake) = model(&options, &ports, clock.clone())?;
        if let Some(fake) = &fake {
            tasks.push(serve(ports.anthropic.take(), gate.guard("anthropic", fake.router())));
        }

        let mut environment = Environment::local(&ports.console_url, dir);
        environment.model = model;
        environment.settings.api_token_sha256 = Some(hex(&Sha256::digest(token.as_bytes())));
        environment.settings.skip_cron = ["NIGHTSHIFT_SKIP_CRON", "OPENCLAW_SKIP_CRON"]
            .iter()
            .any(|name| std::env::var(name).is_ok_and(|value| nightshift_boot::is_on(&value)));
        let deps = nightshift_boot::build(&environment, clients(&ports, PREFIX), clock.clone())?;

        let lambda = Lambda::open(
            state.clone(),
            clock.clone(),
            functions::specs(),
            host(&options, &environment, &ports, &deps, &actions)?,
            ports.lambda_url.clone(),
        )
        .await?;
        tasks.push(serve(ports.lambda.take(), gate.guard("lambda", lambda.router())));

        let scheduler = Scheduler::open(state.clone(), clock.clone(), Arc::new(Invoke(lambda.clone())))?;
        tasks.push(serve(ports.scheduler.take(), gate.guard("scheduler", scheduler.router())));
        let driver = manual.map(|manual| Driver::new(manual, scheduler.clone(), lambda.clone(), state.clone()));

        let token_sha256 = Sha256::digest(token.as_bytes()).into();
        let front = Front {
            clock: clock.clone(),
            driver: driver.clone(),
            lambda: lambda.clone(),
            scheduler: scheduler.clone(),
            fake: fake.clone(),
            console: console.clone(),
            gate: gate.clone(),
            token_sha256,
        };
        tasks.push(serve(ports.front.take(), front::router(front)));

        if matches!(options.functions, FunctionHost::CargoLambda { .. }) {
            compile(&lambda, clock.now()).await?;
        }
        lambda.resume().await;
        prepare_timers(&ports, &environment).await?;
        if driver.is_none() {
            tasks.push(tokio::spawn(scheduler.clone().run()));
        }
        let ready = Ready {
            url: ports.front_url.clone(),
            token,
            dynamodb_url: ports.dynamodb_url.clone(),
            scheduler_url: ports.scheduler_url.clone(),
            lambda_url: ports.lambda_url.clone(),
            anthropic_url,
            pid: std::process::id(),
        };
        for file in &files {
            write_by_rename(file, &serde_json::to_string_pretty(&ready)?)?;
        }
        info!("the stack answers at {}", ready.url);
        Ok(Self { ready, gate, fake, console, scheduler, clock, driver, lambda, tasks, files, _kept: (table, lock) })
    }

    /// The stack's time.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Moves a manual clock; everything due until then has happened when it returns.
    pub async fn advance(&self, step: chrono::TimeDelta) -> anyhow::Result<usize> {
        let driver = self.driver.as_ref().context("only a manual clock can be moved")?;
        Ok(driver.advance(step).await?)
    }

    /// Waits until nothing can happen before a manual clock moves.
    pub async fn settle(&self) {
        if let Some(driver) = &self.driver {
            driver.settle().await;
        }
    }

    /// How often each function was run since the start, by its name.
    pub fn invocations(&self) -> std::collections::BTreeMap<String, u64> {
        self.lambda.begun()
    }

    /// Invocations that both of their retries failed, and schedules' inputs that never got through.
    pub fn dead_letters(&self) -> Vec<serde_json::Value> {
        let mut all = self.scheduler.dead_letters();
        all.extend(self.lambda.dead_letters());
        all
    }

    /// Stops in order; what was cut off stays queued.
    pub async fn stop(self) {
        self.lambda.shutdown().await;
        debug!("the stack is stopped");
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        for file in &self.files {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// One stack per folder: two would fire every timer twice.
fn lock(dir: &std::path::Path) -> anyhow::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(dir.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            bail!("another stack runs on {}; stop it, or give another --state-dir", dir.display())
        }
        Err(std::fs::TryLockError::Error(error)) => Err(error).context("the state folder cannot be locked"),
    }
}

/// The token of this folder, made when there is none.
fn token(dir: &std::path::Path) -> anyhow::Result<String> {
    let file = dir.join("token");
    if let Ok(token) = std::fs::read_to_string(&file) {
        return Ok(token.trim().to_owned());
    }
    let token = format!("ns-{:032x}{:032x}", SystemEntropy.bits(), SystemEntropy.bits());
    write_by_rename(&file, &token)?;
    Ok(token)
}

/// Writes a file that only its owner reads, whole or not at all.
fn write_by_rename(file: &std::path::Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let part = file.with_extension("part");
    let mut out = File::options().create(true).truncate(true).write(true).mode(0o600).open(&part)?;
    out.write_all(text.as_bytes())?;
    drop(out);
    std::fs::rename(&part, file).with_context(|| format!("cannot write {}", file.display()))
}

type Clocks = (Arc<dyn Clock>, Option<ManualClock>);

fn clock(options: &Options, state: &StateDb) -> anyhow::Result<Clocks> {
    match options.clock {
        ClockChoice::Real => Ok((Arc::new(SystemClock), None)),
        ClockChoice::Manual(start) => {
            if options.functions != FunctionHost::InProcess {
                bail!("a manual clock works with --functions in-process only: other processes follow the machine's");
            }
            let now = SystemClock.now();
            let start = start.unwrap_or(now);
            let manual = ManualClock::new(remembered(state)?.map_or(start, |known| known.max(start)));
            Ok((Arc::new(manual.clone()), Some(manual)))
        }
    }
}

fn model(
    options: &Options,
    ports: &Ports,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<(ModelPlace, String, Option<Fake>)> {
    let manual = options.clock != ClockChoice::Real;
    match &options.model {
        ModelChoice::Real(key) if !manual => {
            let url = nightshift_boot::REAL_MODEL_URL.to_owned();
            Ok((ModelPlace { base_url: None, key: Some(key.clone()) }, url, None))
        }
        ModelChoice::At(url) if manual && !is_loopback(url) => {
            bail!("a manual clock never reaches a model outside this machine, and {url} is outside")
        }
        ModelChoice::At(url) => {
            let key = std::env::var("ANTHROPIC_API_KEY").ok().filter(|key| !key.is_empty() && !manual);
            let key = Some(Secret::from(key.unwrap_or_else(|| FAKE_KEY.to_owned())));
            Ok((ModelPlace { base_url: Some(url.clone()), key }, url.clone(), None))
        }
        // A real key never spends by accident: a manual clock always means the fake.
        ModelChoice::Fake | ModelChoice::Real(_) => {
            let url = ports.anthropic_url.clone();
            let state_dir = Some(options.state_dir.join("fake-anthropic"));
            let fake = Fake::open(nightshift_fake_anthropic::Options {
                clock,
                state_dir,
                base_url: url.clone(),
                mcp_origins: std::collections::BTreeMap::new(),
            })?;
            let place = ModelPlace { base_url: Some(url.clone()), key: Some(Secret::new(FAKE_KEY)) };
            Ok((place, url, Some(fake)))
        }
    }
}

fn is_loopback(url: &str) -> bool {
    let host = url.split("://").nth(1).and_then(|rest| rest.split(['/', ':']).next());
    matches!(host, Some("127.0.0.1" | "localhost"))
}

fn host(
    options: &Options,
    environment: &Environment,
    ports: &Ports,
    deps: &Deps,
    actions: &Actions,
) -> anyhow::Result<Host> {
    let mut env = environment.variables();
    env.extend(
        [
            ("AWS_REGION", "us-east-1"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_ENDPOINT_URL_DYNAMODB", &ports.dynamodb_url),
            ("AWS_ENDPOINT_URL_SCHEDULER", &ports.scheduler_url),
            ("AWS_ENDPOINT_URL_LAMBDA", &ports.lambda_url),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    env.extend(options.variables.iter().cloned());
    Ok(match &options.functions {
        FunctionHost::InProcess => Host::InProcess(functions::handlers(|function| {
            let deps = nightshift_boot::with_clients(deps, environment, clients(ports, function));
            actions.watching(deps, function)
        })),
        FunctionHost::Binaries { dir } => Host::Binaries { dir: dir.clone(), env },
        FunctionHost::CargoLambda { project, cargo_lambda } => {
            let (project, cargo_lambda) = (project.clone(), cargo_lambda.clone());
            Host::CargoLambda { project, cargo_lambda, port: free_port()?, env }
        }
    })
}

fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// How often a function may run out of time while `cargo lambda watch` builds it.
const COMPILE_TRIES: u32 = 20;

/// `cargo lambda watch` builds a function when it is first called: that is done before the stack calls itself ready.
async fn compile(lambda: &Lambda, now: DateTime<Utc>) -> anyhow::Result<()> {
    let health = crate::lambda::http_event(&Method::GET, "/healthz", None, &HeaderMap::new(), b"", now);
    // An envelope of a kind that most functions only shake their head at; `poll` sweeps an empty table.
    let sweep = serde_json::to_value(Envelope::new(Wake::Sweep))?;
    for spec in functions::specs() {
        let http = spec.name == functions::API || spec.name == functions::TOOLS;
        let payload = if http { &health } else { &sweep };
        let mut last = None;
        for _ in 0..COMPILE_TRIES {
            match lambda.invoke(&spec.name, Bytes::from(payload.to_string())).await? {
                Ok(_) => {
                    last = None;
                    break;
                }
                Err(error) => last = Some(error),
            }
        }
        if let Some(error) = last {
            bail!("{} does not run under cargo lambda watch: {error}", spec.name);
        }
        info!("{} runs under cargo lambda watch", spec.name);
    }
    Ok(())
}

/// The group and the sweeper's schedule: on AWS the template makes them.
async fn prepare_timers(ports: &Ports, environment: &Environment) -> anyhow::Result<()> {
    use aws_sdk_scheduler::types::{FlexibleTimeWindow, FlexibleTimeWindowMode, Target as Template};
    let client = scheduler(&ports.scheduler_url);
    nightshift_timers::ensure_group(&client, &environment.group)
        .await
        .context("the schedule group could not be made")?;
    let there = client.get_schedule().group_name(&environment.group).name("sweep").send().await;
    if there.is_ok() {
        return Ok(());
    }
    let input = serde_json::to_string(&Envelope::new(Wake::Sweep))?;
    let target = Template::builder()
        .arn(format!("{}{}", environment.function_arn_prefix, Function::Poll.name()))
        .role_arn(&environment.scheduler_role_arn)
        .input(input)
        .build()?;
    client
        .create_schedule()
        .group_name(&environment.group)
        .name("sweep")
        .schedule_expression(SWEEP_RATE)
        .flexible_time_window(FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build()?)
        .target(target)
        .send()
        .await
        .context("the sweeper's schedule could not be made")?;
    Ok(())
}

/// Schedules invoke functions asynchronously, as EventBridge does.
struct Invoke(Lambda);

#[async_trait]
impl Target for Invoke {
    async fn invoke(&self, arn: &str, input: String) -> Result<(), TargetError> {
        self.0.enqueue(arn, Bytes::from(input)).map(|_| ()).map_err(|error| {
            let code = match &error {
                InvokeError::NotFound { .. } => "AWS.Lambda.ResourceNotFoundException",
                InvokeError::TooLarge { .. } => "AWS.Lambda.RequestTooLargeException",
                InvokeError::NotJson(_) => "AWS.Lambda.InvalidRequestContentException",
                InvokeError::Queue(_) | InvokeError::Closing => "AWS.Lambda.ServiceException",
            };
            let retryable = matches!(error, InvokeError::Queue(_) | InvokeError::Closing);
            TargetError { code: code.to_owned(), message: error.to_string(), retryable }
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
