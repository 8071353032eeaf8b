//! Every header sent to Anthropic, and every version and beta name, in one place.
//!
//! Guarantee: the key leaves this program only in `Authorization`, marked sensitive so that no `Debug` shows it.

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, USER_AGENT};

use crate::Settings;

/// The API version ("API versions" page, after 2026-10-21): it applies to Messages and to every row of a batch created
/// with it, and refuses sampling parameters.
pub const API_VERSION: &str = "2026-10-21";
/// What an OAuth token needs beside `Authorization` ("Authentication" page, 2026-10-01).
pub const OAUTH_BETA: &str = "oauth-2025-04-20";
/// How subscription OAuth tokens begin ("Authentication" page, 2026-10-01).
const OAUTH_PREFIX: &str = "sk-ant-oat";

/// Where a response names the request, for support ("Errors" page, 2026-10-01).
pub(crate) const REQUEST_ID: &str = "request-id";
/// The server's word on repeating a request; it wins over the status (official SDKs' retry policy).
pub(crate) const SHOULD_RETRY: &str = "x-should-retry";
/// What the official SDKs accept for results, which are JSON lines.
pub(crate) const ACCEPT_RESULTS: &str = "application/binary";
/// The type of every body we send.
pub(crate) const JSON: &str = "application/json";

/// The headers of every request. `None` when the key or the workspace holds a character no header can carry.
pub(crate) fn of(settings: &Settings) -> Option<HeaderMap> {
    let key = settings.key.expose();
    let mut bearer = HeaderValue::from_str(&format!("Bearer {key}")).ok()?;
    bearer.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, bearer);
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("nightshift/", env!("CARGO_PKG_VERSION"))));
    headers.insert(HeaderName::from_static("anthropic-version"), HeaderValue::from_static(API_VERSION));
    if settings.subscription || key.starts_with(OAUTH_PREFIX) {
        headers.insert(HeaderName::from_static("anthropic-beta"), HeaderValue::from_static(OAUTH_BETA));
    }
    if let Some(workspace) = &settings.workspace_id {
        headers.insert(HeaderName::from_static("anthropic-workspace-id"), HeaderValue::from_str(workspace).ok()?);
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(key: &str) -> Settings {
        Settings { key: key.into(), ..Settings::default() }
    }

    #[test]
    fn an_api_key_goes_out_as_bearer_with_the_pinned_version_and_no_beta() {
        let headers = of(&settings("sk-ant-api03-x")).unwrap();
        assert_eq!(headers["authorization"], "Bearer sk-ant-api03-x");
        assert_eq!(headers["anthropic-version"], "2026-10-21");
        assert!(!headers.contains_key("anthropic-beta"));
        assert!(!headers.contains_key("x-api-key"));
        assert!(!headers.contains_key("anthropic-workspace-id"));
    }

    #[test]
    fn an_oauth_token_brings_its_beta_and_a_workspace_its_header() {
        let by_prefix = of(&settings("sk-ant-oat01-x")).unwrap();
        assert_eq!(by_prefix["anthropic-beta"], "oauth-2025-04-20");
        let workspace_id = Some("wrkspc_1".to_owned());
        let told = of(&Settings { subscription: true, workspace_id, ..settings("jwt") }).unwrap();
        assert_eq!(told["anthropic-beta"], "oauth-2025-04-20");
        assert_eq!(told["anthropic-workspace-id"], "wrkspc_1");
    }

    #[test]
    fn no_debug_output_shows_the_key() {
        let settings = settings("sk-ant-api03-hush");
        assert!(!format!("{:?} {settings:?}", of(&settings)).contains("hush"));
        assert!(format!("{settings:?}").contains("[redacted]"));
    }

    #[test]
    fn a_key_that_no_header_can_carry_is_noticed_and_white_space_around_one_is_dropped() {
        assert!(of(&settings("a\nb")).is_none());
        assert_eq!(of(&settings(" a \n")).unwrap()["authorization"], "Bearer a");
    }
}
