//! Signature Version 4 for the API behind a Lambda function URL.
//!
//! What is signed: method, address, body, `content-type`, the idempotency key and the time, so that nobody on the way can
//! change a request or make two of it. A signature is good for five minutes (IAM User Guide, "AWS Signature Version 4 for API
//! requests"), so each try has its own. Knows nothing of what is called.

use std::cell::RefCell;
use std::time::Duration;

use anyhow::Context as _;
use aws_config::Region;
use aws_sdk_lambda::config::{Credentials, ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use chrono::{DateTime, Utc};
use reqwest::Url;

use crate::error::ExpectedError;

/// The name function URLs are signed for (Lambda Developer Guide, "Control access to Lambda function URLs").
const SERVICE: &str = "lambda";
/// Credentials that end sooner than this are asked for again, so that none end on the way.
const MARGIN: Duration = Duration::from_mins(1);

/// The region of a Lambda function URL, `https://<id>.lambda-url.<region>.on.aws` (Lambda Developer Guide, "Creating and
/// managing Lambda function URLs"); `None` for any other address.
pub(crate) fn region_of(url: &Url) -> Option<&str> {
    let labels: Vec<&str> = url.host_str()?.split('.').collect();
    match labels[..] {
        [id, "lambda-url", region, "on", "aws"] if url.scheme() == "https" && !id.is_empty() => Some(region),
        _ => None,
    }
}

/// What is about to be sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unsigned<'a> {
    pub(crate) method: &'a str,
    pub(crate) url: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a str,
}

/// Signs requests of one region's function URLs.
#[derive(Debug)]
pub(crate) struct Signer {
    provider: SharedCredentialsProvider,
    region: Region,
    /// The last ones, which hold for more than one call of a long wait.
    credentials: RefCell<Credentials>,
}

impl Signer {
    /// Signs with `credentials`, and with the provider's once these end.
    pub(crate) fn new(provider: SharedCredentialsProvider, credentials: Credentials, region: &str) -> Self {
        Self { provider, region: Region::new(region.to_owned()), credentials: RefCell::new(credentials) }
    }

    /// The headers that `request` has to carry besides its own.
    pub(crate) async fn sign(
        &self,
        request: Unsigned<'_>,
        now: DateTime<Utc>,
    ) -> anyhow::Result<Vec<(String, String)>> {
        let identity = self.credentials(now).await?.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region.as_ref())
            .name(SERVICE)
            .time(now.into())
            .settings(SigningSettings::default())
            .build()
            .context("failed to set up a signature")?
            .into();
        let body = SignableBody::Bytes(request.body.as_bytes());
        let signable = SignableRequest::new(request.method, request.url, request.headers.iter().copied(), body);
        let signed = signable.and_then(|signable| sign(signable, &parameters)).context("failed to sign a request")?;
        let (instructions, _) = signed.into_parts();
        Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    async fn credentials(&self, now: DateTime<Utc>) -> Result<Credentials, ExpectedError> {
        let known = self.credentials.borrow().clone();
        if known.expiry().is_none_or(|expiry| DateTime::<Utc>::from(expiry) > now + MARGIN) {
            return Ok(known);
        }
        let credentials = self.provider.provide_credentials().await;
        let credentials = credentials.map_err(|source| ExpectedError::NoCredentials { source: Some(source.into()) })?;
        self.credentials.replace(credentials.clone());
        Ok(credentials)
    }
}

#[cfg(test)]
mod tests;
