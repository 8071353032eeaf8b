//! The `tools` function: what anybody can reach. That is a run's own tools as an MCP server, for the loop that a model's
//! provider runs within one hop; everything else at this address is the API's ([`nightshift_api::Front::Public`]): hooks, and
//! methods where `api.bearer` is switched on.
//!
//! Guarantee: nothing is answered but 401 without the token of a run that a hop is out for; a token opens the tools it names
//! and nothing else. One request is one answer: there are no sessions and no streams (MCP, Streamable HTTP, stateless), so
//! that any instance of the function may have it, and the same batch may come back hours later. What a call does, and that an
//! acting one is made once, is [`nightshift_engine::endpoint`]; this crate knows HTTP and MCP only. No input, result or token
//! is logged.

mod server;

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use lambda_http::http::{HeaderValue, Method, StatusCode, header};
use lambda_http::{Body, Request, RequestExt, Response};
use nightshift_api::Front;
use nightshift_engine::{Deps, Invocation, endpoint};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::json;
use tracing::{debug, error, info};

use server::Server;

/// The one path.
pub const PATH: &str = "/mcp";
/// Largest request: a model's arguments, the longest of which is a file of notes.
pub const BODY_MAX: usize = 1024 * 1024;

/// Why a request is not served.
enum Refusal {
    Verb,
    Unauthorized,
    TooLarge,
    Unavailable,
}

/// Handles one request.
pub async fn handle(deps: &Deps, request: Request) -> Result<Response<Body>, Infallible> {
    if nightshift_api::one_slash(request.uri().path()) == PATH {
        mcp(deps, request).await
    } else {
        nightshift_api::handle_at(deps, Front::Public, request).await
    }
}

async fn mcp(deps: &Deps, request: Request) -> Result<Response<Body>, Infallible> {
    let started = deps.clock.now();
    let invocation = invocation(deps, &request);
    let verb = request.method().clone();
    let response = match Box::pin(served(deps, &invocation, request)).await {
        Ok(response) => response,
        Err(refusal) => refusal.response(),
    };
    let status = response.status().as_u16();
    let duration_ms = (deps.clock.now() - started).num_milliseconds();
    if status >= 400 {
        info!(request.id = %invocation.request(), http.status = status, duration_ms, "the MCP endpoint answers {verb} with {status}");
    } else {
        debug!(request.id = %invocation.request(), http.status = status, duration_ms, "the MCP endpoint answers {verb} with {status}");
    }
    Ok(response)
}

async fn served(deps: &Deps, invocation: &Invocation, request: Request) -> Result<Response<Body>, Refusal> {
    if request.method() != Method::POST {
        return Err(Refusal::Verb);
    }
    if request.body().as_ref().len() > BODY_MAX {
        return Err(Refusal::TooLarge);
    }
    // Wrong tokens are not counted by their source here, as the API does: every run's calls come from the provider's few
    // addresses, so that anybody with an account there could shut the runs out. These tokens cannot be guessed.
    let token = bearer(&request).ok_or(Refusal::Unauthorized)?;
    let granted = match endpoint::authorize(deps, token).await {
        Ok(granted) => granted.ok_or(Refusal::Unauthorized)?,
        Err(error) => {
            error!(request.id = %invocation.request(), "a run token could not be checked: {}", error.chain());
            return Err(Refusal::Unavailable);
        }
    };
    let server = Server::new(deps.clone(), invocation.clone(), granted);
    let service =
        StreamableHttpService::new(move || Ok(server.clone()), NeverSessionManager::default().into(), stateless());
    let response = service.handle(plain(request)).await;
    let (parts, body) = response.into_parts();
    // Its error is the one that cannot be.
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let body = String::from_utf8(body.to_vec()).map_or_else(|_| Body::from(body.to_vec()), Body::from);
    Ok(Response::from_parts(parts, body))
}

/// Any host, because the token opens the endpoint and a page in somebody's browser has none; no request that a browser sends
/// for a page is answered all the same.
fn stateless() -> StreamableHttpServerConfig {
    StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_sse_keep_alive(None)
        .with_max_request_body_bytes(BODY_MAX)
        .disable_allowed_hosts()
        .enforce_origin_validation()
}

/// The request as the library takes it: without the token, and as one that takes what we answer, which is always JSON.
fn plain(request: Request) -> lambda_http::http::Request<Full<Bytes>> {
    let (mut parts, body) = request.into_parts();
    parts.headers.remove(header::AUTHORIZATION);
    parts.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    lambda_http::http::Request::from_parts(parts, Full::new(Bytes::copy_from_slice(body.as_ref())))
}

fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

fn invocation(deps: &Deps, request: &Request) -> Invocation {
    if let Some(context) = request.lambda_context_ref().filter(|context| !context.request_id.is_empty()) {
        return nightshift_boot::invocation_ms(deps, &context.request_id, context.deadline);
    }
    let millis = u64::try_from(deps.clock.now().timestamp_millis()).unwrap_or(0);
    let id = ulid::Ulid::from_parts(millis, deps.entropy.bits()).to_string();
    nightshift_boot::invocation_ms(deps, &id, 0)
}

impl Refusal {
    /// A JSON-RPC error, which a client that looks at the body only can read too. The codes are of the range that JSON-RPC 2.0
    /// leaves to servers.
    fn response(&self) -> Response<Body> {
        let (status, code, message) = match self {
            Self::Verb => (StatusCode::METHOD_NOT_ALLOWED, -32005, "only POST is served here"),
            Self::Unauthorized => {
                (StatusCode::UNAUTHORIZED, -32001, "a token of a run that is with its model now is needed")
            }
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, -32013, "the request is larger than 1 MB"),
            Self::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, -32003, "the table cannot be reached now; try again")
            }
        };
        let body = json!({ "jsonrpc": "2.0", "id": null, "error": { "code": code, "message": message } });
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match self {
            Self::Verb => drop(headers.insert(header::ALLOW, HeaderValue::from_static("POST"))),
            Self::Unauthorized => drop(headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            Self::Unavailable => drop(headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"))),
            Self::TooLarge => {}
        }
        response
    }
}
