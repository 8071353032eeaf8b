//! Content in the words of the Messages API: a text, or blocks. Values are kept as they were written.

use serde::Deserialize;
use serde::de::Error as _;
use serde_json::value::RawValue;

/// A content.
#[derive(Debug)]
pub(crate) enum Content<'a> {
    Text(String),
    Blocks(Vec<Block<'a>>),
}

/// A block of any kind; only the type is sure to be what it seems.
#[derive(Debug, Deserialize)]
pub(crate) struct Block<'a> {
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_use_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    is_error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) message: Option<&'a RawValue>,
}

fn string(raw: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(raw?.get()).ok()
}

impl Block<'_> {
    /// The id and name of a tool that was called.
    pub(crate) fn call(&self) -> Option<(String, String)> {
        (self.kind == "tool_use").then_some(())?;
        Some((string(self.id)?, string(self.name)?))
    }

    /// The id of the call that a result answers.
    pub(crate) fn answers(&self) -> Option<String> {
        (self.kind == "tool_result").then_some(())?;
        string(self.tool_use_id)
    }

    /// What a result says. A failure is told in words, since nothing else of the answer could say so.
    pub(crate) fn result(&self) -> serde_json::Result<String> {
        let text = self.content.map_or_else(|| Ok(String::new()), |content| text_of(content.get()))?;
        let failed = self.is_error.is_some_and(|flag| flag.get() == "true");
        Ok(if failed { format!("Error: {text}") } else { text })
    }

    /// The model whose own message the block keeps.
    pub(crate) fn model(&self) -> Option<String> {
        string(self.model)
    }
}

impl<'a> Content<'a> {
    pub(crate) fn read(content: &'a str) -> serde_json::Result<Self> {
        match content.trim_start().as_bytes().first() {
            Some(b'"') => serde_json::from_str(content).map(Self::Text),
            Some(b'[') => serde_json::from_str(content).map(Self::Blocks),
            _ if content.trim() == "null" => Ok(Self::Blocks(Vec::new())),
            _ => Err(serde_json::Error::custom("content is neither a text nor blocks")),
        }
    }

    /// The text. Neighbouring text blocks are one text; what others separate stands apart.
    pub(crate) fn text(&self) -> String {
        let blocks = match self {
            Self::Text(text) => return text.clone(),
            Self::Blocks(blocks) => blocks,
        };
        let mut joined = String::new();
        let mut apart = false;
        for block in blocks {
            match string(block.text).filter(|_| block.kind == "text") {
                Some(text) => {
                    if apart && !joined.is_empty() && !text.is_empty() {
                        joined.push_str("\n\n");
                    }
                    apart = false;
                    joined.push_str(&text);
                }
                None => apart = true,
            }
        }
        joined
    }
}

/// The text of a content.
pub(crate) fn text_of(content: &str) -> serde_json::Result<String> {
    Ok(Content::read(content)?.text())
}
