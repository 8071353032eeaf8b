//! The rooms of the house: who may import whom, and who alone may know an outside world.

#![expect(clippy::unwrap_used, reason = "a test says what it skipped, and fails where it stands")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use nightshift_tests::process::workspace;
use serde::Deserialize;

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
        // It is the public address, where the API's hooks are too.
        "tools" => &["api", "boot", "domain", "engine", "wire"],
        "local" | "fake-anthropic" | "tests" | "sim" => &["*"],
        other => panic!("room \"{other}\" is not in the plan: add it here, and say in the README what it is for"),
    }
}

/// Crates of an outside world, and the rooms that may know them.
const WRAPPERS: [(&str, &[&str]); 17] = [
    ("aws-sdk-dynamodb", &["store", "boot", "cli", "local", "tests"]),
    ("aws-sdk-scheduler", &["timers", "boot", "cli", "local", "tests"]),
    ("aws-sdk-lambda", &["timers", "boot", "cli", "local", "tests"]),
    ("aws-sdk-ssm", &["boot", "cli"]),
    ("aws-sdk-sts", &["cli"]),
    ("aws-sigv4", &["cli"]),
    ("aws-config", &["boot", "cli"]),
    ("serde_dynamo", &["store"]),
    ("object_store", &["store"]),
    ("reqwest", &["anthropic", "openai", "web", "channels", "boot", "cli", "local", "fake-anthropic", "tests"]),
    ("rmcp", &["tools", "fake-anthropic", "tests"]),
    ("axum", &["local", "fake-anthropic", "tests"]),
    ("dynoxide-rs", &["local", "tests"]),
    ("rusqlite", &["local", "cli"]),
    ("croner", &["domain"]),
    ("clap", &["cli", "local", "fake-anthropic"]),
    ("comfy-table", &["cli"]),
];

/// What `cargo metadata` says, as far as the rules need it. Asked directly: the crate for it switches on a feature of
/// `serde_json`, with which everything would be built a second time, and tested otherwise than it ships.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `dev`, `build`, or nothing for what the product itself is made of.
    kind: Option<String>,
}

impl Package {
    fn room(&self) -> &str {
        self.name.strip_prefix("nightshift-").unwrap_or_else(|| panic!("\"{}\" is not called nightshift-…", self.name))
    }

    /// The names of what it is made of, without what only its tests use.
    fn uses(&self) -> impl Iterator<Item = &str> {
        self.dependencies.iter().filter(|one| one.kind.is_none()).map(|one| one.name.as_str())
    }
}

fn packages() -> Vec<Package> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut asked = Command::new(cargo);
    let asked = asked.args(["metadata", "--format-version", "1", "--no-deps"]).current_dir(workspace());
    let answer = asked.output().unwrap();
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    let metadata: Metadata = serde_json::from_slice(&answer.stdout).unwrap();
    assert!(metadata.packages.len() > 10, "only {} crates were found", metadata.packages.len());
    metadata.packages
}

#[test]
fn every_arrow_between_rooms_is_in_the_plan() {
    let mut wrong = Vec::new();
    for package in packages() {
        let here = package.room();
        let may = allowed(here);
        for dependency in package.uses() {
            if let Some(there) = dependency.strip_prefix("nightshift-")
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
        let here = package.room();
        for dependency in package.uses() {
            if rules.get(dependency).is_some_and(|rooms| !rooms.contains(&here)) {
                wrong.push(format!("{here} knows {dependency}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_crate_takes_versions_and_lints_from_the_workspace() {
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
    let visible: BTreeSet<String> = std::fs::read_dir(workspace())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.') && name != "target")
        .collect();
    let plan = ["Cargo.lock", "Cargo.toml", "Makefile", "README.md", "functions", "infra", "shared", "tests"];
    assert_eq!(visible.iter().map(String::as_str).collect::<Vec<_>>(), plan);
}

/// A dev-dependency that switches on a feature of something the product is made of has everything built twice: once with the
/// tests, and once more by whoever builds a program alone, as `cargo lambda watch` does.
#[test]
fn tests_switch_on_no_feature_of_what_the_product_is_made_of() {
    let features = |edges: &str| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut asked = Command::new(cargo);
        asked.args(["tree", "--workspace", "--locked", "--prefix", "none", "-f", "{p}|{f}", "-e", edges]);
        let answer = asked.current_dir(workspace()).output().unwrap();
        assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in String::from_utf8(answer.stdout).unwrap().lines().filter(|line| !line.is_empty()) {
            let (package, features) = line.trim_end_matches(" (*)").split_once('|').unwrap();
            all.entry(package.to_owned()).or_default().insert(features.to_owned());
        }
        all
    };
    let (alone, tested) = (features("normal,build"), features("normal,build,dev"));
    assert!(alone.len() > 100, "only {} crates were found", alone.len());
    let wrong: Vec<_> = alone.iter().filter(|(package, features)| tested[*package] != **features).collect();
    assert!(wrong.is_empty(), "a dev-dependency changes these: make it a dependency of the tests: {wrong:#?}");
}

/// Every source file below `folder`.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Whether a line asks a table for all it has: the SDK's `scan`, its operation's types, or its `PartiQL`.
fn scans(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    [".scan(", "operation::scan", "scan::Scan", "execute_statement", "execute_transaction"]
        .iter()
        .any(|word| code.contains(word))
}

#[test]
fn no_room_scans_a_table() {
    assert!(scans("let all = self.client.scan().table_name(name)"));
    assert!(!scans("query.scan_index_forward(false) // never .scan()"));
    let mut files = Vec::new();
    // Not infra: the local stack plays the service itself, which finds what has expired by going through everything.
    for room in ["functions", "shared"] {
        sources(&workspace().join(room), &mut files);
    }
    let table = files.iter().filter(|file| std::fs::read_to_string(file).unwrap().contains("dynamodb"));
    let mut wrong = Vec::new();
    let mut looked_at = 0;
    for file in table {
        looked_at += 1;
        let text = std::fs::read_to_string(file).unwrap();
        wrong.extend(text.lines().filter(|line| scans(line)).map(|line| format!("{}: {line}", file.display())));
    }
    assert!(looked_at > 5, "only {looked_at} files know the table");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
