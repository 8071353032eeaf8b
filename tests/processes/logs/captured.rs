//! What was said, line by line.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// A line of a function, or of the stack around it.
#[derive(Debug)]
pub(crate) struct Line {
    /// The function; none for the stack.
    pub(crate) function: Option<String>,
    /// The line, read.
    pub(crate) json: Value,
}

/// All lines so far. What is no line of JSON stands on standard output or error for another reason than to be read by a
/// machine, and fails the test.
pub(crate) fn captured(log: &Path) -> (String, Vec<Line>) {
    let text = std::fs::read_to_string(log).unwrap();
    // The last one may be on its way yet.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]).to_owned();
    let lines = whole.lines().filter(|line| !is_the_programs_word(line)).map(|line| {
        let json: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let Some(function) = json["function"].as_str().filter(|_| json["_aws"].is_null()) else {
            return Line { function: None, json };
        };
        // The host's own remarks name the function too.
        let said = json["message"].as_str().unwrap_or_default();
        match serde_json::from_str(said) {
            Ok(inner) => Line { function: Some(function.to_owned()), json: inner },
            Err(_) if json["pid"].is_number() => Line { function: None, json },
            Err(error) => panic!("{function} said what is no JSON, {error}: {said}"),
        }
    });
    let lines = lines.collect();
    (whole, lines)
}

/// `nightshift-local`'s own words to the person who started it.
fn is_the_programs_word(line: &str) -> bool {
    ["model: ", "api: ", "stop with "].iter().any(|word| line.starts_with(word))
}

/// What each metric came to, by its name.
pub(crate) fn metrics(lines: &[Line]) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for line in lines.iter().filter(|line| line.json["_aws"].is_object()) {
        let directive = &line.json["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "Nightshift", "{}", line.json);
        assert_eq!(directive["Dimensions"], serde_json::json!([["Stack"]]), "{}", line.json);
        assert_eq!(
            (&line.json["Stack"], line.json["function"].as_str()),
            (&"nightshift".into(), line.function.as_deref())
        );
        for metric in directive["Metrics"].as_array().unwrap() {
            let name = metric["Name"].as_str().unwrap();
            *sums.entry(name.to_owned()).or_default() += line.json[name].as_f64().unwrap();
        }
    }
    sums
}
