//! Secrets of a stack on AWS.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::aws::parameters;

/// Secrets of a stack on AWS
#[derive(Debug, Subcommand)]
pub enum Secret {
    /// Store a secret, and print the reference to write into the configuration
    ///
    /// The value is read from standard input, from a file, or from the terminal without showing it; it is never an argument,
    /// because other people of the machine can read those. A secret of that name is replaced; functions take the new value up
    /// within five minutes.
    Set(SetSecretArgs),

    /// List secrets: names, versions, and when they were changed
    List,

    /// Remove a secret
    #[command(visible_alias = "remove")]
    Rm(RmSecretArgs),
}

/// Flags of `config secret set`.
#[derive(Debug, Args)]
pub struct SetSecretArgs {
    /// Its name, such as anthropic or slack/token
    #[arg(value_parser = parameters::parse_name)]
    pub name: String,

    /// Take the value from a file
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,
}

/// Flags of `config secret rm`.
#[derive(Debug, Args)]
pub struct RmSecretArgs {
    /// Its name
    #[arg(value_parser = parameters::parse_name)]
    pub name: String,

    /// Do not ask
    ///
    /// Only a terminal is asked; a script's command is carried out.
    #[arg(long, short = 'y')]
    pub yes: bool,
}
