//! Every header sent to Anthropic, and every version and beta name, in one place.
//!
//! Guarantee: the key leaves this program only in `Authorization`, marked sensitive so that no `Debug` shows it.

use nightshift_domain::model::HopRequest;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, USER_AGENT};

use crate::Settings;

/// The API version ("API versions" page, after 2026-10-21): it applies to Messages and to every row of a batch created
/// with it, and refuses sampling parameters.
pub const API_VERSION: &str = "2026-10-21";
/// What an OAuth token needs beside `Authorization` ("Authentication" page, 2026-10-01).
pub const OAUTH_BETA: &str = "oauth-2025-04-20";
/// What a request with `mcp_servers` needs ("MCP connector" page; the header of Python SDK 2.11.0).
pub const MCP_BETA: &str = "mcp-client-2025-11-20";
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

/// The betas that `requests` need, each once: those of one hop, or the union over the rows of a batch, since the header
/// holds for the whole of it ("Batch processing" page, 2026-10-01).
pub(crate) fn betas<'a>(requests: impl IntoIterator<Item = &'a HopRequest>) -> Vec<&'static str> {
    let servers = requests.into_iter().any(|request| !request.mcp_servers.is_empty());
    if servers { vec![MCP_BETA] } else { Vec::new() }
}

/// The headers of a request that needs `betas` beside what the key does. `None` when the key or the workspace holds a
/// character no header can carry.
pub(crate) fn of(settings: &Settings, betas: &[&'static str]) -> Option<HeaderMap> {
    let key = settings.key.expose();
    let mut bearer = HeaderValue::from_str(&format!("Bearer {key}")).ok()?;
    bearer.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, bearer);
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("nightshift/", env!("CARGO_PKG_VERSION"))));
    headers.insert(HeaderName::from_static("anthropic-version"), HeaderValue::from_static(API_VERSION));
    let oauth = (settings.subscription || key.starts_with(OAUTH_PREFIX)).then_some(OAUTH_BETA);
    let betas: Vec<&str> = oauth.into_iter().chain(betas.iter().copied()).collect();
    if !betas.is_empty() {
        headers.insert(HeaderName::from_static("anthropic-beta"), HeaderValue::from_str(&betas.join(",")).ok()?);
    }
    if let Some(workspace) = &settings.workspace_id {
        headers.insert(HeaderName::from_static("anthropic-workspace-id"), HeaderValue::from_str(workspace).ok()?);
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use nightshift_domain::model::McpConnection;

    use super::*;

    fn settings(key: &str) -> Settings {
        Settings { key: key.into(), ..Settings::default() }
    }

    #[test]
    fn an_api_key_goes_out_as_bearer_with_the_pinned_version_and_no_beta() {
        let headers = of(&settings("sk-ant-api03-x"), &[]).unwrap();
        assert_eq!(headers["authorization"], "Bearer sk-ant-api03-x");
        assert_eq!(headers["anthropic-version"], "2026-10-21");
        assert!(!headers.contains_key("anthropic-beta"));
        assert!(!headers.contains_key("x-api-key"));
        assert!(!headers.contains_key("anthropic-workspace-id"));
    }

    #[test]
    fn an_oauth_token_brings_its_beta_and_a_workspace_its_header() {
        let by_prefix = of(&settings("sk-ant-oat01-x"), &[]).unwrap();
        assert_eq!(by_prefix["anthropic-beta"], "oauth-2025-04-20");
        let workspace_id = Some("wrkspc_1".to_owned());
        let told = of(&Settings { subscription: true, workspace_id, ..settings("jwt") }, &[]).unwrap();
        assert_eq!(told["anthropic-beta"], "oauth-2025-04-20");
        assert_eq!(told["anthropic-workspace-id"], "wrkspc_1");
    }

    #[test]
    fn betas_follow_what_is_sent_and_stand_in_one_list_with_that_of_the_key() {
        let plain = HopRequest::default();
        let server = McpConnection { name: "a".into(), url: "https://a.example".into(), token: None };
        let with_servers = HopRequest { mcp_servers: vec![server.clone(), server], ..HopRequest::default() };
        assert!(betas([&plain, &plain]).is_empty());
        assert_eq!(betas([&plain, &with_servers, &with_servers]), ["mcp-client-2025-11-20"]);
        let sent = |key| of(&settings(key), &betas([&with_servers])).unwrap()["anthropic-beta"].clone();
        assert_eq!(sent("sk-ant-api03-x"), "mcp-client-2025-11-20");
        assert_eq!(sent("sk-ant-oat01-x"), "oauth-2025-04-20,mcp-client-2025-11-20");
    }

    #[test]
    fn no_debug_output_shows_the_key() {
        let settings = settings("sk-ant-api03-hush");
        assert!(!format!("{:?} {settings:?}", of(&settings, &[])).contains("hush"));
        assert!(format!("{settings:?}").contains("[redacted]"));
    }

    #[test]
    fn a_key_that_no_header_can_carry_is_noticed_and_white_space_around_one_is_dropped() {
        assert!(of(&settings("a\nb"), &[]).is_none());
        assert_eq!(of(&settings(" a \n"), &[]).unwrap()["authorization"], "Bearer a");
    }
}
