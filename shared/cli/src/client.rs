//! Calls of the API.
//!
//! Guarantee: a call that was repeated because the connection failed carries the same idempotency key, so it happens at
//! most once. The token goes to the address it belongs to and nowhere else: redirects are not followed, and a local
//! stack's token is not sent to another address.

use std::cell::Cell;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use nightshift_wire::profile::{Profile, default_state_dir};
use nightshift_wire::{ApiError, NOW_HEADER};
use reqwest::redirect::Policy;
use reqwest::{StatusCode, Url};
use serde_json::Value;
use ulid::Ulid;

use crate::args::Connection;
use crate::clock;
use crate::error::{ApiFailure, ExpectedError};

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait before a failed connection is tried again.
const RETRY_DELAY: Duration = Duration::from_millis(300);

/// Where Nightshift is, and what opens it.
#[derive(Debug)]
struct Endpoint {
    url: Url,
    token: String,
    /// Whether the address came from a local stack's profile.
    local: bool,
}

/// One API.
pub(crate) struct Client {
    http: reqwest::Client,
    endpoint: Endpoint,
    /// The time there, as its last answer said.
    told: Cell<Option<DateTime<Utc>>>,
}

impl Client {
    /// The API that flags, the environment or a running local stack name, in that order.
    pub(crate) fn new(connection: &Connection) -> anyhow::Result<Self> {
        let endpoint = Endpoint::find(connection)?;
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("nightshift-cli/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(Duration::from_millis(connection.timeout))
            .redirect(Policy::none());
        if is_loopback(&endpoint.url) {
            http = http.no_proxy();
        }
        Ok(Self { http: http.build().context("failed to set up HTTP")?, endpoint, told: Cell::new(None) })
    }

    /// Calls `method` and gives its answer.
    pub(crate) async fn call(&self, method: &str, body: &Value) -> anyhow::Result<Value> {
        let key = Ulid::generate().to_string();
        let response = match self.send(method, body, &key).await {
            Err(error) if failed_to_connect(&error) => {
                clock::wait(RETRY_DELAY).await;
                self.send(method, body, &key).await
            }
            sent => sent,
        };
        let (status, bytes) = response.map_err(|source| self.unreachable(source))?;
        let answer: Option<Value> = serde_json::from_slice(&bytes).ok();
        match answer {
            Some(answer) if status.is_success() => Ok(answer),
            Some(answer) => match serde_json::from_value::<ApiError>(answer) {
                Ok(body) => Err(ExpectedError::from(Box::new(ApiFailure { status: status.as_u16(), body })).into()),
                Err(_) => Err(self.stranger(status).into()),
            },
            None => Err(self.stranger(status).into()),
        }
    }

    async fn send(&self, method: &str, body: &Value, key: &str) -> reqwest::Result<(StatusCode, Vec<u8>)> {
        let Endpoint { url, token, .. } = &self.endpoint;
        let base = url.as_str().trim_end_matches('/');
        let request = self.http.post(format!("{base}/v1/{method}")).bearer_auth(token).header("idempotency-key", key);
        let response = request.json(body).send().await?;
        self.told.set(time_of(&response).or(self.told.get()));
        let status = response.status();
        Ok((status, response.bytes().await?.to_vec()))
    }

    /// The time at the API, as its last answer said.
    pub(crate) fn told(&self) -> Option<DateTime<Utc>> {
        self.told.get()
    }

    /// The time at the API, asked for where no answer said it yet; `None` where it cannot be reached, which the call itself
    /// will tell.
    pub(crate) async fn ask_time(&self) -> Option<DateTime<Utc>> {
        if self.told.get().is_none() {
            let url = format!("{}/healthz", self.endpoint.url.as_str().trim_end_matches('/'));
            let response = self.http.get(url).send().await.ok()?;
            self.told.set(time_of(&response));
        }
        self.told.get()
    }

    fn unreachable(&self, source: reqwest::Error) -> ExpectedError {
        // The address is in our own sentence already.
        let source = source.without_url();
        ExpectedError::Unreachable { url: self.endpoint.url.to_string(), local: self.endpoint.local, source }
    }

    fn stranger(&self, status: StatusCode) -> ExpectedError {
        ExpectedError::Stranger { url: self.endpoint.url.to_string(), status: status.as_u16() }
    }
}

fn time_of(response: &reqwest::Response) -> Option<DateTime<Utc>> {
    let millis = response.headers().get(NOW_HEADER)?.to_str().ok()?.parse().ok()?;
    DateTime::from_timestamp_millis(millis)
}

impl Endpoint {
    fn find(connection: &Connection) -> Result<Self, ExpectedError> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let (url, token) = (given(&connection.url), given(&connection.token));
        if let (Some(url), Some(token)) = (&url, &token) {
            return Ok(Self { url: parse_url(url)?, token: token.clone(), local: false });
        }
        let state_dir = default_state_dir();
        let profile = state_dir.map(|dir| Profile::read(&dir)).transpose().map_err(ExpectedError::Profile)?.flatten();
        Self::complete(url, token, profile)
    }

    /// Fills what was not given from the profile of a running stack.
    fn complete(url: Option<String>, token: Option<String>, profile: Option<Profile>) -> Result<Self, ExpectedError> {
        match (url, profile) {
            (None, Some(profile)) => {
                Ok(Self { url: parse_url(&profile.url)?, token: token.unwrap_or(profile.token), local: true })
            }
            (None, None) => Err(ExpectedError::NoEndpoint),
            (Some(url), profile) => {
                let url = parse_url(&url)?;
                let own = profile.filter(|profile| parse_url(&profile.url).is_ok_and(|known| known == url));
                match token.or(own.map(|profile| profile.token)) {
                    Some(token) => Ok(Self { url, token, local: false }),
                    None => Err(ExpectedError::NoToken { url: url.to_string() }),
                }
            }
        }
    }
}

fn parse_url(text: &str) -> Result<Url, ExpectedError> {
    let url = Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| {
        ExpectedError::usage_hint(
            format!("\"{text}\" is not the address of an API"),
            "write https://…lambda-url.eu-central-1.on.aws or http://127.0.0.1:4777",
        )
    })
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether the connection failed, so that the call may be made again under the same key.
fn failed_to_connect(error: &reqwest::Error) -> bool {
    error.is_connect() || (error.is_request() && !error.is_timeout())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(url: &str) -> Profile {
        Profile { url: url.to_owned(), token: "local".to_owned(), pid: None }
    }

    fn complete(url: Option<&str>, token: Option<&str>, profile: Option<Profile>) -> Result<(String, String), String> {
        Endpoint::complete(url.map(str::to_owned), token.map(str::to_owned), profile)
            .map(|endpoint| (endpoint.url.to_string(), endpoint.token))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_running_local_stack_gives_address_and_token() {
        let found = complete(None, None, Some(profile("http://127.0.0.1:4777")));
        assert_eq!(found, Ok(("http://127.0.0.1:4777/".into(), "local".into())));
    }

    #[test]
    fn the_local_stacks_token_is_not_sent_to_another_address() {
        let found = complete(Some("https://elsewhere.example"), None, Some(profile("http://127.0.0.1:4777")));
        assert_eq!(found, Err("no token for https://elsewhere.example/".into()));
        let found = complete(Some("http://127.0.0.1:4777/"), None, Some(profile("http://127.0.0.1:4777")));
        assert_eq!(found, Ok(("http://127.0.0.1:4777/".into(), "local".into())));
    }

    #[test]
    fn without_a_stack_and_flags_the_error_says_how_to_start_one() {
        let message = "no Nightshift found: start one with `make run`, name its folder in NIGHTSHIFT_STATE_DIR, or give --url and --token";
        assert_eq!(complete(None, Some("t"), None), Err(message.into()));
    }

    #[test]
    fn addresses_other_than_http_are_refused() {
        for text in ["", "nightshift", "ftp://x", "unix:/run/x"] {
            assert!(parse_url(text).is_err(), "{text}");
        }
        assert!(is_loopback(&parse_url("http://[::1]:1").unwrap()));
        assert!(!is_loopback(&parse_url("http://127.example").unwrap()));
    }
}
