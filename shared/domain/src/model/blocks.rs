//! Content blocks that are ours, not the Messages API's.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The type of the block in which an adapter for another provider keeps that provider's own message: it has to go back as
/// it came, and no other place understands it.
pub const RAW_MESSAGE: &str = "nightshift_raw_message";

/// `content`, the raw JSON of a message's content, without the blocks that only the adapter that made them understands; the
/// others stay byte for byte. For whoever speaks the Messages API itself.
pub fn portable(content: &str) -> Cow<'_, str> {
    if !content.contains(RAW_MESSAGE) {
        return Cow::Borrowed(content);
    }
    let Ok(blocks) = serde_json::from_str::<Vec<&RawValue>>(content) else { return Cow::Borrowed(content) };
    let kept: Vec<&str> = blocks.into_iter().map(RawValue::get).filter(|block| !is_ours(block)).collect();
    Cow::Owned(format!("[{}]", kept.join(",")))
}

fn is_ours(block: &str) -> bool {
    #[derive(Deserialize)]
    struct Block<'a> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
    }
    serde_json::from_str::<Block<'_>>(block).is_ok_and(|block| block.kind == RAW_MESSAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blocks_of_ours_are_left_out_and_the_others_keep_their_bytes() {
        let ours = format!(r#"{{"type":"{RAW_MESSAGE}","message":{{"role":"assistant"}}}}"#);
        let text = format!(r#"{{ "type":"text","text":"about {RAW_MESSAGE}", "n":1.50}}"#);
        assert_eq!(portable(&format!("[{text} , {ours}]")), format!("[{text}]"));
        assert_eq!(portable(&format!("[{ours}]")), "[]");
        for plain in [r#""hi""#, "[]", r#"[{"type":"text","text":"a"}]"#] {
            assert!(matches!(portable(plain), Cow::Borrowed(same) if same == plain));
        }
        let said = format!("\"{RAW_MESSAGE}\"");
        assert_eq!(portable(&said), said, "a person may write the word");
    }
}
