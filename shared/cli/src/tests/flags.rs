//! Every flag of `OpenClaw`'s cron commands is either understood and has an effect, or is refused by name with a reason.

use chrono::{DateTime, Utc};
use clap::Parser as _;
use nightshift_wire::ExitCode;
use serde_json::Value;

use super::server::run;
use crate::args::{Cli, Command, Cron, Foreign, System};
use crate::request;

/// A command with one of its flags.
struct Case {
    command: Vec<String>,
    flag: String,
    takes_value: bool,
}

/// The commands of the table, under each of their names, with their flags.
fn table() -> Vec<(Vec<String>, Vec<String>)> {
    let lines = include_str!("openclaw-flags.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut commands = Vec::new();
    for line in lines {
        let (name, flags) = line.split_once(':').unwrap();
        let (group, names) = name.split_once(' ').unwrap();
        let groups = if group == "cron" { vec!["cron", "automations"] } else { vec![group] };
        for group in groups {
            for name in names.split('|') {
                let flags = flags.split_whitespace().map(str::to_owned).collect();
                commands.push((vec![group.to_owned(), name.to_owned()], flags));
            }
        }
    }
    commands
}

/// Whole commands that are refused, whatever their flags.
const REFUSED_COMMANDS: [&str; 3] = ["cron scratch", "system heartbeat", "system presence"];

fn cases() -> Vec<Case> {
    let known = table().into_iter().filter(|(command, _)| !is_refused(command));
    let case = |command: &Vec<String>, flag: &String| Case {
        command: command.clone(),
        flag: flag.trim_end_matches('=').to_owned(),
        takes_value: flag.ends_with('='),
    };
    known.flat_map(|(command, flags)| flags.iter().map(|flag| case(&command, flag)).collect::<Vec<_>>()).collect()
}

fn is_refused(command: &[String]) -> bool {
    REFUSED_COMMANDS.contains(&command.join(" ").replace("automations", "cron").as_str())
}

/// A value the flag takes.
fn value(flag: &str) -> &'static str {
    match flag {
        "--wake" | "--mode" => "now",
        "--thinking" => "low",
        "--failure-alert-mode" => "webhook",
        "--status" => "ok",
        "--delivery-status" => "delivered",
        "--sort" => "asc",
        "--at" | "--every" | "--stagger" | "--poll-interval" | "--wait-timeout" | "--failure-alert-cooldown" => "20m",
        "--timeout-seconds" | "--failure-alert-after" | "--limit" | "--offset" => "7",
        "--cron" => "0 7 * * *",
        _ => "x",
    }
}

/// What else the command needs.
fn base(case: &Case) -> Vec<&'static str> {
    let job: &[&str] = match case.command[1].as_str() {
        "edit" | "rm" | "remove" | "enable" | "disable" | "run" | "get" | "show" => &["job-1"],
        "event" if case.flag != "--text" => &["--text", "x"],
        "add" | "create" => match case.flag.as_str() {
            "--at" | "--every" | "--cron" => &["--message", "m"],
            "--message" | "--system-event" => &["--every", "1h"],
            "--tz" | "--exact" | "--stagger" => &["--cron", "0 7 * * *", "--message", "m"],
            _ => &["--every", "1h", "--message", "m"],
        },
        _ => &[],
    };
    let waits = matches!(case.flag.as_str(), "--poll-interval" | "--wait-timeout");
    [job, if waits { &["--wait"] } else { &[] }].concat()
}

fn parse(case: &Case, with_flag: bool) -> Result<Cli, clap::Error> {
    let mut line: Vec<&str> = vec!["nightshift"];
    line.extend(case.command.iter().map(String::as_str));
    line.extend(base(case));
    if with_flag {
        line.push(&case.flag);
        line.extend(case.takes_value.then(|| value(&case.flag)));
    }
    Cli::try_parse_from(line)
}

fn refused(cli: &Cli) -> Option<Foreign> {
    let own = match &cli.command {
        Command::Cron(Cron::Add(args)) => args.foreign.given(),
        Command::Cron(Cron::Edit(args)) => args.foreign.given(),
        Command::System(System::Event(args)) => args.foreign.given(),
        Command::Cron(_)
        | Command::System(_)
        | Command::Heartbeat(_)
        | Command::Config(_)
        | Command::Documents(_)
        | Command::Memory(_)
        | Command::Sessions(_)
        | Command::Doctor(_)
        | Command::Completions { .. } => None,
    };
    own.or(cli.connection.foreign.given())
}

/// What `cron add` or `cron edit` sends; `None` for other commands and for lines that are not whole.
fn sent(cli: &Cli) -> Option<Value> {
    let now: DateTime<Utc> = "2026-11-20T12:00:00Z".parse().unwrap();
    match &cli.command {
        Command::Cron(Cron::Add(args)) => request::add(args, None, now).ok(),
        Command::Cron(Cron::Edit(args)) => request::edit(args, None, now).ok(),
        Command::Cron(_)
        | Command::System(_)
        | Command::Heartbeat(_)
        | Command::Config(_)
        | Command::Documents(_)
        | Command::Memory(_)
        | Command::Sessions(_)
        | Command::Doctor(_)
        | Command::Completions { .. } => None,
    }
}

#[test]
fn every_flag_is_accepted_or_refused_by_name() {
    let cases = cases();
    assert!(cases.len() > 250, "the table is read: {}", cases.len());
    for case in &cases {
        let line = format!("{} {}", case.command.join(" "), case.flag);
        let cli = parse(case, true).unwrap_or_else(|error| panic!("{line}: {error}"));
        if let Some(flag) = refused(&cli) {
            assert!(flag.to_string().starts_with(&format!("{} is not supported: ", case.flag)), "{line}: {flag}");
            assert!(flag.hint().len() > 10, "{line}: {flag}");
        }
    }
}

#[test]
fn an_accepted_flag_of_add_and_edit_changes_what_is_sent() {
    for case in cases().iter().filter(|case| ["add", "edit"].contains(&case.command[1].as_str())) {
        let cli = parse(case, true).unwrap();
        if refused(&cli).is_some() || case.flag == "--json" {
            continue;
        }
        let with = sent(&cli).unwrap_or_else(|| panic!("{:?} {}: no request", case.command, case.flag));
        let without = parse(case, false).ok().and_then(|cli| sent(&cli));
        assert_ne!(Some(with), without, "{:?} {} has no effect", case.command, case.flag);
    }
}

#[test]
fn the_refused_flags() {
    let mut lines: Vec<String> = cases()
        .iter()
        .filter(|case| case.command[0] != "automations" && case.command[1] != "create")
        .filter_map(|case| {
            let flag = refused(&parse(case, true).unwrap())?;
            Some(format!("{}\n  {flag}\n  hint: {}", case.command.join(" "), flag.hint()))
        })
        .collect();
    lines.dedup();
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test]
async fn a_refused_flag_sends_nothing_and_says_what_to_do() {
    let lines: [&[&str]; 4] = [
        &["cron", "add", "--every", "1h", "--command", "make -j2"],
        &["cron", "edit", "job-1", "--clear-trigger"],
        &["cron", "list", "--port", "1"],
        &["system", "event", "--text", "x", "--session-key", "k"],
    ];
    for line in lines {
        let ran = run(line, vec![]).await;
        assert_eq!((ran.exit, ran.requests.len()), (ExitCode::Usage, 0), "{line:?}");
        assert!(ran.err.contains(" is not supported: ") && ran.err.contains("\nhint: "), "{line:?}: {}", ran.err);
    }
}

#[tokio::test]
async fn a_refused_command_is_refused_with_and_without_its_flags() {
    let mut seen = 0;
    for (command, flags) in table().into_iter().filter(|(command, _)| is_refused(command)) {
        let flags = flags.iter().map(|flag| flag.trim_end_matches('='));
        for flag in flags.map(Some).chain([None]) {
            let line: Vec<&str> = command.iter().map(String::as_str).chain(flag).collect();
            let ran = run(&line, vec![]).await;
            assert_eq!(ran.exit, ExitCode::Usage, "{line:?}");
            let name = command.join(" ").replace("automations", "cron");
            assert!(ran.err.starts_with(&format!("error: {name} is not supported: ")), "{line:?}: {}", ran.err);
            seen += 1;
        }
    }
    assert!(seen > 8, "the table is read: {seen}");
}

#[tokio::test]
async fn a_mode_beside_batch_is_refused_wherever_it_stands() {
    for line in [
        &["cron", "add", "--batch", "auto", "0 7 * * *", "Digest."][..],
        &["cron", "add", "--every", "1h", "--message", "Digest.", "--batch", "auto"],
        &["cron", "edit", "--batch", "auto", "--every", "1h"],
    ] {
        let ran = run(line, vec![]).await;
        assert_eq!((ran.exit, ran.requests.len()), (ExitCode::Usage, 0), "{line:?}");
        assert_eq!(ran.err, "error: \"auto\" does not belong to --batch\nhint: write --batch=auto\n", "{line:?}");
    }
}
