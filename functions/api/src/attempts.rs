//! Wrong tokens: who shows them, and that they are not listened to for a while.

use chrono::{DateTime, Utc};
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};
use nightshift_domain::attempts;
use nightshift_engine::Deps;

use crate::error::Fault;

/// Where a request comes from, as the function URL saw it: no header says it, since headers are the caller's own.
pub(crate) fn source(request: &Request) -> String {
    let address = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref(),
        _ => None,
    };
    attempts::source(address.unwrap_or_default())
}

/// Refuses a source that has shown too many wrong tokens.
pub(crate) fn listened_to(deps: &Deps, source: &str, now: DateTime<Utc>) -> Result<(), Fault> {
    // On one's own machine every caller comes from the same address: one with a wrong setting would shut out all others.
    if deps.settings.local {
        return Ok(());
    }
    let refused = |until: DateTime<Utc>| Fault::TooManyTries {
        // Rounded up: who comes back then is listened to.
        seconds: u64::try_from((until - now).num_milliseconds()).unwrap_or(0).div_ceil(1000),
    };
    deps.attempts.refused_until(source, now).map_or(Ok(()), |until| Err(refused(until)))
}

/// The same answer, after a wrong token was counted.
pub(crate) fn told<T>(deps: &Deps, source: &str, now: DateTime<Utc>, checked: Result<T, Fault>) -> Result<T, Fault> {
    if matches!(checked, Err(Fault::WrongToken)) {
        deps.attempts.failed(source, now);
    }
    checked
}
