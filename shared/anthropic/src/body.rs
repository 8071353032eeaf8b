//! What is sent: the body of a hop, and of a batch of hops.
//!
//! Guarantee: each message's `content` goes out byte for byte as it is stored, unknown blocks included, because thinking
//! blocks are only valid unchanged ("Extended thinking" page, 2026-10-01). Sampling parameters are never sent: API
//! version 2026-10-21 refuses them even at their defaults ("Migration to 2026-10-21" page).

use nightshift_domain::model::{HopRequest, Role};
use nightshift_engine::ports::BatchRow;
use serde::Serialize;
use serde_json::value::RawValue;

#[derive(Serialize)]
struct Params<'a> {
    model: &'a str,
    max_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<&'a str>,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig<'a>>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: Role,
    content: &'a RawValue,
}

#[derive(Serialize)]
struct OutputConfig<'a> {
    effort: &'a str,
}

#[derive(Serialize)]
struct Row<'a> {
    custom_id: &'a str,
    params: &'a RawValue,
}

/// The body of `POST /v1/messages`, which is also the `params` of a batch row (Python SDK 2.11.0,
/// `message_create_params`).
///
/// # Errors
/// When a message's stored content is not JSON; nothing of it is sent then, since it could end the body early.
pub fn params(request: &HopRequest) -> serde_json::Result<String> {
    let messages = request.messages.iter().map(|message| {
        let content = serde_json::from_str(&message.content)?;
        Ok(Message { role: message.role, content })
    });
    serde_json::to_string(&Params {
        model: &request.model,
        max_tokens: request.max_tokens,
        system: request.system.as_deref(),
        messages: messages.collect::<serde_json::Result<_>>()?,
        output_config: request.effort.as_deref().map(|effort| OutputConfig { effort }),
    })
}

/// The body of `POST /v1/messages/batches`, written row by row ("Batch processing" page, 2026-10-01: at most 100,000 rows
/// and 256 MB; the caller stays far below).
///
/// # Errors
/// The `custom_id` of the first row that cannot be written.
pub fn create(rows: &[BatchRow]) -> Result<String, String> {
    let mut body = String::from("{\"requests\":[");
    for (index, row) in rows.iter().enumerate() {
        let refused = |_| row.custom_id.clone();
        let params = RawValue::from_string(params(&row.request).map_err(refused)?).map_err(refused)?;
        let written = serde_json::to_string(&Row { custom_id: &row.custom_id, params: &params }).map_err(refused)?;
        if index > 0 {
            body.push(',');
        }
        body.push_str(&written);
    }
    body.push_str("]}");
    Ok(body)
}

#[cfg(test)]
mod tests {
    use nightshift_domain::model::TurnMessage;
    use serde_json::{Value, json};

    use super::*;

    fn request(contents: &[&str]) -> HopRequest {
        let roles = [Role::User, Role::Assistant].into_iter().cycle();
        let message = |(content, role): (&&str, Role)| TurnMessage { role, content: (*content).to_owned() };
        HopRequest {
            model: "claude-opus-5-5".into(),
            max_tokens: 4096,
            system: Some("Be \"brief\".".into()),
            messages: contents.iter().zip(roles).map(message).collect(),
            effort: Some("low".into()),
            ..HopRequest::default()
        }
    }

    #[test]
    fn stored_content_goes_out_byte_for_byte_with_blocks_nobody_knows() {
        let odd = r#"[ {"type" : "thinking","thinking":"","signature":"E/+\u00e9=="},{"type":"from_2031","n":1.50e+3,"z":1,"a":{ }},
            {"type":"text","text":"\u0068i","text":"twice"}]"#;
        let body = params(&request(&["\"hello\"", odd, "[]"])).unwrap();
        assert!(body.contains(&format!("{{\"role\":\"assistant\",\"content\":{odd}}}")), "{body}");
        assert!(body.contains("{\"role\":\"user\",\"content\":\"hello\"}"));
    }

    #[test]
    fn a_body_holds_exactly_the_fields_of_a_hop_and_no_sampling_parameters() {
        let body: Value = serde_json::from_str(&params(&request(&["\"hi\""])).unwrap()).unwrap();
        assert_eq!(
            body,
            json!({"model": "claude-opus-5-5", "max_tokens": 4096, "system": "Be \"brief\".",
                "messages": [{"role": "user", "content": "hi"}], "output_config": {"effort": "low"}})
        );
        let bare = HopRequest { system: None, effort: None, ..request(&["\"hi\""]) };
        let body: Value = serde_json::from_str(&params(&bare).unwrap()).unwrap();
        assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["model", "max_tokens", "messages"]);
    }

    #[test]
    fn content_that_is_not_json_is_refused_instead_of_ending_the_body_early() {
        assert!(params(&request(&[r#""x"}],"system":"mine"#])).is_err());
        let rows = [row("good", &["\"x\""]), row("bad", &["{"])];
        assert_eq!(create(&rows), Err("bad".to_owned()));
    }

    fn row(custom_id: &str, contents: &[&str]) -> BatchRow {
        BatchRow { custom_id: custom_id.into(), request: request(contents) }
    }

    #[test]
    fn a_batch_row_holds_the_same_bytes_as_the_message_would() {
        let rows = [row("a", &["\"x\""]), row("b", &["[ 1.0 ]"])];
        let body = create(&rows).unwrap();
        let [first, second] = [&rows[0], &rows[1]].map(|row| params(&row.request).unwrap());
        assert_eq!(
            body,
            format!(r#"{{"requests":[{{"custom_id":"a","params":{first}}},{{"custom_id":"b","params":{second}}}]}}"#)
        );
        assert_eq!(create(&[]).unwrap(), r#"{"requests":[]}"#);
    }
}
