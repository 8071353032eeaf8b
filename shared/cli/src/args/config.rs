//! The commands of the configuration document.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Secret;

/// The configuration document.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Print the document, or one field of it; its revision goes to stderr
    ///
    /// A text is printed as it is, anything else as JSON; with --json a text too. A field that is not set exits with 4.
    Get(GetArgs),

    /// Set one field
    ///
    /// Objects on the way that are missing are made. Nothing is written unless the whole document is good with it.
    Set(SetArgs),

    /// Take one field away, so that its default holds
    Unset(UnsetArgs),

    /// Say whether a document could be applied; changes nothing
    ///
    /// Every bad field is told, by the rules of the Nightshift that is asked. Exits with 3 when there is one, with 2 when the
    /// file is not JSON.
    Validate(ValidateArgs),

    /// Replace the document
    Apply(ApplyArgs),

    /// Print the JSON Schema of the document
    ///
    /// An editor that is given it completes and checks config.json. Nothing is asked of the API.
    Schema,

    /// Secrets of a stack on AWS, which the document refers to as ssm:NAME
    #[command(subcommand)]
    Secret(Secret),
}

/// How a path is written.
const PATH_HELP: &str = "Where the field is, such as cron.timezone

Names are separated by dots, an element of a list is [0] or .0, a name with a dot in it is quoted: models.prices[0].input, \
'models.aliases.\"gpt-4.1\"'. Quote the path from the shell.";

/// Flags of `config get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    #[expect(missing_docs, reason = "the help is shared by three commands")]
    #[arg(help = PATH_HELP.lines().next(), long_help = PATH_HELP)]
    pub path: Option<String>,
}

/// Flags of `config set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    #[expect(missing_docs, reason = "the help is shared by three commands")]
    #[arg(help = PATH_HELP.lines().next(), long_help = PATH_HELP)]
    pub path: String,

    /// The value: JSON where it is JSON, else a text
    ///
    /// So 4 is a number, true a switch, null nothing and Europe/Vienna a text. A secret is given as a reference that says where
    /// it is, never as itself.
    #[arg(allow_hyphen_values = true)]
    pub value: String,

    /// Take the value as a text whatever it looks like
    #[arg(long, conflicts_with = "json_value")]
    pub text: bool,

    /// Refuse a value that is not JSON
    #[arg(long)]
    pub json_value: bool,

    /// Refuse unless the stored document is of this revision
    #[arg(long, value_name = "REVISION")]
    pub expected_revision: Option<u64>,
}

/// Flags of `config unset`.
#[derive(Debug, Args)]
pub struct UnsetArgs {
    #[expect(missing_docs, reason = "the help is shared by three commands")]
    #[arg(help = PATH_HELP.lines().next(), long_help = PATH_HELP)]
    pub path: String,

    /// Refuse unless the stored document is of this revision
    #[arg(long, value_name = "REVISION")]
    pub expected_revision: Option<u64>,
}

/// Flags of `config validate`.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// The document, or - for standard input; the stored one without it
    pub file: Option<PathBuf>,
}

/// Flags of `config apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// The document, or - for standard input
    pub file: PathBuf,

    /// Refuse unless the stored document is of this revision; the current one without it
    #[arg(long, value_name = "REVISION")]
    pub expected_revision: Option<u64>,
}
