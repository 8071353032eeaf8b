//! Which channel a target is: a direct message is opened, a name is looked up. Both can be asked again without harm.

use chrono::{DateTime, Utc};
use nightshift_domain::delivery::Target;
use nightshift_engine::ports::SendError;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::Discord;
use super::target::{self, Place};
use crate::http::{self, Answer};

/// Kinds of channels that take messages: text and announcements (Discord documentation, "Channel Types").
const TEXT: [u8; 2] = [0, 5];

#[derive(Deserialize)]
struct Found {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default, rename = "type")]
    kind: u8,
}

impl Discord {
    /// The id of the channel to post into.
    pub(super) async fn channel(&self, to: &Target, deadline: DateTime<Utc>) -> Result<String, SendError> {
        if let Some(thread) = &to.thread {
            return Ok(thread.clone());
        }
        if let Some(known) = self.places.get(&to.to) {
            return Ok(known);
        }
        let found = match target::parse(&to.to).map_err(http::refused)? {
            Place::Channel(id) => return Ok(id),
            Place::User(id) => self.direct(&id, deadline).await,
            Place::Named(name) => self.named(&name, deadline).await,
        };
        let found = found.map_err(|error| http::looked_up("Discord", error))?;
        self.places.keep(&to.to, &found);
        Ok(found)
    }

    /// "Create DM" (Discord documentation): the same channel every time.
    async fn direct(&self, user: &str, deadline: DateTime<Utc>) -> Result<String, SendError> {
        let request = self.request(Method::POST, "/users/@me/channels").json(&json!({ "recipient_id": user }));
        let answer = http::call(&*self.clock, deadline, "Discord", request).await?;
        self.read(&answer)?.id.ok_or_else(|| http::unknown("Discord opened no direct message"))
    }

    async fn named(&self, name: &str, deadline: DateTime<Utc>) -> Result<String, SendError> {
        let mut found = Vec::new();
        for guild in self.list("/users/@me/guilds", deadline).await? {
            let path = format!("/guilds/{}/channels", http::segment(&guild.id));
            let channels = self.list(&path, deadline).await?.into_iter();
            found.extend(channels.filter(|one| TEXT.contains(&one.kind) && one.name.eq_ignore_ascii_case(name)));
        }
        let several = found.len();
        match (found.pop(), several) {
            (Some(channel), 1) => Ok(channel.id),
            (Some(_), several) => Err(http::refused(format!(
                "{several} channels are called \"{name}\" in the servers of the Discord bot; use channel:<id>"
            ))),
            (None, _) => Err(http::refused(format!(
                "no channel is called \"{name}\" in the servers of the Discord bot; use channel:<id>"
            ))),
        }
    }

    async fn list(&self, path: &str, deadline: DateTime<Utc>) -> Result<Vec<Found>, SendError> {
        let answer: Answer = http::call(&*self.clock, deadline, "Discord", self.request(Method::GET, path)).await?;
        self.read(&answer)?;
        serde_json::from_slice(&answer.body).map_err(|_| http::unknown("Discord answered with no list"))
    }
}
