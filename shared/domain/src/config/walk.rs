//! The walk over a document, beside the table of what it may be.

use std::cmp::Reverse;

use serde_json::{Map, Value};

use super::BUILT_IN_ALIASES;
use super::leaf::{self, Problem};
use super::path::{ConfigPath, Step};
use super::shape::{DOCUMENT, Field, Names, Shape};
use crate::FieldError;

/// A field that is not what it may be.
pub(super) struct Found {
    pub(super) fault: FieldError,
    pub(super) at: ConfigPath,
    pub(super) kind: Kind,
}

/// How a field is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// There is no such field.
    Unknown,
    /// It is a value of another kind.
    Misfit,
    /// It is the right kind of value and not a possible one.
    Rule,
}

/// One walk.
pub(super) struct Walk<'a> {
    local: bool,
    names: Known<'a>,
    at: ConfigPath,
    pub(super) found: Vec<Found>,
    pub(super) notes: Vec<String>,
}

/// What the document itself gives a name to.
struct Known<'a> {
    aliases: Vec<&'a str>,
    providers: Vec<&'a str>,
    mcp_servers: Vec<&'a str>,
}

impl<'a> Known<'a> {
    fn of(document: &'a Value) -> Self {
        let names = |path: &[&str]| {
            let map = ConfigPath::of(path).get(document).and_then(Value::as_object);
            map.map_or_else(Vec::new, |map| map.keys().map(String::as_str).collect())
        };
        let mut aliases: Vec<&str> = names(&["models", "aliases"]);
        aliases.extend(BUILT_IN_ALIASES.iter().map(|(alias, _)| *alias));
        let mut providers: Vec<&str> = names(&["providers"]);
        providers.push("anthropic");
        Self { aliases, providers, mcp_servers: names(&["mcpServers"]) }
    }
}

impl<'a> Walk<'a> {
    pub(super) fn new(document: &'a Value, local: bool) -> Self {
        let at = ConfigPath::default();
        Self { local, names: Known::of(document), at, found: Vec::new(), notes: Vec::new() }
    }

    fn found(&mut self, kind: Kind, problem: Problem) {
        let code = if kind == Kind::Unknown { "unknown_field" } else { "invalid_config" };
        let mut fault = FieldError::new(code, self.at.field(), problem.message);
        fault.hint = problem.hint;
        self.found.push(Found { fault, at: self.at.clone(), kind });
    }

    fn within(&mut self, name: &str, look: impl FnOnce(&mut Self)) {
        self.at.push_name(name);
        look(self);
        self.at.pop();
    }

    /// Looks at `value`, which should be a `shape`, or `null` where that may be.
    pub(super) fn visit(&mut self, shape: &Shape, null: bool, value: &Value) {
        if null && value.is_null() {
            return;
        }
        match (shape, value) {
            (Shape::Ignored(note), _) => self.notes.push((*note).to_owned()),
            (Shape::Object(fields), Value::Object(map)) => self.object(fields, map),
            (Shape::Map(names, shape), Value::Object(map)) => self.map(*names, shape, map),
            (Shape::List(shape), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.at.push_index(index);
                    self.visit(shape, false, item);
                    self.at.pop();
                }
            }
            (Shape::Headers, Value::Object(map)) => self.headers(map),
            (Shape::Schema, Value::Object(map)) => {
                if map.get("type").and_then(Value::as_str) != Some("object") {
                    self.found(
                        Kind::Rule,
                        Problem::new("a tool's input is an object").hint("begin with {\"type\": \"object\"}"),
                    );
                } else if let Some(problem) = crate::tools::schema::problem(value) {
                    let hint = "write a JSON Schema of draft 2020-12 that refers to nothing outside itself";
                    self.found(Kind::Rule, Problem::new(format!("this is not a JSON Schema: {problem}")).hint(hint));
                }
            }
            (Shape::Flag, Value::Bool(_)) => {}
            (Shape::Whole(least, most), Value::Number(number)) => {
                if !number.as_u64().is_some_and(|number| (*least..=*most).contains(&number)) {
                    let problem = Problem::new(format!("{number} is not possible here"));
                    self.found(Kind::Rule, problem.hint(format!("write a whole number from {least} to {most}")));
                } else if self.at.steps() == ConfigPath::of(&["cron", "minIntervalMs"]).steps() {
                    self.least_interval(number.as_u64());
                }
            }
            (Shape::Dollars(most), Value::Number(number)) => {
                if !number.as_f64().is_some_and(|amount| (0.0..=*most).contains(&amount)) {
                    let problem = Problem::new(format!("{number} is not possible here"));
                    self.found(Kind::Rule, problem.hint(format!("write an amount of dollars from 0 to {most}")));
                }
            }
            (shape, Value::String(text)) if shape.is_text() => {
                if let Some(problem) = self.text(shape, text) {
                    self.found(Kind::Rule, problem);
                }
            }
            (shape, value) => self.misfit(shape, value),
        }
    }

    fn least_interval(&mut self, milliseconds: Option<u64>) {
        if !self.local && milliseconds.is_some_and(|it| it < 60_000) {
            let problem = Problem::new("an interval under a minute is for the local stack only");
            self.found(Kind::Rule, problem.hint("write 60000 or more"));
        }
    }

    fn misfit(&mut self, shape: &Shape, value: &Value) {
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        let problem = Problem::new(format!("{} belongs here, not {found}", shape.in_words()));
        self.found(
            Kind::Misfit,
            match value {
                Value::Null => problem.hint("leave the field out instead"),
                Value::Number(_) | Value::Bool(_) if shape.is_text() => problem.hint("write it in quotes"),
                Value::String(_) if matches!(shape, Shape::Flag | Shape::Whole(..) | Shape::Dollars(_)) => {
                    problem.hint("write it without quotes")
                }
                Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => problem,
            },
        );
    }

    fn object(&mut self, fields: &[Field], map: &Map<String, Value>) {
        for (name, value) in map {
            self.within(name, |walk| match fields.iter().find(|field| field.name == name) {
                Some(field) => walk.visit(&field.shape, field.null, value),
                None => walk.found(Kind::Unknown, unknown(name, fields)),
            });
        }
        for field in fields.iter().filter(|field| field.needed && !map.contains_key(field.name)) {
            self.within(field.name, |walk| {
                let problem = Problem::new(format!("{} is missing", field.name));
                walk.found(Kind::Rule, problem.hint(format!("{} belongs here", field.shape.in_words())));
            });
        }
    }

    fn map(&mut self, names: Names, shape: &Shape, map: &Map<String, Value>) {
        for (name, value) in map {
            self.within(name, |walk| {
                if let Some(problem) = names.problem(name) {
                    walk.found(Kind::Rule, problem);
                }
                walk.visit(shape, false, value);
            });
        }
    }

    fn headers(&mut self, map: &Map<String, Value>) {
        const OPENING: [&str; 6] = ["auth", "token", "key", "secret", "cookie", "password"];
        for (name, value) in map {
            let lower = name.to_ascii_lowercase();
            let opening = OPENING.iter().any(|part| lower.contains(part));
            self.within(name, |walk| {
                if !lower.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
                    walk.found(Kind::Rule, Problem::new("this is not the name of a header"));
                }
                walk.visit(if opening { &Shape::Secret } else { &Shape::Text(4096) }, false, value);
            });
        }
    }

    fn text(&self, shape: &Shape, text: &str) -> Option<Problem> {
        match shape {
            Shape::Text(most) => leaf::text(text, *most),
            Shape::Word(words) => leaf::word(text, words, self.local),
            Shape::Zone => leaf::zone(text),
            Shape::Day => leaf::day(text),
            Shape::Clock => leaf::clock(text),
            Shape::Span => leaf::cadence(text),
            Shape::Secret => leaf::secret(text, self.local),
            Shape::Address => leaf::address(text, true),
            Shape::SafeAddress => leaf::address(text, self.local),
            Shape::Host => leaf::host(text),
            Shape::Model => self.model(text, true),
            Shape::AliasTarget => self.alias_target(text),
            Shape::FullModel => leaf::full_model(text),
            Shape::ModelRule => self.model_rule(text),
            Shape::McpName => self.mcp_name(text),
            Shape::Flag
            | Shape::Whole(..)
            | Shape::Dollars(_)
            | Shape::Headers
            | Shape::Schema
            | Shape::Ignored(_)
            | Shape::List(_)
            | Shape::Map(..)
            | Shape::Object(_) => None,
        }
    }

    /// A model, or an alias where `aliases` may be used.
    fn model(&self, text: &str, aliases: bool) -> Option<Problem> {
        if aliases && self.names.aliases.contains(&text) {
            return None;
        }
        if let Some((provider, model)) = text.split_once('/') {
            if model.is_empty() || text.chars().any(char::is_whitespace) {
                return Some(Problem::new("this is not a model").hint("write provider/model"));
            }
            return self.provider(provider);
        }
        if text.starts_with("claude-") && !text.chars().any(char::is_whitespace) {
            return None;
        }
        let problem = Problem::new(format!("there is no model or alias {}", leaf::shown(text)));
        Some(match nearest(text, &self.names.aliases) {
            Some(near) => problem.hint(format!("did you mean \"{near}\"?")),
            None => problem.hint("write provider/model, or give it a name in models.aliases"),
        })
    }

    fn provider(&self, name: &str) -> Option<Problem> {
        if self.names.providers.contains(&name) {
            return None;
        }
        let problem = Problem::new(format!("there is no provider {}", leaf::shown(name)));
        Some(match nearest(name, &self.names.providers) {
            Some(near) => problem.hint(format!("did you mean \"{near}\"?")),
            None => problem.hint(format!("the providers are {}", self.names.providers.join(", "))),
        })
    }

    fn alias_target(&self, text: &str) -> Option<Problem> {
        let problem = self.model(text, false)?;
        if self.names.aliases.contains(&text) {
            return Some(
                Problem::new("an alias stands for a model, not for another alias").hint("write provider/model"),
            );
        }
        Some(problem)
    }

    fn model_rule(&self, text: &str) -> Option<Problem> {
        match text.strip_suffix("/*") {
            _ if text == "*" => None,
            Some(provider) => self.provider(provider),
            None => self.model(text, true),
        }
    }

    fn mcp_name(&self, text: &str) -> Option<Problem> {
        if self.names.mcp_servers.contains(&text) {
            return None;
        }
        let problem = Problem::new(format!("there is no MCP server {}", leaf::shown(text)));
        Some(match nearest(text, &self.names.mcp_servers) {
            Some(near) => problem.hint(format!("did you mean \"{near}\"?")),
            None => problem.hint("name it in mcpServers"),
        })
    }
}

fn unknown(name: &str, fields: &[Field]) -> Problem {
    let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
    let problem = Problem::new(format!("{} is not a known field", leaf::shown(name)));
    let fields = format!("the fields here are {}", names.join(", "));
    match nearest(name, &names) {
        Some(near) => problem.hint(format!("did you mean \"{near}\"? {fields}")),
        None => problem.hint(fields),
    }
}

/// The fault of the first step of `path` that no document can have.
pub(super) fn unknown_step(path: &ConfigPath) -> Option<FieldError> {
    let mut shape = &DOCUMENT;
    let mut at = ConfigPath::default();
    for step in path.steps() {
        let problem = match (shape, step) {
            (Shape::Object(fields), Step::Name(name)) => {
                at.push_name(name);
                match fields.iter().find(|field| field.name == name) {
                    Some(field) => {
                        shape = &field.shape;
                        continue;
                    }
                    None => unknown(name, fields),
                }
            }
            (Shape::Map(_, inner), Step::Name(name)) => {
                at.push_name(name);
                shape = inner;
                continue;
            }
            (Shape::List(inner), Step::Index(_) | Step::Name(_)) => {
                at = at.join(std::slice::from_ref(step));
                shape = inner;
                continue;
            }
            (Shape::Headers | Shape::Schema | Shape::Ignored(_), _) => return None,
            (shape, _) => Problem::new(format!("there are no fields in {at}, which is {}", shape.in_words())),
        };
        let mut fault = FieldError::new("unknown_field", at.field(), problem.message);
        fault.hint = problem.hint;
        return Some(fault);
    }
    None
}

/// The one of `known` that was most likely meant.
fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let lower = name.to_lowercase();
    // A third of the letters wrong is another word; long texts are no typing errors of ours.
    let most = (name.chars().count() / 3).clamp(1, 4);
    if name.len() > 64 {
        return None;
    }
    let far = |candidate: &str| strsim::osa_distance(&lower, &candidate.to_lowercase());
    let near = known.iter().map(|candidate| (far(candidate), *candidate)).filter(|(far, _)| *far <= most);
    near.max_by_key(|(far, _)| Reverse(*far)).map(|(_, candidate)| candidate)
}

impl Shape {
    fn is_text(&self) -> bool {
        match self {
            Self::Text(_)
            | Self::Word(_)
            | Self::Zone
            | Self::Day
            | Self::Clock
            | Self::Span
            | Self::Secret
            | Self::Address
            | Self::SafeAddress
            | Self::Host
            | Self::Model
            | Self::AliasTarget
            | Self::FullModel
            | Self::ModelRule
            | Self::McpName => true,
            Self::Flag
            | Self::Whole(..)
            | Self::Dollars(_)
            | Self::Headers
            | Self::Schema
            | Self::Ignored(_)
            | Self::List(_)
            | Self::Map(..)
            | Self::Object(_) => false,
        }
    }

    /// What belongs there.
    fn in_words(&self) -> &'static str {
        match self {
            Self::Flag => "true or false",
            Self::Text(_) => "a text",
            Self::Whole(..) => "a whole number",
            Self::Dollars(_) => "an amount of dollars",
            Self::Word(_) => "a word",
            Self::Zone => "a time zone",
            Self::Day => "a date",
            Self::Clock => "a time of day",
            Self::Span => "a duration",
            Self::Secret => "a reference to a secret",
            Self::Address | Self::SafeAddress => "an address",
            Self::Host => "a host's name",
            Self::Model | Self::AliasTarget | Self::FullModel | Self::ModelRule => "a model",
            Self::McpName => "the name of an MCP server",
            Self::Schema => "a JSON Schema, which is an object",
            Self::Ignored(_) => "anything",
            Self::List(_) => "a list",
            Self::Headers | Self::Map(..) | Self::Object(_) => "an object",
        }
    }
}
