//! What a change of the document changed, field by field, for the person who made it.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::path::ConfigPath;

/// Most fields that are told one by one: an answer is kept for repeats of its request, and has to stay small.
const MOST: usize = 50;
/// Longest value that is told whole, in bytes of JSON.
const LONGEST: usize = 200;
/// What is told of a longer one, in characters.
const BEGINNING: usize = 60;

/// A field that changed. A side that is absent was not set; a long value is told by its beginning, as a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Where.
    pub path: String,
    /// What stood there.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub old: Option<Value>,
    /// What stands there now.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub new: Option<Value>,
}

/// `null` is a value here, and no absence.
fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

/// The changes from `old` to `new`, and how many more there are.
pub fn changes(old: &Value, new: &Value) -> (Vec<Change>, u64) {
    let mut list = List { at: ConfigPath::default(), changes: Vec::new(), more: 0 };
    // A document that was never written is an empty one.
    let empty = Value::Object(serde_json::Map::new());
    let old = if old.is_null() { &empty } else { old };
    list.compare(Some(old), Some(new));
    (list.changes, list.more)
}

struct List {
    at: ConfigPath,
    changes: Vec<Change>,
    more: u64,
}

impl List {
    fn compare(&mut self, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (old, new) if old == new => {}
            (Some(Value::Object(old)), Some(Value::Object(new))) => {
                let added = new.keys().filter(|name| !old.contains_key(*name));
                for name in old.keys().chain(added) {
                    self.within(name, old.get(name), new.get(name));
                }
            }
            (None | Some(Value::Null), Some(Value::Object(map))) if !map.is_empty() => {
                for (name, value) in map {
                    self.within(name, None, Some(value));
                }
            }
            (Some(Value::Object(map)), None) if !map.is_empty() => {
                for (name, value) in map {
                    self.within(name, Some(value), None);
                }
            }
            (Some(Value::Array(old)), Some(Value::Array(new))) if old.len() == new.len() => {
                for (index, (old, new)) in old.iter().zip(new).enumerate() {
                    self.at.push_index(index);
                    self.compare(Some(old), Some(new));
                    self.at.pop();
                }
            }
            (old, new) => self.say(old, new),
        }
    }

    fn within(&mut self, name: &str, old: Option<&Value>, new: Option<&Value>) {
        self.at.push_name(name);
        self.compare(old, new);
        self.at.pop();
    }

    fn say(&mut self, old: Option<&Value>, new: Option<&Value>) {
        if self.changes.len() < MOST {
            let path = self.at.to_string();
            self.changes.push(Change { path, old: old.map(short), new: new.map(short) });
        } else {
            self.more += 1;
        }
    }
}

fn short(value: &Value) -> Value {
    let text = value.to_string();
    if text.len() <= LONGEST {
        return value.clone();
    }
    let text = value.as_str().unwrap_or(&text);
    let beginning: String = text.chars().take(BEGINNING).collect();
    Value::from(format!("{beginning}…"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_change_is_told_by_its_leaves() {
        let old = json!({ "cron": { "enabled": true, "timezone": null }, "agents": { "entries": { "a.b": {} } },
            "models": { "prices": [{ "input": 1 }], "allow": ["*"] } });
        let new = json!({ "cron": { "enabled": false, "timezone": "UTC" }, "hooks": { "named": { "x": { "to": "y" } } },
            "models": { "prices": [{ "input": 2 }], "allow": [] } });
        let (changes, more) = changes(&old, &new);
        let told: Vec<String> = changes
            .iter()
            .map(|it| {
                let side = |side: &Option<Value>| side.as_ref().map_or_else(|| "-".to_owned(), Value::to_string);
                format!("{} {} {}", it.path, side(&it.old), side(&it.new))
            })
            .collect();
        let expected = [
            "cron.enabled true false",
            "cron.timezone null \"UTC\"",
            "agents.entries.\"a.b\" {} -",
            "models.prices[0].input 1 2",
            "models.allow [\"*\"] []",
            "hooks.named.x.to - \"y\"",
        ];
        // `agents` is gone as a whole, and told by what was in it.
        assert_eq!((told, more), (expected.map(str::to_owned).to_vec(), 0));
        let back: Change = serde_json::from_value(serde_json::to_value(&changes[1]).unwrap()).unwrap();
        assert_eq!(back, changes[1], "null is told from absence");
    }

    #[test]
    fn many_changes_and_long_values_are_cut() {
        let many: serde_json::Map<String, Value> = (0..60).map(|n| (format!("k{n}"), json!("é".repeat(500)))).collect();
        let (told, more) = changes(&Value::Null, &Value::Object(many));
        assert_eq!((told.len(), more), (50, 10));
        assert_eq!(told[0].new.as_ref().unwrap().as_str().unwrap().chars().count(), 61);
    }
}
