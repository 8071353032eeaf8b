//! The guarded client: look the host up, look at the addresses, connect to one of them and to nothing else.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::header::{AUTHORIZATION, COOKIE, LOCATION, PROXY_AUTHORIZATION};
use http::{HeaderMap, Method, StatusCode};
use nightshift_domain::config::SsrfPolicy;
use nightshift_engine::Clock;
use nightshift_engine::clock::timeout;
use url::{Host, Url};

use crate::address::refusal;
use crate::error::WebError;
use crate::lookup::{Lookup, SystemLookup};

/// How long a connection may take to be made: short, so that a failure to connect is told from a lost answer.
const CONNECT: Duration = Duration::from_secs(5);

/// What to ask. `Debug` shows the method only.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where.
    pub url: Url,
    /// Headers.
    pub headers: HeaderMap,
    /// The body; may be empty.
    pub body: Bytes,
}

impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Request").field("method", &self.method).finish_non_exhaustive()
    }
}

/// Bounds of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How much of the answer's body is kept; the rest is not read.
    pub response_bytes: usize,
    /// How many redirects are followed, for GET and HEAD; other methods never follow one.
    pub redirects: u8,
}

/// What came back. `Debug` shows the status only.
#[derive(Clone)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, as far as [`Limits::response_bytes`] goes.
    pub body: Bytes,
    /// Whether there was more.
    pub truncated: bool,
    /// Where it came from, after redirects.
    pub url: Url,
}

impl fmt::Debug for Response {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Response").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Asks addresses that users supplied.
#[derive(Debug, Clone)]
pub struct GuardedClient {
    clock: Arc<dyn Clock>,
    lookup: Arc<dyn Lookup>,
    allowed: Arc<BTreeSet<String>>,
}

impl GuardedClient {
    /// A client that refuses internal addresses except for the host names `policy` lists.
    pub fn new(clock: Arc<dyn Clock>, policy: &SsrfPolicy) -> Self {
        Self::with_lookup(clock, policy, Arc::new(SystemLookup))
    }

    /// The same, with another name resolution.
    pub fn with_lookup(clock: Arc<dyn Clock>, policy: &SsrfPolicy, lookup: Arc<dyn Lookup>) -> Self {
        let allowed = policy.allowed_hostnames.iter().map(|name| plain_host(name).to_ascii_lowercase()).collect();
        Self { clock, lookup, allowed: Arc::new(allowed) }
    }

    /// Reads an address and says whether it may be asked, as far as that can be told without the network.
    pub fn check(&self, address: &str) -> Result<Url, WebError> {
        let url =
            Url::parse(address.trim()).map_err(|_| WebError::refused("the address is not a valid http(s) URL"))?;
        self.vet_url(&url)?;
        Ok(url)
    }

    /// Sends `request` and reads the answer, giving up at `deadline`. Nothing is repeated.
    pub async fn send(&self, request: &Request, limits: Limits, deadline: DateTime<Utc>) -> Result<Response, WebError> {
        let mut request = request.clone();
        let mut redirects_left = limits.redirects;
        loop {
            let response = self.hop(&request, limits, deadline).await?;
            let safe = request.method == Method::GET || request.method == Method::HEAD;
            if !response.status.is_redirection() || redirects_left == 0 || !safe {
                return Ok(response);
            }
            let Some(location) = response.headers.get(LOCATION).and_then(|value| value.to_str().ok()) else {
                return Ok(response);
            };
            let next =
                request.url.join(location).map_err(|_| WebError::refused("the redirect leads to no valid URL"))?;
            if next.origin() != request.url.origin() {
                for secret in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION] {
                    request.headers.remove(secret);
                }
            }
            request.url = next;
            redirects_left -= 1;
        }
    }

    async fn hop(&self, request: &Request, limits: Limits, deadline: DateTime<Utc>) -> Result<Response, WebError> {
        let host = self.vet_url(&request.url)?;
        if self.clock.now() >= deadline {
            return Err(WebError::not_sent("there was no time left to send the request"));
        }
        let addresses = timeout(&*self.clock, deadline, self.vetted_addresses(&request.url, &host))
            .await
            .ok_or_else(|| WebError::not_sent(format!("the name {host} could not be resolved in time")))??;
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT)
            .user_agent(concat!("nightshift/", env!("CARGO_PKG_VERSION")))
            .resolve_to_addrs(&host, &addresses)
            .build()
            .map_err(|_| WebError::not_sent("the HTTP client could not be set up"))?;
        let outgoing = client
            .request(request.method.clone(), request.url.clone())
            .headers(request.headers.clone())
            .body(request.body.clone());
        timeout(&*self.clock, deadline, exchange(outgoing, &host, limits.response_bytes))
            .await
            .unwrap_or_else(|| Err(WebError::unknown(format!("{host} did not answer in time"))))
    }

    /// The host of an address that may be asked by its looks: http(s), without credentials, not an internal IP literal.
    fn vet_url(&self, url: &Url) -> Result<String, WebError> {
        let Some(host) = url.host() else {
            return Err(WebError::refused("the address is not a valid http(s) URL"));
        };
        let name = match host {
            Host::Domain(name) => name.to_ascii_lowercase(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let allowed = self.is_allowed(&name);
        match url.scheme() {
            "https" => {}
            "http" if allowed => {}
            "http" => {
                return Err(WebError::refused(format!(
                    "{name} must be asked over https; http is for hosts in cron.webhookSsrfPolicy.allowedHostnames only"
                )));
            }
            _ => return Err(WebError::refused("the address is not a valid http(s) URL")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(WebError::refused("the address must not hold a user name or password"));
        }
        match literal(&host) {
            Some(address) if !allowed => match refusal(address) {
                Some(reason) => Err(not_allowed(&name, reason)),
                None => Ok(name),
            },
            Some(_) | None => Ok(name),
        }
    }

    /// The addresses to connect to. One internal address among several refuses the name: it may be tried next.
    async fn vetted_addresses(&self, url: &Url, host: &str) -> Result<Vec<SocketAddr>, WebError> {
        let port = url.port_or_known_default().unwrap_or(443);
        if let Some(address) = url.host().as_ref().and_then(literal) {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let found = self
            .lookup
            .lookup(host)
            .await
            .map_err(|_| WebError::not_sent(format!("the name {host} could not be resolved")))?;
        if found.is_empty() {
            return Err(WebError::not_sent(format!("the name {host} has no address")));
        }
        if !self.is_allowed(host)
            && let Some(reason) = found.iter().find_map(|address| refusal(*address))
        {
            return Err(not_allowed(host, reason));
        }
        Ok(found.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }

    fn is_allowed(&self, host: &str) -> bool {
        self.allowed.contains(plain_host(host))
    }
}

fn not_allowed(host: &str, reason: &str) -> WebError {
    WebError::refused(format!(
        "{host} is {reason}, which is not asked for users; cron.webhookSsrfPolicy.allowedHostnames can allow the exact host"
    ))
}

/// A host as it is compared: without the brackets of an IPv6 literal.
fn plain_host(name: &str) -> &str {
    name.trim().trim_start_matches('[').trim_end_matches(']')
}

fn literal(host: &Host<&str>) -> Option<IpAddr> {
    match host {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(IpAddr::V4(*address)),
        Host::Ipv6(address) => Some(IpAddr::V6(*address)),
    }
}

async fn exchange(outgoing: reqwest::RequestBuilder, host: &str, limit: usize) -> Result<Response, WebError> {
    // The errors' own texts hold the address, so they are not passed on.
    let mut response = outgoing.send().await.map_err(|error| {
        if error.is_builder() {
            WebError::refused("the request could not be built")
        } else if error.is_connect() {
            WebError::not_sent(format!("no connection to {host} could be made"))
        } else {
            WebError::unknown(format!("the connection to {host} was lost before an answer came"))
        }
    })?;
    let mut body = Vec::new();
    let mut truncated = false;
    while !truncated {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let room = limit - body.len();
                truncated = chunk.len() > room;
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            }
            Ok(None) => break,
            // The status is known by now, which is what a sender needs; a cut-off body is a short one.
            Err(_) => truncated = true,
        }
    }
    Ok(Response {
        status: response.status(),
        headers: std::mem::take(response.headers_mut()),
        body: body.into(),
        truncated,
        url: response.url().clone(),
    })
}
