//! `POST /hooks/wake`, `/hooks/agent` and `/hooks/<name>`: for programs that know one token and nothing else of us.
//!
//! Off until configured; then nothing is told to whoever has not the hooks' own token, not even which hooks there are.

use chrono::{DateTime, Utc};
use lambda_http::Request;
use lambda_http::http::{HeaderMap, Method as Verb, header};
use nightshift_domain::config::Config;
use nightshift_engine::jobs::{self, Hook};
use nightshift_engine::{Deps, Invocation, runs};
use nightshift_wire::{EventAnswer, HookAnswer};
use serde_json::Value;

use crate::error::Fault;
use crate::idempotency::Guard;
use crate::methods::shown;
use crate::{Answer, auth, body, guarded, key};

/// The other header that a token may be in: OpenClaw's.
const TOKEN_HEADER: &str = "x-openclaw-token";

/// Serves `/hooks/<name>`.
pub(crate) async fn handle(
    deps: &Deps,
    request: &Request,
    invocation: &Invocation,
    verb: &Verb,
    name: &str,
    now: DateTime<Utc>,
) -> Result<Answer, Fault> {
    let config = runs::load_config(deps).await.map_err(jobs::Refusal::from)?;
    if !config.hooks.enabled {
        return Err(Fault::NoPath);
    }
    check(deps, &config, request.headers()).await?;
    if verb != Verb::POST {
        return Err(Fault::Verb("POST"));
    }
    let called = Called::of(&config, name).ok_or_else(|| Fault::NoHook(name.to_owned()))?;
    let body = body(request.body().as_ref())?;
    let guard = key(request.headers())?.map(|key| Guard::new(&format!("hooks/{name}"), &key, &body));
    guarded(deps, invocation, now, guard, async |request| called.call(request, &config, &body).await).await
}

enum Called<'a> {
    Wake,
    Turn(Hook<'a>),
}

impl<'a> Called<'a> {
    fn of(config: &'a Config, name: &'a str) -> Option<Self> {
        match name {
            "wake" => Some(Self::Wake),
            "agent" => Some(Self::Turn(Hook::Agent)),
            _ => config.hooks.named.get(name).map(|rules| Self::Turn(Hook::Named(name, rules))),
        }
    }

    async fn call(&self, request: &jobs::Request<'_>, config: &Config, body: &Value) -> Result<Value, Fault> {
        match self {
            Self::Wake => {
                // Who calls from elsewhere wants it looked at now, unless they say otherwise; as under OpenClaw.
                let mut body = body.clone();
                if let Some(fields) =
                    body.as_object_mut().filter(|fields| fields.get("mode").is_none_or(Value::is_null))
                {
                    fields.insert("mode".to_owned(), "now".into());
                }
                let event_id = Box::pin(jobs::system_event(request, &body)).await?;
                Ok(shown(&EventAnswer { ok: true, event_id }))
            }
            Self::Turn(hook) => {
                let run = Box::pin(jobs::hook(request, config, *hook, body)).await?;
                Ok(shown(&HookAnswer { ok: true, run_id: run.to_string() }))
            }
        }
    }
}

/// Refuses whoever has not the hooks' token. It is never read from the address: addresses stand in logs.
async fn check(deps: &Deps, config: &Config, headers: &HeaderMap) -> Result<(), Fault> {
    let reference = config.hooks.token.as_deref().ok_or(Fault::NoPath)?;
    let from_own = headers.get(TOKEN_HEADER).and_then(|value| value.to_str().ok()).map(str::trim);
    let from_bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(auth::bearer);
    let given = from_own.or(from_bearer).filter(|token| !token.is_empty()).ok_or(Fault::NoToken)?;
    let expected = deps.secrets.resolve(reference).await.map_err(Fault::NoSecret)?;
    if auth::is_same_secret(given, expected.expose().trim()) { Ok(()) } else { Err(Fault::WrongToken) }
}
