//! Webhooks: the finished-run event as JSON, posted to an address the job names.
//!
//! Every post carries `Idempotency-Key`, the same for every repeat of a chunk, and, where `cron.webhookSecret` is set, the
//! signature of [`nightshift_domain::signing`]. A receiver that keeps keys for a day sees each event once. The address goes
//! through the guard of `nightshift_web`: internal ones are refused, redirects not followed.

use std::sync::Arc;

use ::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use ::http::{HeaderMap, Method};
use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::delivery::Target;
use nightshift_domain::signing::{SIGNATURE_HEADER, sign};
use nightshift_engine::Clock;
use nightshift_engine::ports::{Channel, ChannelError, Outgoing, Rendered, Secret, SendError, Sent};
use nightshift_web::{GuardedClient, Limits, Request, WebErrorKind};

use crate::http;

/// How long receivers are asked to keep keys.
const WINDOW: TimeDelta = TimeDelta::hours(24);
/// The answer's body is not used.
const LIMITS: Limits = Limits { response_bytes: 0, redirects: 0 };

/// Posts to whatever address a target is.
#[derive(Debug)]
pub(crate) struct Webhook {
    pub(crate) client: GuardedClient,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) secret: Option<Secret>,
}

#[async_trait]
impl Channel for Webhook {
    fn target(&self, to: &str, _thread: Option<&str>) -> Result<Target, ChannelError> {
        let url = self.client.check(to).map_err(|error| {
            ChannelError(format!(
                "cron webhook delivery requires delivery.to to be a valid http(s) URL that may be posted to: {error}"
            ))
        })?;
        Ok(Target { channel: "webhook".to_owned(), account: "default".to_owned(), to: url.into(), thread: None })
    }

    fn render(&self, markdown: &str) -> Vec<Rendered> {
        vec![Rendered { text: markdown.to_owned(), plain: None, media: None }]
    }

    fn dedupes(&self) -> Option<TimeDelta> {
        Some(WINDOW)
    }

    async fn send(&self, message: &Outgoing<'_>, deadline: DateTime<Utc>) -> Result<Sent, SendError> {
        let now = self.clock.now();
        let url = self.client.check(&message.target.to).map_err(http::refused)?;
        let key = HeaderValue::from_str(message.idempotency_key)
            .map_err(|_| http::refused("the webhook's idempotency key cannot be sent as a header"))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(HeaderName::from_static("idempotency-key"), key);
        if let Some(secret) = &self.secret {
            let signature = sign(secret.expose().as_bytes(), now.timestamp(), message.body.text.as_bytes());
            let name = HeaderName::try_from(SIGNATURE_HEADER).map_err(http::refused)?;
            headers.insert(name, HeaderValue::try_from(signature).map_err(http::refused)?);
        }
        let body = Bytes::copy_from_slice(message.body.text.as_bytes());
        let request = Request { method: Method::POST, url, headers, body };
        let answer = self.client.send(&request, LIMITS, deadline).await.map_err(|error| match error.kind {
            WebErrorKind::Refused => http::refused(error),
            WebErrorKind::NotSent => http::not_taken(error, None),
            WebErrorKind::Unknown => http::unknown(error),
        })?;
        let wait = nightshift_web::retry_after(&answer.headers, now);
        match (answer.status.as_u16(), wait) {
            (200..=299, _) => {
                let named =
                    answer.headers.get("x-request-id").and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty());
                Ok(Sent { message_id: named.unwrap_or(message.idempotency_key).to_owned() })
            }
            // "Too Early" (RFC 8470) and "Too Many Requests" (RFC 6585) say that nothing was done.
            (status @ (425 | 429), wait) => {
                Err(http::not_taken(format!("the webhook's receiver answered {status}"), wait))
            }
            (503, Some(wait)) => Err(http::not_taken("the webhook's receiver answered 503", Some(wait))),
            (status @ (408 | 500..=599), _) => {
                Err(http::unknown(format!("the webhook's receiver answered {status}; it may have taken the event")))
            }
            (status @ 300..=399, _) => Err(http::refused(format!(
                "the webhook's receiver answered {status}; redirects are not followed, so use the final address"
            ))),
            (status, _) => Err(http::refused(format!("the webhook's receiver answered {status}"))),
        }
    }
}
