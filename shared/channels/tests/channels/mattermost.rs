//! Mattermost.

use chrono::TimeDelta;
use nightshift_engine::ports::SendErrorKind;
use nightshift_engine::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::server::{Act, Asked, Server, nobody};
use crate::{TOKEN, channel, failure, send, text};

const PLACE: &str = "abcdefghijklmnopqrstuvwxyz";
const THREAD: &str = "rootrootrootrootrootrootro";

fn taken() -> Value {
    json!({ "id": "postpostpostpostpostpostpo", "channel_id": PLACE })
}

fn error(status: u16, id: &str) -> Act {
    Act::Answer(status, "", json!({ "id": id, "message": "said so", "status_code": status }).to_string())
}

#[tokio::test]
async fn a_post_carries_its_channel_its_thread_and_a_pending_id_that_is_the_same_for_every_try() {
    let server = Server::answering(201, &taken()).await;
    let mattermost = channel("mattermost", &server.url).await;
    for _ in 0..2 {
        let sent = send(&*mattermost, PLACE, Some(THREAD), &text("**hi**")).await.unwrap();
        assert_eq!(sent.message_id, "postpostpostpostpostpostpo");
    }
    let asked = server.asked();
    assert_eq!((asked[0].method.as_str(), asked[0].path.as_str()), ("POST", "/chat/api/v4/posts"));
    assert_eq!(asked[0].header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    let pending = asked[0].json()["pending_post_id"].as_str().unwrap().to_owned();
    assert_eq!(pending.len(), 26);
    assert_eq!(
        asked[0].json(),
        json!({ "channel_id": PLACE, "message": "**hi**", "root_id": THREAD, "pending_post_id": pending })
    );
    assert_eq!(asked[1].json(), asked[0].json());
    assert_eq!(mattermost.dedupes(), Some(TimeDelta::seconds(25)));
}

#[tokio::test]
async fn a_person_is_written_to_in_the_direct_channel_and_names_are_looked_up() {
    let server = Server::routing(|_, asked| {
        let body = match asked.path.strip_prefix("/chat/api/v4").unwrap() {
            "/users/me" => json!({ "id": "me" }),
            "/users/username/alice.b" => json!({ "id": "alice-id" }),
            "/channels/direct" => json!({ "id": "direct-id" }),
            "/users/me/teams" => json!([{ "id": "t1" }, { "id": "t2" }]),
            "/teams/t1/channels/name/town-square" | "/teams/t2/channels/name/town-square" => json!({ "id": "c" }),
            "/teams/t2/channels/name/alarms" => json!({ "id": "alarms-id" }),
            path if path.starts_with("/teams/") => return error(404, "app.channel.get_by_name.missing.app_error"),
            _ => json!({ "id": "p" }),
        };
        Act::Answer(200, "", body.to_string())
    })
    .await;
    let mattermost = channel("mattermost", &server.url).await;
    send(&*mattermost, "@alice.b", None, &text("x")).await.unwrap();
    send(&*mattermost, "user:abcdefghijklmnopqrstuvwxyz", None, &text("x")).await.unwrap();
    send(&*mattermost, "#alarms", None, &text("x")).await.unwrap();
    let asked = server.asked();
    let opened: Vec<Value> = asked.iter().filter(|one| one.path.ends_with("/direct")).map(Asked::json).collect();
    assert_eq!(opened, [json!(["me", "alice-id"]), json!(["me", PLACE])]);
    let posts = asked.iter().filter(|one| one.path.ends_with("/posts")).map(|one| one.json()["channel_id"].clone());
    assert_eq!(posts.collect::<Vec<_>>(), ["direct-id", "direct-id", "alarms-id"]);
    for (name, part) in [("town-square", "2 channels are called"), ("absent", "no channel is called \"absent\"")] {
        let (kind, _, message) = failure(send(&*mattermost, name, None, &text("x")).await);
        assert_eq!(kind, SendErrorKind::Refused);
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn a_post_whose_answer_is_lost_is_repeated_once_with_its_id_and_is_unknown_only_if_that_fails_too() {
    let answer = |act: Act| vec![Act::Drop, act];
    let pending = error(500, "api.post.deduplicate_create_post.pending");
    for (acts, taken) in [
        (answer(Act::Answer(201, "", taken().to_string())), true),
        (answer(pending), false),
        (answer(error(403, "api.context.permissions.app_error")), false),
        (answer(Act::Answer(429, "retry-after: 3\r\n", String::new())), false),
        (answer(Act::Drop), false),
    ] {
        let server = Server::new(acts.clone()).await;
        let mattermost = channel("mattermost", &server.url).await;
        let result = send(&*mattermost, PLACE, None, &text("private words")).await;
        if taken {
            assert_eq!(result.unwrap().message_id, "postpostpostpostpostpostpo");
        } else {
            assert_eq!(failure(result).0, SendErrorKind::Unknown, "{acts:?}");
        }
        let asked = server.asked();
        assert_eq!(asked.len(), 2, "{acts:?}");
        assert_eq!(asked[0].json()["pending_post_id"], asked[1].json()["pending_post_id"]);
    }
}

#[tokio::test]
async fn each_answer_says_what_became_of_the_post() {
    use SendErrorKind::{NotTaken, Refused};
    let soon = (SystemClock.now() + TimeDelta::seconds(60)).timestamp();
    let soon: &'static str = Box::leak(format!("x-ratelimit-reset: {soon}\r\n").into_boxed_str());
    for (act, kind, wait, part) in [
        (Act::Answer(429, "x-ratelimit-reset: 2\r\n", String::new()), NotTaken, 2..=2, "rate-limiting"),
        (Act::Answer(429, soon, String::new()), NotTaken, 55..=60, "rate-limiting"),
        (
            Act::Answer(429, "retry-after: 7\r\nx-ratelimit-reset: 2\r\n", String::new()),
            NotTaken,
            7..=7,
            "rate-limiting",
        ),
        (error(401, "api.context.session_expired.app_error"), Refused, 0..=0, "channels.mattermost.accounts.default"),
        (error(403, "api.context.permissions.app_error"), Refused, 0..=0, "add it to the channel"),
        (error(404, "store.sql_channel.get.existing.app_error"), Refused, 0..=0, "no such channel"),
        (error(400, "model.post.is_valid.message_length.app_error"), Refused, 0..=0, "said so"),
        (
            Act::Answer(201, "", json!({ "id": "p", "channel_id": "other" }).to_string()),
            Refused,
            0..=0,
            "to channel other; expected abc",
        ),
    ] {
        let server = Server::new(vec![act.clone()]).await;
        let mattermost = channel("mattermost", &server.url).await;
        let (found, waits, message) = failure(send(&*mattermost, PLACE, None, &text("private words")).await);
        assert_eq!(found, kind, "{act:?}: {message}");
        assert!(wait.contains(&waits.unwrap_or_default()), "{act:?}: {waits:?}");
        assert!(message.contains(part), "{act:?}: {message}");
        assert_eq!(server.asked().len(), 1, "{act:?}");
    }
    let mattermost = channel("mattermost", &nobody().await).await;
    assert_eq!(failure(send(&*mattermost, PLACE, None, &text("x")).await).0, NotTaken);
    assert!(mattermost.target(PLACE, Some("1700000000.1")).is_err());
}
