//! Who is calling, and in which version of the API.

use http::HeaderMap;

use crate::answer::ApiError;
use crate::ids::workspace_of;

/// Value of `anthropic-beta` that OAuth and workload-identity tokens travel with (docs page "authentication", 2026-10-01).
const OAUTH_BETA: &str = "oauth-2025-04-20";

/// The versions of the API (docs page "api/versioning", after 2026-10-21).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// `2023-06-01`, still accepted.
    V20230601,
    /// `2026-10-21`, the default of the official SDKs since Python 2.0.0 and TypeScript 1.0.0; no sampling parameters.
    V20261021,
}

/// The headers every call needs, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) workspace: String,
    pub(crate) version: Version,
    pub(crate) betas: Vec<String>,
    /// A subscription token (`sk-ant-oat…`), which batches do not take.
    pub(crate) subscription: bool,
}

impl Caller {
    /// Reads credentials, version and beta flags.
    ///
    /// When both credential headers are sent, `x-api-key` counts. `anthropic-workspace-id` selects the workspace;
    /// without it the workspace follows from the key. Any non-empty API key is good: scripts revoke keys by a fault.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let betas: Vec<String> = headers
            .get_all("anthropic-beta")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|beta| beta.trim().to_owned())
            .filter(|beta| !beta.is_empty())
            .collect();
        let (key, subscription) = credential(headers, &betas)?;
        let version = match text(headers, "anthropic-version") {
            Some("2026-10-21") => Version::V20261021,
            Some("2023-06-01") => Version::V20230601,
            Some(other) => {
                return Err(ApiError::field("anthropic-version", format!("\"{other}\" is not a valid version")));
            }
            None => return Err(ApiError::field("anthropic-version", "header is required")),
        };
        let workspace = text(headers, "anthropic-workspace-id").map_or_else(|| workspace_of(key), str::to_owned);
        Ok(Self { workspace, version, betas, subscription })
    }

    /// Refuses what only works outside batches. There is no evidence that subscription tokens ever do (docs page
    /// "authentication", 2026-10-01, lists API keys and workload-identity tokens).
    pub(crate) fn may_batch(&self) -> Result<(), ApiError> {
        if self.subscription {
            let message = "OAuth authentication is not supported by the Message Batches API.";
            return Err(ApiError::new(403, "permission_error", message));
        }
        Ok(())
    }
}

fn credential<'a>(headers: &'a HeaderMap, betas: &[String]) -> Result<(&'a str, bool), ApiError> {
    if let Some(key) = text(headers, "x-api-key") {
        if key.is_empty() || key.starts_with("sk-ant-oat") || key.starts_with("sk-ant-admin") {
            return Err(unauthenticated("invalid x-api-key"));
        }
        return Ok((key, false));
    }
    let Some(value) = text(headers, "authorization") else {
        return Err(unauthenticated("Authorization header is required"));
    };
    let Some(token) = value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("bearer ")).map(str::trim) else {
        return Err(unauthenticated("Authorization header must be a bearer token"));
    };
    if token.is_empty() || token.starts_with("sk-ant-admin") {
        return Err(unauthenticated("invalid bearer token"));
    }
    let subscription = token.starts_with("sk-ant-oat");
    if subscription && !betas.iter().any(|beta| beta == OAUTH_BETA) {
        return Err(unauthenticated("OAuth authentication is currently not supported."));
    }
    Ok((token, subscription))
}

fn unauthenticated(message: &str) -> ApiError {
    ApiError::new(401, "authentication_error", message)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn caller(pairs: &[(&str, &str)]) -> Result<Caller, ApiError> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
        }
        Caller::of(&headers)
    }

    const VERSION: (&str, &str) = ("anthropic-version", "2026-10-21");

    #[test]
    fn credentials_decide_between_accepted_and_401() {
        let oauth = ("anthropic-beta", "files-api-2025-04-14, oauth-2025-04-20");
        for good in [
            vec![VERSION, ("authorization", "Bearer sk-ant-api03-a")],
            vec![VERSION, ("x-api-key", "sk-ant-api03-a")],
            vec![VERSION, ("authorization", "Bearer sk-ant-oat01-a"), oauth],
        ] {
            assert!(caller(&good).is_ok(), "{good:?}");
        }
        for bad in [
            vec![VERSION],
            vec![VERSION, ("authorization", "Basic abc")],
            vec![VERSION, ("authorization", "Bearer ")],
            vec![VERSION, ("authorization", "Bearer sk-ant-oat01-a")],
            vec![VERSION, ("authorization", "Bearer sk-ant-admin01-a")],
            vec![VERSION, ("x-api-key", "")],
            vec![VERSION, ("x-api-key", "sk-ant-oat01-a"), oauth],
            vec![VERSION, ("x-api-key", "sk-ant-oat01-a"), ("authorization", "Bearer sk-ant-api03-a")],
        ] {
            let error = caller(&bad).unwrap_err();
            assert_eq!((error.status, error.kind.as_str()), (401, "authentication_error"), "{bad:?}");
        }
    }

    #[test]
    fn a_version_is_required_and_must_be_known() {
        let key = ("x-api-key", "sk-ant-api03-a");
        assert_eq!(caller(&[key, ("anthropic-version", "2023-06-01")]).unwrap().version, Version::V20230601);
        assert_eq!(caller(&[key]).unwrap_err().status, 400);
        assert_eq!(caller(&[key, ("anthropic-version", "2024-01-01")]).unwrap_err().status, 400);
    }

    #[test]
    fn a_subscription_token_may_not_batch() {
        let oauth = ("anthropic-beta", "oauth-2025-04-20");
        let caller = caller(&[VERSION, ("authorization", "Bearer sk-ant-oat01-a"), oauth]).unwrap();
        assert_eq!(caller.may_batch().unwrap_err().kind, "permission_error");
    }

    #[test]
    fn the_workspace_follows_the_key_unless_a_header_selects_one() {
        let one = caller(&[VERSION, ("x-api-key", "a")]).unwrap().workspace;
        let two = caller(&[VERSION, ("x-api-key", "b")]).unwrap().workspace;
        assert_ne!(one, two);
        let chosen = caller(&[VERSION, ("x-api-key", "b"), ("anthropic-workspace-id", "wrkspc_x")]).unwrap();
        assert_eq!(chosen.workspace, "wrkspc_x");
    }
}
