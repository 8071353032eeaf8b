//! `OpenClaw`'s flags that mean nothing here. They are known so that a script that uses one is told why in one sentence;
//! they do not show in help or completions.

use std::fmt;
use std::marker::PhantomData;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

/// A flag that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreign {
    name: &'static str,
    takes_value: bool,
    why: &'static str,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--{} is not supported: {}", self.name, self.why)
    }
}

const fn valued(name: &'static str, why: &'static str) -> Foreign {
    Foreign { name, takes_value: true, why }
}

const fn switch(name: &'static str, why: &'static str) -> Foreign {
    Foreign { name, takes_value: false, why }
}

const NO_COMMANDS: &str = "a job here is an agent turn or a system event, never a shell command";
const NO_SCRIPTS: &str = "a job here is an agent turn or a system event, never a script";
const BY_TIME: &str = "jobs here start by time or by hand, not when a process exits or prints";
const NO_TRIGGERS: &str = "a schedule here fires by time alone, without a trigger script";
const NO_PACING: &str = "a schedule here keeps its own pace; use --every or --cron";
const NAMED_SESSIONS: &str = "sessions here are named with --session session:<name>";
const ONE_NAME: &str = "a job here has one name, set with --name";

/// A set of refused flags.
pub trait Flags: Send + Sync + 'static {
    /// The set.
    const FLAGS: &'static [Foreign];
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

/// Those of `cron runs`.
#[derive(Debug)]
pub struct OfRuns;

impl Flags for OfRuns {
    const FLAGS: &'static [Foreign] = &[
        valued("offset", "pages here are asked for with --cursor, which the page before tells"),
        valued("sort", "runs here are always listed newest first"),
        valued("query", "there is no text search over runs; use --json and a filter of your own"),
    ];
}

/// Those of `system event`.
#[derive(Debug)]
pub struct OfEvents;

impl Flags for OfEvents {
    const FLAGS: &'static [Foreign] =
        &[valued("session-key", "a system event here always goes to the main session of the default agent")];
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
                Arg::new(flag.name).long(flag.name).action(action).hide(true).allow_hyphen_values(flag.takes_value),
            )
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
