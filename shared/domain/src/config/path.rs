//! Paths into a document: `cron.timezone`, `models.aliases."gpt-4.1"`, `models.prices[0].input`.
//!
//! ```text
//! path  = part *( "." part / "[" index "]" / "[" text "]" )
//! part  = name / index / text
//! name  = 1* any character but . [ ] " ' and white space
//! text  = '"' JSON string '"', or the same between single quotes without escapes
//! index = 1* digit     an element where the document has a list, a name where it has an object
//! ```
//!
//! A leading `config.` is taken off, so that the field of an error message is a path too.

use std::fmt;

use serde_json::{Map, Value};

use crate::FieldError;

/// Deepest path; no field of the document lies half as deep.
const DEEPEST: usize = 32;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A field of an object, or by its digits an element of a list.
    Name(String),
    /// An element of a list.
    Index(usize),
}

/// Where something stands in the document; the empty path is the document itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigPath(Vec<Step>);

impl fmt::Display for ConfigPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Name(name) => {
                    if at > 0 {
                        f.write_str(".")?;
                    }
                    if is_plain(name) {
                        f.write_str(name)?;
                    } else {
                        write!(f, "{}", Value::from(name.as_str()))?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_plain_char)
}

fn is_plain_char(c: char) -> bool {
    !matches!(c, '.' | '[' | ']' | '"' | '\'') && !c.is_whitespace() && !c.is_control()
}

impl ConfigPath {
    /// Reads a path of at least one step.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let text = text.trim();
        let mut reader = Reader { rest: text.strip_prefix("config.").unwrap_or(text) };
        let mut steps = vec![reader.part()?];
        while !reader.rest.is_empty() {
            steps.push(reader.next()?);
        }
        if steps.len() > DEEPEST {
            return Err(fault("the path is deeper than the document can be"));
        }
        Ok(Self(steps))
    }

    /// The path of these names.
    pub fn of(names: &[&str]) -> Self {
        Self(names.iter().map(|name| Step::Name((*name).to_owned())).collect())
    }

    /// Its steps.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// This path with `rest` behind it.
    #[must_use]
    pub fn join(&self, rest: &[Step]) -> Self {
        Self(self.0.iter().chain(rest).cloned().collect())
    }

    pub(super) fn push_name(&mut self, name: &str) {
        self.0.push(Step::Name(name.to_owned()));
    }

    pub(super) fn push_index(&mut self, index: usize) {
        self.0.push(Step::Index(index));
    }

    pub(super) fn pop(&mut self) {
        self.0.pop();
    }

    /// The same as a field of a request that holds the document as `config`.
    pub fn field(&self) -> String {
        let separator = if matches!(self.0.first(), Some(Step::Name(_))) { "." } else { "" };
        format!("config{separator}{self}")
    }

    /// What stands there.
    pub fn get<'a>(&self, document: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(document, |value, step| match (value, step) {
            (Value::Object(map), Step::Name(name)) => map.get(name),
            (Value::Array(items), step) => items.get(step.index()?),
            _ => None,
        })
    }

    /// Puts `value` there. Objects on the way that are missing, or `null`, are made; a list takes an element at its end.
    pub fn set(&self, document: &mut Value, value: Value) -> Result<(), FieldError> {
        let mut place = document;
        let mut at = Self::default();
        for step in &self.0 {
            if place.is_null() {
                *place = Value::Object(Map::new());
            }
            place = match (place, step) {
                (Value::Object(map), Step::Name(name)) => map.entry(name.as_str()).or_insert(Value::Null),
                (Value::Array(items), step) => {
                    let length = items.len();
                    let index = step.index().filter(|index| *index <= length).ok_or_else(|| at.no_element(length))?;
                    if index == length {
                        items.push(Value::Null);
                    }
                    &mut items[index]
                }
                (Value::Object(_), Step::Index(_)) => return Err(at.not_a("a list", "an object")),
                (_, _) => return Err(at.not_a("an object or list", "a single value")),
            };
            at.0.push(step.clone());
        }
        *place = value;
        Ok(())
    }

    /// Takes away what stands there, and says what it was; `None` when there was nothing.
    pub fn unset(&self, document: &mut Value) -> Option<Value> {
        let (last, parents) = self.0.split_last()?;
        let mut place = document;
        for step in parents {
            place = match (place, step) {
                (Value::Object(map), Step::Name(name)) => map.get_mut(name)?,
                (Value::Array(items), step) => items.get_mut(step.index()?)?,
                _ => return None,
            };
        }
        match (place, last) {
            // Not `remove`, which moves the last field into the gap.
            (Value::Object(map), Step::Name(name)) => map.shift_remove(name),
            (Value::Array(items), step) => {
                let index = step.index().filter(|index| *index < items.len())?;
                Some(items.remove(index))
            }
            _ => None,
        }
    }

    fn not_a(&self, wanted: &str, found: &str) -> FieldError {
        let what = if self.0.is_empty() { "the document".to_owned() } else { self.to_string() };
        fault(&format!("{what} is {found}, not {wanted}"))
    }

    fn no_element(&self, length: usize) -> FieldError {
        fault(&format!("{self} is a list of {length}")).hint(format!("write {self}[0] and so on; [{length}] adds one"))
    }
}

impl Step {
    fn index(&self) -> Option<usize> {
        match self {
            Self::Index(index) => Some(*index),
            Self::Name(name) => name.parse().ok(),
        }
    }
}

fn fault(message: &str) -> FieldError {
    FieldError::new("invalid_path", "path", message)
}

fn unreadable(message: &str) -> FieldError {
    fault(message).hint("write cron.timezone, models.prices[0].input or models.aliases.\"gpt-4.1\"")
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn next(&mut self) -> Result<Step, FieldError> {
        if self.eat('.') {
            return self.part();
        }
        if !self.eat('[') {
            return Err(unreadable("a dot or a bracket is missing in the path"));
        }
        let step = if self.rest.starts_with(['"', '\'']) {
            Step::Name(self.text()?)
        } else {
            let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
            let index = self.rest[..digits].parse().map_err(|_| unreadable("between brackets stands no number"))?;
            self.rest = &self.rest[digits..];
            Step::Index(index)
        };
        if self.eat(']') { Ok(step) } else { Err(unreadable("a bracket of the path is not closed")) }
    }

    fn part(&mut self) -> Result<Step, FieldError> {
        if self.rest.starts_with(['"', '\'']) {
            return self.text().map(Step::Name);
        }
        let length = self.rest.find(|c| !is_plain_char(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(length);
        if name.is_empty() {
            return Err(unreadable("a name is missing in the path"));
        }
        self.rest = rest;
        Ok(Step::Name(name.to_owned()))
    }

    fn text(&mut self) -> Result<String, FieldError> {
        let unclosed = || unreadable("a quote of the path is not closed");
        if self.eat('\'') {
            let (text, rest) = self.rest.split_once('\'').ok_or_else(unclosed)?;
            self.rest = rest;
            return Ok(text.to_owned());
        }
        let mut texts = serde_json::Deserializer::from_str(self.rest).into_iter::<String>();
        let text = texts.next().and_then(Result::ok).ok_or_else(unclosed)?;
        self.rest = &self.rest[texts.byte_offset()..];
        Ok(text)
    }

    fn eat(&mut self, c: char) -> bool {
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn path(text: &str) -> ConfigPath {
        ConfigPath::parse(text).unwrap()
    }

    #[test]
    fn names_with_dots_are_quoted_and_elements_have_brackets_or_a_dot() {
        let document = json!({ "models": { "aliases": { "gpt-4.1": "x", "a": "y" }, "prices": [{ "input": 2 }] } });
        for (text, found) in [
            ("models.aliases.a", json!("y")),
            ("config.models.aliases.a", json!("y")),
            ("models.aliases.\"gpt-4.1\"", json!("x")),
            ("models.aliases['gpt-4.1']", json!("x")),
            ("models[\"aliases\"][\"gpt-4\\u002e1\"]", json!("x")),
            ("models.prices[0].input", json!(2)),
            ("models.prices.0.input", json!(2)),
        ] {
            assert_eq!(path(text).get(&document), Some(&found), "{text}");
        }
        assert_eq!(path("models.aliases['gpt-4.1']").field(), "config.models.aliases.\"gpt-4.1\"");
        for text in ["", ".", "a.", ".a", "a..b", "a[", "a[x]", "a[0", "a.\"b", "a'b'", "a b", "a]", "a[-1]", "[0]"] {
            assert_eq!(ConfigPath::parse(text).unwrap_err().field, "path", "{text}");
        }
    }

    #[test]
    fn set_makes_the_objects_on_its_way_and_nothing_else() {
        let mut document = Value::Null;
        path("cron.batch.allow").set(&mut document, json!(false)).unwrap();
        path("models.prices").set(&mut document, json!([])).unwrap();
        path("models.prices[0].input").set(&mut document, json!(1)).unwrap();
        assert_eq!(
            document,
            json!({ "cron": { "batch": { "allow": false } }, "models": { "prices": [{ "input": 1 }] } })
        );
        for wrong in ["models.prices[2]", "cron[0]", "cron.batch.allow.x", "models.prices.x"] {
            let fault = path(wrong).set(&mut document.clone(), json!(1)).unwrap_err();
            assert_eq!(fault.field, "path", "{wrong}: {fault}");
        }
    }

    #[test]
    fn unset_takes_away_one_field_or_element_and_keeps_the_order_of_the_rest() {
        let mut document = json!({ "a": 1, "b": [1, 2, 3], "c": 2 });
        assert_eq!(path("b[1]").unset(&mut document), Some(json!(2)));
        assert_eq!(path("a").unset(&mut document), Some(json!(1)));
        assert_eq!(document.to_string(), r#"{"b":[1,3],"c":2}"#);
        for absent in ["a", "b[2]", "c.d", "x.y.z"] {
            assert_eq!(path(absent).unset(&mut document), None, "{absent}");
        }
    }

    proptest! {
        #[test]
        fn what_a_path_shows_is_read_back_as_it(names in prop::collection::vec(".*", 1..6), index in 0_usize..99) {
            let mut shown = ConfigPath::of(&names.iter().map(String::as_str).collect::<Vec<_>>());
            shown.push_index(index);
            let text = shown.to_string();
            // The one text that is taken for a prefix.
            prop_assume!(!text.starts_with("config."));
            prop_assert_eq!(ConfigPath::parse(&text).unwrap(), shown);
        }

        #[test]
        fn no_text_makes_the_reader_fail_otherwise_than_by_an_error(text in "[a\\[\\].\"'0\\\\ ]*") {
            let _ = ConfigPath::parse(&text);
        }
    }
}
