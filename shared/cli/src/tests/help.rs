//! What the command line says about itself: help, exit codes, completions.

use std::process::Command;

use clap::CommandFactory as _;
use nightshift_wire::ExitCode;

use super::server::run;
use crate::args::Cli;

/// Every command by its words, those that are hidden left out.
fn commands() -> Vec<(String, clap::Command)> {
    fn below(command: &clap::Command, found: &mut Vec<(String, clap::Command)>) {
        let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
        found.push((name, command.clone()));
        for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help") {
            below(inner, found);
        }
    }
    let mut root = Cli::command().term_width(80);
    root.build();
    let mut found = Vec::new();
    below(&root, &mut found);
    found
}

#[test]
fn the_help_of_every_command() {
    for (name, command) in commands() {
        let text = command.term_width(80).render_long_help().to_string();
        // As it is printed.
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        insta::assert_snapshot!(format!("help {name}").replace(' ', "_"), lines.join("\n"));
    }
}

#[test]
fn every_command_and_flag_has_help_that_fits_80_columns() {
    for (name, command) in commands() {
        assert!(command.get_about().is_some(), "{name}");
        for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
            assert!(arg.get_help().is_some(), "{name} {}", arg.get_id());
        }
        let text = command.term_width(80).render_long_help().to_string();
        let long = text.lines().find(|line| line.chars().count() > 80);
        assert_eq!(long, None, "{name}");
    }
}

#[test]
fn the_help_and_the_readme_have_the_same_exit_codes() {
    let help = Cli::command().render_long_help().to_string();
    let readme = include_str!("../../../../README.md");
    let table = readme.split("<!-- exit codes -->").nth(1).expect("the README has a table of exit codes");
    let rows: Vec<&str> =
        table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| -")).skip(1).collect();
    assert_eq!(rows.len(), ExitCode::ALL.len(), "{table}");
    for ((code, meaning), row) in ExitCode::ALL.into_iter().zip(rows) {
        let number = code as u8;
        assert_eq!(row, format!("| {number} | {meaning} |"));
        assert!(help.lines().any(|line| line.trim() == format!("{number}  {meaning}")), "{number} in {help}");
    }
}

#[tokio::test]
async fn every_shell_gets_a_script_that_names_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = run(&["completions", shell], vec![]).await;
        assert_eq!((ran.exit, ran.requests.len(), ran.err.as_str()), (ExitCode::Ok, 0, ""), "{shell}");
        for word in ["cron", "enable", "deliver-by", "message-file"] {
            assert!(ran.out.contains(word), "{shell}: {word}");
        }
        for hidden in ["trigger-script", "scratch", "expect-final"] {
            assert!(!ran.out.contains(hidden), "{shell} offers {hidden}");
        }
    }
}

/// What bash offers after `line`, whose last word is being written.
fn offers(script: &str, line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let listed = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let (current, before) = (words[words.len() - 1], words[words.len() - 2]);
    let program = format!(
        "{script}\nCOMP_WORDS=({listed}); COMP_CWORD={}; _nightshift nightshift '{current}' '{before}' 2>/dev/null; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.len() - 1
    );
    // A file: the script is longer than an argument may be (128 KiB on Linux).
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("offers.bash");
    std::fs::write(&path, program).unwrap();
    let output = Command::new("bash").arg("--norc").arg(&path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn bash_takes_its_script_and_offers_commands_flags_words_and_files() {
    if Command::new("bash").arg("--version").output().is_err() {
        return;
    }
    let script = run(&["completions", "bash"], vec![]).await.out;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nightshift.bash");
    std::fs::write(&path, &script).unwrap();
    assert!(Command::new("bash").arg("-n").arg(&path).status().unwrap().success());
    assert_eq!(offers(&script, "nightshift cron en"), ["enable"]);
    assert_eq!(offers(&script, "nightshift sy"), ["system"]);
    assert_eq!(offers(&script, "nightshift cron add --batch-time"), ["--batch-timeout"]);
    assert_eq!(offers(&script, "nightshift cron add --wake "), ["now", "next-heartbeat"]);
    let file = format!("{}/night", dir.path().display());
    assert_eq!(offers(&script, &format!("nightshift cron add --message-file {file}")), [path.display().to_string()]);
    let none = offers(&script, &format!("nightshift cron add --model {file}"));
    assert!(!none.contains(&path.display().to_string()), "a model is no file: {none:?}");
}
