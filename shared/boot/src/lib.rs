//! Composition root: reads the process's settings once, builds the real adapters, hands them over as [`Deps`].
//!
//! The only place that reads the environment and the only one that knows every adapter. The local stack builds the same
//! [`Deps`] from the same [`Environment`], with other endpoints.

mod emf;
mod environment;
mod logs;
mod models;
mod secrets;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_engine::ports::{Blobs, Entropy, Metrics, NoMetrics};
use nightshift_engine::{Clock, Deps, Invocation, SystemClock};
use nightshift_store::{DynamoStore, ObjectBlobs};
use nightshift_timers::{Functions, LambdaInvoker, SchedulerTimers};

pub use environment::{BlobPlace, Environment, ModelPlace, SettingMissing, is_on};
pub use logs::init_tracing;
pub use models::OpenModels;
pub use secrets::{ParameterStore, ProcessSecrets};

/// Where the real model answers.
pub const REAL_MODEL_URL: &str = nightshift_anthropic::DEFAULT_BASE_URL;
/// What a function may take when its host does not say: Lambda's longest.
const DEFAULT_TIMEOUT: TimeDelta = TimeDelta::seconds(900);

/// Chance from the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn bits(&self) -> u128 {
        // A ULID holds 80 random bits; two of them overlap to all 128.
        (ulid::Ulid::generate().random() << 64) ^ ulid::Ulid::generate().random()
    }
}

/// The AWS clients, each with its own endpoint on the local stack.
#[derive(Debug, Clone)]
pub struct Clients {
    /// The table.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// Timers.
    pub scheduler: aws_sdk_scheduler::Client,
    /// Calls between functions.
    pub lambda: aws_sdk_lambda::Client,
    /// Secrets; none on the local stack.
    pub ssm: Option<aws_sdk_ssm::Client>,
}

impl Clients {
    /// From the process's environment, as every AWS program does it.
    async fn from_env(local: bool) -> Self {
        let sdk = aws_config::load_from_env().await;
        Self {
            dynamodb: aws_sdk_dynamodb::Client::new(&sdk),
            scheduler: aws_sdk_scheduler::Client::new(&sdk),
            lambda: aws_sdk_lambda::Client::new(&sdk),
            ssm: (!local).then(|| aws_sdk_ssm::Client::new(&sdk)),
        }
    }
}

/// The dependencies of a function, from the environment it was started with; connections are opened here, in the init
/// phase, because a first request that has to open them waits most of a second for it on a small function.
pub async fn deps() -> anyhow::Result<Deps> {
    let environment = Environment::from_env()?;
    let clients = Clients::from_env(environment.settings.local).await;
    let deps = build(&environment, clients, Arc::new(SystemClock))?;
    warm(&deps, &environment).await;
    Ok(deps)
}

/// Builds the adapters.
pub fn build(environment: &Environment, clients: Clients, clock: Arc<dyn Clock>) -> anyhow::Result<Deps> {
    let parameters = clients
        .ssm
        .clone()
        .map(|ssm| ParameterStore::new(ssm, environment.settings.secrets.clone().unwrap_or_default()));
    let secrets = Arc::new(ProcessSecrets::new(parameters, environment.settings.local, clock.clone()));
    let http = nightshift_anthropic::http_client();
    let models = OpenModels::new(http.clone(), clock.clone(), secrets.clone(), environment.model.clone());
    let channels = nightshift_channels::Open {
        http,
        clock: clock.clone(),
        secrets: secrets.clone(),
        console_url: environment.console_url.clone(),
    };
    let web = nightshift_web::Guarded::new(clock.clone());
    let metrics: Arc<dyn Metrics> = match &environment.metrics {
        Some(namespace) => Arc::new(emf::Emf {
            namespace: namespace.clone(),
            stack: environment.group.clone(),
            function: environment.function.clone(),
            clock: clock.clone(),
        }),
        None => Arc::new(NoMetrics),
    };
    let blobs: Arc<dyn Blobs> = match &environment.blobs {
        BlobPlace::Folder(dir) => Arc::new(ObjectBlobs::local(dir)?),
        BlobPlace::Bucket(bucket) => Arc::new(ObjectBlobs::s3(bucket)?),
    };
    let Aws { store, timers, invoker } = Aws::build(environment, clients, &clock);
    Ok(Deps {
        clock,
        entropy: Arc::new(SystemEntropy),
        store,
        blobs,
        timers,
        invoker,
        models: Arc::new(models),
        channels: Arc::new(channels),
        secrets,
        web: Arc::new(web),
        attempts: Arc::default(),
        metrics,
        settings: environment.settings.clone(),
    })
}

/// The same dependencies with other AWS clients: where several functions share a process, each has its own.
pub fn with_clients(deps: &Deps, environment: &Environment, clients: Clients) -> Deps {
    let Aws { store, timers, invoker } = Aws::build(environment, clients, &deps.clock);
    Deps { store, timers, invoker, ..deps.clone() }
}

/// What is made of the AWS clients.
struct Aws {
    store: Arc<DynamoStore>,
    timers: Arc<SchedulerTimers>,
    invoker: Arc<LambdaInvoker>,
}

impl Aws {
    fn build(environment: &Environment, clients: Clients, clock: &Arc<dyn Clock>) -> Self {
        let store = DynamoStore::new(clients.dynamodb, environment.table.clone(), clock.clone());
        let functions = Functions::new(environment.function_arn_prefix.clone());
        let mut timers = SchedulerTimers::new(
            clients.scheduler,
            environment.group.clone(),
            environment.scheduler_role_arn.clone(),
            functions.clone(),
            clock.clone(),
        );
        if let Some(queue) = &environment.dead_letter_arn {
            timers = timers.dead_letters(queue);
        }
        let invoker = LambdaInvoker::new(clients.lambda, functions);
        Self { store: Arc::new(store), timers: Arc::new(timers), invoker: Arc::new(invoker) }
    }
}

/// Opens the connections that the first request would wait for. Failures show again, properly, when they matter.
async fn warm(deps: &Deps, environment: &Environment) {
    let table = deps.store.config();
    let model = async {
        if environment.model.base_url.is_none() {
            let http = nightshift_anthropic::http_client();
            let _ = http.head(nightshift_anthropic::DEFAULT_BASE_URL).send().await;
        }
    };
    let (_, ()) = tokio::join!(table, model);
}

/// One invocation as the engine knows it. A deadline in the past (`cargo lambda watch` gives one of 1970) means a full
/// timeout from now. Each is its own, also among those of one request.
pub fn invocation(deps: &Deps, request_id: &str, deadline: DateTime<Utc>) -> Invocation {
    Invocation::new(request_id, deps.entropy.bits(), self::deadline(deps.clock.now(), deadline))
}

fn deadline(now: DateTime<Utc>, given: DateTime<Utc>) -> DateTime<Utc> {
    if given <= now { now + DEFAULT_TIMEOUT } else { given }
}

/// The same from Lambda's milliseconds since 1970.
pub fn invocation_ms(deps: &Deps, request_id: &str, deadline_ms: u64) -> Invocation {
    let deadline = i64::try_from(deadline_ms).ok().and_then(DateTime::from_timestamp_millis);
    invocation(deps, request_id, deadline.unwrap_or(DateTime::UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_of_1970_means_a_full_timeout_from_now() {
        let now = DateTime::from_timestamp(1_795_219_200, 0).unwrap();
        assert_eq!(deadline(now, DateTime::from_timestamp_millis(600_000).unwrap()), now + DEFAULT_TIMEOUT);
        let soon = now + TimeDelta::seconds(5);
        assert_eq!(deadline(now, soon), soon);
    }
}
