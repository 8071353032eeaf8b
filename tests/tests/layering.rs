//! The rooms of the house: who may import whom, and who alone may know an outside world.

#![expect(clippy::unwrap_used, reason = "a test says what it skipped, and fails where it stands")]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

const FUNCTIONS: [&str; 4] = ["boot", "domain", "engine", "wire"];

/// What each room may import of the others. `*` is everything.
fn allowed(room: &str) -> &'static [&'static str] {
    match room {
        "domain" => &[],
        "engine" | "wire" => &["domain"],
        "store" | "timers" | "anthropic" | "openai" | "web" => &["domain", "engine"],
        "channels" => &["domain", "engine", "web"],
        "boot" => &["anthropic", "channels", "domain", "engine", "openai", "store", "timers", "web"],
        "cli" => &["domain", "wire"],
        "api" | "trigger" | "poll" | "deliver" | "heartbeat" => &FUNCTIONS,
        "local" | "fake-anthropic" | "tests" => &["*"],
        other => panic!("room \"{other}\" is not in the plan: add it here, and say in the README what it is for"),
    }
}

/// Crates of an outside world, and the rooms that may know them.
const WRAPPERS: [(&str, &[&str]); 14] = [
    ("aws-sdk-dynamodb", &["store", "boot", "local", "tests"]),
    ("aws-sdk-scheduler", &["timers", "boot", "local", "tests"]),
    ("aws-sdk-lambda", &["timers", "boot", "local", "tests"]),
    ("aws-sdk-ssm", &["boot"]),
    ("aws-config", &["boot"]),
    ("serde_dynamo", &["store"]),
    ("object_store", &["store"]),
    ("reqwest", &["anthropic", "openai", "web", "channels", "boot", "cli", "local", "fake-anthropic", "tests"]),
    ("axum", &["local", "fake-anthropic", "tests"]),
    ("dynoxide-rs", &["local", "tests"]),
    ("rusqlite", &["local", "cli"]),
    ("croner", &["domain"]),
    ("clap", &["cli", "local", "fake-anthropic"]),
    ("comfy-table", &["cli"]),
];

fn room(package: &Package) -> Option<&str> {
    package.name.as_str().strip_prefix("nightshift-")
}

fn packages() -> Vec<Package> {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    metadata.packages
}

#[test]
fn every_arrow_between_rooms_is_in_the_plan() {
    let mut wrong = Vec::new();
    for package in packages() {
        let here = room(&package).unwrap().to_owned();
        let may = allowed(&here);
        for dependency in package.dependencies.iter().filter(|one| one.kind == DependencyKind::Normal) {
            if let Some(there) = dependency.name.strip_prefix("nightshift-")
                && !may.contains(&there)
                && !may.contains(&"*")
            {
                wrong.push(format!("{here} imports {there}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn an_outside_world_is_known_to_its_own_room_only() {
    let rules: BTreeMap<&str, &[&str]> = WRAPPERS.into_iter().collect();
    let mut wrong = Vec::new();
    for package in packages() {
        let here = room(&package).unwrap().to_owned();
        for dependency in package.dependencies.iter().filter(|one| one.kind == DependencyKind::Normal) {
            if rules.get(dependency.name.as_str()).is_some_and(|rooms| !rooms.contains(&here.as_str())) {
                wrong.push(format!("{here} knows {}", dependency.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_crate_takes_versions_and_lints_from_the_workspace() {
    let root = MetadataCommand::new().no_deps().exec().unwrap().workspace_root;
    let mut wrong = BTreeSet::new();
    for package in packages() {
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap();
        if !manifest.contains("[lints]\nworkspace = true") {
            wrong.insert(format!("{} has lints of its own", package.name));
        }
        for line in manifest.lines().filter(|line| line.contains("version = \"")) {
            wrong.insert(format!("{}: {line}", package.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let visible: BTreeSet<String> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.') && name != "target")
        .collect();
    let plan = ["Cargo.lock", "Cargo.toml", "Makefile", "README.md", "functions", "infra", "shared", "tests"];
    assert_eq!(visible.iter().map(String::as_str).collect::<Vec<_>>(), plan);
}
