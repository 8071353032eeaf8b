//! Message Batches: create, look, stop, forget.
//!
//! Guarantee: a create is sent once, and it is called refused only where the batch certainly does not exist. Nothing
//! identifies a repeated create to the API (no idempotency key is documented; the official SDKs send none), so each
//! repeat could be a second batch to pay.

use chrono::{DateTime, Utc};
use nightshift_domain::batch::CREATE_TIMEOUT;
use nightshift_domain::model::ModelErrorKind;
use nightshift_engine::clock::timeout;
use nightshift_engine::ports::{BatchList, BatchRow, BatchView, CreateError};
use reqwest::Method;
use serde::Deserialize;

use crate::Anthropic;
use crate::body;
use crate::errors::{Failure, text};
use crate::headers::{self, REQUEST_ID};
use crate::transport::segment;

const PATH: &str = "/v1/messages/batches";
/// Most batches on a page of the list (`OpenAPI` file, 2026-05-06).
const LARGEST_PAGE: u32 = 1000;

/// A `MessageBatch` (Python SDK 2.11.0).
#[derive(Deserialize)]
struct Shown {
    id: String,
    processing_status: String,
    created_at: DateTime<Utc>,
    request_counts: Counts,
}

/// They add up to the number of rows at all times ("Batch processing" page, 2026-10-01).
#[derive(Deserialize)]
struct Counts {
    processing: u64,
    succeeded: u64,
    errored: u64,
    canceled: u64,
    expired: u64,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Shown>,
    #[serde(default)]
    last_id: Option<String>,
    #[serde(default)]
    has_more: bool,
}

impl From<Shown> for BatchView {
    fn from(shown: Shown) -> Self {
        let Counts { processing, succeeded, errored, canceled, expired } = shown.request_counts;
        Self {
            remote: shown.id,
            ended: shown.processing_status == "ended",
            canceling: shown.processing_status == "canceling",
            created_at: shown.created_at,
            rows: processing + succeeded + errored + canceled + expired,
        }
    }
}

/// Whether a status says for certain that no batch was made. Other 5xx, 408 and 409 may come after the fact, and a 303
/// is an answer to something done.
fn surely_refused(status: u16) -> bool {
    match status {
        303 | 408 | 409 => false,
        529 => true,
        _ => (300..500).contains(&status),
    }
}

fn unreadable(kind: ModelErrorKind) -> Failure {
    Failure::new(kind, "the answer is not a batch that could be read")
}

fn view(body: &[u8]) -> Result<BatchView, Failure> {
    let shown: Shown = serde_json::from_slice(body).map_err(|_| unreadable(ModelErrorKind::Server))?;
    Ok(shown.into())
}

impl Anthropic {
    pub(crate) async fn create_batch(&self, rows: &[BatchRow]) -> Result<BatchView, CreateError> {
        let body = body::create(rows).map_err(|custom_id| {
            let message = format!("row {custom_id}: a stored message or the tools of the turn are not JSON");
            CreateError::Refused(Failure::new(ModelErrorKind::Invalid, message).into())
        })?;
        let deadline = self.clock.now() + CREATE_TIMEOUT;
        let betas = headers::betas(rows.iter().map(|row| &row.request));
        let answer = match timeout(&*self.clock, deadline, self.post_once(PATH, &betas, body)).await {
            Some(Ok(answer)) => answer,
            Some(Err(failure)) => return Err(unsent_or_unanswered(failure)),
            None => {
                let failure = Failure::new(ModelErrorKind::Timeout, "no answer within 60 seconds");
                return Err(CreateError::Unanswered(failure.into()));
            }
        };
        if !answer.is_success() {
            let error = self.refused(&answer).hiding(rows.iter().map(|row| &row.request)).into();
            let refused = surely_refused(answer.status);
            return Err(if refused { CreateError::Refused(error) } else { CreateError::Unanswered(error) });
        }
        view(&answer.body).map_err(|_| {
            let mut failure = unreadable(ModelErrorKind::Unanswered);
            failure.error.request_id = text(&answer.headers, REQUEST_ID).map(str::to_owned);
            CreateError::Unanswered(failure.into())
        })
    }

    pub(crate) async fn retrieve_batch(&self, remote: &str) -> Result<BatchView, Failure> {
        let answer = self.read(Method::GET, format!("{PATH}/{}", segment(remote))).await?;
        view(&answer.body)
    }

    pub(crate) async fn list_batches(&self, limit: u32, after: Option<&str>) -> Result<BatchList, Failure> {
        let mut path = format!("{PATH}?limit={}", limit.clamp(1, LARGEST_PAGE));
        if let Some(after) = after {
            path.push_str("&after_id=");
            path.push_str(&segment(after));
        }
        let answer = self.read(Method::GET, path).await?;
        let page: Page = serde_json::from_slice(&answer.body).map_err(|_| {
            Failure::new(ModelErrorKind::Server, "the answer is not a list of batches that could be read")
        })?;
        let next_after = page.last_id.filter(|_| page.has_more);
        Ok(BatchList { batches: page.data.into_iter().map(BatchView::from).collect(), next_after })
    }

    /// Cancels. What the API says to canceling a batch that has ended is not documented, so an objection to the batch's
    /// state is answered with a look at it.
    pub(crate) async fn cancel_batch(&self, remote: &str) -> Result<BatchView, Failure> {
        let answer = self.read(Method::POST, format!("{PATH}/{}/cancel", segment(remote))).await;
        let failure = match answer {
            Ok(answer) => return view(&answer.body),
            Err(failure) => failure,
        };
        if !matches!(failure.status, Some(400 | 409 | 422)) {
            return Err(failure);
        }
        let seen = self.retrieve_batch(remote).await?;
        if seen.ended || seen.canceling { Ok(seen) } else { Err(failure) }
    }

    /// Deletes. A 404 stays one, also when an earlier attempt of this call may have deleted it.
    pub(crate) async fn delete_batch(&self, remote: &str) -> Result<(), Failure> {
        self.read(Method::DELETE, format!("{PATH}/{}", segment(remote))).await.map(drop)
    }
}

/// A create that got no answer at all: only one that never left is surely refused.
fn unsent_or_unanswered(failure: Failure) -> CreateError {
    match failure.error.kind {
        // Auth and Invalid are found here before anything is sent: a key or a URL that cannot be used.
        ModelErrorKind::NotSent | ModelErrorKind::Auth | ModelErrorKind::Invalid => {
            CreateError::Refused(failure.into())
        }
        ModelErrorKind::Permission
        | ModelErrorKind::Billing
        | ModelErrorKind::SpendLimit
        | ModelErrorKind::NotFound
        | ModelErrorKind::TooLarge
        | ModelErrorKind::RateLimited
        | ModelErrorKind::Overloaded
        | ModelErrorKind::Server
        | ModelErrorKind::Timeout
        | ModelErrorKind::Unanswered => CreateError::Unanswered(failure.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_status_that_rules_a_batch_out_counts_as_refused() {
        let refused = [301, 302, 307, 308, 400, 401, 402, 403, 404, 413, 422, 429, 529];
        let open = [303, 408, 409, 500, 501, 502, 503, 504, 520, 524];
        assert!(refused.into_iter().all(surely_refused));
        assert!(!open.into_iter().any(surely_refused));
    }

    #[test]
    fn rows_are_counted_over_all_outcomes() {
        let shown = r#"{"id":"msgbatch_1","type":"message_batch","processing_status":"ended","request_counts":
            {"processing":1,"succeeded":2,"errored":3,"canceled":4,"expired":5},"ended_at":null,"created_at":
            "2024-09-24T18:37:24.100435Z","expires_at":"2024-09-25T18:37:24.100435Z","cancel_initiated_at":null,
            "archived_at":null,"results_url":"https://elsewhere.example/steal"}"#;
        let view = view(shown.as_bytes()).unwrap();
        assert_eq!((view.rows, view.ended, view.canceling), (15, true, false));
        assert_eq!(view.created_at.to_rfc3339(), "2024-09-24T18:37:24.100435+00:00");
    }
}
