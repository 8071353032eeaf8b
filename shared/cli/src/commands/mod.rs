//! What each command does: a request or a few, then what is shown of the answer.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::Value;

mod checkup;
mod completions;
mod config;
mod cost;
mod doctor;
mod export;
mod heartbeat;
mod history;
mod import;
mod jobs;
mod plan;
mod runs;
mod secret;
mod sessions;
mod shelves;
mod show;
mod system;
mod wait;

use crate::args::{Cli, Command, Config, Connection, Cron, Refused, Sessions, System};
use crate::aws::{Aws, Surroundings};
use crate::client::Client;
use crate::clock;
use crate::error::ExpectedError;
use crate::output::Output;

/// One invocation.
struct Session<'a> {
    connection: Connection,
    surroundings: Surroundings,
    client: Option<Client>,
    output: &'a mut Output,
    /// When it began.
    now: DateTime<Utc>,
}

/// Carries out what was asked.
pub(crate) async fn dispatch(cli: Cli, output: &mut Output, surroundings: Surroundings) -> anyhow::Result<()> {
    refuse(&cli.connection.foreign)?;
    let mut session = Session { connection: cli.connection, surroundings, client: None, output, now: clock::now() };
    match cli.command {
        Command::Cron(cron) => match cron {
            Cron::Add(args) => jobs::add(&mut session, &args).await,
            Cron::List(args) => jobs::list(&mut session, &args).await,
            Cron::Get(args) => jobs::get(&mut session, &args).await,
            Cron::Show(args) => jobs::show(&mut session, &args).await,
            Cron::Edit(args) => jobs::edit(&mut session, &args).await,
            Cron::Rm(args) => jobs::remove(&mut session, &args).await,
            Cron::Enable(args) => jobs::switch(&mut session, &args, true).await,
            Cron::Disable(args) => jobs::switch(&mut session, &args, false).await,
            Cron::Run(args) => runs::run(&mut session, &args).await,
            Cron::Runs(args) => runs::list(&mut session, &args).await,
            Cron::Cancel(args) => runs::cancel(&mut session, &args).await,
            Cron::Status => system::status(&mut session).await,
            Cron::Cost(args) => cost::cost(&mut session, &args).await,
            Cron::Plan(args) => plan::plan(&mut session, &args).await,
            Cron::Doctor(args) => doctor::doctor(&mut session, &args).await,
            Cron::Import(args) => import::import(&mut session, &args).await,
            Cron::Export(args) => export::export(&mut session, &args).await,
            Cron::Scratch(_) => Err(foreign("cron scratch", "what an agent notes down is its own memory here")),
        },
        Command::System(System::Event(args)) => system::event(&mut session, &args).await,
        Command::System(System::Heartbeat(_)) => Err(foreign(
            "system heartbeat",
            "`nightshift heartbeat last` shows them; agents.*.heartbeat in the configuration switches them",
        )),
        Command::System(System::Presence(_)) => {
            Err(foreign("system presence", "there is no gateway whose clients could be present"))
        }
        Command::Heartbeat(command) => heartbeat::heartbeat(&mut session, &command).await,
        Command::Sessions(sessions) => match sessions {
            Sessions::List(args) => sessions::list(&mut session, &args).await,
            Sessions::Show(args) => sessions::show(&mut session, &args).await,
            Sessions::Rm(args) => sessions::remove(&mut session, &args).await,
        },
        Command::Config(config) => match config {
            Config::Get(args) => config::get(&mut session, &args).await,
            Config::Set(args) => config::set(&mut session, &args).await,
            Config::Unset(args) => config::unset(&mut session, &args).await,
            Config::Validate(args) => config::validate(&mut session, &args).await,
            Config::Apply(args) => config::apply(&mut session, &args).await,
            Config::Schema => {
                config::schema(&mut session);
                Ok(())
            }
            Config::Secret(command) => Box::pin(secret::secret(&mut session, &command)).await,
        },
        Command::Documents(command) => shelves::documents(&mut session, &command).await,
        Command::Memory(command) => shelves::memory(&mut session, &command).await,
        Command::Doctor(args) if args.aws => Box::pin(checkup::checkup(&mut session)).await,
        Command::Doctor(args) => doctor::doctor(&mut session, &args.jobs).await,
        Command::Completions { shell } => {
            completions::completions(&mut session, shell);
            Ok(())
        }
    }
}

impl Session<'_> {
    /// Calls the API. The endpoint is looked for at the first call, so that a wrong command line is told first.
    async fn call(&mut self, method: &str, body: &Value) -> anyhow::Result<Value> {
        let client = match self.client.take() {
            Some(client) => client,
            None => Client::new(&self.connection, &self.surroundings).await?,
        };
        let client = self.client.insert(client);
        let answer = client.call(method, body).await;
        self.now = client.told().unwrap_or(self.now);
        answer
    }

    /// Takes the API's time for ours, before something is counted from it.
    async fn meet(&mut self) {
        if self.client.is_none() {
            self.client = Client::new(&self.connection, &self.surroundings).await.ok();
        }
        if let Some(client) = &self.client {
            self.now = client.ask_time().await.unwrap_or(self.now);
        }
    }

    /// AWS, and the stack that was named; `without` says what to do where none was.
    async fn stack(&self, message: &str, without: &str) -> Result<(Aws, String), ExpectedError> {
        let Some(stack) = self.connection.stack.clone() else {
            return Err(ExpectedError::usage_hint(message, without));
        };
        let region = self.connection.region.as_deref();
        // Boxed: few commands need it, and it is large.
        let aws = Box::pin(Aws::load(&self.surroundings, region, self.connection.timeout())).await?;
        Ok((aws, stack))
    }

    /// The answer as it is, if that is wanted.
    fn json_wanted(&mut self, answer: &Value) -> bool {
        if self.connection.json {
            self.output.json(answer);
        }
        self.connection.json
    }
}

/// The answer as a type.
fn read<T: DeserializeOwned>(answer: &Value) -> anyhow::Result<T> {
    T::deserialize(answer).context("the API's answer is not understood here; --json shows it as it is")
}

/// Complains about the first flag that means nothing here.
fn refuse<F>(foreign: &Refused<F>) -> Result<(), ExpectedError> {
    match foreign.given() {
        Some(flag) => Err(ExpectedError::usage_hint(flag.to_string(), flag.hint())),
        None => Ok(()),
    }
}

/// A command of `OpenClaw`'s that means nothing here.
fn foreign(command: &str, why: &str) -> anyhow::Error {
    ExpectedError::usage_hint(
        format!("{command} is not supported: {why}"),
        "`nightshift --help` lists the commands there are",
    )
    .into()
}

/// A file's text, or standard input's for `-`.
fn read_text(path: &Path) -> Result<String, ExpectedError> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    text.map_err(|source| ExpectedError::ReadFile { path: path.to_owned(), source })
}
