//! Sending: once where a repeat would cost money, up to three times where it costs nothing.
//!
//! Guarantee: [`Anthropic::send_once`] puts its request on the wire at most once. reqwest repeats protocol refusals on its
//! own and hyper re-sends on another connection when a kept one turns out closed; the first is switched off, and the
//! second cannot happen on a client that keeps no connections.

use std::sync::LazyLock;
use std::time::Duration;

use chrono::TimeDelta;
use futures::FutureExt;
use futures::future::BoxFuture;
use nightshift_domain::model::ModelErrorKind;
use nightshift_engine::clock::timeout;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, Response, redirect, retry};

use crate::errors::{Failure, broken, refusal};
use crate::{Anthropic, headers};

/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one attempt at a read may take, up to its last byte or, for results, its first.
const READ_TIMEOUT: TimeDelta = TimeDelta::seconds(30);
/// How often a read is repeated (official SDKs' retry policy).
const MAX_REPEATS: u32 = 2;
/// The wait before the first repeat, doubled each time (official SDKs' retry policy).
const FIRST_BACKOFF: TimeDelta = TimeDelta::milliseconds(500);
/// A longer wait asked for by the provider is the caller's business.
const LONGEST_WAIT: TimeDelta = TimeDelta::seconds(10);
/// Largest answer that is read whole; a message of 128k tokens is below 1 MB, tool results may add several.
pub(crate) const LARGEST_ANSWER: usize = 64 << 20;
/// Largest error answer that is read.
const LARGEST_ERROR: usize = 64 << 10;

/// The client for messages and creates: every request gets a new connection. On Lambda that also spares it the
/// connections that died while the sandbox was frozen.
static ONCE: LazyLock<Client> = LazyLock::new(|| built(builder().pool_max_idle_per_host(0)));

/// A client as this crate wants it: rustls, no redirects, no retries, a bounded connect, and no proxy, whose settings
/// would come from the environment and, for plain HTTP, would show it the key.
///
/// # Panics
/// When TLS cannot be set up, for want of root certificates.
pub fn http_client() -> Client {
    built(builder())
}

fn builder() -> ClientBuilder {
    Client::builder()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_keepalive(Duration::from_secs(30))
        .no_proxy()
}

fn built(builder: ClientBuilder) -> Client {
    builder.build().expect("building an HTTP client fails only where TLS cannot be set up at all")
}

/// A whole answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Anthropic {
    /// Sends a body once and waits for the head of the answer. Says nothing about statuses.
    pub(crate) async fn send_once(
        &self,
        path: &str,
        betas: &[&'static str],
        body: String,
    ) -> Result<Response, Failure> {
        let headers = self.headers(betas)?;
        let request = ONCE.post(self.url(path)).headers(headers).header(CONTENT_TYPE, headers::JSON).body(body);
        request.send().await.map_err(|error| broken(&error))
    }

    /// Sends a body once and reads the whole answer. Says nothing about statuses.
    pub(crate) async fn post_once(&self, path: &str, betas: &[&'static str], body: String) -> Result<Answer, Failure> {
        collect(self.send_once(path, betas, body).await?).await
    }

    /// Reads a whole answer, repeating when that can help.
    pub(crate) async fn read(&self, method: Method, path: String) -> Result<Answer, Failure> {
        self.repeated(|| self.whole(self.http.request(method.clone(), self.url(&path))).boxed()).await
    }

    /// Opens an answer whose body is to be streamed, repeating when that can help.
    pub(crate) async fn open(&self, path: String) -> Result<Response, Failure> {
        self.repeated(|| self.head(self.http.get(self.url(&path)).header(ACCEPT, headers::ACCEPT_RESULTS)).boxed())
            .await
    }

    async fn repeated<'a, T>(&self, attempt: impl Fn() -> BoxFuture<'a, Result<T, Failure>>) -> Result<T, Failure> {
        let mut repeats = 0;
        loop {
            let deadline = self.clock.now() + READ_TIMEOUT;
            let failure = match timeout(&*self.clock, deadline, attempt()).await {
                Some(Ok(value)) => return Ok(value),
                Some(Err(failure)) => failure,
                None => Failure::new(ModelErrorKind::Timeout, "no answer within 30 seconds"),
            };
            let Some(wait) = wait_before_repeat(&failure, repeats) else { return Err(failure) };
            tracing::debug!(kind = failure.error.kind.code(), repeats, "repeating a read after {wait}");
            self.clock.sleep_until(self.clock.now() + wait).await;
            repeats += 1;
        }
    }

    async fn whole(&self, request: RequestBuilder) -> Result<Answer, Failure> {
        collect(self.head(request).await?).await
    }

    async fn head(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request.headers(self.headers(&[])?).send().await.map_err(|error| broken(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(self.refused(&collect(response).await?)) }
    }

    /// The failure that an answer with a bad status is.
    pub(crate) fn refused(&self, answer: &Answer) -> Failure {
        refusal(answer.status, &answer.headers, &answer.body, self.clock.now(), self.settings.key.expose())
    }

    fn headers(&self, betas: &[&'static str]) -> Result<HeaderMap, Failure> {
        let unusable = || {
            Failure::new(ModelErrorKind::Auth, "the key or the workspace id holds a character no HTTP header can carry")
        };
        headers::of(&self.settings, betas).ok_or_else(unusable)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.settings.base_url)
    }
}

/// How long to wait before a read is repeated; `None` when it is not to be.
fn wait_before_repeat(failure: &Failure, repeats: u32) -> Option<TimeDelta> {
    if repeats >= MAX_REPEATS || !failure.is_repeatable() {
        return None;
    }
    match failure.error.retry_after {
        Some(asked) => (asked <= LONGEST_WAIT).then_some(asked),
        None => Some(FIRST_BACKOFF * (1 << repeats)),
    }
}

/// Reads a body to its end, up to a limit. Of an answer with a bad status the status is enough: a body that breaks off
/// changes nothing then.
pub(crate) async fn collect(mut response: Response) -> Result<Answer, Failure> {
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let limit = if status.is_success() { LARGEST_ANSWER } else { LARGEST_ERROR };
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= limit => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Ok(Some(_)) | Err(_) if !status.is_success() => break,
            Ok(Some(_)) => return Err(Failure::new(ModelErrorKind::Unanswered, "the answer is longer than 64 MB")),
            Err(error) => return Err(broken(&error)),
        }
    }
    Ok(Answer { status: status.as_u16(), headers, body })
}

/// `text` as one segment of a path or one value of a query.
pub(crate) fn segment(text: &str) -> String {
    let hex = |digit: u8| char::from(b"0123456789ABCDEF"[usize::from(digit)]);
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.extend(['%', hex(byte >> 4), hex(byte & 15)]);
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: ModelErrorKind, asked: Option<i64>) -> Failure {
        let mut failure = Failure::new(kind, "");
        failure.error.retry_after = asked.map(TimeDelta::seconds);
        failure
    }

    #[test]
    fn a_read_waits_twice_as_long_before_its_second_repeat_and_has_no_third() {
        let waits = [0, 1, 2].map(|repeats| wait_before_repeat(&failure(ModelErrorKind::Server, None), repeats));
        assert_eq!(waits, [Some(TimeDelta::milliseconds(500)), Some(TimeDelta::seconds(1)), None]);
    }

    #[test]
    fn a_wait_asked_for_is_honoured_up_to_ten_seconds_and_handed_on_beyond() {
        let wait = |asked| wait_before_repeat(&failure(ModelErrorKind::RateLimited, Some(asked)), 0);
        assert_eq!(wait(10), Some(TimeDelta::seconds(10)));
        assert_eq!(wait(11), None);
        assert_eq!(wait_before_repeat(&failure(ModelErrorKind::NotFound, Some(1)), 0), None);
    }

    #[test]
    fn what_is_not_plain_in_an_id_is_encoded() {
        assert_eq!(segment("msgbatch_01-a.b~C"), "msgbatch_01-a.b~C");
        assert_eq!(segment("a/x?y=z#é"), "a%2Fx%3Fy%3Dz%23%C3%A9");
    }
}
