//! Boots the `tools` function: clients are built once, in the init phase, and their connections warmed.

use lambda_http::{Error, Request, run, service_fn};

#[tokio::main]
async fn main() -> Result<(), Error> {
    nightshift_boot::init_tracing();
    let deps = &nightshift_boot::deps().await?;
    run(service_fn(|request: Request| async move { nightshift_tools::handle(deps, request).await })).await
}
