//! `OpenClaw`'s flags that mean nothing here. They are known so that a script that uses one is told why in one sentence;
//! they do not show in help or completions.

use std::ffi::OsString;
use std::fmt;
use std::marker::PhantomData;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command};

/// A flag that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreign {
    name: &'static str,
    takes_value: bool,
    reason: Reason,
}

impl Foreign {
    /// What to write instead.
    pub fn hint(self) -> &'static str {
        self.reason.instead
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--{} is not supported: {}", self.name, self.reason.why)
    }
}

/// Why something is refused, and what to write instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reason {
    why: &'static str,
    instead: &'static str,
}

const fn because(why: &'static str, instead: &'static str) -> Reason {
    Reason { why, instead }
}

const fn valued(name: &'static str, reason: Reason) -> Foreign {
    Foreign { name, takes_value: true, reason }
}

const fn switch(name: &'static str, reason: Reason) -> Foreign {
    Foreign { name, takes_value: false, reason }
}

const NO_COMMANDS: Reason = because(
    "a job here is an agent turn or a system event, never a shell command",
    "ask the agent with --message, or leave the command to your machine's own cron",
);
const NO_SCRIPTS: Reason = because(
    "a job here is an agent turn or a system event, never a script",
    "ask the agent with --message; --message-file reads the text from a file",
);
const BY_TIME: Reason = because(
    "jobs here start by time or by hand, not when a process exits or prints",
    "give the job a schedule, and let that process call `nightshift cron run <jobId>`",
);
const NO_TRIGGERS: Reason = because(
    "a schedule here fires by time alone, without a trigger script",
    "use --every or --cron, and let the message say when there is nothing to do",
);
const NO_PACING: Reason = because("a schedule here keeps its own pace", "use --every or --cron");
const NAMED_SESSIONS: Reason = because("a job here names its session, not a key", "use --session session:<name>");
const ONE_NAME: Reason = because("a job here has one name", "set it with --name");
const MAIN_SESSION: Reason = because(
    "a system event here always goes to the main session of the default agent",
    "leave it out; `cron add --agent <id> --system-event` reaches another agent's main session",
);
const ONE_TOKEN: Reason = because("the API here takes a bearer token", "give it with --token or NIGHTSHIFT_TOKEN");
const ONE_URL: Reason = because("the API here has an address, not a port", "give it with --url or NIGHTSHIFT_URL");

/// A set of refused flags.
pub trait Flags: Send + Sync + 'static {
    /// The set.
    const FLAGS: &'static [Foreign];
    /// Whether every command below knows them too.
    const EVERYWHERE: bool = false;
}

/// Those of `cron add` and `cron edit`.
#[derive(Debug)]
pub struct OfJobs;

impl Flags for OfJobs {
    const FLAGS: &'static [Foreign] = &[
        valued("command", NO_COMMANDS),
        valued("command-argv", NO_COMMANDS),
        valued("command-cwd", NO_COMMANDS),
        valued("command-env", NO_COMMANDS),
        valued("command-input", NO_COMMANDS),
        valued("no-output-timeout-seconds", NO_COMMANDS),
        valued("output-max-bytes", NO_COMMANDS),
        valued("script", NO_SCRIPTS),
        valued("script-timeout-seconds", NO_SCRIPTS),
        valued("script-tool-budget", NO_SCRIPTS),
        valued("on-exit", BY_TIME),
        valued("on-exit-cwd", BY_TIME),
        valued("stream-batch-ms", BY_TIME),
        valued("stream-command", BY_TIME),
        valued("stream-cwd", BY_TIME),
        valued("stream-match", BY_TIME),
        valued("stream-max-batch-bytes", BY_TIME),
        valued("stream-mode", BY_TIME),
        valued("trigger-script", NO_TRIGGERS),
        switch("trigger-once", NO_TRIGGERS),
        switch("clear-trigger", NO_TRIGGERS),
        valued("pacing-max", NO_PACING),
        valued("pacing-min", NO_PACING),
        switch("clear-pacing", NO_PACING),
        valued("session-key", NAMED_SESSIONS),
        switch("clear-session-key", NAMED_SESSIONS),
        valued("display-name", ONE_NAME),
        switch("clear-display-name", ONE_NAME),
    ];
}

/// Those of every command: how `OpenClaw` finds its gateway.
#[derive(Debug)]
pub struct OfConnections;

impl Flags for OfConnections {
    const FLAGS: &'static [Foreign] = &[valued("password", ONE_TOKEN), valued("port", ONE_URL)];
    const EVERYWHERE: bool = true;
}

/// Those of `system event`.
#[derive(Debug)]
pub struct OfEvents;

impl Flags for OfEvents {
    const FLAGS: &'static [Foreign] = &[valued("session-key", MAIN_SESSION)];
}

/// The first flag of the set that was given, if any.
#[derive(Debug)]
pub struct Refused<F> {
    given: Option<Foreign>,
    set: PhantomData<F>,
}

impl<F> Refused<F> {
    /// The flag to complain about.
    pub fn given(&self) -> Option<Foreign> {
        self.given
    }
}

impl<F: Flags> clap::FromArgMatches for Refused<F> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |flag: &&Foreign| matches.value_source(flag.name) == Some(ValueSource::CommandLine);
        Ok(Self { given: F::FLAGS.iter().find(given).copied(), set: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<F: Flags> clap::Args for Refused<F> {
    fn augment_args(command: Command) -> Command {
        F::FLAGS.iter().fold(command, |command, flag| {
            let action = if flag.takes_value { ArgAction::Append } else { ArgAction::SetTrue };
            command.arg(
                Arg::new(flag.name)
                    .long(flag.name)
                    .action(action)
                    .hide(true)
                    .global(F::EVERYWHERE)
                    .allow_hyphen_values(flag.takes_value),
            )
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// A command of `OpenClaw`'s that means nothing here: whatever comes after it is read, so that it can be refused by name.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct ForeignCommand {
    /// Its arguments.
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub rest: Vec<OsString>,
}
