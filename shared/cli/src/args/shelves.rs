//! The commands of documents and of memory.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// The workspace's documents.
#[derive(Debug, Subcommand)]
pub enum Documents {
    /// List the documents
    List,

    /// Print a document
    Get(DocumentArg),

    /// Write a document, from a file or from standard input
    ///
    /// Runs that are planned from then on have it, where their agent names it (agents.*.documents in the configuration).
    Put(PutDocumentArgs),

    /// Remove a document
    #[command(visible_alias = "remove")]
    Rm(RmDocumentArgs),
}

/// What agents remember.
#[derive(Debug, Subcommand)]
pub enum Memory {
    /// List the files of an agent's memory
    List(MemoryArgs),

    /// Print a file of an agent's memory
    Get(MemoryFileArgs),

    /// Write a file of an agent's memory, from a file or from standard input
    Put(PutMemoryArgs),

    /// Remove a file of an agent's memory
    #[command(visible_alias = "remove")]
    Rm(RmMemoryArgs),
}

/// A document.
#[derive(Debug, Args)]
pub struct DocumentArg {
    /// The document's name, such as AGENTS.md
    pub name: String,
}

/// Where a text comes from.
#[derive(Debug, Args)]
pub struct TextFlags {
    /// Where the text is, or - for standard input
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub file: PathBuf,

    /// Refuse unless the stored text is of this revision; 0 is none
    #[arg(long, value_name = "REVISION")]
    pub expected_revision: Option<u64>,
}

/// How something is removed.
#[derive(Debug, Args)]
pub struct RemovalFlags {
    /// Do not ask
    ///
    /// Only a terminal is asked; a script's command is carried out.
    #[arg(long, short = 'y')]
    pub yes: bool,

    /// Refuse unless the stored text is of this revision
    #[arg(long, value_name = "REVISION")]
    pub expected_revision: Option<u64>,
}

/// Flags of `documents put`.
#[derive(Debug, Args)]
pub struct PutDocumentArgs {
    /// The document's name, such as AGENTS.md
    pub name: String,

    /// What.
    #[command(flatten)]
    pub text: TextFlags,
}

/// Flags of `documents rm`.
#[derive(Debug, Args)]
pub struct RmDocumentArgs {
    /// The document's name
    pub name: String,

    /// How.
    #[command(flatten)]
    pub removal: RemovalFlags,
}

/// Whose memory.
#[derive(Debug, Args)]
pub struct MemoryArgs {
    /// Whose memory; the default agent's without it
    #[arg(long, value_name = "ID")]
    pub agent: Option<String>,
}

/// A file of a memory.
#[derive(Debug, Args)]
pub struct MemoryFileArgs {
    /// The file, such as /memories/people.md
    pub path: String,

    /// Whose.
    #[command(flatten)]
    pub memory: MemoryArgs,
}

/// Flags of `memory put`.
#[derive(Debug, Args)]
pub struct PutMemoryArgs {
    /// Which.
    #[command(flatten)]
    pub file: MemoryFileArgs,

    /// What.
    #[command(flatten)]
    pub text: TextFlags,
}

/// Flags of `memory rm`.
#[derive(Debug, Args)]
pub struct RmMemoryArgs {
    /// Which.
    #[command(flatten)]
    pub file: MemoryFileArgs,

    /// How.
    #[command(flatten)]
    pub removal: RemovalFlags,
}
