//! Which channel a target is: a direct message is opened, names are looked up. All can be asked again without harm.

use chrono::{DateTime, Utc};
use nightshift_domain::delivery::Target;
use nightshift_engine::ports::SendError;
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;

use super::Mattermost;
use super::target::{self, Place};
use crate::http;

#[derive(Deserialize)]
struct Found {
    id: String,
}

impl Mattermost {
    /// The id of the channel to post into.
    pub(super) async fn channel(&self, to: &Target, deadline: DateTime<Utc>) -> Result<String, SendError> {
        if let Some(known) = self.places.get(&to.to) {
            return Ok(known);
        }
        let found = match target::parse(&to.to).map_err(http::refused)? {
            Place::Channel(id) => return Ok(id),
            Place::User(id) => self.direct(&id, deadline).await,
            Place::Username(name) => match self.user(&name, deadline).await {
                Ok(id) => self.direct(&id, deadline).await,
                Err(error) => Err(error),
            },
            Place::Named(name) => self.named(&name, deadline).await,
        };
        let found = found.map_err(|error| http::looked_up("Mattermost", error))?;
        self.places.keep(&to.to, &found);
        Ok(found)
    }

    async fn user(&self, name: &str, deadline: DateTime<Utc>) -> Result<String, SendError> {
        let path = format!("/users/username/{}", http::segment(name));
        self.one(self.request(Method::GET, &path), deadline).await
    }

    /// "Create a direct message channel" (Mattermost API reference): the same channel every time.
    async fn direct(&self, user: &str, deadline: DateTime<Utc>) -> Result<String, SendError> {
        let me = self.one(self.request(Method::GET, "/users/me"), deadline).await?;
        self.one(self.request(Method::POST, "/channels/direct").json(&[me.as_str(), user]), deadline).await
    }

    async fn named(&self, name: &str, deadline: DateTime<Utc>) -> Result<String, SendError> {
        let me = self.one(self.request(Method::GET, "/users/me"), deadline).await?;
        let path = format!("/users/{}/teams", http::segment(&me));
        let answer = http::call(&*self.clock, deadline, "Mattermost", self.request(Method::GET, &path)).await?;
        if !answer.status.is_success() {
            self.read(&answer)?;
        }
        let teams: Vec<Found> =
            serde_json::from_slice(&answer.body).map_err(|_| http::unknown("Mattermost answered with no list"))?;
        let mut found = Vec::new();
        for team in teams {
            let path = format!("/teams/{}/channels/name/{}", http::segment(&team.id), http::segment(name));
            let request = self.request(Method::GET, &path);
            let answer = http::call(&*self.clock, deadline, "Mattermost", request).await?;
            if answer.status != ::http::StatusCode::NOT_FOUND {
                found.push(self.id_in(&answer)?);
            }
        }
        let several = found.len();
        match (found.pop(), several) {
            (Some(id), 1) => Ok(id),
            (Some(_), several) => Err(http::refused(format!(
                "{several} channels are called \"{name}\" in the teams of the Mattermost bot; use channel:<id>"
            ))),
            (None, _) => Err(http::refused(format!(
                "no channel is called \"{name}\" in the teams of the Mattermost bot; use channel:<id>"
            ))),
        }
    }

    async fn one(&self, request: RequestBuilder, deadline: DateTime<Utc>) -> Result<String, SendError> {
        self.id_in(&http::call(&*self.clock, deadline, "Mattermost", request).await?)
    }

    fn id_in(&self, answer: &http::Answer) -> Result<String, SendError> {
        let id = self.read(answer)?.id;
        if id.is_empty() { Err(http::unknown("Mattermost answered with no id")) } else { Ok(id) }
    }
}
