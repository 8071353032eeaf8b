//! `completions`: scripts that offer commands, flags, words and files, and nothing that is hidden.

use clap::{Command, CommandFactory as _, ValueHint};
use clap_complete::Shell;

use super::Session;
use crate::args::Cli;

pub(super) fn completions(session: &mut Session<'_>, shell: Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut offered(&Cli::command()), "nightshift", &mut script);
    session.output.data(&String::from_utf8_lossy(&script));
}

/// The command line without what is hidden, because the generators would offer it, and with a hint for every value that
/// has none: shells offer files for a value they know nothing about, and hardly any of ours is one. Those that are say so
/// by their type.
fn offered(command: &Command) -> Command {
    let mut fresh = Command::new(command.get_name().to_owned());
    if let Some(about) = command.get_about() {
        fresh = fresh.about(about.clone());
    }
    if let Some(version) = command.get_version() {
        fresh = fresh.version(version.to_owned());
    }
    fresh = fresh.visible_aliases(command.get_visible_aliases().map(str::to_owned).collect::<Vec<_>>());
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
        let hint = match (arg.get_value_hint(), arg.get_long()) {
            (ValueHint::Unknown, Some("url" | "webhook")) => ValueHint::Url,
            (ValueHint::Unknown, _) if arg.get_action().takes_values() => ValueHint::Other,
            (known, _) => known,
        };
        let arg = arg.clone();
        fresh = fresh.arg(if hint == ValueHint::Unknown { arg } else { arg.value_hint(hint) });
    }
    fresh.subcommands(command.get_subcommands().filter(|inner| !inner.is_hide_set()).map(offered))
}
