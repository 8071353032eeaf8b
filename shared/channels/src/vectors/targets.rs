//! The recorded targets, as the parsers read them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::cases;
use crate::{discord, imessage, mattermost, signal, slack, telegram, whatsapp};

const TARGETS: &str = include_str!("../../tests/vectors/targets.json");

/// Quirks that are not copied, and why.
const OTHERS: [(&str, &str, &str); 6] = [
    ("slack", "#my-channel", "accepted: Slack itself takes names with hyphens"),
    ("slack", "channel:", "refused: there is no channel called \"channel:\""),
    ("slack", "user:", "refused: there is no channel called \"user:\""),
    ("discord", "#general", "the same channel, kept by its name without the mark"),
    ("discord", "Channel:123", "read as the channel's id, whatever the case of the prefix"),
    (
        "mattermost",
        "group:abcdefghijklmnopqrstuvwxyz",
        "read as the channel's id, which is where the recorded call posts to",
    ),
];

#[test]
fn targets_are_read_as_recorded() {
    let mut differing = BTreeSet::new();
    for case in cases(TARGETS) {
        let (channel, to) = (case["channel"].as_str().unwrap(), case["to"].as_str().unwrap());
        let same = match channel {
            "telegram" => telegram_reads(to, &case["parsed"]),
            "slack" => slack_reads(to, &case),
            "discord" => same(discord_reads(to), &case, &["kind", "id"]),
            "whatsapp" => same(whatsapp_reads(to), &case, &["to"]),
            "mattermost" => same(mattermost_reads(to), &case, &["kind", "id", "name"]),
            "signal" => same(signal_reads(to), &case, &["type", "recipient", "groupId"]),
            // One channel here, under either name.
            "imessage" | "bluebubbles" => {
                let fields = ["kind", "chatId", "chatGuid", "chatIdentifier", "service", "handle"];
                same(imessage_reads(to), &handles_named(&case), &fields)
            }
            other => panic!("there is no channel {other}"),
        };
        if !same {
            assert_eq!(case["tag"], "quirk", "{case}");
            differing.insert((channel.to_owned(), to.to_owned()));
        }
    }
    let known = OTHERS.iter().map(|(channel, to, _)| ((*channel).to_owned(), (*to).to_owned()));
    assert_eq!(differing, known.collect());
}

/// Whether `found` is the recorded error, or has the recorded values in these fields.
fn same(found: Result<Value, String>, case: &Value, fields: &[&str]) -> bool {
    match found {
        Err(error) => case["error"].as_str() == Some(&error),
        Ok(found) => case["error"].is_null() && fields.iter().all(|field| found[field] == case["parsed"][field]),
    }
}

fn telegram_reads(to: &str, expected: &Value) -> bool {
    let place = telegram::target::parse(to);
    let (thread, direct) = match place.topic {
        Some(telegram::target::Topic::Thread(number)) => (Some(number), None),
        Some(telegram::target::Topic::Direct(number)) => (None, Some(number)),
        None => (None, None),
    };
    place.chat == expected["chatId"].as_str().unwrap()
        && thread == expected["messageThreadId"].as_i64()
        && direct == expected["directMessagesTopicId"].as_i64()
        && telegram::target::recipient(&place.chat).as_deref() == expected["lookup"].as_str()
}

fn slack_reads(to: &str, case: &Value) -> bool {
    match slack::target::parse(to) {
        Err(error) => case["error"].as_str() == Some(&error),
        Ok((kind, id)) => {
            let kind = if kind == slack::target::Kind::User { "user" } else { "channel" };
            case["parsed"]["kind"] == kind && case["parsed"]["id"] == id.as_str()
        }
    }
}

fn discord_reads(to: &str) -> Result<Value, String> {
    use discord::target::Place;
    discord::target::parse(to).map(|place| match place {
        Place::User(id) => json!({ "kind": "user", "id": id }),
        Place::Channel(id) | Place::Named(id) => json!({ "kind": "channel", "id": id }),
    })
}

fn whatsapp_reads(to: &str) -> Result<Value, String> {
    use whatsapp::target::Place;
    whatsapp::target::parse(to).map(|place| match place {
        Place::Person(to) | Place::Group(to) => json!({ "to": to }),
    })
}

fn mattermost_reads(to: &str) -> Result<Value, String> {
    use mattermost::target::Place;
    mattermost::target::parse(to).map(|place| match place {
        Place::User(id) => json!({ "kind": "user", "id": id }),
        Place::Channel(id) => json!({ "kind": "channel", "id": id }),
        Place::Named(name) => json!({ "kind": "channel-name", "name": name }),
        Place::Username(name) => json!({ "kind": "username", "name": name }),
    })
}

fn signal_reads(to: &str) -> Result<Value, String> {
    use signal::target::Place;
    signal::target::parse(to).map(|place| match place {
        Place::Group(id) => json!({ "type": "group", "groupId": id }),
        Place::Username(name) => json!({ "type": "username", "username": name }),
        Place::Recipient(recipient) => json!({ "type": "recipient", "recipient": recipient }),
    })
}

fn imessage_reads(to: &str) -> Result<Value, String> {
    use imessage::target::{Place, Service, address};
    imessage::target::parse(to).map(|place| match place {
        Place::ChatId(id) => json!({ "kind": "chat_id", "chatId": id }),
        Place::ChatGuid(guid) => json!({ "kind": "chat_guid", "chatGuid": guid }),
        Place::ChatIdentifier(id) => json!({ "kind": "chat_identifier", "chatIdentifier": id }),
        Place::Handle(service, handle) => {
            let service = match service {
                Service::Auto => "auto",
                Service::IMessage => "imessage",
                Service::Sms => "sms",
            };
            json!({ "kind": "handle", "service": service, "handle": address(&handle) })
        }
    })
}

/// The case with the handle as it is sent, and errors that name the channel as this product does.
fn handles_named(case: &Value) -> Value {
    let mut case = case.clone();
    if case["parsed"]["kind"] == "handle" {
        case["parsed"]["handle"] = case["parsed"]["normalized"].clone();
    }
    if let Some(error) = case["error"].as_str() {
        case["error"] = error.replace("BlueBubbles", "iMessage").into();
    }
    case
}

#[test]
fn what_a_target_is_kept_as_reads_back_to_the_same_place() {
    for case in cases(TARGETS) {
        let to = case["to"].as_str().unwrap();
        match case["channel"].as_str().unwrap() {
            "discord" => {
                if let Ok(place) = discord::target::parse(to) {
                    assert_eq!(discord::target::parse(&place.canonical()), Ok(place));
                }
            }
            "mattermost" => {
                if let Ok(place) = mattermost::target::parse(to) {
                    assert_eq!(mattermost::target::parse(&place.canonical()), Ok(place));
                }
            }
            "signal" => {
                if let Ok(kept) = signal::target::parse(to).and_then(|place| place.canonical()) {
                    assert_eq!(signal::target::parse(&kept).and_then(|place| place.canonical()), Ok(kept));
                }
            }
            "imessage" | "bluebubbles" => {
                if let Ok(kept) = imessage::target::parse(to).and_then(|place| place.canonical()) {
                    assert_eq!(imessage::target::parse(&kept).and_then(|place| place.canonical()), Ok(kept));
                }
            }
            _ => {}
        }
    }
}

/// Forms that no case was recorded of (Nightshift's own reading of the channels' grammars).
#[test]
fn forms_beyond_the_recorded_ones_are_read_or_refused() {
    for (channel, to, expected) in [
        ("discord", "<@!123>", Ok("user:123")),
        ("discord", "<#123>", Ok("channel:123")),
        ("discord", "discord:#general", Ok("channel:general")),
        ("discord", "@alice", Err("Discord DMs require a user id (use user:<id> or a <@id> mention)")),
        ("discord", "user:alice", Err("Discord DMs require a user id (use user:<id> or a <@id> mention)")),
        ("discord", "thread:123", Err("Discord recipient is required.")),
        ("discord", "two words", Err("Discord recipient is required.")),
        ("mattermost", "GROUP:abcdefghijklmnopqrstuvwxyz", Ok("channel:abcdefghijklmnopqrstuvwxyz")),
        ("mattermost", "mattermost:@alice", Ok("@alice")),
        ("mattermost", "mattermost:channel:town-square", Ok("#town-square")),
        ("mattermost", "@", Err("Username is required")),
        ("mattermost", "a/b", Err("Channel name is required")),
        ("signal", "signal:group:AbCd==", Ok("group:AbCd==")),
        ("signal", "u:Alice.01", Ok("username:alice.01")),
        ("signal", "+1 (555) 123-4567", Ok("+15551234567")),
        ("signal", "alice", Err("Unknown Signal alias or target \"alice\"")),
        ("signal", "signal:", Err("Signal recipient is required")),
        ("imessage", "SMS:+1 555 123 4567", Ok("sms:+15551234567")),
        ("imessage", "imessage:User@Example.com", Ok("imessage:user@example.com")),
        ("imessage", "iMessage;-;+15551234567", Ok("imessage:+15551234567")),
        ("imessage", "group:iMessage;+;chat1", Ok("chat_guid:iMessage;+;chat1")),
        ("imessage", "John Doe", Err("neither a phone number")),
        ("imessage", "a@b", Err("neither a phone number")),
    ] {
        let found = match channel {
            "discord" => discord::target::parse(to).map(|place| place.canonical()),
            "mattermost" => mattermost::target::parse(to).map(|place| place.canonical()),
            "signal" => signal::target::parse(to).and_then(|place| place.canonical()),
            _ => imessage::target::parse(to).and_then(|place| place.canonical()),
        };
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{channel} {to}"),
            (Err(found), Err(part)) => assert!(found.contains(part), "{channel} {to}: {found}"),
            (found, _) => panic!("{channel} {to}: {found:?}"),
        }
    }
    for to in ["12345678901234567", "5551234567@lid", "name@example.com", "tel:+1555", "call 5551234"] {
        assert!(whatsapp::target::parse(to).is_err(), "{to}");
    }
}
