//! Which chat a target is: asked of the server, as often as needed.

use chrono::{DateTime, Utc};
use nightshift_domain::delivery::Target;
use nightshift_engine::ports::SendError;
use serde::Deserialize;
use serde_json::json;

use super::IMessage;
use super::target::{self, Place, Service, address};
use crate::http;

/// Chats asked for at a time, and how often at most: a Mac with more has its target named by guid.
const PAGE: usize = 1000;
const PAGES: usize = 20;

/// Where a message goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chat {
    /// Into a chat, by guid.
    There(String),
    /// To a person with whom there is no chat yet.
    New(Service, String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    guid: String,
    #[serde(default, rename = "originalROWID")]
    row: Option<i64>,
    #[serde(default)]
    chat_identifier: Option<String>,
}

impl IMessage {
    pub(super) async fn chat(&self, to: &Target, deadline: DateTime<Utc>) -> Result<Chat, SendError> {
        let place = target::parse(&to.to).map_err(http::refused)?;
        if let Place::ChatGuid(guid) = place {
            return Ok(Chat::There(guid));
        }
        if let Some(known) = self.places.get(&to.to) {
            return Ok(Chat::There(known));
        }
        let found = self.best(&place, deadline).await.map_err(|error| http::looked_up("BlueBubbles", error))?;
        match (found, place) {
            (Some(guid), _) => {
                self.places.keep(&to.to, &guid);
                Ok(Chat::There(guid))
            }
            (None, Place::Handle(service, handle)) => {
                let address = address(&handle).ok_or_else(|| http::refused("this iMessage handle is nobody's"))?;
                Ok(Chat::New(service, address))
            }
            (None, Place::ChatId(_) | Place::ChatGuid(_) | Place::ChatIdentifier(_)) => Err(http::refused(format!(
                "BlueBubbles knows no chat {}; a chat is there once a message has been sent in it",
                to.to
            ))),
        }
    }

    /// The chat that fits best.
    async fn best(&self, place: &Place, deadline: DateTime<Utc>) -> Result<Option<String>, SendError> {
        let mut best: Option<(u8, String)> = None;
        for page in 0..PAGES {
            let body = json!({ "limit": PAGE, "offset": page * PAGE });
            let request = self.request("/api/v1/chat/query")?.json(&body);
            let answer = http::call(&*self.clock, deadline, "BlueBubbles", request).await?;
            let reply = self.read(&answer)?;
            let chats: Vec<Found> = serde_json::from_value(reply.data)
                .map_err(|_| http::unknown("BlueBubbles answered with no list of chats"))?;
            let full = chats.len() >= PAGE;
            for chat in chats {
                let rank = fit(&chat, place);
                if rank > 0 && best.as_ref().is_none_or(|(known, _)| rank > *known) {
                    best = Some((rank, chat.guid));
                }
            }
            if !full {
                break;
            }
        }
        Ok(best.map(|(_, guid)| guid))
    }
}

/// How well a chat fits: 0 not at all.
fn fit(chat: &Found, place: &Place) -> u8 {
    match place {
        Place::ChatId(id) => u8::from(chat.row == Some(*id)),
        Place::ChatGuid(guid) => u8::from(chat.guid == *guid),
        Place::ChatIdentifier(id) => {
            let named = chat.chat_identifier.as_deref() == Some(id);
            u8::from(named || chat.guid.rsplit(';').next() == Some(id))
        }
        Place::Handle(wanted, handle) => {
            let mut parts = chat.guid.splitn(3, ';');
            let (service, kind, id) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
            if kind != Some("-") || id.and_then(address) != address(handle) {
                return 0;
            }
            // Since macOS 26 a chat may be of any service.
            match (wanted, service.to_ascii_lowercase().as_str()) {
                (Service::Auto | Service::IMessage, "imessage") | (Service::Sms, "sms") => 3,
                (_, "any") => 2,
                (Service::Auto, _) => 1,
                (Service::IMessage | Service::Sms, _) => 0,
            }
        }
    }
}
