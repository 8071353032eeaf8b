//! Calls of the API.
//!
//! Guarantee: a call that was repeated because the connection failed carries the same idempotency key, so it happens at
//! most once. The token goes to the address it belongs to and nowhere else: redirects are not followed, and a local
//! stack's token is not sent to another address. A call that is signed instead is signed anew when it is repeated.

use std::cell::Cell;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use nightshift_wire::profile::{Profile, default_state_dir};
use nightshift_wire::{ApiError, NOW_HEADER};
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, StatusCode, Url};
use serde_json::Value;
use ulid::Ulid;

use crate::args::Connection;
use crate::aws::sign::{self, Signer, Unsigned};
use crate::aws::{Aws, LOG_IN, Surroundings, stack};
use crate::clock;
use crate::error::{ApiFailure, ExpectedError};

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait before a failed connection is tried again.
const RETRY_DELAY: Duration = Duration::from_millis(300);

/// What the caller needs on a function with an address of its own since October 2025 (Lambda Developer Guide, "Control access
/// to Lambda function URLs").
const MISSING_PERMISSION: &str =
    "your AWS identity needs lambda:InvokeFunctionUrl and lambda:InvokeFunction on the stack's api function";
/// Where a token was sent to an address that AWS guards.
const SIGN_INSTEAD: &str = "an address with AWS IAM auth takes no token: leave it out, or give --iam";
/// Signatures hold for five minutes.
const WRONG_CLOCK: &str = "the clock of this machine is wrong: set it, and try again";

/// Where Nightshift is, and what opens it.
#[derive(Debug)]
struct Endpoint {
    url: Url,
    access: Access,
    /// Whether the address came from a local stack's profile.
    local: bool,
}

/// What opens the API.
enum Access {
    Token(String),
    Signature(Signer),
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token([redacted])"),
            Self::Signature(signer) => f.debug_tuple("Signature").field(signer).finish(),
        }
    }
}

/// Where Nightshift is, before AWS was asked anything.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// At an address that a token opens.
    Token { url: Url, token: String, local: bool },
    /// At an address that AWS guards.
    Signed { url: Url },
    /// Wherever Lambda says.
    Stack(String),
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
    pub(crate) async fn new(connection: &Connection, surroundings: &Surroundings) -> anyhow::Result<Self> {
        let endpoint = Endpoint::open(Place::find(connection)?, connection, surroundings).await?;
        Self::at(endpoint, connection.timeout())
    }

    /// The API at an address that `signer` opens.
    pub(crate) fn signed(url: &str, signer: Signer, timeout: Duration) -> anyhow::Result<Self> {
        Self::at(Endpoint { url: parse_url(url)?, access: Access::Signature(signer), local: false }, timeout)
    }

    fn at(endpoint: Endpoint, timeout: Duration) -> anyhow::Result<Self> {
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("nightshift-cli/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout)
            .redirect(Policy::none());
        if is_loopback(&endpoint.url) {
            http = http.no_proxy();
        }
        Ok(Self { http: http.build().context("failed to set up HTTP")?, endpoint, told: Cell::new(None) })
    }

    /// Calls `method` and gives its answer.
    pub(crate) async fn call(&self, method: &str, body: &Value) -> anyhow::Result<Value> {
        let key = Ulid::generate().to_string();
        let path = format!("/v1/{method}");
        let headers = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
        let body = body.to_string();
        let response = match self.send(self.request("POST", &path, &headers, &body).await?).await {
            Err(error) if failed_to_connect(&error) => {
                clock::wait(RETRY_DELAY).await;
                self.send(self.request("POST", &path, &headers, &body).await?).await
            }
            sent => sent,
        };
        let (status, bytes) = response.map_err(|source| self.unreachable(source))?;
        let answer: Option<Value> = serde_json::from_slice(&bytes).ok();
        match answer {
            Some(answer) if status.is_success() => Ok(answer),
            Some(answer) => match serde_json::from_value::<ApiError>(answer.clone()) {
                Ok(body) => Err(ExpectedError::from(Box::new(ApiFailure { status: status.as_u16(), body })).into()),
                Err(_) => Err(self.stranger(status, &answer).into()),
            },
            None => Err(self.stranger(status, &Value::Null).into()),
        }
    }

    /// A request with what opens the API; a signature is of this moment.
    async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> anyhow::Result<RequestBuilder> {
        let url = format!("{}{path}", self.endpoint.url.as_str().trim_end_matches('/'));
        let mut request =
            if method == "GET" { self.http.get(&url) } else { self.http.post(&url).body(body.to_owned()) };
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        match &self.endpoint.access {
            Access::Token(token) => request = request.bearer_auth(token),
            Access::Signature(signer) => {
                let unsigned = Unsigned { method, url: &url, headers, body };
                for (name, value) in signer.sign(unsigned, clock::now()).await? {
                    request = request.header(name, value);
                }
            }
        }
        Ok(request)
    }

    async fn send(&self, request: RequestBuilder) -> reqwest::Result<(StatusCode, Vec<u8>)> {
        let response = request.send().await?;
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
            // It needs no token; what AWS guards, it guards whole.
            let request = match &self.endpoint.access {
                Access::Token(_) => {
                    self.http.get(format!("{}/healthz", self.endpoint.url.as_str().trim_end_matches('/')))
                }
                Access::Signature(_) => self.request("GET", "/healthz", &[], "").await.ok()?,
            };
            let response = request.send().await.ok()?;
            self.told.set(time_of(&response));
        }
        self.told.get()
    }

    fn unreachable(&self, source: reqwest::Error) -> ExpectedError {
        // The address is in our own sentence already.
        let source = source.without_url();
        ExpectedError::Unreachable { url: self.endpoint.url.to_string(), local: self.endpoint.local, source }
    }

    /// Something other than the API answered: AWS in front of it, or nobody we know.
    fn stranger(&self, status: StatusCode, answer: &Value) -> ExpectedError {
        let url = self.endpoint.url.to_string();
        let said = ["Message", "message"].into_iter().find_map(|name| answer[name].as_str());
        let signed = matches!(self.endpoint.access, Access::Signature(_));
        if status == StatusCode::FORBIDDEN && (signed || sign::region_of(&self.endpoint.url).is_some()) {
            let said = said.unwrap_or("Forbidden").to_owned();
            let hint = if signed { refused_signature(&said) } else { SIGN_INSTEAD };
            return ExpectedError::Forbidden { url, said, hint };
        }
        ExpectedError::Stranger { url, status: status.as_u16() }
    }
}

/// What to do about a signed call that AWS refused: it says more where the signature is what is wrong (IAM User Guide,
/// "Troubleshoot Signature Version 4 signing for AWS API requests").
fn refused_signature(said: &str) -> &'static str {
    if said.contains("Signature expired") || said.contains("Signature not yet current") {
        WRONG_CLOCK
    } else if said.contains("security token") || said.contains("signature") {
        LOG_IN
    } else {
        MISSING_PERMISSION
    }
}

fn time_of(response: &reqwest::Response) -> Option<DateTime<Utc>> {
    let millis = response.headers().get(NOW_HEADER)?.to_str().ok()?.parse().ok()?;
    DateTime::from_timestamp_millis(millis)
}

impl Endpoint {
    /// Asks AWS for what is not known yet: an address, credentials, or nothing at all.
    async fn open(place: Place, connection: &Connection, surroundings: &Surroundings) -> Result<Self, ExpectedError> {
        // Boxed: few commands need it, and it is large.
        let load = |region| Box::pin(Aws::load(surroundings, region, connection.timeout()));
        let region = connection.region.as_deref();
        match place {
            Place::Token { url, token, local } => Ok(Self { url, access: Access::Token(token), local }),
            Place::Signed { url } => {
                let aws = load(sign::region_of(&url).or(region)).await?;
                let signer = aws.signer(aws.region());
                Ok(Self { url, access: Access::Signature(signer), local: false })
            }
            Place::Stack(name) => {
                let aws = load(region).await?;
                let url = parse_url(&stack::find(&aws, &name).await?.url)?;
                Ok(Self { url, access: Access::Signature(aws.signer(aws.region())), local: false })
            }
        }
    }
}

impl Place {
    fn find(connection: &Connection) -> Result<Self, ExpectedError> {
        if let Some(stack) = &connection.stack {
            return Ok(Self::Stack(stack.clone()));
        }
        let Connection { url, token, iam, .. } = connection;
        if let (Some(url), Some(token)) = (url, token) {
            return Ok(Self::Token { url: parse_url(url)?, token: token.clone(), local: false });
        }
        let state_dir = default_state_dir();
        let profile = state_dir.map(|dir| Profile::read(&dir)).transpose().map_err(ExpectedError::Profile)?.flatten();
        Self::complete(url.as_deref(), token.clone(), *iam, profile)
    }

    /// Fills what was not given from the profile of a running stack.
    fn complete(
        url: Option<&str>,
        token: Option<String>,
        iam: bool,
        profile: Option<Profile>,
    ) -> Result<Self, ExpectedError> {
        match (url, profile) {
            (None, Some(profile)) => {
                let url = parse_url(&profile.url)?;
                Ok(if iam {
                    Self::Signed { url }
                } else {
                    Self::Token { url, token: token.unwrap_or(profile.token), local: true }
                })
            }
            (None, None) => Err(ExpectedError::NoEndpoint),
            (Some(url), profile) => {
                let url = parse_url(url)?;
                let own = profile.filter(|profile| parse_url(&profile.url).is_ok_and(|known| known == url));
                match token.or(own.map(|profile| profile.token)) {
                    Some(token) if !iam => Ok(Self::Token { url, token, local: false }),
                    None if !iam && sign::region_of(&url).is_none() => {
                        Err(ExpectedError::NoToken { url: url.to_string() })
                    }
                    Some(_) | None => Ok(Self::Signed { url }),
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
        match Place::complete(url, token.map(str::to_owned), false, profile) {
            Ok(Place::Token { url, token, .. }) => Ok((url.to_string(), token)),
            Ok(Place::Signed { url }) => Ok((url.to_string(), "(signed)".to_owned())),
            Ok(Place::Stack(name)) => panic!("a stack {name} out of nowhere"),
            Err(error) => Err(error.to_string()),
        }
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
        let message = "no Nightshift found: start one with `make run`, name its folder in NIGHTSHIFT_STATE_DIR, name one on AWS with \
             --stack, or give --url and --token";
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
