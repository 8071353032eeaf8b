//! The guarded client as the engine's tools know it.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use nightshift_domain::config::SsrfPolicy;
use nightshift_engine::Clock;
use nightshift_engine::ports::{Web, WebAnswer, WebFault, WebFaultKind, WebMethod, WebRequest};

use crate::client::{GuardedClient, Limits, Request};
use crate::error::{WebError, WebErrorKind};
use crate::retry_after::retry_after;

/// Redirects a read follows.
const REDIRECTS: u8 = 5;

/// Implements [`Web`] with a [`GuardedClient`] under the policy of each call.
#[derive(Debug)]
pub struct Guarded {
    clock: Arc<dyn Clock>,
}

impl Guarded {
    /// Asks under this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }
}

#[async_trait]
impl Web for Guarded {
    async fn send(
        &self,
        policy: &SsrfPolicy,
        request: &WebRequest,
        deadline: DateTime<Utc>,
    ) -> Result<WebAnswer, WebFault> {
        let client = GuardedClient::new(self.clock.clone(), policy);
        let (method, redirects) = match request.method {
            WebMethod::Get => (Method::GET, REDIRECTS),
            WebMethod::Post => (Method::POST, 0),
        };
        let url = client.check(&request.url).map_err(fault)?;
        let headers = headers(&request.headers)?;
        let body = request.body.clone();
        let limits = Limits { response_bytes: request.most_bytes, redirects };
        let sent = client.send(&Request { method, url, headers, body }, limits, deadline).await.map_err(fault)?;
        let content_type = sent.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(WebAnswer {
            status: sent.status.as_u16(),
            content_type,
            retry_after: retry_after(&sent.headers, self.clock.now()),
            url: sent.url.into(),
            body: sent.body,
            truncated: sent.truncated,
        })
    }
}

fn headers(pairs: &[(String, String)]) -> Result<HeaderMap, WebFault> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let unfit = || WebFault {
            kind: WebFaultKind::Refused,
            message: "a header of the request holds a character that no header can carry".to_owned(),
        };
        let name = HeaderName::try_from(name).map_err(|_| unfit())?;
        headers.insert(name, HeaderValue::try_from(value).map_err(|_| unfit())?);
    }
    Ok(headers)
}

fn fault(error: WebError) -> WebFault {
    let kind = match error.kind {
        WebErrorKind::Refused => WebFaultKind::Refused,
        WebErrorKind::NotSent => WebFaultKind::NotSent,
        WebErrorKind::Unknown => WebFaultKind::Unknown,
    };
    WebFault { kind, message: error.message }
}
