//! Where the parts answer, and AWS clients that talk to them.
//!
//! Guarantee: loopback only; the clients carry credentials that are none, and read nothing of the caller's AWS settings.

use anyhow::Context as _;
use axum::Router;
use nightshift_boot::Clients;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The listeners of the parts, each to be taken by its server, and where each answers.
pub(crate) struct Ports {
    pub(crate) front: Option<TcpListener>,
    pub(crate) front_url: String,
    pub(crate) dynamodb: Option<TcpListener>,
    pub(crate) dynamodb_url: String,
    pub(crate) scheduler: Option<TcpListener>,
    pub(crate) scheduler_url: String,
    pub(crate) lambda: Option<TcpListener>,
    pub(crate) lambda_url: String,
    pub(crate) anthropic: Option<TcpListener>,
    pub(crate) anthropic_url: String,
    pub(crate) console: Option<TcpListener>,
    pub(crate) console_url: String,
}

impl Ports {
    /// Binds six ports in a row from `first` on, or any six for 0.
    pub(crate) async fn bind(first: u16) -> anyhow::Result<Self> {
        let mut bound = Vec::new();
        for at in 0..6 {
            let port = if first == 0 { Some(0) } else { first.checked_add(at) };
            let port = port.context("the stack uses six ports in a row: give a lower --port, or 0 for any")?;
            let listener = TcpListener::bind(("127.0.0.1", port))
                .await
                .with_context(|| format!("port {port} is taken; give another --port, or 0 for any"))?;
            let url = format!("http://{}", listener.local_addr()?);
            bound.push((Some(listener), url));
        }
        let mut next = bound.into_iter();
        let mut take = || next.next().context("six ports were bound");
        let ((front, front_url), (dynamodb, dynamodb_url)) = (take()?, take()?);
        let ((scheduler, scheduler_url), (lambda, lambda_url)) = (take()?, take()?);
        let ((anthropic, anthropic_url), (console, console_url)) = (take()?, take()?);
        Ok(Self {
            front,
            front_url,
            dynamodb,
            dynamodb_url,
            scheduler,
            scheduler_url,
            lambda,
            lambda_url,
            anthropic,
            anthropic_url,
            console,
            console_url,
        })
    }
}

/// Serves `router` until the stack stops.
pub(crate) fn serve(listener: Option<TcpListener>, router: Router) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Some(listener) = listener {
            let _ = axum::serve(listener, router).await;
        }
    })
}

/// The clients of one function, with loopback endpoints and credentials that are none: nothing of the caller's AWS settings
/// is read. Their user agent says which function it is.
pub(crate) fn clients(ports: &Ports, function: &str) -> Clients {
    let app = Some(function);
    Clients {
        dynamodb: dynamodb_of(&ports.dynamodb_url, app),
        scheduler: scheduler_of(&ports.scheduler_url, app),
        lambda: lambda_of(&ports.lambda_url, app),
        ssm: None,
    }
}

/// The table's API, for the stack itself and for tests.
pub fn dynamodb(url: &str) -> aws_sdk_dynamodb::Client {
    dynamodb_of(url, None)
}

/// The timers' API, for the stack itself and for tests.
pub fn scheduler(url: &str) -> aws_sdk_scheduler::Client {
    scheduler_of(url, None)
}

/// The functions' API, for tests.
pub fn lambda_client(url: &str) -> aws_sdk_lambda::Client {
    lambda_of(url, None)
}

macro_rules! local_client {
    ($name:ident, $sdk:ident) => {
        fn $name(url: &str, app: Option<&str>) -> $sdk::Client {
            let app = app.and_then(|app| $sdk::config::AppName::new(app.to_owned()).ok());
            let credentials = $sdk::config::Credentials::new("local", "local", None, None, "local stack");
            let mut config = $sdk::Config::builder()
                .behavior_version($sdk::config::BehaviorVersion::latest())
                .region($sdk::config::Region::new("us-east-1"))
                .credentials_provider(credentials)
                .endpoint_url(url);
            config.set_app_name(app);
            $sdk::Client::from_conf(config.build())
        }
    };
}

local_client!(dynamodb_of, aws_sdk_dynamodb);
local_client!(scheduler_of, aws_sdk_scheduler);
local_client!(lambda_of, aws_sdk_lambda);
