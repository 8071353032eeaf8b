//! Images that are sent by their address.

use nightshift_engine::ports::Rendered;
use serde_json::{Value, json};

use crate::server::{Act, Server};
use crate::{channel, send};

const IMAGE: &str = "https://e.io/chart.png?a=1&b=2";

/// The messages of a report with one image, sent to `to`, and what was posted.
async fn posted(name: &str, to: &str, acts: Vec<Act>) -> Vec<(String, Value)> {
    let server = Server::new(acts).await;
    let channel = channel(name, &server.url).await;
    let rendered = channel.render(&format!("**Up** by 3 & more:\n\n![The *chart*]({IMAGE})\n\nThat is all."));
    for body in &rendered {
        send(&*channel, to, None, body).await.unwrap();
    }
    server.asked().iter().map(|asked| (asked.path.split('/').next_back().unwrap().to_owned(), asked.json())).collect()
}

fn answer(status: u16, body: &Value) -> Act {
    Act::Answer(status, "", body.to_string())
}

#[tokio::test]
async fn telegram_is_sent_a_photo_with_the_text_before_it_and_the_address_as_text_where_it_refuses() {
    let taken = answer(200, &json!({ "ok": true, "result": { "message_id": 1 } }));
    let sent = posted("telegram", "-100", vec![taken.clone()]).await;
    let caption = "<b>Up</b> by 3 &amp; more:";
    let photo = json!({ "chat_id": "-100", "photo": IMAGE, "caption": caption, "parse_mode": "HTML" });
    let rest = json!({ "chat_id": "-100", "text": "That is all.", "parse_mode": "HTML" });
    assert_eq!(sent, [("sendPhoto".into(), photo.clone()), ("sendMessage".into(), rest.clone())]);

    let description = "Bad Request: wrong type of the web page content";
    let refused = answer(400, &json!({ "ok": false, "description": description }));
    let sent = posted("telegram", "-100", vec![refused, taken]).await;
    let text = format!("{caption}\n\n{}", IMAGE.replace('&', "&amp;"));
    let text = json!({ "chat_id": "-100", "text": text, "parse_mode": "HTML" });
    assert_eq!(sent, [("sendPhoto".into(), photo), ("sendMessage".into(), text), ("sendMessage".into(), rest)]);
}

#[tokio::test]
async fn a_chat_that_telegram_does_not_know_is_not_asked_again_without_the_photo() {
    let refused = answer(400, &json!({ "ok": false, "description": "Bad Request: chat not found" }));
    let server = Server::new(vec![refused]).await;
    let telegram = channel("telegram", &server.url).await;
    let body = &telegram.render(&format!("![]({IMAGE})"))[0];
    assert_eq!(body.text, "");
    send(&*telegram, "-100", None, body).await.unwrap_err();
    assert_eq!(server.asked().len(), 1);
    assert_eq!(server.asked()[0].json(), json!({ "chat_id": "-100", "photo": IMAGE }));
}

#[tokio::test]
async fn slack_is_sent_blocks_and_the_address_as_text_where_it_refuses() {
    let taken = answer(200, &json!({ "ok": true, "ts": "1.2" }));
    let sent = posted("slack", "C1234567890", vec![taken.clone()]).await;
    let caption = "*Up* by 3 &amp; more:";
    let blocks = json!([
        { "type": "section", "text": { "type": "mrkdwn", "text": caption } },
        { "type": "image", "image_url": IMAGE, "alt_text": "The chart" },
    ]);
    assert_eq!((&sent[0].1["text"], &sent[0].1["blocks"]), (&json!(caption), &blocks));
    assert_eq!((&sent[1].1["text"], sent[1].1.get("blocks")), (&json!("That is all."), None));

    let refused = answer(200, &json!({ "ok": false, "error": "invalid_blocks" }));
    let sent = posted("slack", "C1234567890", vec![refused, taken]).await;
    assert_eq!(sent[1].1["text"], format!("{caption}\n\n{}", IMAGE.replace('&', "&amp;")));
    assert_eq!((sent.len(), sent[1].1.get("blocks")), (3, None));
}

#[tokio::test]
async fn discord_is_sent_an_embed_that_is_not_suppressed_and_the_address_as_text_where_it_refuses() {
    let taken = answer(200, &json!({ "id": "1" }));
    let sent = posted("discord", "channel:5", vec![taken.clone()]).await;
    let body = &sent[0].1;
    assert_eq!(body["content"], "**Up** by 3 & more:");
    assert_eq!((&body["embeds"], body.get("flags")), (&json!([{ "image": { "url": IMAGE } }]), None));

    let refused = answer(400, &json!({ "code": 50035, "message": "Invalid Form Body" }));
    let sent = posted("discord", "channel:5", vec![refused, taken]).await;
    assert_eq!(sent[1].1["content"], format!("**Up** by 3 & more:\n\n{IMAGE}"));
    assert_eq!((&sent[1].1["flags"], &sent[1].1["nonce"]), (&json!(4), &sent[0].1["nonce"]));
    assert_eq!(sent.len(), 3);
}

#[tokio::test]
async fn whatsapp_is_sent_an_image_and_the_address_as_text_where_it_refuses() {
    let taken = answer(200, &json!({ "messages": [{ "id": "wamid.1" }] }));
    let sent = posted("whatsapp", "+1555", vec![taken.clone()]).await;
    let image = json!({ "link": IMAGE, "caption": "*Up* by 3 & more:" });
    assert_eq!((&sent[0].1["type"], &sent[0].1["image"], sent[0].1.get("text")), (&json!("image"), &image, None));

    let refused = answer(400, &json!({ "error": { "code": 131_053, "message": "Media upload error" } }));
    let sent = posted("whatsapp", "+1555", vec![refused, taken]).await;
    assert_eq!(sent[1].1["text"]["body"], format!("*Up* by 3 & more:\n\n{IMAGE}"));
    assert_eq!(sent.len(), 3);
}

#[tokio::test]
async fn a_channel_that_fetches_no_images_keeps_the_address_in_its_text() {
    let report = format!("See:\n\n![Chart]({IMAGE})");
    for (name, text) in [
        ("mattermost", report.clone()),
        ("console", report.clone()),
        ("signal", format!("See:\n\nChart ({IMAGE})")),
        ("imessage", format!("See:\n\nChart ({IMAGE})")),
    ] {
        let rendered = channel(name, "http://127.0.0.1:1").await.render(&report);
        assert_eq!(rendered, [Rendered { text, plain: None, media: None }], "{name}");
    }
}

/// A caption longer than its channel takes goes before the image, whose description is its caption then.
#[tokio::test]
async fn a_text_too_long_for_a_caption_goes_before_the_image() {
    let long = "word ".repeat(400);
    for name in ["telegram", "whatsapp"] {
        let channel = channel(name, "http://127.0.0.1:1").await;
        let rendered = channel.render(&format!("{long}\n\n![Chart]({IMAGE})"));
        let (last, before) = rendered.split_last().unwrap();
        assert!(before.iter().all(|body| body.media.is_none()) && !before.is_empty(), "{name}");
        assert_eq!((last.text.as_str(), last.media.is_some()), ("Chart", true), "{name}");
    }
}
