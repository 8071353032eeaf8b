//! An answer put together from the events it is streamed in.
//!
//! Guarantee: what comes out is what the same answer would be whole. A block that comes complete is kept byte for byte,
//! of whatever kind it is; of one that comes in pieces, each field no piece belongs to is, in the order of the fields, and
//! the pieces of a tool's input are joined as they are. An event of a kind nobody knows changes nothing ("Streaming" page,
//! 2026-10-01: new ones may be added). It knows nothing of connections and time.

use std::collections::BTreeMap;
use std::fmt;

use nightshift_domain::model::{Reply, StopReason};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::messages::{Container, joined_text};

/// What an event did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// More is to come.
    Going,
    /// The answer is complete.
    Complete,
    /// It broke off with this error.
    Failed(String),
}

/// An answer so far.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    /// The id and the model, once the message has begun.
    head: Option<(String, String)>,
    blocks: BTreeMap<u64, Block>,
    usage: Map<String, Value>,
    stop_reason: Option<String>,
    container: Option<String>,
}

/// The events of Python SDK 2.11.0, `RawMessageStreamEvent`.
#[derive(Deserialize)]
struct MessageStart<'a> {
    #[serde(borrow)]
    message: Message<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    id: String,
    model: String,
    /// Empty, as far as is known; whatever there is belongs to the answer.
    #[serde(borrow, default)]
    content: Option<Vec<&'a RawValue>>,
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    usage: Option<Map<String, Value>>,
    #[serde(default)]
    container: Option<Container>,
}

#[derive(Deserialize)]
struct BlockStart<'a> {
    index: u64,
    #[serde(borrow)]
    content_block: &'a RawValue,
}

#[derive(Deserialize)]
struct BlockDelta<'a> {
    index: u64,
    #[serde(borrow)]
    delta: Fields<'a>,
}

#[derive(Deserialize)]
struct MessageDelta {
    #[serde(default)]
    delta: Option<Ending>,
    /// Cumulative ("Streaming" page, 2026-10-01).
    #[serde(default)]
    usage: Option<Map<String, Value>>,
}

#[derive(Default, Deserialize)]
struct Ending {
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    container: Option<Container>,
}

/// What an event's data says of its kind, for a gateway that leaves the `event:` line out.
#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: String,
}

impl Assembly {
    /// Takes an event in. An error means that the answer cannot be understood any more.
    pub(crate) fn take(&mut self, name: Option<&str>, data: &str) -> serde_json::Result<Step> {
        let named = match name {
            Some(name) => name.to_owned(),
            None => serde_json::from_str::<Kind>(data).map(|data| data.kind).unwrap_or_default(),
        };
        match named.as_str() {
            "message_start" => self.begin(serde_json::from_str::<MessageStart<'_>>(data)?.message),
            "content_block_start" => {
                let BlockStart { index, content_block } = serde_json::from_str(data)?;
                self.blocks.insert(index, content_block.into());
            }
            "content_block_delta" => {
                let BlockDelta { index, delta } = serde_json::from_str(data)?;
                let missing = || serde_json::Error::custom("a piece of a block that has not begun");
                self.blocks.get_mut(&index).ok_or_else(missing)?.add(&delta)?;
            }
            "message_delta" => {
                let MessageDelta { delta, usage } = serde_json::from_str(data)?;
                let delta = delta.unwrap_or_default();
                self.usage.extend(usage.into_iter().flatten().filter(|(_, count)| !count.is_null()));
                self.stop_reason = delta.stop_reason.or(self.stop_reason.take());
                self.container = delta.container.map(|container| container.id).or(self.container.take());
            }
            "message_stop" => return Ok(Step::Complete),
            "error" => return Ok(Step::Failed(data.to_owned())),
            // `content_block_stop` and `ping` say nothing that is needed, and others nothing that is known.
            _ => {}
        }
        Ok(Step::Going)
    }

    fn begin(&mut self, message: Message<'_>) {
        let Message { id, model, content, stop_reason, usage, container } = message;
        self.head = Some((id, model));
        self.blocks = (0..).zip(content.into_iter().flatten()).map(|(index, block)| (index, block.into())).collect();
        self.usage = usage.unwrap_or_default();
        self.stop_reason = stop_reason;
        self.container = container.map(|container| container.id);
    }

    /// The answer, once it is complete.
    pub(crate) fn finish(self, request_id: Option<String>) -> serde_json::Result<Reply> {
        let Self { head, blocks, usage, stop_reason, container } = self;
        let (message_id, model) = head.ok_or_else(|| serde_json::Error::custom("a message that never began"))?;
        let stop_reason = StopReason::parse(stop_reason.as_deref().unwrap_or("none"));
        let calls = stop_reason == StopReason::ToolUse;
        let mut content = String::from("[");
        for block in blocks.into_values() {
            if content.len() > 1 {
                content.push(',');
            }
            block.write(calls, &mut content)?;
        }
        content.push(']');
        let text = joined_text(&content)?;
        Ok(Reply { message_id, request_id, model, stop_reason, content, text, usage: usage.into(), container })
    }
}

/// A content block so far.
#[derive(Debug)]
struct Block {
    /// As it came.
    whole: Box<RawValue>,
    /// Field by field, once a piece was added.
    fields: Option<Vec<(String, Field)>>,
}

impl From<&RawValue> for Block {
    fn from(whole: &RawValue) -> Self {
        Self { whole: whole.to_owned(), fields: None }
    }
}

/// A field's value so far.
#[derive(Debug)]
enum Field {
    /// As it came.
    Whole(Box<RawValue>),
    /// A text that grows.
    Text(String),
    /// JSON that grows.
    Json(String),
    /// A list that grows.
    List(Vec<Box<RawValue>>),
}

impl Block {
    /// Adds what a delta brings. Each string of a delta goes to the end of the block's string of that name (`text`,
    /// `thinking`, `signature`, the `content` of a compaction, and those of kinds yet unknown); `input` and `citations` are
    /// the two that grow otherwise (Python SDK 2.11.0, `RawContentBlockDelta`).
    fn add(&mut self, delta: &Fields<'_>) -> serde_json::Result<()> {
        let kind: Option<String> = delta.get("type").map(|kind| serde_json::from_str(kind.get())).transpose()?;
        match kind.as_deref() {
            Some("input_json_delta") => {
                let piece = delta.get("partial_json").ok_or_else(|| serde_json::Error::custom("no partial_json"))?;
                let piece: String = serde_json::from_str(piece.get())?;
                match self.field("input", "{}")? {
                    // The first piece is empty; `input` is an empty object until there is more.
                    Field::Whole(_) if piece.is_empty() => {}
                    Field::Json(json) => json.push_str(&piece),
                    field @ (Field::Whole(_) | Field::Text(_) | Field::List(_)) => *field = Field::Json(piece),
                }
            }
            Some("citations_delta") => {
                let citation = delta.get("citation").ok_or_else(|| serde_json::Error::custom("no citation"))?;
                let field = self.field("citations", "null")?;
                if let Field::Whole(raw) = field {
                    let so_far: Option<Vec<Box<RawValue>>> = serde_json::from_str(raw.get())?;
                    *field = Field::List(so_far.unwrap_or_default());
                }
                if let Field::List(list) = field {
                    list.push(citation.to_owned());
                }
            }
            _ => {
                for (name, piece) in &delta.0 {
                    if name != "type" && piece.get().starts_with('"') {
                        let piece: String = serde_json::from_str(piece.get())?;
                        self.field(name, "null")?.append(&piece)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The field called `name`; one the block has not yet is put at its end.
    fn field(&mut self, name: &str, absent: &str) -> serde_json::Result<&mut Field> {
        let fields = match &mut self.fields {
            Some(fields) => fields,
            none => {
                let Fields(fields) = serde_json::from_str(self.whole.get())?;
                let whole = |(name, value): (String, &RawValue)| (name, Field::Whole(value.to_owned()));
                none.insert(fields.into_iter().map(whole).collect())
            }
        };
        let known = fields.iter().position(|(each, _)| each == name);
        let at = known.unwrap_or(fields.len());
        if known.is_none() {
            fields.push((name.to_owned(), Field::Whole(serde_json::from_str(absent)?)));
        }
        Ok(&mut fields[at].1)
    }

    /// Writes it to `out`. The input of a tool that is to be run (`calls`) has to be JSON; one that was cut short, as by
    /// `max_tokens`, is wrapped as the API asks for it ("Fine-grained tool streaming" page, on invalid JSON), so that what
    /// the model did say is not lost and can be sent back.
    fn write(self, calls: bool, out: &mut String) -> serde_json::Result<()> {
        let Some(fields) = self.fields else {
            out.push_str(self.whole.get());
            return Ok(());
        };
        out.push('{');
        for (at, (name, field)) in fields.into_iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            out.push_str(&serde_json::to_string(&name)?);
            out.push(':');
            match field {
                Field::Whole(raw) => out.push_str(raw.get()),
                Field::Text(text) => out.push_str(&serde_json::to_string(&text)?),
                Field::List(list) => out.push_str(&serde_json::to_string(&list)?),
                Field::Json(json) => match serde_json::from_str::<&RawValue>(&json) {
                    Ok(raw) => out.push_str(raw.get()),
                    Err(error) if calls => return Err(error),
                    Err(_) => out.push_str(&serde_json::json!({ "INVALID_JSON": json }).to_string()),
                },
            }
        }
        out.push('}');
        Ok(())
    }
}

impl Field {
    /// Appends to a text; one that is null begins here. A field that is no text is left alone.
    fn append(&mut self, piece: &str) -> serde_json::Result<()> {
        if let Self::Whole(raw) = self {
            let so_far = match raw.get() {
                "null" => String::new(),
                // An empty piece leaves the bytes as they came.
                text if text.starts_with('"') && !piece.is_empty() => serde_json::from_str(text)?,
                _ => return Ok(()),
            };
            *self = Self::Text(so_far);
        }
        if let Self::Text(text) = self {
            text.push_str(piece);
        }
        Ok(())
    }
}

/// The fields of an object in their order, each value as it came.
#[derive(Debug)]
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(each, _)| each == name).map(|(_, value)| *value)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Collect).map(Fields)
    }
}

#[cfg(test)]
mod tests;
